"""Failures of background programs in a headless run, which drops output for a cell that has ended: a later cell reports them."""

from __future__ import annotations

import sys

from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..._core.process.run import ShownRun
from . import state, transcript


class Untold:
    """Background programs that no cell has awaited so far."""

    def __init__(self) -> None:
        self._processes: list[Process] = []

    def __repr__(self) -> str:
        return f"<Untold: {len(self._processes)} processes>"

    def add(self, process: Process) -> None:
        """Add a program. If it fails and nobody has awaited it by then, the cell that runs then, or the next one, says so."""
        self._processes.append(process)

    def tell(self, _: object) -> None:
        """Report what has failed; to be called at the end of each cell."""
        ended = [process for process in self._processes if process.is_over]
        self._processes = [process for process in self._processes if not process.is_over]
        for process in ended:
            if process.on_wait and has_failed_by_itself(process):
                where = f"log: {inert_line(str(process.log.path))}" if process.log else ""
                sys.stdout.write(f"{transcript.closing_line(process, where)}\n")


def has_failed_by_itself(run: ShownRun) -> bool:
    """Whether a program has failed, other than by being stopped: who stopped it knows."""
    return state.has_failed(run) and run.ladder.cause in ("", "timeout")
