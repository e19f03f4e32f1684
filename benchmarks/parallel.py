"""Many short commands, four at once: `ipyproc.parallel` against `xargs -P`, asyncio's own, and joblib.

    .venv/bin/python benchmarks/parallel.py [rounds [commands]]

In plain Python, in rotated order. Prints, for each workload, the median seconds, the ratio to `xargs -P4` in the same
run, and the CPU seconds of this process; then what ten thousand commands leave in the memory.
A machine is never equally busy: read the ratios only. joblib is left out where it is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import ipyproc

JOBS = 4
WORKLOADS = {"true": ["true"], "sleep 0.01": ["sleep", "0.01"], "echo, output kept": ["echo", "hello"]}


async def ours(command: list[str], count: int) -> object:
    return await ipyproc.parallel([command] * count, JOBS)


async def xargs(command: list[str], count: int) -> object:
    line = ["xargs", f"-P{JOBS}", "-I{}", *command]
    return subprocess.run(line, input="x\n" * count, text=True, check=True, stdout=subprocess.DEVNULL)  # noqa: ASYNC221


async def gather(command: list[str], count: int) -> object:
    free = asyncio.Semaphore(JOBS)
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL

    async def one() -> tuple[bytes, bytes]:
        async with free:
            process = await asyncio.create_subprocess_exec(*command, stdin=null, stdout=pipe, stderr=pipe)
            return await process.communicate()

    return await asyncio.gather(*(one() for _ in range(count)))


CONTENDERS: dict[str, Callable[[list[str], int], Awaitable[object]]] = {
    "xargs -P4": xargs,
    "ipyproc.parallel": ours,
    "asyncio.gather": gather,
}

with contextlib.suppress(ImportError):
    import joblib

    async def with_joblib(command: list[str], count: int) -> object:
        run = joblib.delayed(subprocess.run)
        return joblib.Parallel(JOBS, prefer="threads")(run(command, capture_output=True) for _ in range(count))

    CONTENDERS["joblib, subprocess.run"] = with_joblib


async def speed(rounds: int, count: int) -> None:
    samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
    names = list(CONTENDERS)
    for number in range(rounds + 1):  # the first round only warms up
        for workload, command in WORKLOADS.items():
            for name in names[number % len(names) :] + names[: number % len(names)]:
                gc.collect()
                started, cpu = time.perf_counter(), time.process_time()
                await CONTENDERS[name](command, count)
                if number:
                    taken = time.perf_counter() - started, time.process_time() - cpu
                    samples.setdefault((workload, name), []).append(taken)
    print(f"| {count} commands, {JOBS} at once | contender | seconds | x xargs -P{JOBS} | CPU s |")
    print("|---|---|---|---|---|")
    for workload in WORKLOADS:
        middle = {
            name: [statistics.median(each) for each in zip(*samples[workload, name], strict=True)] for name in names
        }
        for name, (seconds, cpu) in middle.items():
            print(f"| {workload} | `{name}` | {seconds:.3f} | {seconds / middle['xargs -P4'][0]:.2f} | {cpu:.2f} |")


async def memory(count: int) -> None:
    """What results take that are kept, and what is left of those that are not."""
    await ours(["true"], 200)

    async def iterated(command: list[str], count: int) -> None:
        async for _ in ipyproc.parallel([command] * count, JOBS):
            pass

    print(f"\n| {count} × `echo hello` | KiB more after it | bytes for each command | descriptors more |")
    print("|---|---|---|---|")
    for name, work in {
        "parallel, awaited": ours,
        "async for ... in parallel": iterated,
        "asyncio.gather": gather,
    }.items():
        gc.collect()
        before, files = _resident(), _descriptors()
        results = await work(["echo", "hello"], count)
        gc.collect()
        more = _resident() - before
        print(f"| `{name}` | {more // 1024} | {more / count:.0f} | {_descriptors() - files} |")
        del results


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} CPUs\n")
    asyncio.run(speed(int(sys.argv[1]) if sys.argv[1:] else 5, 200))
    asyncio.run(memory(int(sys.argv[2]) if sys.argv[2:] else 10_000))
