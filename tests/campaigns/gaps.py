"""Let programs write a megabyte of what is hard to show, in every kind of cell, and see how long the kernel's event loop stands still.

python -m tests.campaigns.gaps --random 20

A gap is the CPU time of the kernel's main thread between two turns of a task that sleeps for a millisecond: what else runs
on the machine makes no gap longer.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..hostile import HEAVY, OUTPUTS
from ..jupyter.kernel_session import KernelSession, kernel_session

SIZE = 1_000_000
LONGEST = 0.05  # seconds
TICK = """
import asyncio, time
import ipyproc
gaps = []
async def tick():
    last = time.thread_time()
    while True:
        await asyncio.sleep(0.001)
        now = time.thread_time()
        gaps.append(now - last)
        last = now
ticking = asyncio.create_task(tick())
"""
WAYS = {
    "card": "%aproc sh -c 'cat {path}; sleep 0.3'",
    "text": "%aproc --plain cat {path}",
    "moments": "%aproc cat {path}",
    "headless": "%aproc cat {path}",
    "variable": "%aproc --out x cat {path}",
    "background": "%aproc --bg --proc p sh -c 'cat {path}; sleep 0.3'\nawait p.wait()\nawait asyncio.sleep(0.5)",
    "result": "await ipyproc.run('cat', {path!r})",
    "failure": "%aproc sh -c 'cat {path}; cat {path} >&2; exit 3'",
    "many": "_ = await ipyproc.parallel([['sh', '-c', 'cat {path}; sleep 1']] * 4)",
}
FRAGMENTS = [
    *(
        b"\x1b[%d%b" % (number, final)
        for number in (0, 1, 2, 9, 24, 9999)
        for final in (b"A B C D E F G H J K L M P S X @ d f r".split())
    ),
    *(b"\x1b[%dm" % number for number in (0, 1, 31, 42, 7)),
    *(b"\x1b[38;2;%d;%d;7mx" % (number, 255 - number) for number in range(0, 256, 51)),
    *(
        b"\n",
        b"\r",
        b"\b",
        b"\r\n",
        b"x",
        b"word ",
        b"\x1b[5;10Hx",
        b"\x1b[1;9999Hy",
        b"\x1b7",
        b"\x1b8",
        b"\x1bM",
        b"\x1bD",
    ),
    *(
        b"\x1b]0;t\x07",
        b"\x1b]",
        b"\x1b[",
        b"\x1b",
        b"\xff",
        "€".encode(),
        "\u202e".encode(),
        b"http://a ",
        b"<b>",
        b"y" * 10_001,
    ),
]


def runs(count: int) -> bytes:
    return b"".join(b"\x1b[38;2;%d;%d;7ma" % (number % 256, number // 256) for number in range(count))


OWN: dict[str, bytes] = {
    "inserts before 9,000 styles": runs(9000) + b"\x1b[1G\x1b[@" * 100_000,
    "deletes before 9,000 styles": runs(9000) + b"\x1b[1G\x1b[P" * 100_000,
    "lines of 500 styles": (runs(500) + b"\n") * 100,
    "one line of styles": runs(70_000),
    "positions": b"\n" * 200 + b"\x1b[5;10H" * 140_000,
    "far positions": b"\n" * 200 + b"\x1b[1;9999Hx\x1b[24;9999Hy" * 50_000,
    "erased screens": (b"\x1b[1;9999Hx\x1b[24;9999Hy\x1b[J\x1b[1J") * 40_000,
    "scroll regions": b"\n" * 200 + b"\x1b[1;9r\x1b[H\n" * 90_000,
    "scrolled": b"\n" * 200 + b"\x1b[24S" * 200_000,
    "inserted lines": b"\n" * 200 + b"\x1b[H" + b"\x1b[24L" * 200_000,
    "backspaces": b"a\b" * 500_000,
    "returns": b"x\r" * 500_000,
    "returns in lines": (b"x\r" * 25_000 + b"\n") * 20,
    "bars": b"".join(b"\r%3d%%|%-20s| %d/2000" % (n // 20 % 101, b"#" * (n // 100 % 20), n) for n in range(30_000)),
    "empty lines": b"\n" * SIZE,
    "far lines": b"\x1b[9999Cx\n" * 90_000,
    "plain lines": (b"x" * 79 + b"\n") * 12_500,
    "long words": "€".encode() * 330_000,
}  # fmt: skip


def outputs(count: int, seed: int) -> dict[str, bytes]:
    """What is written, by name: each a megabyte."""
    heavy = {name: data * (SIZE // len(data) + 1) for name, data in HEAVY.items()}
    mixed = b"".join(OUTPUTS.values())
    made = {**OWN, **heavy, "all hostile": mixed * (SIZE // len(mixed) + 1)}
    chosen = random.Random(seed)
    for number in range(count):
        fragments = [
            b"".join(chosen.choices(FRAGMENTS, k=chosen.choice((1, 2, 3, 20))))
            for _ in range(chosen.choice((1, 2, 50)))
        ]
        first = b"".join(chosen.choices(FRAGMENTS, k=2000)) if chosen.random() < 0.5 else b""
        mixed = b"".join(chosen.choices(fragments, k=1000))
        made[f"random {number}"] = first + mixed * (SIZE // len(mixed) + 1)
    return {name: data[:SIZE] for name, data in made.items()}


def measure(kernel: KernelSession, way: str, path: Path) -> tuple[float, float]:
    """The longest gap, and how long the cell took; seconds."""
    kernel.run("gaps.clear()")
    began = time.monotonic()
    done = kernel.run(WAYS[way].format(path=str(path)), headless=way == "headless")
    took = time.monotonic() - began
    assert done.status == "ok" or way == "failure", done.error
    longest: Any = kernel.json("max(gaps)")
    return longest, took


def main() -> int:
    """Run the campaign and print its figures; 1 if any gap is longer than `LONGEST`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=10, help="outputs that are made at random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names that hold this")
    parser.add_argument("--ways", default=",".join(WAYS))
    chosen = parser.parse_args()
    worst: list[tuple[float, str, str]] = []
    with kernel_session() as kernel, tempfile.TemporaryDirectory() as folder:
        kernel.run(TICK)
        kernel.run("%aproc sh -c 'echo warm; sleep 0.3'")
        for name, data in outputs(chosen.random, chosen.seed).items():
            if chosen.only not in name:
                continue
            path = Path(folder) / "output"
            path.write_bytes(data)
            figures = []
            for way in chosen.ways.split(","):
                gap, took = measure(kernel, way, path)
                figures.append(f"{way} {gap * 1000:.0f} ms ({took:.1f} s)")
                worst.append((gap, way, name))
            print(f"{name}: {', '.join(figures)}", flush=True)
    worst.sort(reverse=True)
    print("longest:", *(f"{gap * 1000:.0f} ms, {way}, {name}" for gap, way, name in worst[:10]), sep="\n  ")
    return int(worst[0][0] > LONGEST)


if __name__ == "__main__":
    sys.exit(main())
