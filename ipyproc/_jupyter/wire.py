"""How much goes over the wire: what all cards of a kernel together send to the page, and what a page may ask of a card.

Sent are at most 20 messages and 0.3 MB in any second.

A page stays quick only if it gets little, however many programs write however much (the server, too, drops what is
more than it likes). Whoever has something to send asks for a turn. After silence it comes at once; else in the order of
asking, what a person waits for (a part of the log that was scrolled to) first.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import ClassVar

MESSAGES, MESSAGES_AT_ONCE = 16, 4  # a second; and beyond that after silence
BYTES, BYTES_AT_ONCE = 180_000, 56_000  # and the last message that had begun
QUESTIONS = 50  # a second, of one card


class Wire:
    """Gives turns to send on one event loop; `of` gives that of all cards there (a subshell has a loop of its own)."""

    _all: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Wire]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Wire:
        """The one wire of this loop."""
        return cls._all.setdefault(loop, cls())

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], int | None]] = deque()
        self._messages = float(MESSAGES_AT_ONCE)  # that may be sent now
        self._bytes = float(BYTES_AT_ONCE)
        self._filled_at = time.monotonic()
        self._is_due = False

    def __repr__(self) -> str:
        return f"<Wire with {len(self._waiting)} waiting>"

    def ask(self, send: Callable[[], int | None], *, first: bool = False) -> None:
        """Call `send` when it is its turn; it tells how many bytes it has sent, 0 or None for no message at all.

        To ask again before that changes nothing.
        """
        if send not in self._waiting:
            if first:
                self._waiting.appendleft(send)
            else:
                self._waiting.append(send)
        if not self._is_due:
            self._serve()

    def spend(self, size: int) -> None:
        """Count a message that could not wait."""
        self._messages -= 1
        self._bytes -= size

    def forget(self, send: Callable[[], int | None]) -> None:
        """It has nothing to send any more."""
        if send in self._waiting:
            self._waiting.remove(send)

    def _serve(self) -> None:
        self._is_due = False
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._messages = min(MESSAGES_AT_ONCE, self._messages + passed * MESSAGES)
        self._bytes = min(BYTES_AT_ONCE, self._bytes + passed * BYTES)
        while self._waiting and self._messages >= 1 and self._bytes > 0:
            send = self._waiting.popleft()
            try:
                size = send()
            except Exception as error:  # noqa: BLE001  -- it is not the fault of whoever asks now
                context = {"message": "a message to the page could not be sent", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
                continue
            if size:
                self.spend(size)
        if self._waiting:
            delay = max((1 - self._messages) / MESSAGES, -self._bytes / BYTES, 0.005)
            self._is_due = True
            asyncio.get_running_loop().call_later(delay, self._serve)


class QuestionLimit:
    """Lets `QUESTIONS` pass in a second, and as many at once after silence; for any thread.

    A page asks a few times a second, however fast a person scrolls; what is more was made by somebody else.
    """

    def __init__(self) -> None:
        self._left = float(QUESTIONS)
        self._filled_at = time.monotonic()

    def __repr__(self) -> str:
        return f"<QuestionLimit: {self._left:.0f} may pass>"

    def passes(self, cost: float = 1) -> bool:
        """Whether a question may be answered that costs as much as so many."""
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._left = min(QUESTIONS, self._left + passed * QUESTIONS)
        if self._left < cost:
            return False
        self._left -= cost
        return True
