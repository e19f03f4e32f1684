"""The stop ladder: SIGINT, then SIGTERM, then SIGKILL, on the whole family of one program.

The same ladder serves the Stop button, the kernel's interrupt, a timeout and `process.stop()`. Each press climbs one
rung; time climbs too, at the earliest moment that anybody has asked for: a later call may only bring it forward. A rung that
cannot be delivered is passed over. It ends when the program and all of its family that can be found are gone, or when
something lives on though the last rung was tried: nobody waits for that, and `failure` says what it is.

It may be climbed from any thread, and so while the event loop of the process is kept busy: the signal goes out at once
where the family allows that, and whoever holds the family kills it in time. All else waits for the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import status
from .errors import ProcessLost, ProcessNotStopped

if TYPE_CHECKING:
    from .process import Process

INTERRUPT_GRACE = 2.0  # seconds between SIGINT and SIGTERM, at most the grace before SIGKILL
_SHORTEST, _LONGEST = 0.005, 0.1  # seconds between two looks whether it has ended
_REFUSED_GRACE = 0.5  # seconds until it is believed that nothing is left but what we may not signal

if sys.platform == "win32":
    RUNGS = (signal.CTRL_BREAK_EVENT, signal.SIGTERM)  # TerminateProcess cannot be refused: there is no third rung
else:
    RUNGS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

INTERRUPT, TERMINATE, KILL = 0, 1, len(RUNGS) - 1

_logger = logging.getLogger("ipyproc")


class StopLadder:
    """How far the stopping of one program has come. `reach` and `climb` may be called from any thread.

    Attributes:
        grace: seconds between SIGTERM and SIGKILL, where a call does not say.
        cause: who stopped the program: "stop", "kill", "interrupt", "timeout" or "cancel", whoever was the first; empty
            while nobody has, and for good if it had ended before.
        timeout: seconds that the program was given, see `limit`; None: as long as it takes.
        sent: the last signal that was sent, or None.
        sent_at: when, of `time.monotonic()`.
        reached: how many processes a signal has reached at once, at most.
    """

    def __init__(
        self, process: Process, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[float], grace: float
    ) -> None:
        self._process = process
        self._loop = loop
        self._ended = ended  # the program
        self._lock = threading.RLock()  # one press after the other
        self._timer: asyncio.TimerHandle | None = None
        self._begin()
        self._failure: ProcessNotStopped | None = None
        self.grace = grace
        self.cause = ""
        self.timeout: float | None = None
        self.sent: signal.Signals | None = None
        self.sent_at = 0.0
        self.reached = 0

    def _begin(self) -> None:
        """Stand at its foot."""
        self._rung = -1
        self._due = [math.inf] * len(RUNGS)  # when each signal goes out by itself, of `time.monotonic()`
        self._watch: asyncio.Task[None] | None = None
        self._finished: asyncio.Future[None] = self._loop.create_future()  # done when the ladder has ended

    def __repr__(self) -> str:
        return f"<StopLadder: {self.sent.name} was sent>" if self.sent else "<StopLadder: nothing was sent>"

    @property
    def next_in(self) -> float | None:
        """Seconds until the next signal goes out by itself; None when no further one will."""
        if self._rung in (-1, KILL) or self._finished.done():
            return None
        return max(0.0, self._due[self._rung + 1] - time.monotonic())

    @property
    def failure(self) -> ProcessNotStopped | None:
        """What lives on, though the last rung was tried; None: nothing does, or it was not tried."""
        lives_on = self._failure and (not self._process.is_over or self._process.family.is_alive())
        return self._failure if lives_on else None

    def climb(self, rung: int, cause: str) -> None:
        """Send the next signal, at least that of `rung`, now. Idempotent once SIGKILL was sent or all is gone."""
        with self._lock:
            self.reach(min(max(rung, self._rung + 1), KILL), cause)

    def reach(self, rung: int, cause: str, grace: float | None = None) -> None:
        """Send the signal of `rung` now, unless that one or a higher one was sent, or all is gone.

        The next ones follow by themselves, `grace` seconds (None: those of the ladder) before SIGKILL; sooner, if
        somebody has asked for that before. If the ladder has ended in vain, it begins anew.

        In another thread, where the family takes signals on the event loop alone, the loop does it in its next turn.

        Raises:
            RuntimeError: the event loop of the process is closed.
        """
        family = self._process.family
        if not family.is_threadsafe and not self._on_loop():
            self._loop.call_soon_threadsafe(self.reach, rung, cause, grace)
            return
        with self._lock:
            if self._finished.done() and not self.failure:
                return
            if self._process.is_over and not family.is_alive():
                return  # and so nobody is said to have stopped it
            if self._finished.done():
                self._begin()
            kill_at, now = self._due[KILL], time.monotonic()
            self._ask(rung, now, self.grace if grace is None else grace)
            if rung > self._rung:
                self._send(rung, now, cause)
            elif self._due[KILL] < kill_at:
                family.kill_in(self._kill_in(now))
                self._loop.call_soon_threadsafe(self._follow)

    def _ask(self, rung: int, at: float, grace: float) -> None:
        """Let each signal go out no later than a ladder would send it that begins then with this rung."""
        for each, wait in zip(range(rung, len(RUNGS)), (min(INTERRUPT_GRACE, grace), grace, 0.0)[rung:], strict=False):
            self._due[each] = min(self._due[each], at)
            at += wait

    def _kill_in(self, now: float) -> float:
        return round(self._due[KILL] - now, 3)

    def _send(self, rung: int, now: float, cause: str) -> None:
        """Send the signal of this rung, or of the first one above it that can be delivered."""
        process, family = self._process, self._process.family
        if not process.is_over:
            self.cause = self.cause or cause
        while True:
            self._rung, self.sent, self.sent_at = rung, RUNGS[rung], now
            self._due[rung] = min(self._due[rung], now)
            reached = family.send_signal(self.sent, kill_in=self._kill_in(now) if rung < KILL else None)
            self.reached = max(self.reached, reached)
            _logger.info("%s (pid %d): %s (%s)", process.name, process.pid, self.sent.name, cause)
            if reached or not family.refused or rung == KILL:
                break
            rung += 1
            words = (status.quoted(process.name), process.pid, self.sent.name, family.refused, RUNGS[rung].name)
            _logger.warning("%s (pid %d): %s cannot be sent (%s), so %s is tried", *words)
        self._loop.call_soon_threadsafe(self._follow)

    async def finished(self) -> None:
        """Wait until the program has ended and, if it was stopped, its family too. Cancelling it stops no ladder.

        Raises:
            ProcessNotStopped: something lives on though the last rung was tried; nobody waits for it.
            ProcessLost: nobody saw how it ended.
        """
        self._process.check_loop()
        either: list[asyncio.Future[Any]] = [self._ended, self._finished]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            await self._process.exited()
            if self.sent:
                await asyncio.shield(self._finished)
        if failure := self.failure:
            raise failure.with_traceback(None)

    def _follow(self) -> None:
        """On the loop, after each signal: see to the next one, and to the end."""
        self._stop_timer()
        if (next_in := self.next_in) is not None:
            self._timer = self._loop.call_later(next_in, self._climb_in_time, self._rung + 1)
        if self._watch is None:
            self._watch = self._loop.create_task(self._until_finished())

    def _climb_in_time(self, rung: int) -> None:
        with self._lock:
            # else it ended while the loop was busy, which has not heard of it yet
            if rung > self._rung and self._process.family.is_alive():
                self._send(rung, time.monotonic(), self.cause)

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def abandon(self) -> None:
        """End all of it, however often we are cancelled meanwhile: each time climbs one rung. What lives on is logged."""
        while not self._finished.done() and (not self._process.is_over or self._process.family.is_alive()):
            self.climb(TERMINATE, "cancel")
            with contextlib.suppress(asyncio.CancelledError, ProcessLost, ProcessNotStopped):
                await self.finished()
        if failure := self.failure:
            _logger.warning("%s", failure)

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

    async def _until_finished(self) -> None:
        process, family = self._process, self._process.family
        seen: tuple[bool, int, bool] | None = None
        pause = waited = 0.0
        try:
            while not process.is_over or family.is_alive():
                is_last = time.monotonic() >= self._due[KILL]  # it was sent, here or by whoever holds the program
                if (now := (process.is_over, self._rung, is_last)) != seen:
                    seen, pause, waited = now, _SHORTEST, 0.0
                if is_last and (waited > family.kill_grace or (waited > _REFUSED_GRACE and family.is_out_of_reach())):
                    self._fail()
                    break
                if process.is_over:
                    await asyncio.sleep(pause)
                else:
                    await asyncio.wait([self._ended], timeout=pause)
                waited += pause  # and not by the clock: a loop that was kept busy has heard nothing in that time
                pause = min(2 * pause, _LONGEST)
        finally:
            self._stop_timer()
            self._finished.set_result(None)

    def _fail(self) -> None:
        """Something lives on: say what, and nothing that is not so."""
        process = self._process
        error = ProcessNotStopped(process.family.survivors())
        error.cmd, error.name, error.returncode = process.args, process.name, process.returncode
        error.timeout = self.timeout if self.cause == "timeout" else None
        self._failure = error
        if process.is_over:
            self.sent = self.sent if self.cause else None
        else:
            self._ended.add_done_callback(self._look_how_it_ended)

    def _look_how_it_ended(self, _: object) -> None:
        """A program that could not be stopped has ended later: by itself, if not by a signal of ours."""
        code = self._process.returncode
        if code is None or -code not in RUNGS:
            self.cause, self.sent = "", None

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
