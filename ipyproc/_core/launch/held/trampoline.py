"""The script by which the portable launcher starts a program while this process ignores signals: it becomes the program.

`python -I -S trampoline.py FD LC_CTYPE PROGRAM ARGS...`. A program inherits which signals are ignored, and a kernel ignores
SIGINT between two cells: such a program could not be interrupted. Changing that before the start would change it for the
kernel too, and `preexec_fn` runs Python in a forked copy of a process with threads, where it may wait for a lock for ever.
So it is changed here, in a process of its own; the pid stays the same when this process becomes the program.

FD closes when that has happened; if it fails, the number of the error is written there first. LC_CTYPE is the value for the
program's environment (empty: unset), because an interpreter may set that variable for itself (PEP 538). POSIX, standard
library.
"""

import os
import signal
import sys

SCRIPT = __file__
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))
"""The signals that ask a program to end."""


def main(fd: int, lc_ctype: str, words: list[str]) -> None:
    """Become the program."""
    os.set_inheritable(fd, False)
    for number in (*SIGNALS, signal.SIGPIPE, signal.SIGXFSZ):  # the last two are ignored by each interpreter
        signal.signal(number, signal.SIG_DFL)
    os.environ.pop("LC_CTYPE", None)
    if lc_ctype:
        os.environ["LC_CTYPE"] = lc_ctype
    try:
        os.execvp(words[0], words)
    except OSError as error:
        os.write(fd, str(error.errno).encode())
        os._exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
