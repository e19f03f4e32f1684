"""The tables: what each contender took, and which targets are met."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from .kernel import Sample

MIB = 1 << 20
ALONE = "program > file"


@dataclass
class Row:
    """All runs of one contender at one workload."""

    workload: str
    contender: str
    samples: list[Sample]

    @property
    def late(self) -> bool:
        """Whether it once was not finished in time."""
        return any(sample.late for sample in self.samples)

    def median(self, name: str) -> float:
        """The middle of the runs; where one was not finished in time, that one."""
        if self.late:
            return float(getattr(self.samples[-1], name))
        return statistics.median(getattr(sample, name) for sample in self.samples)

    def most(self, name: str) -> float:
        """The greatest of the runs."""
        return max(getattr(sample, name) for sample in self.samples)

    def share(self, name: str, share: float) -> float:
        """The value below which this share of all gaps or delays is; NaN: there are none."""
        values = sorted(value for sample in self.samples for value in getattr(sample, name))
        return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


@dataclass(frozen=True)
class Target:
    """What we want, and what was measured."""

    what: str
    limit: float
    value: float
    unit: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        sign = "≥" if self.at_least else "≤"
        return f"| {self.what} | {sign} {self.limit:g}{self.unit} | {self.value:.3g}{self.unit} | {'met' if met else '**missed**'} |"


def table(rows: list[Row], contracts: Mapping[str, str]) -> str:
    """A row for each contender at each workload."""
    lines = [
        "| workload | contender | what it does with the output | runs | seconds | x alone | kernel CPU s | memory MiB "
        "| messages | MiB sent | delay p50 / p99 ms | loop gap p99 / longest ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    alone = {row.workload: row.median("seconds") for row in rows if row.contender == ALONE}
    return "\n".join(lines + [_line(row, alone.get(row.workload), contracts) for row in rows])


def _line(row: Row, alone: float | None, contracts: Mapping[str, str]) -> str:
    contract = contracts.get(row.contender, "")
    seconds = row.median("seconds")
    taken = f"not in {seconds:.0f}" if row.late else f"{seconds:.3f}" if seconds else ""
    ratio = f"{seconds / alone:.2f}" if alone and not row.late else ""
    costs = [""] * 4
    if row.most("memory") >= 0:
        costs = [f"{row.median('cpu'):.3f}", f"{row.most('memory') / MIB:.1f}"]
        costs += [f"{row.median('messages'):.0f}", f"{row.median('size') / MIB:.3f}"]
    elif row.median("cpu"):
        costs[0] = f"{row.median('cpu'):.3f}"
    fields = [row.workload, f"`{row.contender}`", contract, str(len(row.samples)), taken, ratio, *costs]
    return "| " + " | ".join([*fields, _spread(row, "delays", 0.5, 0.99), _spread(row, "gaps", 0.99, 1)]) + " |"


def _spread(row: Row, name: str, *shares: float) -> str:
    if not any(getattr(sample, name) for sample in row.samples):
        return ""
    return " / ".join(f"{1e3 * row.share(name, share):.2f}" for share in shares)


def targets(found: list[Target]) -> str:
    """A row for each target."""
    return "\n".join(["| target | limit | measured | |", "|---|---|---|---|", *map(str, found)])


def machine(folder: Path) -> str:
    """What it ran on, in a sentence."""
    partitions = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    kind = max(partitions, key=lambda partition: len(partition.mountpoint)).fstype
    packages = ", ".join(f"{name} {version(name)}" for name in ("ipykernel", "ipython", "jupyter_client"))
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, {packages}; "
        f"logs on {kind}; load average before the run {load}"
    )
