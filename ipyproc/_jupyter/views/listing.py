"""The table of the processes as text."""

from __future__ import annotations

import time

from ..._core.output import phrases
from .table import Table

_WIDEST = {"state": 44, "command": 60}  # characters
_FIGURES = ("id", "time", "CPU", "memory", "lines", "cell")  # to the right


def text(table: Table) -> str:
    """The table as text."""
    rows = [("id", "state", "since", "time", "CPU", "memory", "lines", "cell", "on", "command")]
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
                told.origin,
                _short(told.name, _WIDEST["command"]),
            )
        )
    if len(rows) == 1:
        return "no process was started yet\n"
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    drawn = [_column(*column) for column in columns]
    return "".join("  ".join(row).rstrip() + "\n" for row in zip(*drawn, strict=True))


def _column(title: str, *texts: str) -> list[str]:
    """One column, as wide as its widest text."""
    width = max(map(len, (title, *texts)))
    return [each.rjust(width) if title in _FIGURES else each.ljust(width) for each in (title, *texts)]


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
