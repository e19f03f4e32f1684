"""What every widget of ours has: a state that the kernel alone sets, and messages that are checked and heard once.

State flows from kernel to page only: what a page sends to change a trait is ignored. Each message of a page carries
`job`, an id of the widget that nobody can guess, `page`, one id for each load of the page, and `n`, a number that grows
with each message of that page, to whichever widget. A message is handled only if its `n` is above that of the last one
of the page; so it does not matter that it may come twice. For where the kernel allows it, each is heard as soon as it
arrives, in another thread, though a cell keeps the kernel busy; and later in its usual way again. A page that asks too
often is not heard.

What a page sends is a dict with `op`. That of the loader, see `front_end`, for every widget::

    page -> kernel   {op: "ready"}                a view was made
                     {op: "code"}                 the page has no code of ours yet
                     {op: "ping"}                 it has now, and may have missed something
                     {op: "bye"}                  a view has gone
    kernel -> page   {op: "code"} + [script, style], both gzip
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection
from typing import Any, ClassVar

import anywidget

from . import front_end, kernel
from .view import Guard
from .wire import QUESTIONS, QuestionLimit

MOST_NUMBER = (1 << 53) - 1  # as a page counts exactly
_STATE_COST = QUESTIONS / 2  # of sending all traits, the loader among them
_CODE_COST = QUESTIONS / 2
_MOST_PAGES = 1000  # that one widget answers


class Widget(anywidget.AnyWidget):
    """Hears its pages once `_listen` was called; `_take` gets what they send, in any thread."""

    unlimited: ClassVar[Collection[str]] = ()  # operations that are heard however often they come

    def __init__(self) -> None:
        super().__init__()
        self._guard = Guard()
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
        if not isinstance(content, dict) or not self._is_new(content):
            return
        operation = content["op"]
        if operation not in self.unlimited and not self._questions.passes(_CODE_COST if operation == "code" else 1):
            return
        with self._guard:  # else whoever has called us, and not the user, would be told
            if operation == "code":  # also while the kernel is busy: without it there is no button
                self.send({"op": "code"}, front_end.packed())
            else:
                self._take(operation, content)

    def _take(self, operation: str, content: dict[str, Any]) -> None:
        """Take a message of the page that is new, in any thread."""
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
