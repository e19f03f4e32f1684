"""The connection to a shim, for the program that it holds. Linux."""

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
from ..protocol import FROM_SHIM, TO_SHIM, Exited, FromShim, Gone, Logged, Lost, NotStarted, Signal, Start, Started
from .client import Supervisor
from .held import descendants, mark

_WAKE_AFTER = 0.5  # seconds
_START_PATIENCE = 60.0  # seconds that a program has to start; it may come from a slow disk


class HeldProgram:
    """The connection to the shim that holds a program and all its descendants."""

    pid = shim = 0  # until it has started

    def __init__(
        self,
        supervisor: Supervisor,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        log: Log | None,
        *,
        keep: bool,
    ) -> None:
        self._supervisor = supervisor
        self.keep = keep
        self.has_program = True
        """Whether the program itself has not ended, so that its pid is still its own."""
        self.mark = mark.new()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when nothing of the program's family is left."""
        self._heard: Callable[[FromShim], object] | None = None
        self._socket: socket.socket | None = sock
        self._lock = threading.Lock()  # a signal may come from another thread
        self._loop = loop
        self._log = log
        self._begun = b""  # the beginning of an incomplete line
        self._messages: list[FromShim] = []  # those that no handler has got yet
        loop.add_reader(sock.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<HeldProgram {self.pid} of shim {self.shim}>"

    @property
    def has_family(self) -> bool:
        """Whether anything of its family may be left."""
        return self._socket is not None

    async def start(self, request: Start, fds: Sequence[int]) -> Started | NotStarted:
        """Have the shim start the program; returns its answer.

        Raises:
            ProcessLost: it is not known whether the program was started; if it was, it was ended.
        """
        assert self._socket
        answer: asyncio.Future[FromShim] = self._loop.create_future()

        def first(message: FromShim) -> None:
            self._heard = None  # later messages wait for `hear`
            if not answer.done():
                answer.set_result(message)

        self._heard = first
        data = TO_SHIM.encode(request)
        try:
            sent = socket.send_fds(self._socket, [data], fds)
        except ConnectionError:
            raise ProcessLost("the shim was killed before it started a program") from None
        # a large environment does not fit into the socket at once
        sending = asyncio.ensure_future(self._loop.sock_sendall(self._socket, data[sent:]))
        sending.add_done_callback(_ignore_error)
        waking = self._loop.call_later(_WAKE_AFTER, self._supervisor.wake)  # the shim may have been stopped
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
            why = message.why if isinstance(message, Lost) else "its shim said how it ended, but not that it started"
            raise ProcessLost(f"a program that was being started was lost: {why}")
        return message

    def hear(self, heard: Callable[[FromShim], object]) -> None:
        """Call `heard` with each message of the shim from now on, except those about the log; nothing follows `Lost`."""
        self._heard = heard
        self._pass_on()

    def close(self) -> None:
        """Close the connection; the shim then ends the program and all its descendants."""
        self._let_go(is_ready=False)

    def release(self) -> None:
        """Nothing is left of the program: give the shim back for another one, unless it holds a kept program."""
        self._let_go(is_ready=not self.keep)

    def disown(self) -> None:
        """Forget it in a forked child, because it belongs to the parent, as does the event loop."""
        sock, self._socket, self._log = self._socket, None, None
        if sock:
            sock.close()

    def _let_go(self, *, is_ready: bool) -> None:
        with self._lock:
            sock, self._socket = self._socket, None
        if sock:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())  # of a start that was given up before all was sent
            self._supervisor.give_back(sock, is_ready=is_ready)
        if not self.gone.done():
            self.gone.set_result(None)
        log, self._log = self._log, None  # the table of processes holds families for longer, and must not hold logs
        if log:
            log.lose()  # has no effect on a log that is complete

    def _read(self) -> None:
        if self._socket is None:
            return  # it was disowned: a forked child may still run the loop of its parent
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        messages: list[FromShim] = []
        try:
            for line in lines:
                messages.append(FROM_SHIM.decode(line))  # noqa: PERF401  -- messages before a wrong one count
        except protocol.ProtocolError as error:
            messages.append(Lost(str(error)))
        if not data:
            messages.append(Lost("its shim was killed, and the program with it"))
        self._messages += [message for message in messages if not isinstance(message, Logged)]
        self.has_program = self.has_program and not any(isinstance(message, Exited) for message in messages)
        states = [message.state for message in messages if isinstance(message, Logged)]
        try:
            if states and self._log:
                self._log.update(list(states[-1]))
            if any(isinstance(message, Gone) for message in messages):
                self.release()
            elif any(isinstance(message, Lost) for message in messages):
                self.close()
                mark.kill(self.mark[0])  # the supervisor does it too, unless it was killed with the shim
        finally:  # whatever fails here, the end of the program must be told
            self._pass_on()

    def _pass_on(self) -> None:
        while self._messages and self._heard:
            self._heard(self._messages.pop(0))
        if self._socket is None:
            self._heard = None  # the table of processes holds families for longer, and must not hold programs and logs

    def send_signal(self, number: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """Have the shim send a signal, and SIGKILL to the family after `kill_in` seconds. May be called from any thread."""
        order = TO_SHIM.encode(Signal(number, family, kill_in))
        with self._lock, contextlib.suppress(OSError):  # the shim has just ended
            if self._socket is not None and (number or kill_in is not None):
                is_there = self._supervisor.wake(self.shim)
                try:
                    self._socket.send(order)
                except BlockingIOError:  # it has not read for long, so the signal is sent from here
                    if is_there:
                        self._send_ourselves(number, family=family)

    def _send_ourselves(self, number: int, *, family: bool) -> None:
        if family and number in (signals.SIGSTOP, signals.SIGKILL):
            descendants.freeze(self.shim)
        pids = descendants.of(self.shim) if family else {self.pid}.intersection(descendants.children(self.shim))
        descendants.send_signal(pids, number, wake=family)


def _ignore_error(task: asyncio.Future[None]) -> None:
    """Ignore that the shim is gone: `HeldProgram._read` will find that out too."""
    if not task.cancelled():
        task.exception()
