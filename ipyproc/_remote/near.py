"""This end of a program on another machine: asyncio's transport of it, its family, and what all launchers to there share.

The log is written here, on the event loop: it takes everything, so the program waits for nobody but the network.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import json
import os
import signal as signals
import stat
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .._core.errors import ProcessLost
from .._core.family import Family
from .._core.launch.base import P
from .._core.log import LOG, STDERR_FD, STDOUT_FD, Log
from .._core.process import DEVNULL, PIPE, STDOUT
from .._core.screen import inert_line
from .._core.status import Usage
from .._core.survivor import Survivor
from .far import WINDOW

if TYPE_CHECKING:
    from .._core.process import Process

T = TypeVar("T")

_PIECE = 1 << 16  # bytes of standard input in one message
_NAMES = ("stdin", "stdout", "stderr")


class Link(Protocol):
    """The way to the place of one program. It hands what it receives to `Transport.receive`, and its end to `lost`."""

    where: str
    """For people: the machine, and what is worth to be known of the place there."""
    ends_family: bool
    """Whether the place is free for others when the program has ended, so that nothing of its family may stay."""

    def send(self, message: bytes) -> None:
        """Send it in its turn."""

    def close(self) -> None:
        """Nothing is left of the program, or it is to end."""


class LinkLauncher(abc.ABC):
    """Starts programs on another machine, over a link that carries messages to a Python there.

    For packages that add a way to other machines: a subclass opens the link, and all else is done here. At the other end
    `ipyproc._remote.far.Session` takes the messages. A launcher may be used on any event loop, and connects when it is first
    used. `docs/other-machines.md` has an example.

    Attributes:
        name: what it is called in tables.
    """

    name: str

    @abc.abstractmethod
    async def open(self, transport: Transport) -> Link:
        """A place for one program, when one is free. Nothing is started yet: no message was sent.

        The link hands each message that comes from there to `transport.receive`, and its own end to `transport.lost`.

        Raises:
            OSError: there will be none.
        """

    @abc.abstractmethod
    async def slots(self) -> int:
        """How many programs to ask for at once."""

    async def aclose(self) -> None:  # noqa: B027  -- there may be nothing
        """Close what was opened on the running event loop; the programs behind it end."""

    async def exec(
        self, protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start a program, when there is a place for it; see `_core.launch.base`.

        `env` is added to the environment that programs get there; `script` is a text that the shell in the arguments is to
        run, from a file there (see `_core.script`).
        """
        return await self._start(protocol, [os.fsdecode(word) for word in (program, *args)], **popen)

    async def shell(
        self, protocol: Callable[[], P], cmd: str | bytes, **popen: Any
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start a command line with /bin/sh."""
        return await self._start(protocol, ["/bin/sh", "-c", os.fsdecode(cmd)], **popen)

    def family(self, process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
        """What runs there."""
        assert isinstance(transport, Transport)
        return RemoteFamily(process, transport)

    async def _start(
        self,
        protocol: Callable[[], P],
        args: list[str],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        cwd: Any = None,
        env: Mapping[str, str] | None = None,
        script: str | None = None,
        log: Log | None = None,
        start_new_session: bool = True,
        keep: bool = False,
        **others: Any,
    ) -> tuple[asyncio.SubprocessTransport, P]:
        if keep:
            raise ValueError("keep=True: a program on another machine ends with the connection to it")
        if wrong := [f"{name}={value!r}" for name, value in others.items() if value]:
            raise ValueError(f"{', '.join(wrong)}: on another machine, a program takes cwd and env")
        _check_streams(stdin, stdout, stderr)
        transport = Transport(protocol, args, stdin, stdout, stderr, log)
        try:
            link = await self.open(transport)
            request = {
                "args": args,
                "cwd": None if cwd is None else os.fsdecode(cwd),
                "env": {os.fsdecode(name): os.fsdecode(value) for name, value in (env or {}).items()},
                "script": script,
                "stdin": stdin != DEVNULL,
                "stdout": stdout != DEVNULL,
                "stderr": "stdout" if stderr == STDOUT else stderr != DEVNULL,
                "ends_family": link.ends_family,
            }
            return transport, await transport.start(link, request)
        except BaseException:
            transport.abandon()
            raise


class Transport(asyncio.SubprocessTransport):
    """asyncio's transport, of a program on another machine."""

    def __init__(
        self, protocol: Callable[[], Any], args: list[str], stdin: Any, stdout: Any, stderr: Any, log: Log | None
    ) -> None:
        super().__init__()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing of its family is left."""
        self.left = 0
        """How many processes of its family were left when the program ended, up to the end of the last."""
        self.figures: tuple[float, int, int, bool] | None = None
        """The last ones that were told: seconds of CPU, bytes, processes, whether it is paused."""
        self._make = protocol
        self._args = args
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[Any] = self._loop.create_future()
        self._protocol: Any = None
        self._link: Link | None = None
        self._pid, self._started_at = 0, 0.0
        self._returncode: int | None = None
        self._closing = self._is_over = False
        self._logged = {s for s, target in ((STDOUT_FD, stdout), (STDERR_FD, stderr)) if target == LOG}
        piped = {s for s, target in ((STDOUT_FD, stdout), (STDERR_FD, stderr)) if target == PIPE}
        self._readers = {stream: _Reader(self, stream) for stream in piped}
        self._stdin = _Writer(self) if stdin != DEVNULL else None
        self._stdin_is_pipe = stdin == PIPE
        self._file = None if stdin in (PIPE, DEVNULL) else os.dup(stdin if isinstance(stdin, int) else stdin.fileno())
        self._feeding: asyncio.Task[None] | None = None
        self._credit = {STDOUT_FD: 0, STDERR_FD: 0}

    def __repr__(self) -> str:
        return f"<Transport of process {self._pid} on {self.where}>"

    @property
    def where(self) -> str:
        """The place of the program, for people."""
        return inert_line(self._link.where) if self._link else "another machine"

    async def start(self, link: Link, request: Mapping[str, Any]) -> Any:
        """Have it started there; the protocol."""
        self._link = link
        self._started_at = time.monotonic()
        self.tell(start=request)
        await asyncio.shield(self._started)
        if self._file is not None:
            self._feeding = self._loop.create_task(self._feed(self._file))
        return self._protocol

    def abandon(self) -> None:
        """It was not started, or nobody wants it any more."""
        self._is_over = True
        if self._started.done() and not self._started.cancelled():
            self._started.exception()  # it has been told
        self._end()

    def tell(self, **message: Any) -> None:
        """Say this to the other end, if it is there."""
        self.send(json.dumps(message).encode())

    def send(self, message: bytes) -> None:
        """Send a message, if the other end is there."""
        if self._link:
            self._link.send(message)

    # --- what comes from there -------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """A message of the other end; see `far`."""
        stream = message[0]
        if stream in self._credit:
            self._take_output(stream, message[1:])
            return
        told = json.loads(message)
        if "pid" in told:
            self._pid = told["pid"]
            self._protocol = self._make()
            self._protocol.connection_made(self)
            self._started.set_result(None)
        elif "errno" in told:
            self._started.set_exception(self._worded(told["errno"], told["text"], told["file"]))
        elif "taken" in told and self._stdin:
            self._stdin.taken(told["taken"])
        elif "exit" in told:
            self._take_exit(told)
        elif "figures" in told:
            self.figures = tuple(told["figures"])
        elif "gone" in told:
            self._end()
        elif "lost" in told:
            self.lost(told["lost"])

    def lost(self, why: str) -> None:
        """The other end is gone, or says that it is not by itself that the program has ended."""
        if self._is_over:
            self._end()
            return
        self._is_over = True
        process = f"process {self._pid}" if self._pid else "a program that was being started"
        error = ProcessLost(f"{process} on {self.where} was lost: {why}")
        self._end()
        if not self._started.done():
            self._started.set_exception(error)
            return
        self._closing = True
        self._protocol.process_lost(error)
        if self._stdin_is_pipe:
            self._protocol.pipe_connection_lost(0, error)
        self._protocol.connection_lost(None)

    def _take_output(self, stream: int, data: bytes) -> None:
        if stream in self._logged:
            if self._log is None:
                return  # it was given up
            if data:
                self._log.write(stream, data)
            else:
                self._log.end(stream)
        elif data:
            self._protocol.pipe_data_received(stream, data)
        else:
            self._end_reader(stream)
        self._credit[stream] += len(data)
        if stream not in self._readers or not self._readers[stream].is_paused:
            self.give_credit(stream)

    def give_credit(self, stream: int) -> None:
        """Let more come, when it is worth a message."""
        if self._credit[stream] >= WINDOW // 2 and not self._is_over:
            self.tell(credit=[stream, self._credit[stream]])
            self._credit[stream] = 0

    def _take_exit(self, told: dict[str, Any]) -> None:
        self._is_over = True
        self._returncode, self.left = told["exit"], told["left"]
        self._protocol.ended_at = self._started_at + told["lasted"]  # we may have been busy when it came
        self._protocol.note = told["note"].encode("latin-1")
        if told["usage"]:
            self._protocol.usage = Usage(*told["usage"])
        if self._stdin_is_pipe:
            self._protocol.pipe_connection_lost(0, BrokenPipeError() if self._stdin and self._stdin.is_full else None)
        self._protocol.process_exited()
        self._finish()

    def _end_reader(self, stream: int) -> None:
        reader = self._readers.get(stream)
        if reader and not reader.is_closing():
            reader.close()
            self._protocol.pipe_connection_lost(stream, None)
            self._finish()

    def _finish(self) -> None:
        """The protocol is told, as asyncio does, when the program has ended and all its pipes are closed."""
        if self._returncode is not None and all(reader.is_closing() for reader in self._readers.values()):
            self._closing = True
            self._protocol.connection_lost(None)

    def _end(self) -> None:
        """Nothing is left of it, or nobody hears us there."""
        self.left = 0
        if self._link:
            self._link.close()
        if self._feeding:
            self._feeding.cancel()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._protocol:
            for stream in self._readers:
                self._end_reader(stream)
        if self._log and self._started.done():
            for stream in tuple(self._log.open_streams):
                self._log.end(stream)
        self._log = None  # families are known for longer than logs
        if not self.gone.done():
            self.gone.set_result(None)

    def _worded(self, number: int, text: str, file: str | None) -> OSError:
        """What it cannot be started for, with the name of the machine."""
        what = "no such program" if number == errno.ENOENT else text
        if file not in (None, self._args[0]):
            what = f"cwd: {text.lower() if number != errno.ENOENT else 'no such directory'}"
        return OSError(number, f"{what} on {self.where}", file)

    async def _feed(self, fd: int) -> None:
        """Send a file as standard input, as fast as the program reads it."""
        assert self._stdin
        at = os.lseek(fd, 0, os.SEEK_CUR)
        while data := os.pread(fd, _PIECE, at):
            at += len(data)
            self._stdin.write(data)
            await self._stdin.sent()
        self._stdin.write_eof()

    # --- asyncio's transport ---------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`where`: the place of the program, for people; `started_at`: when it started, of `time.monotonic()`."""
        return {"where": self.where, "started_at": self._started_at}.get(name, default)

    def get_pid(self) -> int:
        """Its pid there."""
        return self._pid

    def get_returncode(self) -> int | None:
        """How it ended."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> asyncio.BaseTransport | None:
        """Of a stream that is PIPE."""
        return self._readers.get(fd) if fd else self._stdin if self._stdin_is_pipe else None

    def send_signal(self, signal: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """To the program, or to it and all its descendants."""
        if self._is_over and not family:
            raise ProcessLookupError
        if signal or kill_in is not None:
            self.tell(signal=int(signal), family=family, kill_in=kill_in)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signals.SIGKILL)

    def is_closing(self) -> bool:
        """Whether its pipes are closed, or are being closed."""
        return self._closing

    def close(self) -> None:
        """End it, if it has not ended; what is left of its family stays."""
        self._closing = True
        if not self._is_over:
            self.kill()


class _Reader(asyncio.ReadTransport):
    """Of a stream that is PIPE: while nobody reads, no credit is given, and so the program waits."""

    def __init__(self, transport: Transport, stream: int) -> None:
        super().__init__()
        self._transport = transport
        self._stream = stream
        self._is_closed = False
        self.is_paused = False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self._transport.give_credit(self._stream)

    def is_reading(self) -> bool:
        return not self.is_paused

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


class _Writer(asyncio.WriteTransport):
    """Of standard input: what the program has not read waits here, and no more than the window there."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._waiting = bytearray()
        self._away = 0  # bytes that the program has not taken
        self._is_closing = self._is_ended = False
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Whether something was not taken."""
        return bool(self._waiting or self._away)

    def get_write_buffer_size(self) -> int:
        return len(self._waiting) + self._away

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing:
            return
        self._waiting += data
        self._push()
        if self.get_write_buffer_size() > WINDOW and self._room.is_set():
            self._room.clear()
            self._of_protocol("pause_writing")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._is_closing = True
        self._push()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.write_eof()

    def abort(self) -> None:
        self._waiting.clear()
        self.write_eof()

    def taken(self, size: int) -> None:
        """The program has taken so many bytes."""
        self._away -= size
        self._push()
        if self.get_write_buffer_size() <= WINDOW // 2 and not self._room.is_set():
            self._room.set()
            self._of_protocol("resume_writing")

    async def sent(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    def _push(self) -> None:
        while self._waiting and self._away < WINDOW:
            piece = bytes(self._waiting[:_PIECE])
            del self._waiting[: len(piece)]
            self._away += len(piece)
            self._transport.send(b"\0" + piece)
        if self._is_closing and not self._waiting and not self._is_ended:
            self._is_ended = True
            self._transport.send(b"\0")

    def _of_protocol(self, method: str) -> None:
        if self._transport.get_pipe_transport(0) is self:
            getattr(self._transport._protocol, method)()


class RemoteFamily(Family):
    """The program and all its descendants there, as the shim there holds them."""

    kill_grace = 15.0  # seconds; the word of its end may come over a slow line

    def __init__(self, process: Process, transport: Transport) -> None:
        super().__init__(process, own_session=True)
        self._transport = transport

    def __repr__(self) -> str:
        return f"<RemoteFamily of process {self.pid} on {self._transport.where}>"

    def is_alive(self) -> bool:
        """Whether anything of it runs, as far as we have heard."""
        return not self._transport.gone.done()

    def measure(self) -> tuple[float, int, int, bool]:
        """What we were told when we asked last; and ask anew."""
        if self.is_alive():
            self._transport.tell(look=True)
        return self._transport.figures or (0.0, 0, 0, False)

    def alive(self) -> set[Any]:
        """No process of this machine."""
        return set()

    def survivors(self) -> list[Survivor]:
        """The program; what else there is, and why, is not known here."""
        return [Survivor(self.pid, "the program", f"runs on at {self._transport.where}, as far as is known here")]

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """To all of it; 1: how many there were is not known here."""
        self._transport.send_signal(number, family=True, kill_in=kill_in)
        return 1

    def kill_in(self, seconds: float) -> None:
        """Have the shim there kill what is left then."""
        self._transport.send_signal(0, family=True, kill_in=seconds)

    def left(self) -> int:
        """How many were left when the program ended."""
        return self._transport.left

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self._transport.gone.done():
            await asyncio.wait([self._transport.gone])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """When this process ends, the connection breaks, and that ends it."""
        return False


def reason(error: BaseException) -> str:
    """What an error says, without the number of the operating system's."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _check_streams(*targets: Any) -> None:
    """Refuse what cannot be carried to another machine."""
    for name, target in zip(_NAMES, targets, strict=True):
        if target in (PIPE, DEVNULL, LOG, STDOUT) and target is not None:
            continue
        if name == "stdin" and target is not None:
            with contextlib.suppress(OSError, ValueError):
                fd = target if isinstance(target, int) else target.fileno()
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    continue
        allowed = "PIPE, DEVNULL and an ordinary file" if name == "stdin" else "LOG, PIPE and DEVNULL"
        raise ValueError(f"{name}={target!r}: with a program on another machine, allowed are {allowed}")


class Connections(Generic[T]):
    """One connection for each event loop that asks for it; it ends with its loop, or by `aclose`.

    `connect` is an asynchronous context manager; inside of it the connection is open. It runs in a task of its own, so that
    `asyncio.run`, which cancels all tasks at the end, closes it.
    """

    def __init__(self, connect: Callable[[], contextlib.AbstractAsyncContextManager[T]]) -> None:
        self._connect = connect
        self._open: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[asyncio.Task[None], asyncio.Future[T]]]
        self._open = weakref.WeakKeyDictionary()

    async def get(self) -> T:
        """The connection, when it is open.

        Raises:
            OSError: it cannot be opened.
        """
        loop = asyncio.get_running_loop()
        task, ready = self._open.get(loop, (None, None))
        if task is None or ready is None or task.done():
            ready = loop.create_future()
            task = loop.create_task(self._hold(ready))
            self._open[loop] = task, ready
        return await asyncio.shield(ready)

    def forget(self, connection: T) -> None:
        """This connection is of no use any more; whoever asks gets another."""
        loop = asyncio.get_running_loop()
        task, ready = self._open.get(loop, (None, None))
        if task and ready and ready.done() and not ready.exception() and ready.result() is connection:
            task.cancel()
            del self._open[loop]

    async def aclose(self) -> None:
        """Close the connection of this loop."""
        task, _ = self._open.pop(asyncio.get_running_loop(), (None, None))
        if task:
            task.cancel()
            await asyncio.wait([task])

    async def _hold(self, ready: asyncio.Future[T]) -> None:
        try:
            async with self._connect() as connection:
                ready.set_result(connection)
                await asyncio.get_running_loop().create_future()  # up to our cancellation
        except BaseException as error:
            if ready.done():
                raise
            is_ours = isinstance(error, Exception)
            ready.set_exception(error if is_ours else ConnectionError("the connection was closed while it was opened"))
            ready.exception()  # whoever waits gets it; it may be that nobody does
            if not is_ours:
                raise
