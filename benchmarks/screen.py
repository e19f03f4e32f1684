r"""Our `ipyproc._core.output.screen` against pyte, in MB/s: plain lines, coloured lines, `\r` bars.

    .venv/bin/python benchmarks/screen.py

pyte (0.8.2; `pip install pyte`) draws on a grid of 80 x 24 cells, once with its history and once without. Both get the
same bytes in pieces of 64 KiB, in rotated order; the best of three rounds counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyte

sys.path.insert(0, str(Path(__file__).parents[1]))
from ipyproc._core.output.screen import Screen

PIECE = 1 << 16
KINDS = {
    "plain lines": b"".join(
        b"%08d the quick brown fox jumps over the lazy dog, over and over\n" % n for n in range(2_000)
    ),
    "coloured lines": b"".join(
        b"\x1b[2m12:00:%02d\x1b[0m \x1b[1;32mINFO\x1b[0m request %d was answered in 12 ms\n" % (n % 60, n)
        for n in range(2_000)
    ),
    r"`\r` bars": b"".join(
        b"\r%3d%%|%-20s| %d/2000 [00:04<00:05, 1000 it/s]" % (n // 20, b"#" * (n // 100), n) for n in range(2_000)
    ),
}


def ours(pieces: list[bytes]) -> None:
    screen = Screen()
    for piece in pieces:
        screen.feed([(1, piece)])
        screen.settle()
    screen.finish()


def pyte_grid(pieces: list[bytes], grid: Callable[[int, int], pyte.Screen] = pyte.Screen) -> None:
    stream = pyte.ByteStream(grid(80, 24))
    for piece in pieces:
        stream.feed(piece)


def pyte_history(pieces: list[bytes]) -> None:
    pyte_grid(pieces, pyte.HistoryScreen)


def main() -> None:
    contenders = [ours, pyte_grid, pyte_history]
    print("| output | ipyproc MB/s | pyte MB/s | pyte with history MB/s |\n|---|---|---|---|")
    for kind, data in KINDS.items():
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        best = dict.fromkeys(contenders, 0.0)
        for number in range(3):
            for take in contenders[number % 3 :] + contenders[: number % 3]:
                started = time.perf_counter()
                take(pieces)
                best[take] = max(best[take], len(data) / 1e6 / (time.perf_counter() - started))
        print(f"| {kind} | " + " | ".join(f"{best[take]:.2f}" for take in contenders) + " |")


if __name__ == "__main__":
    main()
