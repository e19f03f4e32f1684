"""What the supervised launcher costs: start to first byte, a live program, ending a hundred, loading the extension, a restart.

    .venv/bin/python benchmarks/start.py [rounds]

The contenders start the same program in rotated order, beside little and beside 400 MiB of memory. Prints medians and
their ratio to plain asyncio in the same run. A machine is never equally busy: read the ratios only.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import ipyproc
from ipyproc._core.batch import run
from ipyproc._core.launch import client, supervised
from ipyproc._core.launch.held import descendants
from ipyproc._core.process import start as process_start
from ipyproc._core.program.spec import Spec
from tests.jupyter.kernel_session import kernel_session

PROGRAM = ("/bin/echo", "hi")
LIVE = 100
LOAD = """
import ipykernel.kernelapp, ipywidgets, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "ipyproc")
print(time.perf_counter() - began)
"""
KERNELS = {
    "without the extension": "%unload_ext ipyproc",
    "with a program": "%aproc --bg sleep 600",
    "with one that ignores SIGTERM": "%aproc --bg sh -c 'trap \"\" TERM INT; while :; do sleep 600; done'",
}


async def plain() -> float:
    started = await asyncio.create_subprocess_exec(*PROGRAM, stdout=subprocess.PIPE)
    return await _first_byte_of_a_pipe(started)


async def with_a_pipe() -> float:
    started = await process_start.start(Spec.of(PROGRAM, stdout=subprocess.PIPE), supervised)
    return await _first_byte_of_a_pipe(started)


async def with_a_log() -> float:
    started = await process_start.start(Spec.of(PROGRAM), supervised)
    return await _first_byte_of_a_log(started)


async def by_start() -> float:
    return await _first_byte_of_a_log(await run.start(*PROGRAM))


async def _first_byte_of_a_pipe(started: asyncio.subprocess.Process) -> float:
    assert started.stdout
    await started.stdout.read(1)
    at = time.perf_counter()
    await started.wait()
    return at


async def _first_byte_of_a_log(started: ipyproc.Process) -> float:
    assert started.log
    await started.log.changed(0)
    at = time.perf_counter()
    await started.wait()
    return at


CONTENDERS: tuple[Callable[[], Awaitable[float]], ...] = (plain, with_a_pipe, with_a_log, by_start)


async def first_bytes(rounds: int) -> None:
    """Of each contender, in rotated order."""
    took: dict[str, list[float]] = {contender.__name__: [] for contender in CONTENDERS}
    for number in range(rounds + 3):
        for shift in range(len(CONTENDERS)):
            contender = CONTENDERS[(number + shift) % len(CONTENDERS)]
            await asyncio.sleep(0.003)  # what the one before has left to do is not to count for this one
            began = time.perf_counter()
            seconds = await contender() - began
            if number >= 3:
                took[contender.__name__].append(seconds)
    base = statistics.median(took["plain"])
    for name, each in took.items():
        print(f"  {name}: {statistics.median(each) * 1000:.2f} ms, {statistics.median(each) / base:.2f} x plain")


async def live() -> None:
    """What a live program costs, and how soon many are ended."""
    await (await run.start("true")).wait()
    running = [await run.start("sh", "-c", "echo hi; exec sleep 600") for _ in range(LIVE)]
    for each in running:
        await each.log.changed(0)
    supervisor = client.supervisor_pid()
    assert supervisor
    shims = descendants.children(supervisor)
    print(f"a live program: {sum(map(_proportional, shims)) / len(shims) / 1024:.2f} MiB (PSS of its shim)")
    began = time.perf_counter()
    await asyncio.gather(*(each.stop(0) for each in running))
    print(f"{LIVE} programs ended in {time.perf_counter() - began:.2f} s")


def _proportional(pid: int) -> int:
    """KiB of memory, what is shared divided by those who share it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def load_times() -> list[float]:
    """Seconds of `%load_ext` in new interpreters, compiled before, as pip compiles what it installs."""
    with tempfile.TemporaryDirectory() as compiled:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        told = [subprocess.check_output([sys.executable, "-c", LOAD], env=env) for _ in range(10)]
    return [float(each) for each in told[1:]]


def main(rounds: int) -> None:
    for mebibytes in (0, 400):
        ballast = os.urandom(mebibytes << 20)
        print(f"start to first byte, beside {len(ballast) >> 20} MiB:")
        asyncio.run(first_bytes(rounds))
        del ballast
    asyncio.run(live())
    loads = load_times()
    print(
        f"%load_ext, ipywidgets being there: {statistics.median(loads) * 1000:.0f} ms, least {min(loads) * 1000:.0f} ms"
    )
    for name, code in KERNELS.items():
        took = []
        for _ in range(5):
            with kernel_session() as session:
                session.run(code)
                session.run("import asyncio; await asyncio.sleep(0.3)")
                began = time.perf_counter()
                session.manager.shutdown_kernel(now=False)
                took.append(time.perf_counter() - began)
        print(f"a kernel {name} ends in {statistics.median(took):.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
