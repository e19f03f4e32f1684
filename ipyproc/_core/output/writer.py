"""Writes a log to disk: the output of one process, in order of arrival, and an index of it.

Standard library only, and of this package `times` and `new_file`: a shim (see `launch.held`) runs it in an interpreter
of its own.
`log` says what the files hold, and what the limit means.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import re
import struct
import sys
from collections.abc import Callable, Collection
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

from .new_file import open_new
from .times import Times

STDOUT_FD = 1
STDERR_FD = 2
RECORD = struct.Struct("<QBQQQ")
"""A `Mark` as it is stored in the index."""
MARK_EVERY = 1 << 16
"""Bytes after which the next write gets a record of the index."""

# can change other lines than its own, or contains line ends (an image of sixels)
_MOVES = re.compile(rb"\x1b(?:\[[0-9;:]*[ABEFHJLMSTdfru]|[78DEM]|P[0-9;]*q)")
_STARTS_MOVE = re.compile(rb"\x1b(?:\[[0-9;:]*|P[0-9;]*)?\Z")  # may become one
_LONGEST_MOVE = 64  # bytes of a sequence that is recognized although it was cut


class Mark(NamedTuple):
    """One record of the index: from this offset on, the bytes are of this stream; and what is before it of each stream."""

    offset: int
    stream: int
    stdout_lines: int
    stderr_lines: int
    stdout_bytes: int

    def bytes(self, streams: Collection[int]) -> int:
        """How many bytes of these streams are before it."""
        on_stderr = self.offset - self.stdout_bytes
        return (STDOUT_FD in streams) * self.stdout_bytes + (STDERR_FD in streams) * on_stderr

    def lines(self, streams: Collection[int]) -> int:
        """How many lines of these streams end before it."""
        return (STDOUT_FD in streams) * self.stdout_lines + (STDERR_FD in streams) * self.stderr_lines


class Index:
    """The first `count` records of an index; if there are none (or somebody has removed the file), only `first`.

    `fd`: a descriptor of the file, which stays open; None: it is opened by its path.
    """

    def __init__(self, path: str | os.PathLike[str], fd: int | None, count: int, first: Mark) -> None:
        self._first = first
        self._count = count
        self._file: BinaryIO | None = None
        if count:
            with contextlib.suppress(FileNotFoundError):
                self._file = open(path if fd is None else os.dup(fd), "rb")  # noqa: SIM115  -- closed by __exit__

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def __len__(self) -> int:
        return max(1, self._there) if self._file else 1

    def __getitem__(self, number: int) -> Mark:
        if self._file:
            self._file.seek(number * RECORD.size)
            data = self._file.read(RECORD.size)
            if len(data) == RECORD.size:
                return Mark(*RECORD.unpack(data))
        return self._first

    @property
    def is_whole(self) -> bool:
        """Whether all of its records are there."""
        return self._there == self._count

    @property
    def _there(self) -> int:
        return min(self._count, os.fstat(self._file.fileno()).st_size // RECORD.size) if self._file else 0


class LogWriter:
    """Writes a log, and knows what its readers need to know.

    Args:
        streams: the streams that will be written.
        fds: a list with the descriptor of the log; that of the index is added once there is one. The caller closes them.
        base: the offset in the file at which the log begins.
        index: the path of the index.
        limit: bytes on disk; None: there is no limit.

    Attributes:
        bytes: how many bytes were written to it; `bytes_of`: the same for stream 1 and stream 2.
        lines_of: how many lines have ended in each stream.
        dropped: how many bytes are missing: the log has reached its limit, or the disk was full.
        lost_of: how many bytes of each stream could not be written, and so are not counted in `bytes`.
        gap: the offsets between which bytes were dropped to keep the limit.
        moved_at: at or before this offset a sequence begins that may change earlier lines; None: there is none.
        open_streams: the streams that have not ended.
        marks: how many records the index has.
        first_stream: the stream of the first bytes.
        failure: why output was first lost; empty: none was.
        times: when the output came; in a file beside the index.
    """

    def __init__(
        self, streams: Collection[int], fds: list[int], *, base: int, index: str | os.PathLike[str], limit: int | None
    ) -> None:
        self._fds = fds
        self._base = base
        self._index_path = index
        self._limit = limit
        self._mark: Mark | None = None  # the last one
        self._beginnings: dict[int, bytes] = {}  # of a sequence, at the end of the last write of a stream
        self._full = False  # it has ended at its limit
        self._has_index = True  # it has one, or can have one
        self.bytes = 0
        self.bytes_of = {STDOUT_FD: 0, STDERR_FD: 0}
        self.lines_of = {STDOUT_FD: 0, STDERR_FD: 0}
        self.lost_of = {STDOUT_FD: 0, STDERR_FD: 0}
        self.dropped = 0
        self.gap = (0, 0)
        self.moved_at: int | None = None
        self.open_streams = set(streams)
        self.marks = 0
        self.first_stream = min(streams, default=STDOUT_FD)  # that of the first byte
        self.failure = ""
        self.times = Times(f"{os.path.splitext(index)[0]}.times")

    def __repr__(self) -> str:
        return f"<LogWriter of {self.bytes} bytes so far>"

    def pack(self) -> list[Any]:
        """What a reader needs to know, for JSON."""
        lines = self.lines_of
        return [
            *(self.bytes, self.bytes_of[STDOUT_FD], lines[STDOUT_FD], lines[STDERR_FD], self.dropped, *self.gap),
            *(self.moved_at, sorted(self.open_streams), self.marks, self.first_stream, self.failure),
            *(self.lost_of[STDOUT_FD], self.lost_of[STDERR_FD], self.times.first, self.times.has_file),
        ]

    def unpack(self, packed: list[Any]) -> None:
        """Take over what another writer has packed."""
        self.bytes, on_stdout, stdout_lines, stderr_lines, self.dropped, start, stop = packed[:7]
        self.moved_at, open_streams, self.marks, self.first_stream, self.failure, *lost = packed[7:14]
        self.lost_of = dict(zip((STDOUT_FD, STDERR_FD), lost, strict=True))
        self.bytes_of = {STDOUT_FD: on_stdout, STDERR_FD: self.bytes - on_stdout}
        self.lines_of = {STDOUT_FD: stdout_lines, STDERR_FD: stderr_lines}
        self.gap, self.open_streams = (start, stop), set(open_streams)
        self.times.first, self.times.has_file = packed[14:]

    def index(self) -> Index:
        """The index, as far as it is known here."""
        fd = self._fds[1] if len(self._fds) > 1 else None
        return Index(self._index_path, fd, self.marks, Mark(0, self.first_stream, 0, 0, 0))

    def last_mark(self, most: int, key: Callable[[Mark], int] = lambda mark: mark.offset) -> Mark:
        """The last record of the index whose key is `most` or less; or the first record."""
        with self.index() as index:
            return index[max(0, bisect.bisect_right(index, most, key=key) - 1)]

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        """Append what the program wrote: the first `size` bytes of `data`.

        What a full disk does not take is counted in `dropped`; the program goes on.
        """
        size = len(data) if size is None else size
        done = 0
        if monotonic() >= self.times.due:
            self.times.note(self.bytes)
        try:
            self._look_for_moves(stream, data, size)
            self._mark_place(stream)
            with memoryview(data) as view:
                while done < size and not self._full:
                    written = os.write(self._fds[0], view[done:size])
                    lines = data.count(b"\n", done, done + written)
                    done += written
                    self.bytes += written
                    self.bytes_of[stream] += written
                    self.lines_of[stream] += lines
        except OSError as error:
            self.failure = self.failure or error.strerror or str(error)
        self.dropped += size - done
        self.lost_of[stream] += size - done
        if self._limit is not None and self.bytes - (self.gap[1] - self.gap[0]) > self._limit:
            self._keep_limit(self._limit)

    def end(self, stream: int) -> None:
        """One stream has come to its end."""
        self.open_streams.discard(stream)

    def _mark_place(self, stream: int) -> None:
        """Write a record of the index where it is due: another stream, or much since the last one."""
        last = self._mark
        if last and last.stream == stream and self.bytes - last.offset < MARK_EVERY:
            return
        lines = self.lines_of
        mark = Mark(self.bytes, stream, lines[STDOUT_FD], lines[STDERR_FD], self.bytes_of[STDOUT_FD])
        if last and self.bytes:  # a short log of one stream needs no index
            if len(self._fds) == 1:
                self._fds.append(self._open_index())
            data = RECORD.pack(*mark) if self.marks else RECORD.pack(*last) + RECORD.pack(*mark)
            if os.write(self._fds[1], data) < len(data):  # the disk is full
                os.ftruncate(self._fds[1], self.marks * RECORD.size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.marks += len(data) // RECORD.size
        else:
            self.first_stream = stream
        self._mark = mark

    def _open_index(self) -> int:
        """Create the index. If somebody has removed its directory, the log goes on without one, which readers notice."""
        try:
            return open_new(self._index_path)
        except FileNotFoundError:
            self._has_index = False
            return os.open(os.devnull, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))

    def _look_for_moves(self, stream: int, data: bytes | bytearray, size: int) -> None:
        """Find the first sequence that may change earlier lines, also where it is cut by the end of a piece."""
        if self.moved_at is not None:
            return
        begun = self._beginnings.pop(stream, b"")
        if not begun and data.find(b"\x1b", 0, size) < 0:
            return
        piece = begun + data[:size]
        if _MOVES.search(piece):
            self.moved_at = self.bytes
        elif start := _STARTS_MOVE.search(piece, max(0, len(piece) - _LONGEST_MOVE)):
            self._beginnings[stream] = start[0]

    def _keep_limit(self, limit: int) -> None:
        """Drop the middle. The gap begins and ends at records of the index, so that its lines are known."""
        if not self._has_index:
            self._full = True
            return
        half, slack = limit // 2, max(limit // 16, MARK_EVERY)
        start = self.gap[0] or self.last_mark(half).offset
        stop = self.last_mark(self.bytes - half).offset
        known = max(start, self.gap[1])
        if stop - known < slack:
            return
        if not punch(self._fds[0], self._base + known, self._base + stop):
            self._full = True
            return
        self.dropped += stop - known
        self.gap = (start, stop)


def punch(fd: int, start: int, stop: int) -> bool:
    """Give back the disk space of these bytes of a file, as far as they are whole blocks; False where that can't be done."""
    if sys.platform != "linux":
        return False
    import ctypes  # late: needed by the few logs that reach their limit

    keep_size, punch_hole = 1, 2  # linux/falloc.h
    block = os.fstat(fd).st_blksize  # a part of a block would become zeros, which readers cannot tell from data
    start, stop = -(-start // block) * block, stop // block * block
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or libc.fallocate  # musl has only the latter
    done: int = fallocate(fd, keep_size | punch_hole, ctypes.c_int64(start), ctypes.c_int64(stop - start))
    return done == 0
