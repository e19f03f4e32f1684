"""What all cards of a kernel together send to the page: at most 20 messages and 0.3 MB in any second.

A page stays quick only if it gets little, however many programs write however much (the server, too, drops what is
more than it likes). Whoever has something to send asks for a turn. After silence it comes at once; else in the order of
asking, what a person waits for (a part of the log that was scrolled to) first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

MESSAGES, MESSAGES_AT_ONCE = 16, 4  # a second; and beyond that after silence
BYTES, BYTES_AT_ONCE = 180_000, 56_000  # and the last message that had begun


class Wire:
    """Gives turns to send on one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], int]] = deque()
        self._messages = float(MESSAGES_AT_ONCE)  # that may be sent now
        self._bytes = float(BYTES_AT_ONCE)
        self._filled_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Wire with {len(self._waiting)} waiting>"

    def ask(self, send: Callable[[], int], *, first: bool = False) -> None:
        """Call `send` when it is its turn; it tells how many bytes it has sent, 0 for no message at all.

        To ask again before that changes nothing.
        """
        if send not in self._waiting:
            if first:
                self._waiting.appendleft(send)
            else:
                self._waiting.append(send)
        if self._timer is None:
            self._serve()

    def spend(self, size: int) -> None:
        """Count a message that could not wait."""
        self._messages -= 1
        self._bytes -= size

    def forget(self, send: Callable[[], int]) -> None:
        """It has nothing to send any more."""
        if send in self._waiting:
            self._waiting.remove(send)

    def _serve(self) -> None:
        self._timer = None
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._messages = min(MESSAGES_AT_ONCE, self._messages + passed * MESSAGES)
        self._bytes = min(BYTES_AT_ONCE, self._bytes + passed * BYTES)
        while self._waiting and self._messages >= 1 and self._bytes > 0:
            size = self._waiting.popleft()()
            if size:
                self.spend(size)
        if self._waiting:
            delay = max((1 - self._messages) / MESSAGES, -self._bytes / BYTES, 0.005)
            self._timer = asyncio.get_running_loop().call_later(delay, self._serve)
