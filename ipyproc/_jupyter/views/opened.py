"""The cards of processes that were opened in the rows of another view."""

from __future__ import annotations

import weakref

from ..._core.process.process import Process
from .process_widget import ProcessWidget, another_widget

_MOST = 20


class Opened:
    """The last cards that were opened, by the numbers of their rows."""

    def __init__(self) -> None:
        self._cards: weakref.WeakValueDictionary[int, ProcessWidget] = weakref.WeakValueDictionary()

    def __repr__(self) -> str:
        return f"<{len(self._cards)} Opened cards>"

    def __contains__(self, number: object) -> bool:
        return number in self._cards

    def open(self, number: int, process: Process | None) -> str:
        """The id of the widget model of this process; empty: it has no log that could be shown."""
        card = self._cards.pop(number, None)
        if card is None or card.comm is None:  # there is none, or it was closed
            if process is None or process.log is None or not process.log.is_there():
                return ""
            card = another_widget(process, is_held=False)
        self._cards[number] = card
        if len(self._cards) > _MOST:
            self._cards.pop(next(iter(self._cards))).close()
        return str(card.model_id)

    def close(self) -> None:
        """Close them all."""
        while self._cards:
            self._cards.popitem()[1].close()
