"""Start and end very many programs in one process, and see what stays.

python -m tests.campaigns.runs --count 10000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time

import psutil

from ipyproc._core.batch import run
from ipyproc._core.launch import client
from ipyproc._core.output import storage

JOBS = 4  # at once
ROUNDS = 5


def main() -> int:
    """Run the campaign and print its figures; 1 if anything but a little memory has stayed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    return asyncio.run(campaign(parser.parse_args().count))


async def campaign(count: int) -> int:
    """Count in rounds; what the first round needs is no leak."""
    figures = []
    for number in range(ROUNDS):
        began = time.monotonic()
        await asyncio.gather(*(some(count // ROUNDS // JOBS) for _ in range(JOBS)))
        each = (time.monotonic() - began) / (count / ROUNDS) * 1000
        figures.append(await held())
        print(f"after {count // ROUNDS * (number + 1)} runs, {each:.2f} ms each: {figures[-1]}")
    first, last = figures[0], figures[-1]
    grown = {name for name in first if last[name] > first[name] + (2000 if name.startswith("kB") else 0)}
    print("grown:", ", ".join(sorted(grown)) or "nothing")
    return 1 if grown else 0


async def some(count: int) -> None:
    """One after the other: two that succeed, one that fails, one that is killed."""
    for number in range(count):
        words = ("true", "echo hi; echo why >&2", "exit 3", "sleep 60")[number % 4]
        process = await run.start("sh", "-c", words)
        if number % 4 == 3:
            await process.stop(grace=0)
        await process.wait()


async def held() -> dict[str, int]:
    """What this process and its supervisor hold now."""
    await asyncio.sleep(0.5)  # the last shims settle
    gc.collect()
    pid = client.supervisor_pid()
    assert pid
    supervisor = psutil.Process(pid)
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "files": len(list(storage.directory().iterdir())),
        "shims": len(supervisor.children()),
        "zombies": sum(each.status() == psutil.STATUS_ZOMBIE for each in supervisor.children(recursive=True)),
        "descriptors of the supervisor": supervisor.num_fds(),
        "descriptors of the shims": max(shim.num_fds() for shim in supervisor.children()),
        "kB": psutil.Process().memory_info().rss // 1024,
        "kB of the supervisor": supervisor.memory_info().rss // 1024,
        "kB of a shim": max(shim.memory_info().rss for shim in supervisor.children()) // 1024,
    }


if __name__ == "__main__":
    sys.exit(main())
