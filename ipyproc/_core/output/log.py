"""The output of one process on disk: complete, byte for byte, with the two streams told apart.

A log is one file that holds what the program wrote, in the order in which it arrived. If there is much output, or both
streams have some, it has an index too: the offsets at which the stream changes, and how many lines end before each.
So line N is found at once, and memory holds nothing but a few numbers; each reader says how much it wants. When the output
came is in a third file, see `times`.

A log of ours takes at most `LIMIT` bytes on disk, or half of the free space when it starts, if that is less (but at least
a mebibyte). Then the halves of that at its beginning and its end are kept, and what is between is dropped and counted
(`dropped`); offsets stay as they are. Where a file system cannot free the middle of a file, the log ends at its limit.
A file of the user's (`--log FILE`) has no limit. A log of ours is removed with its last reference, unless a view has left
out a part of it and points the user to the file: then it is kept, even after the end of this process; `storage` says for
how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from . import phrases, screen, storage
from .contents import BOTH, LIMIT, LogContents, close_all, streams_of
from .reader import LogReader
from .writer import RECORD, STDERR_FD, STDOUT_FD

__all__ = ["BOTH", "LIMIT", "LOG", "STDERR_FD", "STDOUT_FD", "Log", "LogReader", "streams_of"]

LOG: Final = -100
"""For `stdout` and `stderr`: write the output to `process.log`. (PIPE is -1, STDOUT -2, DEVNULL -3.)"""


class Log(LogContents):
    r"""All output of one process, on disk. Made by `stdout=ipyproc.LOG`; found as `process.log`.

    `async for line in log` gives the lines as bytes, as they come, from the first one to the end of the output;
    `log.reader(start=log.bytes)` reads what comes from now on.

    It is written here (`write`, `end`), or by another process (`hand_over`), which reports its state (`update`).

    Attributes:
        path: the file, which holds both streams in order of arrival.
        bytes: how many bytes were written to it.
        dropped: how many bytes are missing: the log has reached its limit, or the disk was full.
        watchers: called at every change; they must be quick, and the event loop is told of an error in one.

    And those of `LogContents` and `LogWriter`: `bytes_of`, `lines_of`, `gap` and others.

    Example:
        >>> import ipyproc
        >>> log = ipyproc.run("seq", "1000").result().log
        >>> log.bytes, log.lines, log.read(-5), log.tail(2)
        (3893, 1000, b'1000\n', '999\n1000')
    """

    def __init__(
        self,
        streams: frozenset[int] = BOTH,
        *,
        file: str | os.PathLike[str] | None = None,
        append: bool = False,
        limit: int = LIMIT,
    ) -> None:
        super().__init__(streams, file=file, append=append, limit=limit)
        self.watchers: set[Callable[[], None]] = set()
        self._has_warned = False

    def __repr__(self) -> str:
        state = "still growing"
        if self.ended:
            state = f"{phrases.size_words(self.dropped)} are missing" if self.dropped else "complete"
        return f"<Log of {self.bytes} bytes, {state}, in {screen.inert_line(str(self.path))}>"

    def reader(self, stream: int | None = None, start: int = 0) -> LogReader:
        """A reader of both streams in order of arrival, or of one, from this offset on.

        Raises:
            ValueError: there is no such stream.
        """
        return LogReader(self, streams_of(stream), start)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, as they come."""
        async for line in self.reader():
            yield line

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        """Append what the program wrote: the first `size` bytes of `data`.

        If the disk is full, a warning says so once, and what is lost is counted in `dropped`; the program goes on.
        """
        super().write(stream, data, size)
        self._wake()
        self._warn_of_failure()

    def end(self, stream: int) -> None:
        """One stream has come to its end."""
        super().end(stream)
        if self.ended:
            self.close()
        self._wake()

    def hand_over(self) -> tuple[int, dict[str, Any]]:
        """Let another process write from now on: the file's descriptor, and the other arguments of a `LogWriter` there."""
        more = {"base": self._base, "index": str(self._index_path), "limit": self._limit}
        return self._fds[0], {"streams": sorted(self.open_streams), **more}

    def update(self, packed: list[Any]) -> None:
        """Learn the state that the writer in the other process reports; see `LogWriter.pack`."""
        self.unpack(packed)
        if self.ended:
            self.close()
        self._wake()
        self._warn_of_failure()

    def lose(self) -> None:
        """The writer in the other process is gone: take from the files what it has not reported, if they can be read now."""
        if self.ended or not self._fds:
            return
        reported = self.bytes, self.marks
        try:
            self._take_unreported()
        except OSError:  # too many open files, say
            self.bytes, self.marks = reported
        self.close()
        self._wake()

    def _take_unreported(self) -> None:
        self.bytes = os.fstat(self._fds[0]).st_size - self._base
        with contextlib.suppress(OSError):
            self.marks = os.stat(self._index_path).st_size // RECORD.size
        with self.index() as index:
            last = index[len(index) - 1]
        bytes_of = {STDOUT_FD: last.stdout_bytes, STDERR_FD: last.offset - last.stdout_bytes}
        lines_of = {STDOUT_FD: last.stdout_lines, STDERR_FD: last.stderr_lines}
        for stream, data in self.pieces(last.offset):
            bytes_of[stream] += len(data)
            lines_of[stream] += data.count(b"\n")
        self.bytes_of, self.lines_of = bytes_of, lines_of

    def close(self) -> None:
        """Close the descriptors; what is in the files stays. Idempotent.

        If somebody has removed the file, it stays open, as that is the only way to read it.
        """
        self.open_streams.clear()
        if not self._fds or not self.is_there():
            return
        if self._kept and not self._is_user_file:
            storage.keep(self.path)
        close_all(self._fds)

    def discard(self) -> None:
        """Close it and remove the files at once: the program did not start. A file of the user's own stays."""
        self.close()
        close_all(self._fds)
        self._remove()
        self._remove_index()

    def _warn_of_failure(self) -> None:
        """On an event loop in its next turn: where warnings are errors, one would interrupt whoever reads the output."""
        if not self.failure or self._has_warned:
            return
        with contextlib.suppress(RuntimeError):  # there is none
            asyncio.get_running_loop().call_soon(self._warn)
            return
        self._warn()

    def _warn(self) -> None:
        if self.failure and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{screen.inert_line(str(self.path))}: {self.failure}: output is being lost",
                RuntimeWarning,
                stacklevel=4,
            )

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        for changed in tuple(self.watchers):
            try:
                changed()
            except Exception as error:  # noqa: BLE001  -- an error of a view must not end the reading of output
                context = {"message": f"{changed!r} failed for {self!r}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
