"""Figures of a running family from the operating system: CPU, memory, and whether its program is paused."""

from __future__ import annotations

import time
import weakref
from typing import NamedTuple

from ..._core.process.run import ShownRun

PERIOD = 1.0  # seconds between two looks, at least
_LEAST = 0.1  # seconds, the shortest time over which CPU can be measured
_MOST_POINTS = 120
_EARLY = 0.2  # seconds by which a look may come before its time


class Point(NamedTuple):
    """CPU in percent of one core since the point before, and memory in bytes; so many seconds after the start."""

    elapsed: float
    cpu: int
    memory: int


class History:
    """CPU and memory of a family over its whole run, in so few points that it takes no room; see `history_of`.

    Attributes:
        points: the oldest first.
        period: seconds between two of them, at least.
    """

    def __init__(self, run: ShownRun) -> None:
        self._run = weakref.ref(run)
        self._used = 0.0
        self.points: list[Point] = []
        self.period = PERIOD

    def __repr__(self) -> str:
        return f"<History of {len(self.points)} points>"

    @property
    def is_due(self) -> bool:
        """Whether the next point may be measured, while the program runs."""
        run = self._run()
        return run is not None and not run.is_over and run.duration - self._last >= self.period

    def add(self, used: float, memory: int) -> None:
        """The family has used so many seconds of CPU until now, and has so much memory."""
        run = self._run()
        if run is None or run.is_over or (passed := run.duration - self._last) < self.period - _EARLY:
            return
        cpu = round(max(0.0, 100 * (used - self._used) / passed))
        self._used = used
        self.points.append(Point(round(run.duration, 1), cpu, memory))
        if len(self.points) > _MOST_POINTS:
            self.points, self.period = halved(self.points), 2 * self.period

    @property
    def _last(self) -> float:
        return self.points[-1].elapsed if self.points else 0.0


def halved(points: list[Point]) -> list[Point]:
    """Half as many points: of two the time of the later, the mean of CPU, the higher memory."""
    pairs = zip(points[::2], points[1::2], strict=False)
    found = [Point(b.elapsed, round((a.cpu + b.cpu) / 2), max(a.memory, b.memory)) for a, b in pairs]
    return found + points[len(points) // 2 * 2 :]


_histories: weakref.WeakKeyDictionary[ShownRun, History] = weakref.WeakKeyDictionary()


def history_of(run: ShownRun) -> History:
    """The history of a run, which all its views share; without a point unless one of them has measured it."""
    if (found := _histories.get(run)) is None:
        found = _histories[run] = History(run)
    return found


class Figures:
    """The figures of one process and its family when `look` was called last.

    Attributes:
        cpu: in percent of one core; None while it is not known.
        memory: resident bytes of all processes; shared memory counts for each of them.
        count: how many processes there are.
        paused: whether the program is stopped (SIGSTOP, SIGTSTP) and has not been continued.
        looked_at: when `look` was called last, by `time.monotonic()`; 0 before the first time.
        history: the same over the whole run.
    """

    def __init__(self, run: ShownRun) -> None:
        self._run = run
        self._used = 0.0
        self.cpu: float | None = None
        self.memory = self.count = 0
        self.paused = False
        self.looked_at = 0.0
        self.history = history_of(run)

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
        if count:
            self.history.add(used, memory)
