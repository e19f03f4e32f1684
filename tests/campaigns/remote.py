"""Two hundred commands on four workers, one of which is killed while it runs one: each is accounted for, once.

python -m tests.campaigns.remote --repetitions 20             with and without --retry-lost, in turn
python -m tests.campaigns.remote --naive                      the control: client.submit(subprocess.run); it must fail

Each command adds a mark to a file of its number, prints three lines, starts a grandchild in a session of its own and takes
0.2 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from distributed import Client, LocalCluster

import ipyproc
from ipyproc._core.batch.parallel import Job

SECONDS = 0.2
PATIENCE = 75.0  # seconds, for all of it
GONE_WITHIN = 1.5  # seconds
_COMMAND = """
echo x >> {place}/{number}
setsid sleep 30.{mark} >/dev/null 2>&1 &
echo one; echo two; echo three
exec sleep {seconds}000{mark}
"""


class Run:
    """One run of the campaign: its commands, and what they have left behind."""

    def __init__(self, count: int, workers: int) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="ipyproc-campaign-"))
        self.mark = str(secrets.randbelow(10**9))  # of its grandchildren: a part of their arguments
        self.count, self.workers = count, workers
        self.faults: list[str] = []
        self.seconds = 0.0
        self.ends: Counter[str] = Counter()

    def command(self, number: int) -> list[str]:
        """The command of this number."""
        script = _COMMAND.format(place=self.place, number=number, mark=self.mark, seconds=SECONDS)
        return ["sh", "-c", script]

    def marks(self, number: int) -> int:
        """How often it was started."""
        try:
            return len((self.place / str(number)).read_text().split())
        except FileNotFoundError:
            return 0

    def left(self) -> list[psutil.Process]:
        """The processes of this run that are there."""
        found = []
        for each in psutil.process_iter(["cmdline"]):
            if self.mark in " ".join(each.info["cmdline"] or []) and each.pid != os.getpid():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if each.status() != psutil.STATUS_ZOMBIE:
                        found.append(each)
        return found

    def fault(self, what: str) -> None:
        """Something is not as promised."""
        self.faults.append(what)

    def check_orphans(self, when: str) -> None:
        """Nothing may be left, in a moment."""
        deadline = time.monotonic() + GONE_WITHIN
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if left:
            self.fault(f"{len(left)} processes left {when}")

    @property
    def efficiency(self) -> float:
        """Of the ideal time, for the slots that there were."""
        return self.count * SECONDS / self.workers / self.seconds


def kill_worker(pids: set[int], run: Run) -> bool:
    """SIGKILL one of these workers while a command of it is live; whether there was one."""
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(pid).children(recursive=True):
                if child.cmdline() == ["sleep", f"{SECONDS}000{run.mark}"]:  # the program itself
                    os.kill(pid, signal.SIGKILL)
                    return True
    return False


async def ours(count: int, workers: int, retry_lost: int) -> Run:
    """The campaign with `ipyproc.parallel`."""
    run = Run(count, workers)
    cluster = await asyncio.to_thread(
        LocalCluster, n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )
    on = ipyproc.DaskLauncher(cluster)
    try:
        async with Client(cluster.scheduler_address, asynchronous=True, set_as_default=False) as client:
            pids = set((await client.run(os.getpid)).values())
        await asyncio.gather(*(ipyproc.run("true", on=on) for _ in range(2 * workers)))  # all are warm
        ended, killed = [], asyncio.Event()

        def changed(job: Job) -> None:
            if job.state in ("done", "failed"):
                ended.append(job.number)
            if len(ended) >= count // 4 and not killed.is_set() and job.state == "running" and kill_worker(pids, run):
                killed.set()

        began = time.monotonic()
        work = ipyproc.parallel(
            [run.command(number) for number in range(count)],
            on=on,
            retry_lost=retry_lost,
            on_failure="finish",
            check=False,
            on_change=changed,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                results = await work
        except TimeoutError:
            run.fault(f"pending: {work!r}")
            return run
        finally:
            run.seconds = time.monotonic() - began
        if not killed.is_set():
            run.fault("no worker was killed")
        for job, done in zip(work.jobs, results, strict=True):
            end = "lost" if done.was_lost else "ok" if done.returncode == 0 else "failed"
            run.ends[f"{end} after retry" if job.attempts > 1 else end] += 1
            if done.was_lost and done.returncode is not None:
                run.fault(f"{job.number}: an invented returncode {done.returncode}")
            if run.marks(job.number) > job.attempts:
                run.fault(f"{job.number}: started {run.marks(job.number)} times in {job.attempts} attempts")
            if end == "ok" and (not run.marks(job.number) or done.stdout != "one\ntwo\nthree\n"):
                run.fault(f"{job.number}: ok, with {run.marks(job.number)} marks and {done.stdout!r}")
            if end == "failed" or (end == "lost" and retry_lost):
                run.fault(f"{job.number}: {done!r}")
        run.check_orphans("at the end")
        there = await asyncio.gather(*(ipyproc.run("true", on=on) for _ in range(2 * workers)))
        if any(done.returncode for done in there):
            run.fault("the cluster takes no more work")
    finally:
        await on.aclose()
        await asyncio.to_thread(cluster.close)
    run.check_orphans("when the cluster has closed")
    return run


def naive(count: int, workers: int) -> Run:
    """The control: what one would write by hand."""
    run = Run(count, workers)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        pids = set(client.run(os.getpid).values())
        began = time.monotonic()
        futures = [
            client.submit(subprocess.run, run.command(n), capture_output=True, text=True, check=False, pure=False)
            for n in range(count)
        ]
        deadline = began + PATIENCE
        while sum(future.done() for future in futures) < count // 4 or not kill_worker(pids, run):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        while not all(future.done() for future in futures) and time.monotonic() < deadline:
            time.sleep(0.05)
        run.seconds = time.monotonic() - began
        for number, future in enumerate(futures):
            end = "ok" if future.status == "finished" and future.result().returncode == 0 else future.status
            run.ends[end] += 1
            if run.marks(number) > 1:
                run.fault(f"{number}: started {run.marks(number)} times, and nobody asked for that")
        run.check_orphans("at the end")
    run.check_orphans("when the cluster has closed")
    for each in run.left():
        each.kill()
    return run


def report(what: str, run: Run) -> None:
    """One line, and the faults."""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(run.ends.items()))
    print(
        f"{what}: {ends}; {run.seconds:.2f} s, {run.efficiency:.0%} of the ideal; {len(run.faults)} faults", flush=True
    )
    for fault in run.faults[:10]:
        print(f"  {fault}", flush=True)


def main() -> int:
    """Run the campaign and print its figures; 1 if anything is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--naive", action="store_true")
    arguments = parser.parse_args()
    if arguments.naive:
        control = naive(arguments.count, arguments.workers)
        report("naive", control)
        return 0 if control.faults else 1
    bad = 0
    for number in range(arguments.repetitions):
        retry = number % 2
        run = asyncio.run(ours(arguments.count, arguments.workers, retry))
        report(f"{number + 1}, {'with' if retry else 'without'} retry", run)
        bad += bool(run.faults)
    print(f"{arguments.repetitions} runs, {bad} with faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
