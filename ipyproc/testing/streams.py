"""The streams of a fake program, as it sees them: what it writes goes where the `Spec` says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
from collections.abc import Callable
from typing import Protocol

from .._core.launch.transport import Transport
from .._core.output.log import STDERR_FD, STDOUT_FD, Log
from .._core.program.spec import Fd, Spec, Stream, Target

_LIMIT = 1 << 16  # bytes, of a reader; it holds twice as much at most
_PIECE = 1 << 16  # bytes
_PIPE_PIECE = 4096  # bytes; a pipe that is ready takes so many (PIPE_BUF)


class _Sink(Protocol):
    """Where output goes."""

    async def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Output:
    """Standard output or standard error of a fake program."""

    def __init__(self, shared: _Shared, ready: asyncio.Event) -> None:
        self._shared: _Shared | None = shared
        self._ready = ready
        shared.users += 1

    def __repr__(self) -> str:
        return f"<Output, {'open' if self._shared else 'closed'}>"

    async def write(self, data: str | bytes) -> None:
        """Write this; a string is written as UTF-8. It waits, as a program does, while nobody reads a pipe that is full.

        Raises:
            BrokenPipeError: it is closed, or nobody is left who could read it. A script that does not catch that ends as
                by SIGPIPE.
        """
        whole = memoryview(data.encode() if isinstance(data, str) else data)
        for start in range(0, len(whole), _PIECE):
            await self._ready.wait()  # not while it is paused
            if self._shared is None:
                raise BrokenPipeError("this stream of the fake program is closed")
            await self._shared.sink.write(bytes(whole[start : start + _PIECE]))
            await asyncio.sleep(0)  # others want the event loop too

    def close(self) -> None:
        """Close it, before the program ends. Idempotent."""
        shared, self._shared = self._shared, None  # what was played is known for longer than its log
        if shared:
            shared.users -= 1
            if not shared.users:
                shared.sink.close()


class _Shared:
    """A sink, and how many streams write to it: standard error may go where standard output goes."""

    def __init__(self, sink: _Sink) -> None:
        self.sink = sink
        self.users = 0


class _ToNull:
    async def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class _ToLog:
    def __init__(self, log: Log, stream: int) -> None:
        self._log = log
        self._stream = stream

    async def write(self, data: bytes) -> None:
        self._log.write(self._stream, data)

    def close(self) -> None:
        if not self._log.ended:  # else it was given up
            self._log.end(self._stream)


class _ToPipe(asyncio.ReadTransport):
    """asyncio's transport of a stream that is PIPE; the program waits while its reader is full."""

    def __init__(self, transport: Transport, stream: int) -> None:
        super().__init__()
        self._transport = transport
        self._stream = stream
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False

    async def write(self, data: bytes) -> None:
        await self._has_room.wait()
        if self._is_closed:
            raise BrokenPipeError("nobody reads this stream any more")
        self._transport.take(self._stream, data)

    def pause_reading(self) -> None:
        self._has_room.clear()

    def resume_reading(self) -> None:
        self._has_room.set()

    def is_reading(self) -> bool:
        return self._has_room.is_set() and not self._is_closed

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._has_room.set()
            self._transport.end_pipe(self._stream)


class _ToFile:
    """A descriptor of this process: a file, or a pipe to the next program."""

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)
        self._turn = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        async with self._turn:
            while data:
                data = data[await _write(self._fd, data) :]

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Input:
    """Standard input of a fake program: a reader, which is fed when somebody asks for it."""

    def __init__(self, source: Stream) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(limit=_LIMIT, loop=loop)
        self._fd = -1
        self._feeding: asyncio.Task[None] | None = None
        if source is Target.INHERIT:
            source = Fd(0)
        if isinstance(source, Fd):
            self._fd = os.dup(source.number)
        elif source is Target.NULL:
            self.reader.feed_eof()

    @property
    def has_more(self) -> bool:
        """Whether the program has left something unread."""
        return bool(self.reader._buffer)  # type: ignore[attr-defined]

    def wanted(self) -> asyncio.StreamReader:
        """The reader; a file is read from now on, and no sooner: others may read it too."""
        if self._fd >= 0 and self._feeding is None:
            self._feeding = asyncio.get_running_loop().create_task(self._feed())
        return self.reader

    async def _feed(self) -> None:
        room = _Room()
        self.reader.set_transport(room)
        try:
            while data := await _read(self._fd):
                self.reader.feed_data(data)
                await room.has_room.wait()
            self.reader.feed_eof()
        except OSError as error:
            self.reader.set_exception(error)

    def close(self) -> None:
        """Idempotent."""
        if self._feeding:
            self._feeding.cancel()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class _Room(asyncio.ReadTransport):
    """Knows whether a reader has room."""

    def __init__(self) -> None:
        super().__init__()
        self.has_room = asyncio.Event()
        self.has_room.set()

    def pause_reading(self) -> None:
        self.has_room.clear()

    def resume_reading(self) -> None:
        self.has_room.set()


class InputPipe(asyncio.WriteTransport):
    """asyncio's transport of a standard input that is PIPE: it feeds the reader of the fake program."""

    def __init__(self, transport: Transport, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._reader = reader
        self._is_closing = False
        reader.set_transport(_Brake(transport))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As of asyncio's."""
        if not self._is_closing:
            self._reader.feed_data(bytes(data))

    def get_write_buffer_size(self) -> int:
        """0: what was written is with the reader."""
        return 0

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """The program reads up to here."""
        if not self._is_closing:
            self._is_closing = True
            self._reader.feed_eof()

    def is_closing(self) -> bool:
        """Whether that has been said."""
        return self._is_closing

    def close(self) -> None:
        """The same."""
        self.write_eof()

    def abort(self) -> None:
        """The same."""
        self.write_eof()


class _Brake(asyncio.ReadTransport):
    """Lets who writes to a fake program wait while its reader is full."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def pause_reading(self) -> None:
        self._transport.pause_writing()

    def resume_reading(self) -> None:
        self._transport.resume_writing()


def outputs(
    spec: Spec, transport: Transport, log: Log | None, ready: asyncio.Event, undo: contextlib.ExitStack
) -> tuple[Output, Output]:
    """Standard output and standard error of a program that is to be started; `undo` closes them.

    Raises:
        OSError: a descriptor of the spec is closed.
    """
    made: list[Output] = []
    shared: _Shared | None = None
    for stream, target in ((STDOUT_FD, spec.stdout), (STDERR_FD, spec.stderr)):
        if target is not Target.STDOUT or shared is None:
            shared = _Shared(_sink(stream, target, transport, log))
        made.append(Output(shared, ready))
        undo.callback(made[-1].close)
    return made[0], made[1]


def _sink(stream: int, target: Stream, transport: Transport, log: Log | None) -> _Sink:
    if target is Target.LOG:
        assert log
        return _ToLog(log, stream)
    if target is Target.PIPE:
        pipe = _ToPipe(transport, stream)
        transport.add_pipe(stream, pipe)
        return pipe
    if target is Target.INHERIT:
        return _ToFile(stream)
    return _ToFile(target.number) if isinstance(target, Fd) else _ToNull()


async def _read(fd: int) -> bytes:
    """What is there, when there is something; nothing at the end. The event loop goes on, and the file stays as it was."""
    if sys.platform == "win32":
        return await asyncio.to_thread(os.read, fd, _PIECE)
    loop = asyncio.get_running_loop()
    await _until(select.POLLIN, fd, loop.add_reader, loop.remove_reader)
    return os.read(fd, _PIECE)


async def _write(fd: int, data: bytes) -> int:
    """Write some of it, when there is room; how many bytes."""
    if sys.platform == "win32":
        return await asyncio.to_thread(os.write, fd, data)
    loop = asyncio.get_running_loop()
    await _until(select.POLLOUT, fd, loop.add_writer, loop.remove_writer)
    return os.write(fd, data[:_PIPE_PIECE])


async def _until(
    event: int, fd: int, add: Callable[[int, Callable[[], None]], object], remove: Callable[[int], object]
) -> None:
    """Wait until a descriptor is ready. It is not made non-blocking, because it may be somebody else's too."""
    poll = select.poll()
    poll.register(fd, event)
    while not poll.poll(0):
        ready = asyncio.Event()
        add(fd, ready.set)
        try:
            await ready.wait()
        finally:
            remove(fd)
