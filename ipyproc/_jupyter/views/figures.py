"""Figures of a running family from the operating system: CPU, memory, and whether its program is paused."""

from __future__ import annotations

import time

from ..._core.process.run import ShownRun

PERIOD = 1.0  # seconds between two looks, at least
_LEAST = 0.1  # seconds, the shortest time over which CPU can be measured


class Figures:
    """The figures of one process and its family when `look` was called last.

    Attributes:
        cpu: in percent of one core; None while it is not known.
        memory: resident bytes of all processes; shared memory counts for each of them.
        count: how many processes there are.
        paused: whether the program is stopped (SIGSTOP, SIGTSTP) and has not been continued.
        looked_at: when `look` was called last, by `time.monotonic()`; 0 before the first time.
    """

    def __init__(self, run: ShownRun) -> None:
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
        """CPU as text; empty while it is not known."""
        return "" if self.cpu is None else f"{self.cpu:.0f} %"

    def look(self) -> None:
        """Measure now."""
        now = time.monotonic()
        used, memory, count, paused = self._run.family.measure()
        if not (count or self.looked_at):
            return  # another machine has not answered yet
        passed = now - self.looked_at if self.looked_at else self._run.duration  # at first since the program's start
        if passed >= _LEAST:
            self.cpu = max(0.0, 100 * (used - self._used) / passed)
        if not self.looked_at or passed >= _LEAST:
            self._used, self.looked_at = used, now
        self.memory, self.count, self.paused = memory, count, paused
