"""asyncio's transports for the streams of a program on another machine, which are read and written in messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .._core.protocol import WINDOW

PIECE = 1 << 16
"""Bytes of standard input in one message."""


class Reader(asyncio.ReadTransport):
    """Of a stream that is PIPE: while nobody reads, no credit is given, and so the program waits.

    Args:
        resumed: called when somebody reads again.
    """

    def __init__(self, resumed: Callable[[], object]) -> None:
        super().__init__()
        self._resumed = resumed
        self._is_closed = False
        self._is_paused = False

    def pause_reading(self) -> None:
        """Nobody reads now."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Somebody reads again."""
        self._is_paused = False
        self._resumed()

    def is_reading(self) -> bool:
        """Whether somebody reads."""
        return not self._is_paused

    def is_closing(self) -> bool:
        """Whether it is at its end."""
        return self._is_closed

    def close(self) -> None:
        """It is at its end."""
        self._is_closed = True


class Writer(asyncio.WriteTransport):
    """Of standard input: what the program has not read waits here, and no more than the window there.

    Args:
        send: sends bytes there; no bytes are the end.
        pause, resume: called when much waits, and when there is room again.
    """

    def __init__(
        self, send: Callable[[bytes], object], pause: Callable[[], object], resume: Callable[[], object]
    ) -> None:
        super().__init__()
        self._send, self._pause, self._resume = send, pause, resume
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
        """Bytes that the program has not taken."""
        return len(self._waiting) + self._away

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it as soon as there is room."""
        if self._is_closing:
            return
        self._waiting += data
        self._push()
        if self.get_write_buffer_size() > WINDOW and self._room.is_set():
            self._room.clear()
            self._pause()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """Nothing more will be written."""
        self._is_closing = True
        self._push()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._is_closing

    def close(self) -> None:
        """The same, as asyncio names it too."""
        self.write_eof()

    def abort(self) -> None:
        """The same, and what waits is given up."""
        self._waiting.clear()
        self.write_eof()

    def taken(self, size: int) -> None:
        """The program has taken so many bytes."""
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
