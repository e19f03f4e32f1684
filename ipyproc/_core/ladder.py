"""The stop ladder: SIGINT, then SIGTERM, then SIGKILL, on the whole family of one program.

The same ladder serves the Stop button, the kernel's interrupt, a timeout and `process.stop()`. Each press climbs one
rung; time climbs too. It ends when the program and all of its family that can be found are gone.

It may be climbed from any thread, and so while the event loop of the process is kept busy: the signal goes out at once
where the family allows that, and whoever holds the family kills it in time. All else waits for the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import threading
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
    """How far the stopping of one program has come. `reach` and `climb` may be called from any thread.

    Attributes:
        grace: seconds between SIGTERM and SIGKILL.
        cause: who stopped the program: "stop", "kill", "interrupt", "timeout" or "cancel", whoever was the first; empty
            while nobody has, and for good if it had ended before.
        timeout: seconds that the program was given, see `limit`; None: as long as it takes.
        sent: the last signal that was sent, or None.
        sent_at: when, of `time.monotonic()`.
        reached: how many processes a signal has reached at once, at most.
    """

    def __init__(self, process: Process, loop: asyncio.AbstractEventLoop, grace: float) -> None:
        self._process = process
        self._loop = loop
        self._lock = threading.RLock()  # one press after the other
        self._rung = -1
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()  # done when the ladder has ended
        self.grace = grace
        self.cause = ""
        self.timeout: float | None = None
        self.sent: signal.Signals | None = None
        self.sent_at = 0.0
        self.reached = 0

    def __repr__(self) -> str:
        return f"<StopLadder: {self.sent.name} was sent>" if self.sent else "<StopLadder: nothing was sent>"

    @property
    def next_in(self) -> float | None:
        """Seconds until the next signal goes out by itself; None when no further one will."""
        if self.sent is None or self._rung == KILL or self._gone.done():
            return None
        return max(0.0, self.sent_at + self._waits[0] - time.monotonic())

    def climb(self, rung: int, cause: str) -> None:
        """Send the next signal, at least that of `rung`, now. Idempotent once SIGKILL was sent or all is gone."""
        with self._lock:
            self.reach(min(max(rung, self._rung + 1), KILL), cause)

    def reach(self, rung: int, cause: str) -> None:
        """Send the signal of `rung` now, unless that one or a higher one was sent, or all is gone.

        In another thread, where the family takes signals on the event loop alone, the loop does it in its next turn.

        Raises:
            RuntimeError: the event loop of the process is closed.
        """
        family = self._process.family
        if not family.is_threadsafe and not self._on_loop():
            self._loop.call_soon_threadsafe(self.reach, rung, cause)
            return
        with self._lock:
            if self._gone.done() or self._rung >= rung:
                return
            if self._process.is_over and not family.is_alive():
                return  # and so nobody is said to have stopped it
            if not self._process.is_over:
                self.cause = self.cause or cause
            self._rung = rung
            self.sent_at, self.sent = time.monotonic(), RUNGS[rung]
            self._loop.call_soon_threadsafe(self._follow)
            kill_in = sum(self._waits) if rung < KILL else None
            self.reached = max(self.reached, family.send_signal(self.sent, kill_in=kill_in))
        _logger.info("%s (pid %d): %s (%s)", self._process.name, self._process.pid, self.sent.name, cause)

    async def finished(self) -> None:
        """Wait until the program has ended and, if it was stopped, its family too. Cancelling it stops no ladder."""
        await self._process.exited()
        if self.sent:
            await asyncio.shield(self._gone)

    def _follow(self) -> None:
        """On the loop, after each signal: see to the next one, and to the end."""
        self._stop_timer()
        if (next_in := self.next_in) is not None:
            self._timer = self._loop.call_later(next_in, self._reach_in_time, self._rung + 1)
        if self._watch is None:
            self._watch = self._loop.create_task(self._until_gone())

    def _reach_in_time(self, rung: int) -> None:
        if self._process.family.is_alive():  # else it ended while the loop was busy, which has not heard of it yet
            self.reach(rung, self.cause)

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

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
        try:
            with contextlib.suppress(ProcessLost):
                await self._process.exited()
            while self._process.family.is_alive():
                if self._rung == KILL and time.monotonic() > self.sent_at + KILL_GRACE:
                    break  # SIGKILL takes no effect: another user's process, or one stuck in the operating system
                await asyncio.sleep(0.02)
        finally:
            self._stop_timer()
            self._gone.set_result(None)

    @property
    def _waits(self) -> tuple[float, ...]:
        """Seconds between the signals that are still to come, the next one first."""
        return (min(INTERRUPT_GRACE, self.grace), self.grace)[self._rung : KILL]

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
