r"""The program whose output is measured. Its first word says what it writes, the others how much.

lines BYTES           lines of 80 bytes, 4 KiB with each write()
blocks BYTES          the same, 64 KiB with each
flushed COUNT         lines of 40 bytes, each with a write() of its own
bar SECONDS           one line, written anew behind a \r a thousand times a second
trickle SECONDS       ten lines a second, each with the time of its write
after SECONDS         one such line after so many seconds, and half a second later the end
spread BYTES SECONDS  as `lines`, in a thousand pieces over this time
flood                 as `lines`, for ever
count NUMBER          `line 1`, `line 2` and so on; then nothing, for ever
single BYTES          one line without an end
nul BYTES             NUL bytes
bytes BYTES           every value that a byte can have: no text
"""

import os
import sys
import time

TEXT = b"the quick brown fox jumps over the lazy dog, and once more over the dog"[:70]
LINES = b"".join(b"%08d %s\n" % (number, TEXT) for number in range(4096))


def main(word: str, *amounts: str) -> None:
    first, *others = [float(amount) for amount in amounts] or [0.0]
    count = int(first)
    match word:
        case "lines":
            write(LINES, count, 4096)
        case "blocks":
            write(LINES, count, 1 << 16)
        case "flushed":
            for number in range(count):
                os.write(1, b"%08d the quick brown fox jumps over\n" % number)
        case "bar":
            paced(
                1000 * count, 1000, lambda n: b"\r%3d%%|%-20s| %d it" % (n // 10 // count, b"#" * (n // 50 // count), n)
            )
        case "trickle":
            paced(10 * count, 10, stamp)
        case "after":
            time.sleep(first)
            os.write(1, stamp())
            time.sleep(0.5)
        case "spread":
            for _ in range(1000):
                write(LINES, count // 1000, 4096)
                time.sleep(others[0] / 1000)
        case "flood":
            while True:
                write(LINES, len(LINES), 4096)
        case "count":
            for start in range(1, count + 1, 1000):
                os.write(1, b"".join(b"line %d\n" % number for number in range(start, min(start + 1000, count + 1))))
            time.sleep(3600)
        case "single":
            write(b"0123456789 abcdefghij" * 4096, count, 1 << 16)
        case "nul":
            write(bytes(1 << 16), count, 1 << 16)
        case "bytes":
            write(bytes(range(256)) * 256, count, 1 << 16)


def write(data: bytes, size: int, piece: int) -> None:
    """Write so many bytes, the data over and over."""
    view, place = memoryview(data), 0
    while size > 0:
        done = os.write(1, view[place : place + min(piece, size)])
        place, size = (place + done) % len(data), size - done


def paced(count: int, rate: int, text) -> None:
    start = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        os.write(1, text(number))


def stamp(_: int = 0) -> bytes:
    return b"@%d;\n" % time.monotonic_ns()


if __name__ == "__main__":
    main(*sys.argv[1:])
