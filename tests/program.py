"""The one program that the tests start: what it does is said by its arguments, one after the other.

out TEXT    write TEXT and a line end to standard output    err TEXT    the same to standard error
raw HEX     write these bytes to standard output            lines N     write N numbered lines
cat         copy standard input to standard output          env NAME    write the value of a variable
ignore SIG  ignore a signal (INT, TERM, ...)                signals     write which signals are ignored
stall       wait for ever                                   sleep S     wait S seconds
wait FILE   wait until there is a file of this name         drip N      write N lines of 1000 bytes, 5 ms apart
fork ...    the rest in a child; the parent goes on with nothing more and ends
setsid      go on in a session of its own
close       close standard output and error                 exit N      end with this status
args ...    write the rest, as JSON
"""

import json
import os
import signal
import sys
import time


def main(words: list[str]) -> int:
    while words:
        word = words.pop(0)
        if word == "out":
            print(words.pop(0), flush=True)
        elif word == "err":
            print(words.pop(0), file=sys.stderr, flush=True)
        elif word == "raw":
            os.write(1, bytes.fromhex(words.pop(0)))
        elif word == "lines":
            sys.stdout.writelines(f"line {number}\n" for number in range(int(words.pop(0))))
            sys.stdout.flush()
        elif word == "cat":
            sys.stdout.buffer.write(sys.stdin.buffer.read())
            sys.stdout.flush()
        elif word == "env":
            print(os.environ.get(words.pop(0)), flush=True)
        elif word == "ignore":
            signal.signal(signal.Signals["SIG" + words.pop(0)], signal.SIG_IGN)
        elif word == "signals":
            names = [s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN]
            print(" ".join(names), flush=True)
        elif word == "stall":
            while True:
                time.sleep(3600)
        elif word == "sleep":
            time.sleep(float(words.pop(0)))
        elif word == "drip":
            for _ in range(int(words.pop(0))):
                os.write(1, b"x" * 999 + b"\n")
                time.sleep(0.005)
        elif word == "wait":
            path = words.pop(0)
            while not os.path.exists(path):
                time.sleep(0.005)
        elif word == "fork":
            if os.fork():
                return 0
        elif word == "setsid":
            os.setsid()
        elif word == "close":
            os.close(1)
            os.close(2)
        elif word == "args":
            print(json.dumps(words), flush=True)
            return 0
        elif word == "exit":
            return int(words.pop(0))
        else:
            raise SystemExit(f"unknown word {word!r}")
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
