"""How the run of a cell went."""

from __future__ import annotations

from dataclasses import dataclass

from ..._core.batch.completed import CompletedProcess
from ..._core.process.process import Process
from . import interrupt


@dataclass(frozen=True)
class Outcome:
    """How a run went: the value of the cell's expression, or the error that ends the cell."""

    value: CompletedProcess | Process | None  # None: it was not started
    error: BaseException | None = None
    interrupted: str = ""  # how it ended, after an interrupt

    def unwrap(self) -> CompletedProcess | Process | None:
        """Return the value or raise the error. To be called where the cell's own code waits, not in a task of ipyproc's."""
        if self.interrupted:
            raise interrupt.error(self.interrupted)
        if self.error is not None:
            raise self.error
        return self.value
