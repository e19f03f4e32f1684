"""When the output of a program came: a file beside its log, which grows with the time of writing and not with the output.

Standard library only, and nothing of this package but `new_file`: a shim (see `launch.held`) runs it in an interpreter of
its own.

A record says that the bytes from its offset on, up to that of the next one, came at its time or a moment later. The file
begins with the step: the shortest time between two records. It has `MOST` records at most: then the step is doubled, and
records that are nearer to one another go. There is no file as long as all output came in one step.

What cannot be written (a full disk) or was removed is not guessed at: nothing is known of any time then.
"""

from __future__ import annotations

import bisect
import contextlib
import io
import math
import os
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from .new_file import open_new

STEP = 0.1
"""Seconds, the shortest time between two records."""
MOST = 1 << 16
"""Records: one mebibyte."""
_RECORD = struct.Struct("<Qd")  # an offset in the log, and a time; the first one has the step instead of a time
_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Moment(NamedTuple):
    """When a byte came: at this time in seconds since the epoch, or less than `within` seconds later."""

    at: float
    within: float


class Times:
    """The times of one log, for whoever writes it and for its readers.

    Attributes:
        path: of the file.
        first: when the first byte came, in seconds since the epoch; None: nothing came, or nothing is known.
        has_file: whether there is a file.
        due: when the next time is to be noted, by `time.monotonic()`; `write` looks at this for each piece of output.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.first: float | None = None
        self.has_file = False
        self.due = -math.inf
        self._step = STEP
        self._count = 0  # of the records in the file

    def __repr__(self) -> str:
        return f"<Times in {self.path}>"

    def note(self, offset: int) -> None:
        """Output comes now, whose first byte has this offset. Never raises an error: the log goes on without times."""
        now = time.time()
        self.due = time.monotonic() + self._step
        if self.first is None:
            self.first = now
            return
        try:
            self._write(offset, now)
        except OSError:
            self.forget()

    def forget(self) -> None:
        """Nothing is known from now on, and nothing is noted any more: a part would be taken for the whole."""
        self.first, self.due = None, math.inf
        if self.has_file:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def at(self, offset: int) -> Moment | None:
        """When the byte at this offset came; None: that is not known."""
        return self._find(offset, 0)[1]

    def offset(self, at: float) -> int | None:
        """The offset of what had come last at this time; 0 before anything came; None: that is not known."""
        offset, moment = self._find(at, 1)
        return None if moment is None else offset

    def _find(self, most: float, field: int) -> tuple[int, Moment | None]:
        """The last record with no more than this in this field (or the first one): its offset, and its time."""
        if self.first is None:
            return 0, None
        try:
            with open(self.path, "rb", buffering=0) as file:
                count = os.fstat(file.fileno()).st_size // _RECORD.size
                step = _read(file, 0)[1]
                places = range(1, count)
                place = bisect.bisect_right(places, most, key=lambda place: _read(file, place)[field])
                offset, at = _read(file, places[max(0, place - 1)])
        except FileNotFoundError:
            return 0, None if self.has_file else Moment(self.first, STEP)
        except (OSError, struct.error, IndexError):
            return 0, None
        return offset, Moment(at, 2 * step - STEP)  # what a step has merged was merged by those before it

    def _write(self, offset: int, now: float) -> None:
        data = _RECORD.pack(offset, now)
        if self.has_file:
            fd = os.open(self.path, _APPEND)
        else:
            fd = open_new(self.path)
            self.has_file = True
            data = _RECORD.pack(0, self._step) + _RECORD.pack(0, self.first) + data
        try:
            _write_all(fd, data)
        finally:
            os.close(fd)
        self._count += len(data) // _RECORD.size
        if self._count > MOST:
            self._thin()

    def _thin(self) -> None:
        """Put a file with fewer records in its place; whoever reads it now goes on with the one that it has open."""
        with open(self.path, "rb") as file:
            records = [*_RECORD.iter_unpack(file.read())][1:]
        while len(records) > MOST // 2:
            self._step *= 2
            records = [*_apart(records, self._step)]
        fd = open_new(f"{self.path}.new")
        try:
            _write_all(fd, b"".join(_RECORD.pack(*record) for record in ((0, self._step), *records)))
        finally:
            os.close(fd)
        os.replace(f"{self.path}.new", self.path)
        self._count = len(records) + 1


def _apart(records: list[tuple[int, float]], step: float) -> Iterator[tuple[int, float]]:
    last = -math.inf
    for offset, at in records:
        if not 0 <= at - last < step:
            last = at
            yield offset, at


def _read(file: io.FileIO, place: int) -> tuple[int, float]:
    file.seek(place * _RECORD.size)
    offset, at = _RECORD.unpack(file.read(_RECORD.size))
    return offset, at


def _write_all(fd: int, data: bytes) -> None:
    if os.write(fd, data) < len(data):
        raise OSError("the disk is full")
