"""What the operating system says of a running family: CPU, memory, and whether its program is paused."""

from __future__ import annotations

import time

from ..._core.process.run import Run

PERIOD = 1.0  # seconds between two looks, at least
_LEAST = 0.1  # seconds over which CPU can be told


class Figures:
    """The last look at one process and its family; nothing is known before `look`.

    Attributes:
        cpu: of one core, in percent; None when it is not known yet.
        memory: resident bytes of all of them; what they share counts for each.
        count: of processes.
        paused: whether the program is stopped (SIGSTOP, SIGTSTP) and has not been continued.
        looked_at: `time.monotonic()`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._used = 0.0
        self.cpu: float | None = None
        self.memory = self.count = 0
        self.paused = False
        self.looked_at = 0.0

    def __repr__(self) -> str:
        return f"<Figures: {self.count} processes, {self.memory} bytes{', paused' * self.paused}>"

    @property
    def cpu_words(self) -> str:
        """CPU for people; empty while it is not known."""
        return "" if self.cpu is None else f"{self.cpu:.0f} %"

    def look(self) -> None:
        """Look now."""
        now = time.monotonic()
        used, memory, count, paused = self._run.family.measure()
        if not (count or self.looked_at):
            return  # another machine has not answered yet
        passed = now - self.looked_at if self.looked_at else self._run.duration  # at first, that since its start
        if passed >= _LEAST:
            self.cpu = max(0.0, 100 * (used - self._used) / passed)
        if not self.looked_at or passed >= _LEAST:
            self._used, self.looked_at = used, now
        self.memory, self.count, self.paused = memory, count, paused
