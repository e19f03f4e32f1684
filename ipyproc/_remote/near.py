"""This end of a program on another machine: what is said of it, its family, and what all launchers to there share.

The log is written here, on the event loop: it takes everything, so the program waits for nobody but the network.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import json
import os
import stat
import time
import weakref
from collections.abc import Callable, Collection
from typing import Any, Generic, Protocol, TypeVar

from .._core.errors import ProcessLost
from .._core.launch.transport import Transport
from .._core.output.log import STDERR_FD, STDOUT_FD, Log
from .._core.output.screen import inert_line
from .._core.program.family import Family
from .._core.program.program import Program
from .._core.program.spec import Fd, Spec, Stream, Target
from .._core.program.usage import Usage
from .._core.survivor import Survivor
from .far import WINDOW

T = TypeVar("T")

_PIECE = 1 << 16  # bytes of standard input in one message


class Link(Protocol):
    """The way to the place of one program. It hands what it receives to `Channel.receive`, and its end to `lost`."""

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
    async def open(self, channel: Channel) -> Link:
        """A place for one program, when one is free. Nothing is started yet: no message was sent.

        The link hands each message that comes from there to `channel.receive`, and its own end to `channel.lost`.

        Raises:
            OSError: there will be none.
        """

    @abc.abstractmethod
    async def slots(self) -> int:
        """How many programs to ask for at once."""

    async def aclose(self) -> None:  # noqa: B027  -- there may be nothing
        """Close what was opened on the running event loop; the programs behind it end."""

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Start a program, when there is a place for it; see `_core.launch.base`.

        `spec.env` is added to the environment that programs get there; `spec.script` is a text that the shell in
        the arguments is to run, from a file there (see `_core.program.script`).
        """
        if spec.keep:
            raise ValueError("keep=True: a program on another machine ends with the connection to it")
        _check_streams(spec)
        channel = Channel(spec, protocol, log, self.name)
        try:
            await channel.start(await self.open(channel))
        except BaseException:
            channel.abandon()
            raise
        return channel.program


class Channel:
    """What is said of one program on another machine, to it and from it; a `Link` carries it there."""

    def __init__(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None, launcher: str) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing of its family is left."""
        self.left = 0
        """How many processes of its family were left when the program ended, up to the end of the last."""
        self.figures: tuple[float, int, int, bool] | None = None
        """The last ones that were told: seconds of CPU, bytes, processes, whether it is paused."""
        self.program = Program(spec.args, launcher, log)
        self._spec = spec
        self._log = log
        self._loop = self.program.loop
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._link: Link | None = None
        self._is_over = False
        targets = {STDOUT_FD: spec.stdout, STDERR_FD: spec.stderr}
        self._readers = {stream: _Reader(self, stream) for stream, to in targets.items() if to is Target.PIPE}
        self._stdin = None if spec.stdin is Target.NULL else _Writer(self)
        piped = {0} if spec.stdin is Target.PIPE else set()
        self._transport = Transport(self.program, protocol, {*self._readers, *piped}, self.send_signal)
        for stream, reader in self._readers.items():
            self._transport.add_pipe(stream, reader)
        if piped and self._stdin:
            self._transport.add_pipe(0, self._stdin)
        self._file = os.dup(spec.stdin.number) if isinstance(spec.stdin, Fd) else None
        self._feeding: asyncio.Task[None] | None = None
        self._credit = {STDOUT_FD: 0, STDERR_FD: 0}

    def __repr__(self) -> str:
        return f"<Channel to {self.program!r}>"

    @property
    def where(self) -> str:
        """The place of the program, for people."""
        return inert_line(self._link.where) if self._link else "another machine"

    async def start(self, link: Link) -> None:
        """Have it started there."""
        self._link, spec = link, self._spec
        self.program.started_at = time.monotonic()
        self.tell(
            start={
                "args": ["/bin/sh", "-c", spec.args] if isinstance(spec.args, str) else spec.args,
                "cwd": spec.cwd,
                "env": dict(spec.env or {}),
                "script": spec.script,
                "stdin": spec.stdin is not Target.NULL,
                "stdout": spec.stdout is not Target.NULL,
                "stderr": "stdout" if spec.stderr is Target.STDOUT else spec.stderr is not Target.NULL,
                "ends_family": link.ends_family,
            }
        )
        await asyncio.shield(self._started)
        if self._file is not None:
            self._feeding = self._loop.create_task(self._feed(self._file))

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
            self.program.where = self.where
            self.program.begin(told["pid"], self._transport, RemoteFamily(told["pid"], self))
            self._transport.begin()
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
        pid = self.program.pid
        process = f"process {pid}" if pid else "a program that was being started"
        error = ProcessLost(f"{process} on {self.where} was lost: {why}")
        self._end()
        if not self._started.done():
            self._started.set_exception(error)
            return
        self._transport.end_pipe(0, error)
        self._transport.lose(error)

    def _take_output(self, stream: int, data: bytes) -> None:
        if stream not in self._readers:
            if self._log is None:
                return  # it was given up
            if data:
                self._log.write(stream, data)
            else:
                self._log.end(stream)
        elif data:
            self._transport.take(stream, data)
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
        self.left = told["left"]
        self.program.note = told["note"].encode("latin-1")
        self._transport.end_pipe(0, BrokenPipeError() if self._stdin and self._stdin.is_full else None)
        ended_at = self.program.started_at + told["lasted"]  # we may have been busy when it came
        self._transport.exit(told["exit"], Usage(*told["usage"]) if told["usage"] else None, ended_at)

    def _end_reader(self, stream: int) -> None:
        self._readers[stream].close()
        self._transport.end_pipe(stream)

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
        if self.program.pid:
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
        if file not in (None, self._spec.args[0]):
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

    def send_signal(self, signal: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """To the program, or to it and all its descendants."""
        if signal or kill_in is not None:
            self.tell(signal=int(signal), family=family, kill_in=kill_in)

    def of_writer(self, method: str) -> None:
        """`pause_writing` or `resume_writing`, if somebody writes."""
        if self._spec.stdin is Target.PIPE:
            getattr(self._transport, method)()


class _Reader(asyncio.ReadTransport):
    """Of a stream that is PIPE: while nobody reads, no credit is given, and so the program waits."""

    def __init__(self, channel: Channel, stream: int) -> None:
        super().__init__()
        self._channel = channel
        self._stream = stream
        self._is_closed = False
        self.is_paused = False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self._channel.give_credit(self._stream)

    def is_reading(self) -> bool:
        return not self.is_paused

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


class _Writer(asyncio.WriteTransport):
    """Of standard input: what the program has not read waits here, and no more than the window there."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
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
            self._channel.of_writer("pause_writing")

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
            self._channel.of_writer("resume_writing")

    async def sent(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    def _push(self) -> None:
        while self._waiting and self._away < WINDOW:
            piece = bytes(self._waiting[:_PIECE])
            del self._waiting[: len(piece)]
            self._away += len(piece)
            self._channel.send(b"\0" + piece)
        if self._is_closing and not self._waiting and not self._is_ended:
            self._is_ended = True
            self._channel.send(b"\0")


class RemoteFamily(Family):
    """The program and all its descendants there, as the shim there holds them."""

    kill_grace = 15.0  # seconds; the word of its end may come over a slow line

    def __init__(self, pid: int, channel: Channel) -> None:
        super().__init__(pid, lambda: not channel.gone.done(), own_session=True)
        self._channel = channel

    def __repr__(self) -> str:
        return f"<RemoteFamily of process {self.pid} on {self._channel.where}>"

    def is_alive(self) -> bool:
        """Whether anything of it runs, as far as we have heard."""
        return not self._channel.gone.done()

    def measure(self) -> tuple[float, int, int, bool]:
        """What we were told when we asked last; and ask anew."""
        if self.is_alive():
            self._channel.tell(look=True)
        return self._channel.figures or (0.0, 0, 0, False)

    def alive(self) -> set[Any]:
        """No process of this machine."""
        return set()

    def survivors(self) -> list[Survivor]:
        """The program; what else there is, and why, is not known here."""
        return [Survivor(self.pid, "the program", f"runs on at {self._channel.where}, as far as is known here")]

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """To all of it; 1: how many there were is not known here."""
        self._channel.send_signal(number, family=True, kill_in=kill_in)
        return 1

    def kill_in(self, seconds: float) -> None:
        """Have the shim there kill what is left then."""
        self._channel.send_signal(0, family=True, kill_in=seconds)

    def left(self) -> int:
        """How many were left when the program ended."""
        return self._channel.left

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self._channel.gone.done():
            await asyncio.wait([self._channel.gone])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """When this process ends, the connection breaks, and that ends it."""
        return False


def reason(error: BaseException) -> str:
    """What an error says, without the number of the operating system's."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _check_streams(spec: Spec) -> None:
    """Refuse what cannot be carried to another machine."""
    for name in ("stdin", "stdout", "stderr"):
        target: Stream = getattr(spec, name)
        if isinstance(target, Target) and target is not Target.INHERIT:
            continue
        if name == "stdin" and isinstance(target, Fd):
            with contextlib.suppress(OSError, ValueError):
                if stat.S_ISREG(os.fstat(target.number).st_mode):
                    continue
        allowed = "PIPE, DEVNULL and an ordinary file" if name == "stdin" else "LOG, PIPE and DEVNULL"
        given = (target.file or target.number) if isinstance(target, Fd) else None
        raise ValueError(f"{name}={given!r}: with a program on another machine, allowed are {allowed}")


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
