"""`Program`: what is known about a program that was started. Only its launcher changes it, as it learns more.

Stopping a program, finding its family and showing it need this and no `Process`. So a program on another machine, or one
that is found again later, is stopped and shown in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from ..errors import ProcessLost
from ..output import phrases
from ..output.log import Log
from ..output.screen import inert_line
from .family import Family
from .usage import Usage

T = TypeVar("T")

_CLOSE_GRACE = 0.05  # seconds that `wait` gives the pipes to close after the end


class Program:
    """One program, from its start to its end and to that of its family. It belongs to the event loop that started it.

    Attributes:
        args: the program and its arguments, or a line for the shell.
        launcher: the name of the launcher that started it.
        where: the other machine that it runs on, for people; empty: this one. `pid` is the one there.
        keep: whether it outlives this process.
        pid: of the program itself.
        started_at: when, in seconds of `time.monotonic()`.
        usage: the CPU time and memory that it used, when it has ended; None: not known.
        note: for a script on another machine, what its shell noted there about the end, see `script`.
        lost: set when nobody saw how it ended.
        log: where its output goes; None: elsewhere.
        transport: asyncio's transport, with the pipes.
        family: the program and its descendants.
        ended: done when it has ended or was lost, with the `time.monotonic()` of that moment.
        closed: done when it has ended, and all its pipes are closed.
    """

    transport: asyncio.SubprocessTransport
    family: Family

    def __init__(
        self, args: str | bytes | Sequence[Any], launcher: str, log: Log | None, *, keep: bool = False
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.args = args
        self.name = phrases.command_line(args)
        self.launcher = launcher
        self.where = ""
        self.keep = keep
        self.pid = 0
        self.started_at = time.monotonic()
        self.usage: Usage | None = None
        self.note = b""
        self.lost: ProcessLost | None = None
        self.log = log
        self.ended: asyncio.Future[float] = self.loop.create_future()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self._heard_at = 0.0  # when we were told of its end

    def __repr__(self) -> str:
        return f"<Program {self.pid} ({self.name}, {self.launcher}{f' on {self.where}' * bool(self.where)})>"

    @property
    def name(self) -> str:
        """Its display name; may be set. It is made one line without control characters and escape sequences.

        Raises:
            TypeError: it is set to something that is not a string.
        """
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: allowed is a string")
        self._name = inert_line(name)

    @property
    def returncode(self) -> int | None:
        """As of `Process.returncode`; None while it runs, and for good if it was lost."""
        return self.transport.get_returncode()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was lost."""
        return self.returncode is not None or self.lost is not None

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or to now while it runs."""
        return (self.ended.result() if self.ended.done() else time.monotonic()) - self.started_at

    @property
    def ended_ago(self) -> float:
        """Seconds since its end; 0 while it runs."""
        return time.monotonic() - self.ended.result() if self.ended.done() else 0.0

    # --- called by its launcher ------------------------------------------------------------------------------------

    def begin(self, pid: int, transport: asyncio.SubprocessTransport, family: Family) -> None:
        """It has started."""
        self.pid, self.transport, self.family = pid, transport, family

    def exit(self, usage: Usage | None = None, at: float | None = None) -> None:
        """It has ended; `at`: when, in seconds of `time.monotonic()`; None: now."""
        self.usage, self._heard_at = usage, time.monotonic()
        _set(self.ended, self._heard_at if at is None else at)

    def lose(self, error: ProcessLost) -> None:
        """It was lost: how it ends will never be known."""
        self.lost = error
        self._heard_at = time.monotonic()
        _set(self.ended, self._heard_at)
        _set(self.closed, None)

    def close(self) -> None:
        """It has ended, and all its pipes are closed."""
        _set(self.closed, None)

    # ---------------------------------------------------------------------------------------------------------------

    def check_loop(self) -> None:
        """Raise RuntimeError if the running event loop is not the one that started it: it is not thread safe."""
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError(f"{self!r} belongs to another event loop; use it on the loop that started it")

    async def wait(self) -> int:
        """Wait for its end, and for a moment for its pipes to close; the return code. Cancelling it changes nothing.

        Raises:
            RuntimeError: called on another event loop than the one that started it.
            ProcessLost: nobody saw how it ended.
        """
        self.check_loop()
        await asyncio.shield(self.ended)
        if not self.closed.done() or (self.log and not self.log.ended):
            # the pipes of a program that has ended close by themselves, unless somebody else holds them
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._heard_at + _CLOSE_GRACE - time.monotonic())):
                    await asyncio.wait([self.closed])
                    if self.log:
                        await self.log.finished()
        if self.lost:
            raise self.lost.with_traceback(None)  # it is raised for everybody who waits
        assert self.returncode is not None
        return self.returncode


def _set(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
