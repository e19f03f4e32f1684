"""The files of a log, and how they are read: bytes, text and lines of both streams or of one, from any offset on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import operator
import os
import sys
import weakref
from bisect import bisect_right
from collections.abc import Collection, Iterator
from pathlib import Path

from . import phrases, screen, storage, value
from .turns import within
from .writer import STDERR_FD, STDOUT_FD, LogWriter

BOTH = frozenset((STDOUT_FD, STDERR_FD))
LIMIT = 4 * 10**9
"""Bytes on disk of one log."""

_LEAST = 1 << 20  # bytes; no limit is lower, as a disk that is full now may have room later
_BLOCK = 1 << 16  # bytes that are read at a time
_MOST_TAIL = 1 << 20  # bytes looked at for the last lines
_TURNS_OF_TAIL = 6  # pieces of work, and one more for every two lines

_offset = operator.attrgetter("offset")
_bytes = functools.partial(operator.methodcaller, "bytes")
_HAS_PREAD = hasattr(os, "pread")  # POSIX
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class LogContents(LogWriter):
    """Reads the files of a log, while they grow and afterwards; see `log.Log`."""

    def __init__(
        self,
        streams: frozenset[int] = BOTH,
        *,
        file: str | os.PathLike[str] | None = None,
        append: bool = False,
        limit: int = LIMIT,
    ) -> None:
        self._is_user_file = file is not None
        base = 0
        most: int | None = None
        index = storage.new_path(".index")  # before the file is opened, as this may fail
        if file is None:
            most = min(limit, max(storage.free_bytes() // 2, _LEAST))
            fd, self.path = storage.create_file(".log")
        else:
            fd, self.path = storage.open_user_file(file, append=append), Path(file).absolute()
            base = os.fstat(fd).st_size
        self._made = os.fstat(fd)
        super().__init__(streams, [fd], base=base, index=index, limit=most)
        self._kept = self._is_user_file
        self._waiters: set[asyncio.Future[None]] = set()
        weakref.finalize(self, close_all, self._fds)
        self._remove_index = storage.remove_with(self, Path(self._index_path), Path(self.times.path))
        self._remove = storage.remove_with(self, *(() if self._is_user_file else (self.path,)))

    @property
    def ended(self) -> bool:
        """Whether every stream has come to its end."""
        return not self.open_streams

    @property
    def lines(self) -> int:
        """How many lines have ended."""
        return sum(self.lines_of.values())

    @property
    def is_kept(self) -> bool:
        """Whether the file stays when this object goes: it is the user's own, or `keep` was called."""
        return self._kept

    def keep(self) -> None:
        """Do not remove the file together with this object: a view has told the user where it is."""
        if not self._kept:
            self._kept = True
            self._remove.detach()
            if self.ended:
                storage.keep(self.path)

    def size(self, streams: Collection[int] = BOTH) -> int:
        """How many bytes of these streams there are now."""
        return sum(self.bytes_of[stream] for stream in streams)

    def size_between(self, start: int, stop: int, streams: Collection[int]) -> int:
        """How many bytes of these streams there are between these offsets, with those that were dropped."""
        return self._size_before(stop, streams) - self._size_before(start, streams) if start < stop else 0

    def missing(self, streams: Collection[int] = BOTH) -> str:
        """A sentence that says what cannot be read of the output of these streams up to now, and why; empty: all can."""
        path = screen.inert_line(str(self.path))
        gone = sum(self.lost_of[stream] for stream in streams) + self.size_between(*self.gap, streams)
        if gone:
            self.keep()
            why = self.failure or "its log has reached its limit"
            return f"{phrases.size_words(gone)} of the output are missing: {why}; the rest is in {path}"
        return self.removed(streams)

    def removed(self, streams: Collection[int] = BOTH) -> str:
        """A sentence that says what somebody has removed of all that was written; empty: nothing."""
        path = screen.inert_line(str(self.path))
        if not self.size(streams):
            return ""
        with contextlib.ExitStack() as files:
            try:
                size = os.fstat(self._open(files)).st_size - self._base
            except FileNotFoundError:
                return f"the output is gone: somebody has removed its log, {path}"
        if size < self.bytes:
            return f"{phrases.size_words(self.bytes - size)} of the output are missing: somebody has truncated its log, {path}"
        with self.index() as index:
            if not index.is_whole and BOTH.difference(streams):
                return f"standard output and error cannot be told apart: somebody has removed the index of their log, {path}"
        return ""

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, start: int = 0, size: int | None = None, stream: int | None = None) -> bytes:
        """The bytes from offset `start` on, in order of arrival. What was dropped from the log is left out.

        They are held in memory.

        Args:
            start: an offset in bytes, which counts both streams; negative: from the end.
            size: how many bytes to look at, of both streams; None: up to the end of what is there now.
            stream: give only the bytes of 1 (standard output) or 2 (standard error); None: of both.

        Raises:
            ValueError: somebody has removed the file or a part of it; or there is no such stream.
        """
        streams = streams_of(stream)
        if why := self.removed(streams):
            raise ValueError(why)
        return self.joined(start, size, streams)

    def joined(self, start: int = 0, size: int | None = None, streams: Collection[int] = BOTH) -> bytes:
        """`pieces` joined: what there is, complete or not."""
        return b"".join(data for _, data in self.pieces(start, size, streams))

    def tail(self, lines: int = 10, stream: int | None = None) -> str:
        r"""The last lines, as a terminal would leave them, joined by `\n`; of both streams, or of one.

        They are fewer than `lines` if they are longer than a mebibyte together, or were rewritten very often.

        Raises:
            ValueError: there is no such stream.
        """
        streams = streams_of(stream)
        window = 1024
        start = self.start_of_last(window, streams)
        found = screen.rows(self.pieces(start, streams=streams))
        while len(found) <= lines and start > 0 and window < _MOST_TAIL:
            window *= 4
            start = self.start_of_last(window, streams)
            more = within(screen.rows_in_turns(self.pieces(start, streams=streams)), _TURNS_OF_TAIL + lines // 2)
            if more is None:
                break
            found = more
        return "\n".join(row.plain for row in found[max(0, len(found) - lines) :])

    def last_bytes(self, size: int, stream: int) -> bytes:
        """The last bytes of one stream, at most `size`."""
        return self.joined(self.start_of_last(size, {stream}), streams={stream})[-size:]

    def data(self, streams: Collection[int] = BOTH) -> bytes:
        """All bytes of these streams that were written up to now.

        Raises:
            ValueError: not all of them can be read; the message says why.
        """
        if why := self.missing(streams):
            raise ValueError(why)
        return self.joined(streams=streams)

    def text(self, stream: int) -> str:
        """All of one stream that was written up to now, as a terminal would leave it; see `value`.

        Raises:
            ValueError: not all of it can be read; the message says why.
        """
        return value.text(self.data({stream}))

    def pieces(
        self, start: int = 0, size: int | None = None, streams: Collection[int] = BOTH
    ) -> Iterator[tuple[int, bytes]]:
        """Pairs of stream (1 or 2) and bytes, at most 64 KiB each; only of these streams. No size: up to the end."""
        for _, stream, data in self.spans(start, size, streams):
            yield stream, data

    def spans(
        self, start: int = 0, size: int | None = None, streams: Collection[int] = BOTH
    ) -> Iterator[tuple[int, int, bytes]]:
        """The same with the offset of each piece: (offset, stream, bytes). What was dropped is left out."""
        if start < 0:
            start = max(0, self.bytes + start)
        stop = self.bytes if size is None else min(self.bytes, start + size)
        if start >= stop:
            return
        with contextlib.ExitStack() as files:
            try:
                fd = self._open(files)
            except FileNotFoundError:
                return
            for stream, end in self._runs_between(start, stop, streams):
                if stream not in streams:
                    start = end
                while start < end:
                    if self.gap[0] <= start < self.gap[1]:
                        start = min(end, self.gap[1])
                        continue
                    length = min(_BLOCK, end - start, self.gap[0] - start if start < self.gap[0] else _BLOCK)
                    data = _read_at(fd, length, self._base + start)
                    if b"\0" in data and self._may_have_gap(fd):
                        data, gap = _up_to_hole(fd, data, self._base + start)
                        if gap:
                            start = min(end, start + gap)
                            continue
                    if not data:
                        return  # somebody has truncated the file
                    yield start, stream, data
                    start += len(data)

    def _may_have_gap(self, fd: int) -> bool:
        """Whether the writer may have dropped a part of the file: if not, a hole is how the file system stores zeros."""
        return self._limit is not None and os.fstat(fd).st_size - self._base > self._limit

    def _open(self, files: contextlib.ExitStack) -> int:
        """A descriptor of the file for this reader alone: the log may end meanwhile. Raises FileNotFoundError."""
        fd = os.dup(self._fds[0]) if self._fds and _HAS_PREAD else os.open(self.path, _READ)
        files.callback(os.close, fd)
        if not os.path.samestat(self._made, os.fstat(fd)):
            raise FileNotFoundError(errno.ENOENT, "another file has its name", os.fspath(self.path))
        return fd

    def is_open(self, stream: int) -> bool:
        """Whether more of this stream may come."""
        return stream in self.open_streams

    async def changed(self, seen: int, streams: Collection[int] = BOTH) -> None:
        """Wait until there are more than `seen` bytes, or these streams have ended."""
        while self.bytes <= seen and not self.open_streams.isdisjoint(streams):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    async def finished(self) -> None:
        """Wait until every stream has come to its end."""
        while not self.ended:
            await self.changed(self.bytes)

    def is_there(self) -> bool:
        """Whether the file is still found under its name."""
        with contextlib.suppress(OSError):
            return os.path.samestat(self._made, os.stat(self.path))
        return False

    # --- lines ---------------------------------------------------------------------------------------------------

    def line_count(self, streams: Collection[int] = BOTH) -> int:
        """How many lines of these streams have ended."""
        return sum(self.lines_of[stream] for stream in streams)

    def lines_before(self, offset: int, streams: Collection[int] = BOTH) -> int:
        """How many lines of these streams end before this offset."""
        mark = self.last_mark(offset)
        count = mark.lines(streams)
        return count + sum(data.count(b"\n") for _, data in self.pieces(mark.offset, offset - mark.offset, streams))

    def offset_of(self, line: int, streams: Collection[int] = BOTH) -> int:
        """The offset after the end of this many lines of these streams: where line `line`, counted from 0, begins."""
        if line <= 0:
            return 0
        mark = self.last_mark(line - 1, lambda mark: mark.lines(streams))
        if self.gap[0] <= mark.offset < self.gap[1]:
            return self.gap[1]
        missing = line - mark.lines(streams)
        for offset, _, data in self.spans(mark.offset, streams=streams):
            here = data.count(b"\n")
            if here >= missing:
                return offset + _end_of_line(data, missing)
            missing -= here
        return self.bytes

    def start_of_last(self, size: int, streams: Collection[int]) -> int:
        """The offset at which the last `size` bytes of these streams begin, however much of the other is between."""
        stop = self.bytes
        with self.index() as index:
            for number in reversed(range(len(index))):
                mark = index[number]
                if mark.stream in streams:
                    if stop - mark.offset >= size:
                        return stop - size
                    size -= stop - mark.offset
                stop = mark.offset
        return 0

    def _size_before(self, offset: int, streams: Collection[int]) -> int:
        mark = self.last_mark(offset)
        return mark.bytes(streams) + (mark.stream in streams) * (offset - mark.offset)

    def _runs_between(self, start: int, stop: int, streams: Collection[int]) -> Iterator[tuple[int, int]]:
        """(stream, end offset) of each run of bytes of one stream within start..stop; the index is read as far as needed.

        Consecutive runs of other streams are passed over as one.
        """
        with self.index() as index:
            number = max(0, bisect_right(index, start, key=_offset) - 1)
            mark = index[number]
            while True:
                number += 1
                if mark.stream not in streams:  # on to the last record before any more of these streams
                    number = max(number, bisect_right(index, mark.bytes(streams), number, key=_bytes(streams)) - 1)
                if number >= len(index) or (following := index[number]).offset >= stop:
                    break
                yield mark.stream, following.offset
                mark = following
            yield mark.stream, stop


def _read_at(fd: int, length: int, offset: int) -> bytes:
    if _HAS_PREAD:
        return os.pread(fd, length, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


def _up_to_hole(fd: int, data: bytes, offset: int) -> tuple[bytes, int]:
    """The data up to the first hole in the file, and 0; or nothing, and the size of the hole that it begins with."""
    if sys.platform != "linux":
        return data, 0
    hole = os.lseek(fd, offset, os.SEEK_HOLE) - offset  # the end of the file counts as one
    if hole:
        return data[:hole], 0
    try:
        return b"", os.lseek(fd, offset, os.SEEK_DATA) - offset
    except OSError:
        return b"", 0  # there is nothing after it


def _end_of_line(data: bytes, number: int) -> int:
    """The offset after the `number`-th line end; there are that many."""
    start, stop = 0, len(data)
    while stop - start > 256:
        middle = (start + stop) // 2
        here = data.count(b"\n", start, middle)
        if here >= number:
            stop = middle
        else:
            start, number = middle, number - here
    for _ in range(number):
        start = data.index(b"\n", start) + 1
    return start


def streams_of(stream: int | None) -> frozenset[int]:
    """The streams that this argument stands for.

    Raises:
        ValueError: there is no such stream.
    """
    if stream is None:
        return BOTH
    if stream not in BOTH:
        raise ValueError(f"stream={stream!r}: allowed are 1 (stdout), 2 (stderr) and None (both)")
    return frozenset((stream,))


def close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
