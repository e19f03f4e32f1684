"""Programs on other machines, which are this one: what a Dask cluster and an sshd add to a program that runs here.

    .venv/bin/python benchmarks/remote.py [rounds]

A cluster of four worker processes and an sshd, both on loopback, so what is measured is overhead and no network; in rotated
order with the same programs started here. Prints medians, and their ratios to those of here in the same run.
A machine is never equally busy: read the ratios first. SSH is left out where there is no sshd.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import ipyproc
from tests.remote import places

MIB, LINES = 128, 200
_TICKS = f"import time\nfor _ in range({LINES}): print(time.time(), flush=True); time.sleep(0.01)"
FIGURES = (
    "line, p50 (ms)",
    "line, p99 (ms)",
    "MiB/s",
    "true (ms)",
    "200 echo (s)",
    "SIGTERM (ms)",
    "paused (KiB here)",
)


async def latency(on: Any) -> tuple[float, float]:
    """Milliseconds from the write of a line to its arrival."""
    process = await ipyproc.start(sys.executable, "-c", _TICKS, stdout=ipyproc.PIPE, on=on)
    took = [1000 * (time.time() - float(line)) async for line in process.stdout]
    await process.wait()
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


async def throughput(on: Any) -> float:
    """MiB a second, into a log."""
    began = time.perf_counter()
    done = await ipyproc.run("head", "-c", str(MIB << 20), "/dev/zero", on=on)
    assert done.log.bytes == MIB << 20
    return MIB / (time.perf_counter() - began)


async def start_to_exit(on: Any) -> float:
    """Milliseconds of one `true` after the other."""
    began = time.perf_counter()
    for _ in range(20):
        await ipyproc.run("true", on=on)
    return (time.perf_counter() - began) * 1000 / 20


async def many(on: Any) -> float:
    """Seconds of 200 commands, as many at once as there is room for."""
    began = time.perf_counter()
    await ipyproc.parallel([["echo", str(number)] for number in range(200)], on=on)
    return time.perf_counter() - began


async def signal_to_exit(on: Any) -> float:
    """Milliseconds from SIGTERM to the known end."""
    took = []
    for _ in range(10):
        process = await ipyproc.start("sleep", "60", on=on)
        began = time.perf_counter()
        process.terminate()
        await process.wait()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def held(on: Any) -> float:
    """KiB that are held here of a program that floods while nobody reads."""
    process = await ipyproc.start("cat", "/dev/zero", stdout=ipyproc.PIPE, on=on)
    assert process.stdout
    await process.stdout.readexactly(1)
    sizes = [-1, 0]
    while sizes[-1] != sizes[-2]:
        await asyncio.sleep(0.1)
        sizes.append(len(process.stdout._buffer))  # type: ignore[attr-defined]
    process.kill()
    await process.wait()
    return sizes[-1] / 1024


async def main(rounds: int) -> None:
    """Measure all places in turn."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        address, _ = stack.enter_context(places.cluster(4))
        everywhere: dict[str, Any] = {"here": None, "dask": ipyproc.DaskLauncher(address)}
        if places.SSHD:
            everywhere["ssh"] = ipyproc.SSHLauncher(**stack.enter_context(places.sshd(folder)))
        found: dict[str, list[list[float]]] = {name: [] for name in everywhere}
        for on in everywhere.values():
            await asyncio.gather(*(ipyproc.run("true", on=on) for _ in range(8)))
        for turn in range(rounds):
            names = list(everywhere)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                on = everywhere[name]
                others = (throughput, start_to_exit, many, signal_to_exit, held)
                found[name].append([*await latency(on), *[await measure(on) for measure in others]])
        for on in everywhere.values():
            if on:
                await on.aclose()
        medians = {
            name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()
        }
        print(f"{'':20}" + "".join(f"{name:>24}" for name in medians))
        for number, figure in enumerate(FIGURES):
            cells = [f"{row[number]:.2f} ({row[number] / medians['here'][number]:.2f})" for row in medians.values()]
            print(f"{figure:20}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 3))
