"""How much may be sent: what all views of a kernel together send to the page, and what a page may ask of a card.

What programs write is at most 20 messages and 0.3 MB in any second: rows of cards, and text where there is no page.

A page stays quick only if it gets little, however many programs write however much (the server, too, drops what is
more than it likes). Whoever has something to send asks for a turn. After silence it comes at once; else by its `Rank`
and in the order of asking, and nobody waits for ever.

What cannot wait (a program has started or ended, the answer to a button or to a search) is sent at once and counted. A
burst of that holds the others up for `PATIENCE`, and no longer.
"""

from __future__ import annotations

import asyncio
import enum
import time
import weakref
from collections.abc import Callable
from typing import ClassVar

from ..._core.output.turns import SLICE

MESSAGES, MESSAGES_AT_ONCE = 16, 4  # a second; and beyond that after silence
BYTES, BYTES_AT_ONCE = 180_000, 56_000  # and the last message that had begun
TURN_OF_ALL = 4  # each fourth turn is that of whoever waits longest, whatever his rank
PATIENCE = 0.4  # seconds; so long at most after what was sent at once it is another's turn
QUESTIONS = 50  # a second, of one card


class Rank(enum.IntEnum):
    """Whose turn comes first."""

    ANSWER = 0  # a person waits for it
    SEEN = 1  # somebody looks at it
    NEWS = 2
    REST = 3  # nothing that was not there before


class Budget:
    """Shares out the messages to the page among the views of one event loop (a subshell has a loop of its own)."""

    _all: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Budget]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Budget:
        """The budget that all views on this loop share."""
        return cls._all.setdefault(loop, cls())

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], int | None], Rank] = {}  # in the order of asking
        self._messages = float(MESSAGES_AT_ONCE)  # that may be sent now
        self._bytes = float(BYTES_AT_ONCE)
        self._filled_at = time.monotonic()
        self._is_due = False
        self._served_at = 0.0  # when somebody had a turn last
        self._turns = 1

    def __repr__(self) -> str:
        return f"<Budget with {len(self._waiting)} senders waiting>"

    def ask(self, send: Callable[[], int | None], rank: Rank = Rank.NEWS) -> None:
        """Call `send` when it is its turn; it tells how many bytes it has sent, 0 or None for no message at all.

        To ask again before that makes it no later, and sooner by a better rank.
        """
        self._waiting[send] = min(rank, self._waiting.get(send, rank))
        if not self._is_due:
            self._serve()

    def spend(self, size: int) -> None:
        """Count a message that could not wait."""
        self._messages = max(self._messages - 1, -MESSAGES * PATIENCE)
        self._bytes = max(self._bytes - size, -BYTES * PATIENCE)

    def forget(self, send: Callable[[], int | None]) -> None:
        """It has nothing to send any more."""
        self._waiting.pop(send, None)

    def _serve(self) -> None:
        self._is_due = False
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._messages = min(MESSAGES_AT_ONCE, self._messages + passed * MESSAGES)
        self._bytes = min(BYTES_AT_ONCE, self._bytes + passed * BYTES)
        while self._waiting and ((self._messages >= 1 and self._bytes > 0) or now >= self._served_at + PATIENCE):
            if time.monotonic() > now + SLICE:
                break  # many had nothing to send
            is_turn_of_all = self._turns % TURN_OF_ALL == 0
            send = next(iter(self._waiting)) if is_turn_of_all else min(self._waiting, key=self._waiting.__getitem__)
            del self._waiting[send]
            try:
                size = send()
            except Exception as error:  # noqa: BLE001  -- it is not the fault of whoever asks now
                context = {"message": "a message to the page could not be sent", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
                continue
            if size:
                self._served_at = now
                self._turns += 1
                self._messages -= 1
                self._bytes -= size
        if self._waiting:
            delay = max((1 - self._messages) / MESSAGES, -self._bytes / BYTES)
            delay = max(min(delay, self._served_at + PATIENCE - now), SLICE)
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
