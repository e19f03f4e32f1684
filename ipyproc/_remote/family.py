"""The family of a program on another machine, as far as its messages tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from .._core.program.family import Family
from .._core.protocol import Figures, Look, Signal
from .._core.survivor import Survivor


class RemoteFamily(Family):
    """The program and all its descendants there, which a shim there holds.

    Args:
        pid: of the program there.
        where: the machine, for people.
        ended: done when nothing of the family is left.
        tell: sends a message there.

    Attributes:
        figures: the last figures that came; None before the first.
        left_at_exit: how many processes were left when the program ended; 0 before that.
    """

    kill_grace = 15.0  # seconds; the message that it has ended may take that long
    figures: Figures | None = None
    left_at_exit = 0

    def __init__(
        self, pid: int, where: str, ended: asyncio.Future[None], tell: Callable[[Signal | Look], object]
    ) -> None:
        super().__init__(pid, lambda: not ended.done(), own_session=True)
        self._where = where
        self._ended = ended
        self._tell = tell

    def __repr__(self) -> str:
        return f"<RemoteFamily of process {self.pid} on {self._where}>"

    def is_alive(self) -> bool:
        """Whether anything of the family runs, as far as is known here."""
        return not self._ended.done()

    def measure(self) -> tuple[float, int, int, bool]:
        """Return the last figures that came, and ask for new ones."""
        if self.is_alive():
            self._tell(Look())
        return self.figures or (0.0, 0, 0, False)

    def alive(self) -> set[Any]:
        """The processes of the family on this machine: none."""
        return set()

    def survivors(self) -> list[Survivor]:
        """The program alone; what else is left, and why, is not known here."""
        return [Survivor(self.pid, "the program", f"runs on at {self._where}, as far as is known here")]

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; returns 1, because the number of processes is not known here."""
        if number or kill_in is not None:
            self._tell(Signal(number, True, kill_in))
        return 1

    def kill_in(self, seconds: float) -> None:
        """Have the shim there kill what is left after so many seconds."""
        self._tell(Signal(0, True, seconds))

    def left(self) -> int:
        """How many processes were left when the program ended; 0 once nothing is left."""
        return 0 if self._ended.done() else self.left_at_exit

    async def gone(self) -> None:
        """Wait until nothing of the family is left."""
        if not self._ended.done():
            await asyncio.wait([self._ended])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """False: when this process ends, the connection breaks, and that ends the family."""
        return False
