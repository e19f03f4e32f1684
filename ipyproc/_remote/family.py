"""The family of a program on another machine, as we hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from .._core.program.family import Family
from .._core.protocol import Figures, Look, Signal
from .._core.survivor import Survivor


class RemoteFamily(Family):
    """The program and all its descendants there, as the shim there holds them.

    Args:
        pid: of the program there.
        where: the machine, for people.
        ended: done when nothing of it is left.
        tell: sends a message there.

    Attributes:
        figures: what was told last; None: nothing yet.
        left_at_exit: how many processes were left when the program ended; 0 before that.
    """

    kill_grace = 15.0  # seconds; the word of its end may come over a slow line
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
        """Whether anything of it runs, as far as we have heard."""
        return not self._ended.done()

    def measure(self) -> tuple[float, int, int, bool]:
        """What we were told when we asked last; and ask anew."""
        if self.is_alive():
            self._tell(Look())
        return self.figures or (0.0, 0, 0, False)

    def alive(self) -> set[Any]:
        """No process of this machine."""
        return set()

    def survivors(self) -> list[Survivor]:
        """The program; what else there is, and why, is not known here."""
        return [Survivor(self.pid, "the program", f"runs on at {self._where}, as far as is known here")]

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """To all of it; 1: how many there were is not known here."""
        if number or kill_in is not None:
            self._tell(Signal(number, True, kill_in))
        return 1

    def kill_in(self, seconds: float) -> None:
        """Have the shim there kill what is left then."""
        self._tell(Signal(0, True, seconds))

    def left(self) -> int:
        """How many were left when the program ended; none any more when nothing is left."""
        return 0 if self._ended.done() else self.left_at_exit

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self._ended.done():
            await asyncio.wait([self._ended])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """When this process ends, the connection breaks, and that ends it."""
        return False
