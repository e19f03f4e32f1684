"""What a family needs now: CPU and memory."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from .family import Family

_LEAST = 0.2  # seconds between two readings from which a percentage is made


@dataclass(frozen=True)
class Load:
    """`cpu`: percent of one core; `memory`: bytes, pages that are shared counted for each process; `paused`: all of it."""

    cpu: float
    memory: int
    paused: bool


class Meter:
    """Reads the load of a family; its CPU is that since the reading before, at first since the meter was made."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._read_at = time.monotonic()
        self._spent = 0.0  # seconds of CPU by then
        self._cpu: float | None = None

    def __repr__(self) -> str:
        return f"<Meter of {self._family!r}>"

    def read(self) -> Load:
        """Read it now; some 0.1 ms for each process, and more where the whole system must be searched for them."""
        import psutil  # late: the import of ipyproc loads the standard library only

        spent, memory, states = 0.0, 0, set()
        for member in self._family.alive():
            with contextlib.suppress(psutil.Error), member.oneshot():
                times = member.cpu_times()
                # its children that have ended, where the system counts them: else their time would vanish with them
                spent += times.user + times.system
                spent += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                memory += member.memory_info().rss
                states.add(member.status())
        passed = time.monotonic() - self._read_at
        if self._cpu is None or passed >= _LEAST:
            self._cpu = 100 * max(0.0, spent - self._spent) / max(passed, _LEAST)
            self._read_at, self._spent = time.monotonic(), spent
        return Load(self._cpu, memory, paused=states == {psutil.STATUS_STOPPED})
