"""A program as its shim holds it: the connection to that shim. Linux."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
import socket
import threading
from collections.abc import Callable, Sequence

from .. import protocol
from ..errors import ProcessLost
from ..output.log import Log
from ..protocol import FROM_SHIM, TO_SHIM, FromShim, Gone, Logged, Lost, NotStarted, Signal, Start, Started
from .client import Supervisor
from .held import descendants, mark

_WAKE_AFTER = 0.5  # seconds
_START_PATIENCE = 60.0  # seconds in which a program has to start; it may come from a slow disk


class HeldProgram:
    """A program, and the connection to the shim that holds it and every descendant of it."""

    pid = shim = 0  # until it has started

    def __init__(
        self,
        supervisor: Supervisor,
        job: socket.socket,
        loop: asyncio.AbstractEventLoop,
        log: Log | None,
        *,
        keep: bool,
    ) -> None:
        self._supervisor = supervisor
        self.keep = keep
        self.mark = mark.new()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when nothing of its family is left."""
        self._heard: Callable[[FromShim], object] | None = None
        self._job: socket.socket | None = job
        self._lock = threading.Lock()  # a signal may come from another thread
        self._loop = loop
        self._log = log
        self._begun = b""  # of a line
        self._messages: list[FromShim] = []  # that nobody has heard yet
        loop.add_reader(job.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<HeldProgram {self.pid} of shim {self.shim}>"

    @property
    def has_family(self) -> bool:
        """Whether anything of its family may be left."""
        return self._job is not None

    async def start(self, request: Start, fds: Sequence[int]) -> Started | NotStarted:
        """Have it started; what the shim says of that.

        Raises:
            ProcessLost: nobody knows whether it was started; if so, it was ended.
        """
        assert self._job
        answer: asyncio.Future[FromShim] = self._loop.create_future()

        def first(message: FromShim) -> None:
            self._heard = None  # the next ones wait for `hear`
            if not answer.done():
                answer.set_result(message)

        self._heard = first
        data = TO_SHIM.encode(request)
        try:
            sent = socket.send_fds(self._job, [data], fds)
        except ConnectionError:
            raise ProcessLost("the shim was killed before it started a program") from None
        # a large environment is more than a socket takes at once
        sending = asyncio.ensure_future(self._loop.sock_sendall(self._job, data[sent:]))
        sending.add_done_callback(_known_elsewhere)
        waking = self._loop.call_later(_WAKE_AFTER, self._supervisor.wake)  # somebody may have stopped it
        try:
            async with asyncio.timeout(_START_PATIENCE):
                message = await answer
        except TimeoutError:
            raise ProcessLost("the shim does not answer") from None
        finally:
            sending.cancel()
            waking.cancel()
        if isinstance(message, Started):
            self.pid, self.shim = message.pid, message.shim
        elif not isinstance(message, NotStarted):
            why = message.why if isinstance(message, Lost) else "its shim says how it ended, and not that it began"
            raise ProcessLost(f"a program that was being started was lost: {why}")
        return message

    def hear(self, heard: Callable[[FromShim], object]) -> None:
        """Call this with each message of the shim from here on, but those about the log; `Lost` is the last one."""
        self._heard = heard
        self._pass_on()

    def close(self) -> None:
        """Leave the shim; it ends what it holds."""
        if job := self._let_go():
            self._supervisor.give_back(job, is_ready=False)

    def release(self) -> None:
        """Nothing is left of it: the shim is ready for another program, unless it was made for this one alone."""
        if job := self._let_go():
            self._supervisor.give_back(job, is_ready=not self.keep)

    def disown(self) -> None:
        """In a forked child: it is its parent's, and so is the event loop."""
        job, self._job, self._log = self._job, None, None
        if job:
            job.close()

    def _let_go(self) -> socket.socket | None:
        with self._lock:
            job, self._job = self._job, None
        if job:
            self._loop.remove_reader(job.fileno())
        if not self.gone.done():
            self.gone.set_result(None)
        if self._log:
            self._log.lose()  # unless it has come to its end
            self._log = None  # the table of processes knows families for longer than logs
        return job

    def _read(self) -> None:
        if self._job is None:
            return  # a forked child runs the loop of its parent
        try:
            data = self._job.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        messages: list[FromShim] = []
        try:
            for line in lines:
                messages.append(FROM_SHIM.decode(line))  # noqa: PERF401  -- those before one that is not understood count
        except protocol.ProtocolError as error:
            messages.append(Lost(str(error)))
        if not data:
            messages.append(Lost("its shim was killed, and the program with it"))
        states = [message.state for message in messages if isinstance(message, Logged)]
        if states and self._log:
            self._log.take(list(states[-1]))
        if any(isinstance(message, Gone) for message in messages):
            self.release()
        elif any(isinstance(message, Lost) for message in messages):
            self.close()
            mark.kill(self.mark[0])  # the supervisor does it too, unless it was killed with the shim
        self._messages += [message for message in messages if not isinstance(message, Logged)]
        self._pass_on()

    def _pass_on(self) -> None:
        while self._messages and self._heard:
            self._heard(self._messages.pop(0))
        if self._job is None:
            self._heard = None  # the table of processes knows families for longer than programs and their logs

    def send_signal(self, number: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """Have the shim send a signal, and SIGKILL to the family after so many seconds. From any thread."""
        order = TO_SHIM.encode(Signal(number, family, kill_in))
        with self._lock, contextlib.suppress(OSError):  # the shim has just ended
            if self._job is not None and (number or kill_in is not None):
                is_there = self._supervisor.wake(self.shim)
                try:
                    self._job.send(order)
                except BlockingIOError:  # it has not listened for long: what it would do now, we can do
                    if is_there:
                        self._send_ourselves(number, family=family)

    def _send_ourselves(self, number: int, *, family: bool) -> None:
        if family and number in (signals.SIGSTOP, signals.SIGKILL):
            descendants.freeze(self.shim)
        pids = descendants.of(self.shim) if family else {self.pid}.intersection(descendants.children(self.shim))
        descendants.send_signal(pids, number, wake=family)


def _known_elsewhere(task: asyncio.Future[None]) -> None:
    """That the shim is gone, `HeldProgram._read` meets too."""
    if not task.cancelled():
        task.exception()
