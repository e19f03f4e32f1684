"""One command in a cell: `%%aproc` against `!` and `%%bash`, in one real kernel, in rotated order.

    .venv/bin/python benchmarks/cells.py [rounds]

`%%aproc` shows the first and last 32 KiB and keeps the rest in its log; the others send everything.
Prints, for each workload, the median seconds from execute to idle, the CPU seconds of the kernel, the messages and
their bytes, and the ratio to `%%bash` in the same run. A machine is never equally busy: read the ratios only.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.jupyter.kernel_session import KernelSession, kernel_session

WORKLOADS = {
    "true": "true",
    "1000 lines": "seq 1000",
    "20,000 lines": "seq 20000",
    "4 MiB of lines": f"yes {'x' * 79} | head -c 4194304",
    "10 lines, 50 ms apart": "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.05; done",
}
CONTENDERS = {
    "!": "!bash -c {0!r}",
    "%%bash": "%%bash\n{0}",
    "%%aproc": "%%aproc --no-strict\n{0}",
    "%%aproc --plain": "%%aproc --no-strict --plain\n{0}",
}


@dataclass
class Sample:
    """One run of one contender."""

    seconds: float
    cpu: float
    messages: int
    size: int


def measure(session: KernelSession, kernel: psutil.Process, code: str) -> Sample:
    """Run a cell and count what it cost."""
    before, started = sum(kernel.cpu_times()[:2]), time.perf_counter()
    done = session.run(code)
    seconds = time.perf_counter() - started
    assert done.status == "ok", done.error
    size = sum(len(str(message["content"])) + sum(map(len, message["buffers"])) for message in done.messages)
    return Sample(seconds, sum(kernel.cpu_times()[:2]) - before, len(done.messages), size)


def main(rounds: int) -> None:
    samples: dict[tuple[str, str], list[Sample]] = {}
    with kernel_session() as session:
        kernel = psutil.Process(int(session.run("import os; os.getpid()").value))
        names = list(CONTENDERS)
        for number in range(rounds + 1):  # the first round only warms up
            for workload, command in WORKLOADS.items():
                for contender in names[number % len(names) :] + names[: number % len(names)]:
                    sample = measure(session, kernel, CONTENDERS[contender].format(command))
                    if number:
                        samples.setdefault((workload, contender), []).append(sample)
    print("| workload | contender | seconds | x %%bash | kernel CPU s | x %%bash | messages | kB |")
    print("|---|---|---|---|---|---|---|---|")
    for workload in WORKLOADS:
        middle = {
            contender: Sample(
                *(
                    statistics.median(getattr(s, name) for s in samples[workload, contender])
                    for name in Sample.__annotations__
                )
            )
            for contender in CONTENDERS
        }
        peer = middle["%%bash"]
        for contender, s in middle.items():
            print(
                f"| {workload} | `{contender}` | {s.seconds:.3f} | {s.seconds / peer.seconds:.2f} "
                f"| {s.cpu:.2f} | {s.cpu / max(peer.cpu, 0.01):.2f} | {s.messages} | {s.size / 1000:.1f} |"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
