"""The stop ladder: SIGINT, then SIGTERM, then SIGKILL, on the whole family of one program.

The same ladder serves the Stop button, the kernel's interrupt, a timeout and `process.stop()`. Each press climbs one
rung. So does time, at the earliest moment that any call has asked for: later calls can only bring it forward. A signal
that cannot be sent is passed over. The ladder ends when the program and all of its family that can be found are gone, or
when something still runs after the last rung: nobody waits for that, and `failure` says what it is.

It may be climbed from any thread, so also while the event loop of the process is busy: the signal goes out at once where
the family allows that, and the SIGKILL comes in time where a shim holds the program. All else waits for the loop.
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
from typing import Any

from ..errors import ProcessLost, ProcessNotStopped
from ..output import phrases
from .program import Program

INTERRUPT_GRACE = 2.0  # seconds between SIGINT and SIGTERM, at most the grace before SIGKILL
_SHORTEST, _LONGEST = 0.005, 0.1  # seconds between two checks whether it has ended
_REFUSED_GRACE = 0.5  # seconds until we believe that all that is left is processes that we may not signal

if sys.platform == "win32":
    RUNGS = (signal.CTRL_BREAK_EVENT, signal.SIGTERM)  # TerminateProcess cannot be refused: there is no third rung
else:
    RUNGS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

INTERRUPT, TERMINATE, KILL = 0, 1, len(RUNGS) - 1

_logger = logging.getLogger("ipyproc")


class StopLadder:
    """Stops one program and its family. `reach` and `climb` may be called from any thread.

    Attributes:
        grace: seconds between SIGTERM and SIGKILL, unless a call gives its own.
        cause: what stopped the program first: "stop", "kill", "interrupt", "timeout" or "cancel"; empty while nothing
            has, and for good if the program had already ended.
        timeout: the time limit of the program in seconds, see `limit`; None: there is none.
        sent: the last signal that was sent, or None.
        sent_at: when, in seconds of `time.monotonic()`.
        reached: the largest number of processes that one signal has reached.
    """

    def __init__(self, program: Program, grace: float) -> None:
        self._program = program
        self._loop = program.loop
        self._lock = threading.RLock()  # one press at a time
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
        """Start below the first rung."""
        self._rung = -1
        self._due = [math.inf] * len(RUNGS)  # when each signal goes out by itself, by `time.monotonic()`
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
        """What still runs although the last rung was tried; None: nothing does, or it was not tried."""
        lives_on = self._failure and (not self._program.is_over or self._program.family.is_alive())
        return self._failure if lives_on else None

    def climb(self, rung: int, cause: str) -> None:
        """Send the next signal, at least that of `rung`, now. Idempotent once SIGKILL was sent or all is gone."""
        with self._lock:
            self.reach(min(max(rung, self._rung + 1), KILL), cause)

    def reach(self, rung: int, cause: str, grace: float | None = None) -> None:
        """Send the signal of `rung` now, unless that one or a higher one was sent, or all is gone.

        The next ones follow by themselves, SIGKILL `grace` seconds after SIGTERM (None: the grace of the ladder), or
        sooner if an earlier call has asked for that. A ladder that has ended without success starts again.

        If the family takes signals on its event loop alone, a call from another thread is done in the loop's next turn.

        Raises:
            RuntimeError: the event loop of the process is closed.
        """
        family = self._program.family
        if not family.is_threadsafe and not self._on_loop():
            self._loop.call_soon_threadsafe(self.reach, rung, cause, grace)
            return
        with self._lock:
            if self._finished.done() and not self.failure:
                return
            if self._program.is_over and not family.is_alive():
                return  # nothing to stop, so `cause` stays empty
            if self._finished.done():
                self._begin()
            kill_at, now = self._due[KILL], time.monotonic()
            self._ask(rung, now, self.grace if grace is None else grace)
            if rung > self._rung:
                self._send(rung, now, cause)
            elif self._due[KILL] < kill_at:
                family.kill_in(round(self._due[KILL] - now, 3))
                self._loop.call_soon_threadsafe(self._follow)

    def _ask(self, rung: int, at: float, grace: float) -> None:
        """Bring each signal forward to when a ladder would send it that starts with this rung at this time."""
        for each, wait in zip(range(rung, len(RUNGS)), (min(INTERRUPT_GRACE, grace), grace, 0.0)[rung:], strict=False):
            self._due[each] = min(self._due[each], at)
            at += wait

    def _kill_in(self, now: float) -> float | None:
        """Seconds until SIGKILL; None: it does not come by itself, because no timer waits for that long."""
        seconds = self._due[KILL] - now
        return round(seconds, 3) if seconds < threading.TIMEOUT_MAX else None

    def _send(self, rung: int, now: float, cause: str) -> None:
        """Send the signal of this rung, or of the first one above it that can be delivered."""
        program, family = self._program, self._program.family
        if not program.is_over:
            self.cause = self.cause or cause
        while True:
            self._rung, self.sent, self.sent_at = rung, RUNGS[rung], now
            self._due[rung] = min(self._due[rung], now)
            reached = family.send_signal(self.sent, kill_in=self._kill_in(now) if rung < KILL else None)
            self.reached = max(self.reached, reached)
            _logger.info("%s (pid %d): %s (%s)", program.name, program.pid, self.sent.name, cause)
            if reached or not family.refused or rung == KILL:
                break
            rung += 1
            words = (phrases.quoted(program.name), program.pid, self.sent.name, family.refused, RUNGS[rung].name)
            _logger.warning("%s (pid %d): %s cannot be sent (%s), so %s is tried", *words)
        self._loop.call_soon_threadsafe(self._follow)

    async def finished(self) -> None:
        """Wait until the program has ended and, if it was stopped, its family too. Cancelling it does not end the ladder.

        Raises:
            ProcessNotStopped: something still runs although the last rung was tried; nobody waits for it.
            ProcessLost: nobody saw how it ended.
        """
        self._program.check_loop()
        either: list[asyncio.Future[Any]] = [self._program.ended, self._finished]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._program.ended.done():
            await self._program.wait()
            if self.sent:
                await asyncio.shield(self._finished)
        if failure := self.failure:
            raise failure.with_traceback(None)

    def _follow(self) -> None:
        """On the loop, after each signal: schedule the next one, and watch for the end."""
        self._stop_timer()
        if (next_in := self.next_in) is not None:
            self._timer = self._loop.call_later(next_in, self._climb_in_time, self._rung + 1)
        if self._watch is None:
            self._watch = self._loop.create_task(self._until_finished())

    def _climb_in_time(self, rung: int) -> None:
        with self._lock:
            # otherwise it ended while the loop was busy and could not hear of it
            if rung > self._rung and self._program.family.is_alive():
                self._send(rung, time.monotonic(), self.cause)

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def abandon(self) -> None:
        """Stop the whole family, even if cancelled meanwhile: each time climbs one rung. What still runs then is logged."""
        while not self._finished.done() and (not self._program.is_over or self._program.family.is_alive()):
            self.climb(TERMINATE, "cancel")
            with contextlib.suppress(asyncio.CancelledError, ProcessLost, ProcessNotStopped):
                await self.finished()
        if failure := self.failure:
            _logger.warning("%s", failure)

    @contextlib.contextmanager
    def limit(self, timeout: float | None) -> Iterator[None]:
        """Stop the program if the body, which waits for it, takes more than `timeout` seconds; None: no limit."""
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
        program, family = self._program, self._program.family
        seen: tuple[bool, int, bool] | None = None
        pause = waited = 0.0
        try:
            while not program.is_over or family.is_alive():
                is_last = time.monotonic() >= self._due[KILL]  # SIGKILL was sent, here or by the shim
                if (now := (program.is_over, self._rung, is_last)) != seen:
                    seen, pause, waited = now, _SHORTEST, 0.0
                if is_last and (waited > family.kill_grace or (waited > _REFUSED_GRACE and family.is_out_of_reach())):
                    self._fail()
                    break
                if program.is_over:
                    await asyncio.sleep(pause)
                else:
                    await asyncio.wait([self._program.ended], timeout=pause)
                waited += pause  # not by the clock: while the loop was busy, it could not hear of the end
                pause = min(2 * pause, _LONGEST)
        finally:
            self._stop_timer()
            self._finished.set_result(None)

    def _fail(self) -> None:
        """Something still runs: say what, and take back what turned out not to be true."""
        program = self._program
        error = ProcessNotStopped(program.family.survivors())
        error.cmd, error.name, error.returncode = program.args, program.name, program.returncode
        error.timeout = self.timeout if self.cause == "timeout" else None
        self._failure = error
        if program.is_over:
            self.sent = self.sent if self.cause else None
        else:
            self._program.ended.add_done_callback(self._look_how_it_ended)

    def _look_how_it_ended(self, _: object) -> None:
        """A program that could not be stopped has ended after all: by itself, unless a signal of ours ended it."""
        code = self._program.returncode
        if code is None or -code not in RUNGS:
            self.cause, self.sent = "", None

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
