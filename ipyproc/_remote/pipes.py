"""asyncio's transports for the streams of a program on another machine, which are carried in messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .._core.protocol import WINDOW

PIECE = 1 << 16
"""Bytes of standard input in one message."""


class Reader(asyncio.ReadTransport):
    """The transport of a stream of output that is PIPE. While reading is paused no credit is given, so the program waits.

    Args:
        resumed: called when reading is resumed.
    """

    def __init__(self, resumed: Callable[[], object]) -> None:
        super().__init__()
        self._resumed = resumed
        self._is_closed = False
        self._is_paused = False

    def pause_reading(self) -> None:
        """Pause reading."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Resume reading."""
        self._is_paused = False
        self._resumed()

    def is_reading(self) -> bool:
        """Whether reading is not paused."""
        return not self._is_paused

    def is_closing(self) -> bool:
        """Whether the stream has ended."""
        return self._is_closed

    def close(self) -> None:
        """The stream has ended."""
        self._is_closed = True


class Writer(asyncio.WriteTransport):
    """The transport of standard input. At most `WINDOW` bytes that the program has not read are there or on the way.

    Further bytes wait here.

    Args:
        send: sends bytes there; no bytes mean the end.
        pause, resume: called when many bytes wait, and when there is room again.
    """

    def __init__(
        self, send: Callable[[bytes], object], pause: Callable[[], object], resume: Callable[[], object]
    ) -> None:
        super().__init__()
        self._send, self._pause, self._resume = send, pause, resume
        self._waiting = bytearray()
        self._away = 0  # bytes that were sent, and the program has not taken yet
        self._is_closing = self._is_ended = False
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Whether the program has not taken everything."""
        return bool(self._waiting or self._away)

    def get_write_buffer_size(self) -> int:
        """How many bytes the program has not taken."""
        return len(self._waiting) + self._away

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes as soon as there is room."""
        if self._is_closing:
            return
        self._waiting += data
        self._push()
        if self.get_write_buffer_size() > WINDOW and self._room.is_set():
            self._room.clear()
            self._pause()

    def can_write_eof(self) -> bool:
        """True."""
        return True

    def write_eof(self) -> None:
        """End the input after what was written."""
        self._is_closing = True
        self._push()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._is_closing

    def close(self) -> None:
        """The same as `write_eof`."""
        self.write_eof()

    def abort(self) -> None:
        """End the input, and drop what waits here."""
        self._waiting.clear()
        self.write_eof()

    def taken(self, size: int) -> None:
        """The program has taken `size` bytes."""
        self._away -= size
        self._push()
        if self.get_write_buffer_size() <= WINDOW // 2 and not self._room.is_set():
            self._room.set()
            self._resume()

    async def sent(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    def _push(self) -> None:
        while self._waiting and self._away < WINDOW:
            piece = bytes(self._waiting[:PIECE])
            del self._waiting[: len(piece)]
            self._away += len(piece)
            self._send(piece)
        if self._is_closing and not self._waiting and not self._is_ended:
            self._is_ended = True
            self._send(b"")
