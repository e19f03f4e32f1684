"""A program's output in a real kernel: ours against `!`, `%%bash` and what one writes by hand, in rotated order.

    .venv/bin/python benchmarks/output.py [--quick] [--page] [--svg docs/output.svg]

What is measured, and how to read it: README.md in this directory. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import chart
from benchmarks.contenders import CONTENDERS, OURS, OURS_PYTHON, WRITER, cell, filled
from benchmarks.kernel import Kernel, Sample, echoes, stop_once
from benchmarks.report import ALONE, MIB, Row, Target, machine, table, targets
from ipyproc._core.output import storage

IDLE = "an idle kernel"
SLOW = ("!cmd", "x = !cmd", "asyncio, print(line)")  # left out by --quick
WORKLOADS = ("gibibyte", "drain", "flushed", "bar", "trickle", "first_output", "round_trips", "stop", "nothing_lost")
ENOUGH = 6.0  # seconds of one contender at one workload; then it gets no further round


class Bench:
    """One run of the whole kernel part."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.cap = 2.0 if quick else 6.0
        self._kernels: dict[str, Kernel] = {}
        self.rows: list[Row] = []
        self.targets: list[Target] = []
        self.tables: list[str] = []  # more of them

    def kernel(self, name: str, *, fresh: bool = False) -> Kernel:
        """The kernel of this contender, which has run a tiny program before; a new one where it was killed."""
        if fresh and name in self._kernels:
            self._kernels.pop(name).kill()
        if name not in self._kernels or self._kernels[name].dead:
            self._kernels[name] = kernel = Kernel(self.folder)
            kernel.run(cell(name, "after 0"), 30)
            kernel.close_cards()
        return self._kernels[name]

    def close(self) -> None:
        """End all kernels."""
        for kernel in self._kernels.values():
            kernel.kill()

    def compare(
        self,
        workload: str,
        words: str,
        names: Iterable[str],
        *,
        rounds: int,
        cap=0.0,
        alone=True,
        fresh=False,
        ticker=False,
    ) -> dict[str, Row]:
        """Each contender in a kernel of its own; every round begins with another one."""
        names = [name for name in names if not self.quick or name not in SLOW]
        kernels = {name: self.kernel(name, fresh=fresh) for name in names}
        names = [ALONE, *names] if alone else names
        found = {name: Row(workload, name, []) for name in names}
        for number in range(1 if self.quick else rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                samples = found[name].samples
                if not found[name].late and sum(sample.seconds for sample in samples) < ENOUGH:
                    samples.append(self.measure(kernels.get(name), name, words, cap=cap or self.cap, ticker=ticker))
        self.rows += found.values()
        return found

    def measure(self, kernel: Kernel | None, name: str, words: str, *, cap: float, ticker: bool) -> Sample:
        """One run; without a kernel it is the program alone."""
        if kernel is None:
            return Sample(self.alone(words))
        run = kernel.run_with_ticker if ticker else kernel.run
        sample = run(cell(name, words), cap)
        if sample.late:
            kernel.kill()
        else:
            kernel.close_cards()
        for log in self.folder.rglob("*.log"):
            log.unlink()
        return sample

    def alone(self, words: str, *, keep: bool = False) -> float:
        """The time that the program takes when it writes into a file where the logs are."""
        path = self.folder / "alone"
        with path.open("wb") as file:
            started = time.monotonic()
            subprocess.run([*WRITER, *words.split()], stdout=file, check=True)
            seconds = time.monotonic() - started
        if not keep:
            path.unlink()
        return seconds

    # --- workloads -----------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """100 MiB of lines."""
        quiet = (
            "asyncio read(64 KiB)",
            "asyncio read(64 KiB) > file",
            "asyncio by lines",
            "subprocess.run",
            "x = !cmd",
        )
        names = (OURS, OURS_PYTHON, *quiet, "os.system", "!cmd", "%%bash")
        rows = self.compare("100 MiB of lines", f"lines {100 * MIB}", names, rounds=7)
        pieces, lines, alone = rows["asyncio read(64 KiB)"], rows["asyncio by lines"], rows[ALONE]
        for name in (OURS, OURS_PYTHON):
            own = rows[name]
            for peer in (pieces, rows["asyncio read(64 KiB) > file"], lines):
                speed = peer.median("seconds") / own.median("seconds")
                self.targets += [Target(f"100 MiB, `{name}`: throughput against {peer.contender}", 2, speed, "x", True)]
                less = peer.median("cpu") / own.median("cpu")
                self.targets += [
                    Target(f"100 MiB, `{name}`: kernel CPU less than {peer.contender}", 5, less, "x", True)
                ]
            self.targets += [
                Target(f"100 MiB, `{name}`: kernel CPU", 0.15, own.median("cpu"), " s"),
                Target(
                    f"100 MiB, `{name}`: time of `{ALONE}`", 1.3, own.median("seconds") / alone.median("seconds"), "x"
                ),
            ]

    def gibibyte(self) -> None:
        """1 GiB: memory."""
        names = (OURS, OURS_PYTHON, "asyncio read(64 KiB)", "x = !cmd")
        size = 256 if self.quick else 1024
        rows = self.compare(f"{size} MiB of lines", f"blocks {size * MIB}", names, rounds=3, cap=15, fresh=True)
        for name in (OURS, OURS_PYTHON):
            self.targets.append(Target(f"{size} MiB, `{name}`: memory", 16, rows[name].most("memory") / MIB, " MiB"))

    def flushed(self) -> None:
        """200,000 lines with a write() each."""
        names = (OURS, OURS_PYTHON, "asyncio by lines", "subprocess.run", "x = !cmd", "os.system", "!cmd", "%%bash")
        rows = self.compare("200,000 flushed lines", "flushed 200000", names, rounds=7, ticker=True)
        for name in (OURS, OURS_PYTHON):
            ratio = rows[name].median("seconds") / rows["os.system"].median("seconds")
            self.targets += [
                Target(f"200,000 flushed lines, `{name}`: time of `os.system`", 1, ratio, "x"),
                Target(
                    f"200,000 flushed lines, `{name}`: p99 gap of a 1 ms ticker",
                    5,
                    1e3 * rows[name].share("gaps", 0.99),
                    " ms",
                ),
            ]

    def bar(self) -> None:
        r"""A progress line at 1 kHz."""
        seconds = 2 if self.quick else 10
        names = (OURS, "os.system", "!cmd", "%%bash")
        rows = self.compare(rf"`\r` at 1 kHz, {seconds} s", f"bar {seconds}", names, rounds=1, cap=15, alone=False)
        own = rows[OURS]
        self.targets += [
            Target(r"`\r` at 1 kHz: messages a second", 20, own.median("messages") / own.median("seconds")),
            Target(r"`\r` at 1 kHz: kernel CPU in 10 s", 0.3, own.median("cpu") * 10 / own.median("seconds"), " s"),
        ]

    def trickle(self) -> None:
        """Ten lines a second: how long each is under way."""
        names = (OURS, "asyncio, print(line)", "os.system", "!cmd", "%%bash")
        words = f"trickle {2 if self.quick else 5}"
        rows = self.compare("10 lines/s", words, names, rounds=2, cap=15, alone=False)
        own, bash = rows[OURS], rows["%%bash"]
        for sample in itertools.chain(*(row.samples for row in rows.values())):
            del sample.delays[:1]  # `first_output` measures it
        self.targets += [
            Target("10 lines/s: p50 from write to client", 1.5, 1e3 * own.share("delays", 0.5), " ms"),
            Target("10 lines/s: p99 from write to client", 5, 1e3 * own.share("delays", 0.99), " ms"),
            Target("10 lines/s: p50 against `%%bash`", 1, own.share("delays", 0.5) / bash.share("delays", 0.5), "x"),
            Target("10 lines/s: p99 against `%%bash`", 1, own.share("delays", 0.99) / bash.share("delays", 0.99), "x"),
        ]

    def first_output(self) -> None:
        """The first line, of a program that writes at once and of one that thinks before it speaks."""
        for words, what in (("after 0", "written at once"), ("after 0.5", "written after 0.5 s")):
            names = (OURS, "os.system", "!cmd", "%%bash")
            rows = self.compare(f"first line, {what}", words, names, rounds=4, cap=15, alone=False)
            value = 1e3 * rows[OURS].share("delays", 0.5)
            self.targets.append(Target(f"first line, {what}: from write to client", 10, value, " ms"))

    def round_trips(self) -> None:
        """A message to the kernel and its answer during a flood in the background; one at a time."""
        cells = {
            OURS: "%aproc --bg {command}",
            "asyncio read(64 KiB)": "task = asyncio.ensure_future(read_pieces({argv}))",
            "asyncio by lines": "task = asyncio.ensure_future(read_lines({argv}))",
            IDLE: "pass",
        }
        found = {name: Row("round trip in a flood", name, []) for name in cells}
        for name, code in cells.items():
            kernel = self.kernel(name)
            kernel.session.run("%config AProcMagics.log_limit = 100_000_000")
            kernel.session.run(filled(code, "flood"))
            found[name].samples.append(echoes(kernel, 1.0 if self.quick else 4.0))
            kernel.kill()
        self.rows += found.values()
        value = 1e3 * found[OURS].share("delays", 0.99)
        self.targets.append(Target("flood: p99 of a message's round trip", 25, value, " ms"))

    def stop(self) -> None:
        """The operation `stop` of a card in a flood: up to the end of the program, and of the cell."""
        ended, idle = Row("stop in a flood", "program's end", []), Row("stop in a flood", "cell's end", [])
        kernel = self.kernel(OURS)
        kernel.session.run("%config AProcMagics.log_limit = 100_000_000")
        for _ in range(5 if self.quick else 20):
            delays = stop_once(kernel, filled("%aproc --no-raise-error {command}", "flood"))
            ended.samples.append(Sample(0, delays=[delays[0]]))
            idle.samples.append(Sample(0, delays=[delays[1]]))
        kernel.kill()
        self.rows += [ended, idle]
        self.targets.append(
            Target("flood: p99 from `stop` to the program's end", 25, 1e3 * ended.share("delays", 0.99), " ms")
        )

    def nothing_lost(self) -> None:
        """What is no text, and a line without an end: the log is what the program wrote, byte by byte."""
        kinds = {"lines": "lines", "one line": "single", "NUL bytes": "nul", "invalid UTF-8": "bytes"}
        kernel = self.kernel(OURS)
        for kind, word in kinds.items():
            words = f"{word} {100 * MIB}"
            self.alone(words, keep=True)
            row = Row(f"100 MiB, {kind}", OURS, [kernel.run_with_ticker(cell(OURS, words), 30)])
            log = kernel.session.run("str(process.log.path)").value.strip("'")
            same = digest(Path(log)) == digest(self.folder / "alone")
            kernel.close_cards()
            self.rows.append(row)
            self.targets += [
                Target(f"100 MiB, {kind}: log equal by SHA-256 (1: yes)", 1, float(same), "", True),
                Target(f"100 MiB, {kind}: p99 gap of a 1 ms ticker", 5, 1e3 * row.share("gaps", 0.99), " ms"),
                Target(f"100 MiB, {kind}: longest gap of a 1 ms ticker", 50, 1e3 * row.share("gaps", 1), " ms"),
            ]

    def page(self) -> None:
        """In JupyterLab."""
        from benchmarks import page  # late: playwright and Chromium

        (self.folder / "page").mkdir()
        self.tables.append(page.measure(self.folder / "page", self.alone, self.targets))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def panels(rows: list[Row]) -> list[chart.Panel]:
    def panel(title: str, unit: str, workload: str, value: Any) -> chart.Panel:
        chosen = [row for row in rows if row.workload == workload and row.contender != ALONE]
        bars = [
            chart.Bar(
                row.contender,
                value(row),
                CONTENDERS[row.contender].contract.partition(";")[0],
                row.contender in (OURS, OURS_PYTHON),
                row.late,
            )
            for row in chosen
        ]
        known = (bar for bar in bars if bar.value == bar.value)  # else there was not a single delay
        return chart.Panel(title, unit, sorted(known, key=lambda bar: (bar.late, bar.value)))

    return [
        panel("100 MiB of lines: seconds", "s", "100 MiB of lines", lambda row: row.median("seconds")),
        panel("100 MiB of lines: CPU seconds of the kernel", "s", "100 MiB of lines", lambda row: row.median("cpu")),
        panel("200,000 lines, each flushed: seconds", "s", "200,000 flushed lines", lambda row: row.median("seconds")),
        panel(
            "Ten lines a second: from write to client, median",
            "ms",
            "10 lines/s",
            lambda row: 1e3 * row.share("delays", 0.5),
        ),
    ]


def keep_output() -> TextIO:
    """Our standard output, for us alone: a kernel writes what `os.system` prints there too, and its warnings."""
    report, sys.stderr = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and less patience with the slow")
    parser.add_argument("--page", action="store_true", help="in a JupyterLab page too; needs Chromium")
    parser.add_argument("--svg", type=Path, help="draw a chart into this file")
    parser.add_argument(
        "--only", nargs="*", default=[], choices=[*WORKLOADS, "page"], metavar="WORKLOAD", help="some of them"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=storage.directory().parent))
    os.environ |= {"IPYPROC_LOG_DIR": str(folder), "PYTHONPATH": sys.path[0]}
    bench, before = Bench(folder, quick=options.quick), machine(folder)
    report = keep_output()
    try:
        for name in options.only or (WORKLOADS + ("page",) * options.page):
            started = time.monotonic()
            getattr(bench, name)()
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    finally:  # after an error too: what was measured
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
        contracts = {name: contender.contract for name, contender in CONTENDERS.items()}
        print(before, table(bench.rows, contracts), *bench.tables, targets(bench.targets), sep="\n\n", file=report)
    if options.svg:
        options.svg.write_text(chart.svg(panels(bench.rows), before))


if __name__ == "__main__":
    main()
