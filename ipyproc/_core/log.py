"""The output of one process on disk: complete, byte-exact, both streams told apart.

A log is one file that holds what the program wrote, in the order in which it arrived, and beside it (only when the
program wrote to both streams) an index that says from which offset on the bytes belong to which stream.
Nothing is kept in memory but a few numbers; whoever reads says how much.

The directory is private to this process (`tempfile.mkdtemp`: mode 0700, unpredictable name), the files are created
with O_EXCL and mode 0600 whatever the umask. A log goes with its last reference, unless a view left out a part of
it and points the user to the file: then it is kept, also after the end of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import struct
import tempfile
import warnings
import weakref
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Any

from . import status

STDOUT_FD = 1
STDERR_FD = 2
BOTH = frozenset((STDOUT_FD, STDERR_FD))

_RUN = struct.Struct("<QB")  # one record of the index: from this offset on, this stream
_BLOCK = 1 << 16


class Log:
    """All output of one process, on disk. Made by `stdout=ipyproc.LOG`; found as `process.log`.

    Attributes:
        path: the file, which holds both streams in order of arrival.
        bytes: how many bytes are in it now; `bytes_of`: the same for stream 1 and stream 2.
        lines: how many line ends are in it now.
        dropped: how many bytes could not be written (0, unless the disk is full).
        ended: whether every stream has come to its end.
    """

    def __init__(self, streams: frozenset[int]) -> None:
        fd, self.path = create_file(".log")
        self._fds = [fd]  # of the log, and of the index once there is one
        self._index_path = self.path.with_suffix(".index")
        self._runs = 0
        self._last_stream = 0
        self._open_streams = set(streams)
        self._waiters: set[asyncio.Future[None]] = set()
        self.bytes = 0
        self.lines = 0
        self.bytes_of = {STDOUT_FD: 0, STDERR_FD: 0}
        self.dropped = 0
        weakref.finalize(self, _close, self._fds)
        self._remove = remove_with(self, self.path, self._index_path)

    def __repr__(self) -> str:
        state = "complete" if self.ended else "still growing"
        return f"<Log of {self.bytes} bytes, {state}, in {self.path}>"

    @property
    def ended(self) -> bool:
        """Whether every stream has come to its end."""
        return not self._open_streams

    def keep(self) -> None:
        """Keep the file when this object goes: a view has told the user where it is."""
        self._remove.detach()

    def leave_out(self, count: int) -> str:
        """What a view says that does not show `count` bytes; the file is kept, for the view has told where it is."""
        self.keep()
        return f"... {status.size_words(max(0, count))} not shown; full log: {self.path}"

    def size(self, streams: Collection[int] = BOTH) -> int:
        """How many bytes of these streams there are now."""
        return sum(self.bytes_of[stream] for stream in streams)

    def read(self, start: int = 0, size: int = 1 << 20) -> bytes:
        """At most `size` bytes from offset `start` on, both streams as they arrived; a negative start counts from the end."""
        return b"".join(data for _, data in self.pieces(start, size))

    def pieces(
        self, start: int = 0, size: int | None = None, streams: Collection[int] = BOTH
    ) -> Iterator[tuple[int, bytes]]:
        """The same, told apart: pairs of stream (1 or 2) and at most 64 KiB; only of these streams. No size: to the end."""
        for _, stream, data in self.spans(start, size, streams):
            yield stream, data

    def spans(
        self, start: int = 0, size: int | None = None, streams: Collection[int] = BOTH
    ) -> Iterator[tuple[int, int, bytes]]:
        """The same with the offset of each piece: (offset, stream, bytes)."""
        if start < 0:
            start = max(0, self.bytes + start)
        stop = self.bytes if size is None else min(self.bytes, start + size)
        if start >= stop:
            return
        with open(self.path, "rb", buffering=0) as file:
            for stream, end in self._runs_between(start, stop):
                if stream in streams:
                    file.seek(start)
                    while start < end and (data := file.read(min(_BLOCK, end - start))):
                        yield start, stream, data
                        start += len(data)
                start = end

    def head(self, size: int, streams: Collection[int] = BOTH) -> list[tuple[int, bytes]]:
        """The first `size` bytes of these streams together, as pieces."""
        found = []
        for stream, data in self.pieces(streams=streams):
            found.append((stream, data[:size]))
            size -= len(data)
            if size <= 0:
                break
        return found

    def tail(self, size: int, streams: Collection[int] = BOTH) -> list[tuple[int, bytes]]:
        """The last `size` bytes of these streams together, as pieces."""
        window, total = size, self.size(streams)
        while True:
            found = list(self.pieces(-window, streams=streams))
            length = sum(len(data) for _, data in found)
            if length >= min(size, total) or window >= self.bytes:
                break
            window *= 4
        surplus = length - size
        while surplus > 0:
            stream, data = found[0]
            found[0:1] = [(stream, data[surplus:])] if len(data) > surplus else []
            surplus -= len(data)
        return found

    def reader(self, stream: int) -> LogReader:
        """A reader of one stream, from its start."""
        return LogReader(self, stream)

    def is_open(self, stream: int) -> bool:
        """Whether more of this stream may come."""
        return stream in self._open_streams

    async def changed(self, seen: int, stream: int | None = None) -> None:
        """Wait until there is more than the `seen` bytes, or the log (or this stream of it) has ended."""
        while self.bytes <= seen and not self.ended and (stream is None or self.is_open(stream)):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    # --- the side of the writer ----------------------------------------------------------------------------------

    def write(self, stream: int, data: bytes) -> None:
        """Append what the program wrote. A full disk is warned of once and counted in `dropped`; the program goes on."""
        view = memoryview(data)
        try:
            if stream != self._last_stream:
                self._begin_run(stream)
            while view:
                written = os.write(self._fds[0], view)
                self.bytes += written
                self.bytes_of[stream] += written
                self.lines += bytes(view[:written]).count(b"\n")
                view = view[written:]
        except OSError as error:
            if not self.dropped:
                warnings.warn(f"{self.path}: {error.strerror}: output is being lost", RuntimeWarning, stacklevel=2)
            self.dropped += len(view)
        self._wake()

    def end(self, stream: int) -> None:
        """One stream has come to its end."""
        self._open_streams.discard(stream)
        if not self._open_streams:
            self.close()
        self._wake()

    def close(self) -> None:
        """Close the descriptors; what is in the files stays. Idempotent."""
        self._open_streams.clear()
        _close(self._fds)

    def discard(self) -> None:
        """Close it and remove the files at once: the program did not start."""
        self.close()
        self._remove()

    def _begin_run(self, stream: int) -> None:
        if self._last_stream:  # a log of one stream needs no index
            if not self._runs:
                self._fds.append(_open_new(self._index_path))
                os.write(self._fds[1], _RUN.pack(0, self._last_stream))
                self._runs = 1
            os.write(self._fds[1], _RUN.pack(self.bytes, stream))
            self._runs += 1
        self._last_stream = stream

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _runs_between(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """(stream, end offset) of each run of one stream that has a part in start..stop."""
        if not self._runs:
            yield self._last_stream, stop
            return
        with open(self._index_path, "rb") as index:

            def run(number: int) -> tuple[int, int]:
                index.seek(number * _RUN.size)
                offset, stream = _RUN.unpack(index.read(_RUN.size))
                return offset, stream

            low, high = 0, self._runs - 1  # the last run that starts at or before `start`
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if run(middle)[0] <= start else (low, middle - 1)
            stream = run(low)[1]
            for number in range(low + 1, self._runs):
                offset, next_stream = run(number)
                if offset >= stop:
                    break
                yield stream, offset
                stream = next_stream
            yield stream, stop


class LogReader:
    """Reads one stream of a log with the methods of `asyncio.StreamReader`, live: it waits for what is not there yet.

    Unlike a pipe, a log that nobody reads never blocks the program.
    """

    def __init__(self, log: Log, stream: int) -> None:
        self._log = log
        self._stream = stream
        self._position = 0  # in the log
        self._buffer = b""  # one piece of this stream, at most _BLOCK bytes ...
        self._used = 0  # ... of which so many were read
        self._consumed = False

    def __repr__(self) -> str:
        name = "stdout" if self._stream == STDOUT_FD else "stderr"
        return f"<LogReader of {name}, {self._log.bytes_of[self._stream]} bytes so far>"

    @property
    def text(self) -> str:
        """All of this stream that is there now, decoded as UTF-8 (bad bytes become U+FFFD)."""
        return b"".join(data for _, data in self._log.pieces(streams={self._stream})).decode(errors="replace")

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes, at least one unless at the end; -1: all up to the end (held in memory)."""
        if n >= 0:
            if n:
                await self._fill()
            return self._take(n)
        parts: list[bytes] = []
        while await self._fill():
            parts.append(self._take(_BLOCK))
        return b"".join(parts)

    async def readline(self) -> bytes:
        """One line with its newline; at the end what is left, which may be empty."""
        parts: list[bytes] = []
        while await self._fill():
            newline = self._buffer.find(b"\n", self._used)
            parts.append(self._take(newline + 1 - self._used if newline >= 0 else _BLOCK))
            if newline >= 0:
                break
        return b"".join(parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, as they come."""
        while line := await self.readline():
            yield line

    def at_eof(self) -> bool:
        """Whether the stream has ended and all of it was read."""
        return not self._log.is_open(self._stream) and not self._load()

    def consume(self) -> None:
        """Say that the stream is read elsewhere (it is shown in the cell): from here it is only its end."""
        self._consumed = True

    # --- asyncio's subprocess protocol feeds a reader by these names ----------------------------------------------

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Nothing to pause: the log takes everything."""

    def feed_data(self, data: bytes) -> None:
        """The program wrote this."""
        self._log.write(self._stream, data)

    def feed_eof(self) -> None:
        """The program closed this stream."""
        self._log.end(self._stream)

    def set_exception(self, exc: BaseException) -> None:
        """Reading the pipe failed; what came before is in the log."""
        self._log.end(self._stream)

    async def _fill(self) -> bool:
        """Wait for bytes of this stream; False at its end."""
        while not self._load():
            if not self._log.is_open(self._stream):
                return False
            await self._log.changed(self._position, self._stream)
        return True

    def _load(self) -> bool:
        """Put the next bytes of this stream that are there now, if any, into the buffer; steps over the other stream."""
        if self._consumed:
            self._position, self._buffer = self._log.bytes, b""
        while self._used >= len(self._buffer) and self._position < self._log.bytes:
            for stream, data in self._log.pieces(self._position, _BLOCK):
                self._position += len(data)
                if stream == self._stream:
                    self._buffer, self._used = data, 0
                    break
        return self._used < len(self._buffer)

    def _take(self, count: int) -> bytes:
        taken = self._buffer[self._used : self._used + count]
        self._used += len(taken)
        return taken


class _Directory:
    """The private directory of this process; goes last, after the logs in it (finalizers run in reverse order)."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ipyproc-"))
        self.pid = os.getpid()
        weakref.finalize(self, _remove, self.pid, self.path)


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def remove_with(owner: object, *paths: Path) -> weakref.finalize[..., Any]:
    """Remove these files when `owner` goes, at the latest when this process ends; or now, by a call of the result."""
    return weakref.finalize(owner, _remove, os.getpid(), *paths)


def _remove(pid: int, *paths: Path) -> None:
    if pid != os.getpid():
        return  # a forked child must not remove what is its parent's
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


_directory: _Directory | None = None


def directory() -> Path:
    """The private directory of this process, made at first use and removed at exit when it is empty."""
    global _directory
    if _directory is None or _directory.pid != os.getpid() or not _directory.path.is_dir():
        _directory = _Directory()
    return _directory.path


def create_file(suffix: str) -> tuple[int, Path]:
    """A new private file (open for appending and reading, mode 0600, unpredictable name) and its path."""
    path = directory() / (secrets.token_hex(8) + suffix)
    return _open_new(path), path


def _open_new(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)  # a umask can take bits away from what was asked for
    return fd
