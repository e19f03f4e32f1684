"""A reader of a log, with the most used methods of `asyncio.StreamReader`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .contents import LogContents
from .encoding import decode

_BLOCK = 1 << 16  # bytes that are read at a time


class LogReader:
    """Reads a log, and waits for more while the program writes.

    It has `read`, `readline`, `at_eof` and `async for`, as `asyncio.StreamReader` has them. Unlike a pipe, a log that nobody
    reads never blocks the program.
    """

    def __init__(self, log: LogContents, streams: frozenset[int], start: int = 0) -> None:
        self._log = log
        self._streams = streams
        self._position = start  # in the log
        self._buffer = b""  # one piece of this stream, at most _BLOCK bytes ...
        self._used = 0  # ... of which this many were read
        self._consumed = False

    def __repr__(self) -> str:
        name = {frozenset((1,)): "stdout", frozenset((2,)): "stderr"}.get(self._streams, "a log")
        return f"<LogReader of {name}, {self._log.size(self._streams)} bytes so far>"

    @property
    def text(self) -> str:
        """All that was written up to now, as text; invalid bytes become U+FFFD.

        Raises:
            ValueError: not all of it can be read; the message says why.
        """
        return decode(self._log.data(self._streams))

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes, at least one unless at the end; -1: all up to the end (held in memory).

        Raises:
            ValueError: somebody has removed what is to be read; or with -1, a part is missing; the message says why.
        """
        if n >= 0:
            if n:
                await self._fill()
            return self._pop(n)
        parts: list[bytes] = []
        while await self._fill():
            parts.append(self._pop(_BLOCK))
        if parts and (why := self._log.missing(self._streams)):
            raise ValueError(why)
        return b"".join(parts)

    async def readline(self) -> bytes:
        """One line with its newline; at the end whatever is left, which may be empty."""
        parts: list[bytes] = []
        while await self._fill():
            newline = self._buffer.find(b"\n", self._used)
            parts.append(self._pop(newline + 1 - self._used if newline >= 0 else _BLOCK))
            if newline >= 0:
                break
        return b"".join(parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines, as they come."""
        while line := await self.readline():
            yield line

    def at_eof(self) -> bool:
        """Whether the stream has ended and all of it was read."""
        return not self._is_open and not self._load()

    def consume(self) -> None:
        """Read nothing more here but the end: the stream is read elsewhere (it is shown in the cell)."""
        self._consumed = True

    # --- asyncio's subprocess protocol feeds a reader by these names, where a pipe is asyncio's -------------------

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Nothing to pause: the log takes everything."""

    def feed_data(self, data: bytes) -> None:
        """The program wrote this."""
        self._log.write(next(iter(self._streams)), data)

    def feed_eof(self) -> None:
        """The program closed this stream."""
        self._log.end(next(iter(self._streams)))

    def set_exception(self, exc: BaseException) -> None:
        """Reading the pipe failed; what came before is in the log."""
        self.feed_eof()

    @property
    def _is_open(self) -> bool:
        return any(self._log.is_open(stream) for stream in self._streams)

    async def _fill(self) -> bool:
        """Wait for bytes; False at the end."""
        waited = False
        while not self._load():
            if not self._is_open:
                return False
            await self._log.changed(self._position, self._streams)
            waited = True
        if not (waited or self._used):
            await asyncio.sleep(0)  # a log may hold much, and others want the event loop too
        return True

    def _load(self) -> bool:
        """Put the next bytes that are there now, if any, into the buffer."""
        if self._consumed:
            self._position, self._buffer = self._log.bytes, b""
        if self._used >= len(self._buffer) and self._position < self._log.bytes:
            self._buffer, self._used = b"", 0
            if why := self._log.removed(self._streams):
                raise ValueError(why)
            for offset, _, data in self._log.spans(self._position, streams=self._streams):
                self._buffer, self._position = data, offset + len(data)
                break
            else:  # all that is left is of the other stream, or dropped
                self._position = self._log.bytes
        return self._used < len(self._buffer)

    def _pop(self, count: int) -> bytes:
        taken = self._buffer[self._used : self._used + count]
        self._used += len(taken)
        return taken
