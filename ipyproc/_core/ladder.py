"""The stop ladder: SIGINT, then SIGTERM, then SIGKILL, on the whole family of one program.

The same ladder serves the Stop button, the kernel's interrupt, a timeout and `process.stop()`. Each press climbs one
rung; time climbs too. It ends when the program and all of its family that can be found are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import ProcessLost

if TYPE_CHECKING:
    from .process import Process

INTERRUPT_GRACE = 2.0  # seconds between SIGINT and SIGTERM, at most the grace before SIGKILL
KILL_GRACE = 2.0  # seconds that a family may take to be gone after SIGKILL, before nobody waits for it any more

if sys.platform == "win32":
    RUNGS = (signal.CTRL_BREAK_EVENT, signal.SIGTERM)  # TerminateProcess cannot be refused: there is no third rung
else:
    RUNGS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

INTERRUPT, TERMINATE, KILL = 0, 1, len(RUNGS) - 1

_logger = logging.getLogger("ipyproc")


class StopLadder:
    """How far the stopping of one program has come.

    Attributes:
        grace: seconds between SIGTERM and SIGKILL.
        cause: who asked first: "stop", "kill", "interrupt", "timeout" or "cancel"; empty while nobody has.
        timeout: seconds that the program was given, see `limit`; None: as long as it takes.
        sent: the last signal that was sent, or None.
        sent_at: when, of `time.monotonic()`.
    """

    def __init__(self, process: Process, grace: float) -> None:
        self._process = process
        self._rung = -1
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self.grace = grace
        self.cause = ""
        self.timeout: float | None = None
        self.sent: signal.Signals | None = None
        self.sent_at = 0.0

    def __repr__(self) -> str:
        return f"<StopLadder: {self.sent.name} was sent>" if self.sent else "<StopLadder: nothing was sent>"

    @property
    def next_in(self) -> float | None:
        """Seconds until the next signal goes out by itself; None when no further one will."""
        return max(0.0, self.sent_at + self._wait - time.monotonic()) if self._timer else None

    def climb(self, rung: int, cause: str) -> None:
        """Send the next signal, at least that of `rung`, now. Idempotent once SIGKILL was sent or all is gone."""
        self.reach(min(max(rung, self._rung + 1), KILL), cause)

    def reach(self, rung: int, cause: str) -> None:
        """Send the signal of `rung` now, unless that one or a higher one was sent, or all is gone.

        Raises:
            RuntimeError: called on another event loop than that of the process.
        """
        self._process.check_loop()
        if (self._watch and self._watch.done()) or self._rung >= rung:
            return
        self.cause = self.cause or cause
        self._rung = rung
        self.sent, self.sent_at = RUNGS[self._rung], time.monotonic()
        self._stop_timer()
        if self._rung < KILL:
            self._timer = asyncio.get_running_loop().call_later(self._wait, self.climb, self._rung + 1, cause)
        self._process.family.send_signal(self.sent)
        _logger.info("%s (pid %d): %s (%s)", self._process.name, self._process.pid, self.sent.name, cause)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._until_gone())

    async def finished(self) -> None:
        """Wait until the program has ended and, if it was stopped, its family too. Cancelling it stops no ladder."""
        await self._process.exited()
        if self._watch:
            await asyncio.shield(self._watch)

    async def abandon(self) -> None:
        """End it, however often we are cancelled meanwhile: each time climbs one rung."""
        while not self._process.is_over:
            self.climb(TERMINATE, "cancel")
            with contextlib.suppress(asyncio.CancelledError, ProcessLost):
                await self.finished()

    @contextlib.contextmanager
    def limit(self, timeout: float | None) -> Iterator[None]:
        """While the body waits for the program, stop it after so many seconds."""
        if timeout is None:
            yield
            return
        self.timeout = timeout
        timer = asyncio.get_running_loop().call_later(timeout, self.reach, TERMINATE, "timeout")
        try:
            yield
        finally:
            timer.cancel()

    async def _until_gone(self) -> None:
        with contextlib.suppress(ProcessLost):
            await self._process.exited()
        while self._process.family.alive():
            if self._rung == KILL and time.monotonic() > self.sent_at + KILL_GRACE:
                break  # SIGKILL takes no effect: another user's process, or one stuck in the operating system
            await asyncio.sleep(0.02)
        self._stop_timer()

    @property
    def _wait(self) -> float:
        return self.grace if self._rung >= TERMINATE else min(INTERRUPT_GRACE, self.grace)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
