"""The output of one process on disk: complete, byte-exact, both streams told apart.

A log is one file that holds what the program wrote, in the order in which it arrived, and beside it (only when there is
much of it, or both streams) an index: at which offset another stream goes on, and how many lines end before it.
So line N is found at once, and nothing is kept in memory but a few numbers; whoever reads says how much.

A log of ours takes at most `LIMIT` bytes on disk, or half of what is free when it starts, if that is less (but a mebibyte):
its first and its last half are kept, and what is between is dropped and counted (`dropped`); offsets stay as they are.
Where a file system cannot give back the middle of a file, the log ends at its limit. A file of the user's own (`--log
FILE`) has no limit. A log of ours goes with its last reference, unless a view left out a part of it and points the user to the
file: then it is kept, also after the end of this process, as `storage` says how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from . import screen, storage
from .contents import BOTH, LIMIT, LogContents, close_all
from .reader import LogReader
from .writer import RECORD, STDERR_FD, STDOUT_FD

__all__ = ["BOTH", "LIMIT", "LOG", "STDERR_FD", "STDOUT_FD", "Log", "LogReader"]

LOG: Final = -100
"""For `stdout` and `stderr`: write the output to `process.log`. (PIPE is -1, STDOUT -2, DEVNULL -3.)"""


class Log(LogContents):
    r"""All output of one process, on disk. Made by `stdout=ipyproc.LOG`; found as `process.log`.

    `async for line in log` gives the lines as bytes, from the first one on and up to the end of the output, as they
    come; `log.reader(start=log.bytes)` gives those that come from now on.

    It is written here (`write`, `end`), or in another process, which tells its state (`handed_over`, `take`).

    Attributes:
        path: the file, which holds both streams in order of arrival.
        bytes: how many bytes were written to it.
        dropped: how many of them are not there: beyond the limit, or the disk was full.
        watchers: called at every change; they must be quick.

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
        state = "complete" if self.ended else "still growing"
        return f"<Log of {self.bytes} bytes, {state}, in {screen.inert_line(str(self.path))}>"

    def reader(self, stream: int | None = None, start: int = 0) -> LogReader:
        """A reader of both streams as they arrived, or of one, from this offset on."""
        return LogReader(self, BOTH if stream is None else frozenset((stream,)), start)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, as they come."""
        async for line in self.reader():
            yield line

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        """Append what the program wrote: the first `size` bytes of `data`.

        A full disk is warned of once and counted in `dropped`; the program goes on.
        """
        super().write(stream, data, size)
        self._wake()
        self._warn()

    def end(self, stream: int) -> None:
        """One stream has come to its end."""
        super().end(stream)
        if self.ended:
            self.close()
        self._wake()

    def handed_over(self) -> tuple[int, dict[str, Any]]:
        """The descriptor, and the other arguments of a `LogWriter` in another process, which writes from now on."""
        more = {"base": self._base, "index": str(self._index_path), "limit": self._limit}
        return self._fds[0], {"streams": sorted(self.open_streams), **more}

    def take(self, packed: list[Any]) -> None:
        """Know what the writer in the other process knows."""
        self.unpack(packed)
        if self.ended:
            self.close()
        self._wake()
        if self.failure and not self._has_warned:  # not from here: where warnings are errors, more has to be done first
            asyncio.get_running_loop().call_soon(self._warn)

    def lose(self) -> None:
        """The writer in the other process is gone: what it has not told is in the files."""
        if self.ended or not self._fds:
            return
        self.bytes = os.fstat(self._fds[0]).st_size - self._base
        with contextlib.suppress(OSError):
            self.marks = os.stat(self._index_path).st_size // RECORD.size
        with self.index() as index:
            last = index[len(index) - 1]
        self.bytes_of = {STDOUT_FD: last.stdout_bytes, STDERR_FD: last.offset - last.stdout_bytes}
        self.lines_of = {STDOUT_FD: last.stdout_lines, STDERR_FD: last.stderr_lines}
        for stream, data in self.pieces(last.offset):
            self.bytes_of[stream] += len(data)
            self.lines_of[stream] += data.count(b"\n")
        self.close()
        self._wake()

    def close(self) -> None:
        """Close the descriptors; what is in the files stays. Idempotent.

        If somebody has removed the file, it is held open, for that is the only way to it.
        """
        self.open_streams.clear()
        if not self._fds or not self.is_there():
            return
        if self._kept and not self._own:
            storage.keep(self.path)
        close_all(self._fds)

    def discard(self) -> None:
        """Close it and remove the files at once: the program did not start. A file of the user's own stays."""
        self.close()
        close_all(self._fds)
        self._remove()
        self._remove_index()

    def _warn(self) -> None:
        if self.failure and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{screen.inert_line(str(self.path))}: {self.failure}: output is being lost",
                RuntimeWarning,
                stacklevel=3,
            )

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        for changed in self.watchers:
            changed()
