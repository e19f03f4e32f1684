"""How much may be sent: what all views of a kernel together send to the page, and what a page may ask of a card.

Output of programs takes at most 20 messages and 0.3 MB in any second, as rows of cards or, where there is no page, as text.

A page stays quick only if it gets little, however many programs write, and however much (and a server drops messages
when there are too many). A view that has something to send asks for a turn. After silence it gets one at once; else by
its `Rank` and in the order of asking, and no view waits for ever.

What cannot wait (a program has started or ended, the answer to a button or to a search) is sent at once and counted. A
burst of such messages delays the others by `PATIENCE` at most.
"""

from __future__ import annotations

import asyncio
import enum
import time
import weakref
from collections.abc import Callable
from typing import ClassVar

from ..._core.output.turns import SLICE

MESSAGES, MESSAGES_AT_ONCE = 16, 4  # in a second; and how many more after silence
BYTES, BYTES_AT_ONCE = 180_000, 56_000  # the same; the last message may exceed it
TURN_OF_ALL = 4  # every fourth turn goes to the view that has waited longest, whatever its rank
PATIENCE = 0.4  # seconds by which messages that were sent at once delay the others at most
QUESTIONS = 50  # in a second, to one card


class Rank(enum.IntEnum):
    """Whose turn comes first."""

    ANSWER = 0  # a person waits for it
    SEEN = 1  # for a view that is in sight
    NEWS = 2  # for a view that is not
    REST = 3  # nothing new


class Budget:
    """Shares out the messages to the page among the views of one event loop (a subshell has a loop of its own)."""

    _all: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Budget]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Budget:
        """The budget that all views on this loop share."""
        return cls._all.setdefault(loop, cls())

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], int | None], Rank] = {}  # in the order of asking
        self._messages = float(MESSAGES_AT_ONCE)  # how many may be sent now
        self._bytes = float(BYTES_AT_ONCE)  # how many may be sent now
        self._filled_at = time.monotonic()
        self._is_due = False
        self._served_at = 0.0  # when the last turn was used
        self._turns = 1

    def __repr__(self) -> str:
        return f"<Budget with {len(self._waiting)} senders waiting>"

    def ask(self, send: Callable[[], int | None], rank: Rank = Rank.NEWS) -> None:
        """Call `send` when its turn comes; it returns how many bytes it has sent, 0 or None if it sent no message.

        Asking again before that keeps its place, and a better rank makes the turn come sooner.
        """
        self._waiting[send] = min(rank, self._waiting.get(send, rank))
        if not self._is_due:
            self._serve()

    def spend(self, size: int) -> None:
        """Count a message that could not wait."""
        self._messages = max(self._messages - 1, -MESSAGES * PATIENCE)
        self._bytes = max(self._bytes - size, -BYTES * PATIENCE)

    def forget(self, send: Callable[[], int | None]) -> None:
        """Take back `ask`: there is nothing to send any more."""
        self._waiting.pop(send, None)

    def _serve(self) -> None:
        self._is_due = False
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._messages = min(MESSAGES_AT_ONCE, self._messages + passed * MESSAGES)
        self._bytes = min(BYTES_AT_ONCE, self._bytes + passed * BYTES)
        while self._waiting and ((self._messages >= 1 and self._bytes > 0) or now >= self._served_at + PATIENCE):
            if time.monotonic() > now + SLICE:
                break  # so many had nothing to send that other tasks must run now
            is_turn_of_all = self._turns % TURN_OF_ALL == 0
            send = next(iter(self._waiting)) if is_turn_of_all else min(self._waiting, key=self._waiting.__getitem__)
            del self._waiting[send]
            try:
                size = send()
            except Exception as error:  # noqa: BLE001  -- not the fault of the view that happens to ask now
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
    """Lets `QUESTIONS` pass in a second, and as many at once after silence. May be called from any thread.

    ipyproc's pages ask a few times a second, however fast a person scrolls; more can only come from other code.
    """

    def __init__(self) -> None:
        self._left = float(QUESTIONS)
        self._filled_at = time.monotonic()

    def __repr__(self) -> str:
        return f"<QuestionLimit: {self._left:.0f} may pass>"

    def passes(self, cost: float = 1) -> bool:
        """Whether a question may be answered; `cost`: how many simple questions it counts for."""
        now = time.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._left = min(QUESTIONS, self._left + passed * QUESTIONS)
        if self._left < cost:
            return False
        self._left -= cost
        return True
