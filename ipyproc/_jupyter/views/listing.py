"""The table of the processes as text."""

from __future__ import annotations

import time

from ..._core.output import phrases
from .table import Table

_WIDEST = {"state": 44, "command": 60}  # characters


def text(table: Table) -> str:
    """The table as text."""
    rows = [("id", "state", "since", "time", "CPU", "memory", "lines", "cell", "launcher", "command")]
    for entry in table.entries.values():
        entry.measure()
        told = entry.look()
        seen = told.figures
        rows.append(
            (
                str(entry.id),
                _short(f"{told.state.mark} {told.state.label}", _WIDEST["state"]),
                time.strftime("%H:%M:%S", time.localtime(entry.started_at)),
                phrases.duration_words(told.duration),
                seen.cpu_words if seen else "",
                phrases.size_words(seen.memory) if seen else "",
                f"{told.lines:,}",
                f"[{entry.cell}]",
                told.launcher,
                _short(told.name, _WIDEST["command"]),
            )
        )
    if len(rows) == 1:
        return "no process was started yet\n"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    figures = {0, 3, 4, 5, 6, 7}  # to the right
    return "".join(
        "  ".join(
            text.rjust(width) if place in figures else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
