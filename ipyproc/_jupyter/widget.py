"""What every widget of ours has: a state that the kernel alone sets, and messages that are checked and heard once.

State flows from kernel to page only: what a page sends to change a trait is ignored. Each message of a page carries
`job`, an id of the widget that nobody can guess, `page`, one id for each load of the page, and `n`, a number that grows
with each message of that page, to whichever widget. A message is handled only if its `n` is above that of the last one
of the page; so it does not matter that it may come twice. For where the kernel allows it, each is heard as soon as it
arrives, in another thread, though a cell keeps the kernel busy; and later in its usual way again.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

import anywidget

from . import kernel
from .wire import QUESTIONS, QuestionLimit

MOST_NUMBER = (1 << 53) - 1  # as a page counts exactly
_STATE_COST = QUESTIONS / 2  # of sending all traits, the code of the page among them
_MOST_PAGES = 1000  # that one widget answers


class Widget(anywidget.AnyWidget):
    """Hears its pages once `_listen` was called; `_hear` gets what they send, in any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._job = secrets.token_hex(16)
        self._heard: dict[str, int] = {}  # the number of the last message of each page
        self._lock = threading.Lock()  # for that, and for the order of what is said about the state
        self._questions = QuestionLimit()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Nothing: no page may change what the kernel says."""

    def close(self) -> None:
        """End the widget, and the layout that ipywidgets gives each one."""
        layout = self.layout
        super().close()
        layout.close()

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        """What a page may send. ipywidgets (8.1 seen) calls this, and shows a traceback for what is not well formed."""
        data = msg["content"].get("data")
        method = data.get("method") if isinstance(data, dict) else None
        if method == "custom" or (method == "request_state" and self._questions.passes(_STATE_COST)):
            super()._handle_msg(msg)

    def _listen(self) -> None:
        self.on_msg(lambda _, content, __: self._hear(content))
        kernel.hear_early(self.comm, self._hear_early)

    def _hear_early(self, data: dict[str, Any]) -> None:
        if data.get("method") == "custom":
            self._hear(data.get("content"))

    def _hear(self, content: object) -> None:
        """Take a message of the page, in any thread."""
        raise NotImplementedError

    def _is_new(self, content: dict[str, Any]) -> bool:
        """Whether a message is for this widget, and comes for the first time."""
        operation, page, number = (content.get(key) for key in ("op", "page", "n"))
        if content.get("job") != self._job or not isinstance(operation, str) or type(number) is not int:
            return False
        if not isinstance(page, str) or len(page) > 64:
            return False
        with self._lock:
            last = self._heard.get(page, -1 if len(self._heard) < _MOST_PAGES else MOST_NUMBER)
            if not last < number <= MOST_NUMBER:
                return False
            self._heard[page] = number
        return True
