"""The base of all widgets: a state that only the kernel sets, and messages that are checked and handled once.

State flows from kernel to page only: a page's attempt to change a trait is ignored. `messages` says which messages there
are in either direction; any other message is ignored. Each message of a page carries `job`, an id of the widget that
cannot be guessed, `page`, an id for each load of the page, and `n`, a number that grows with each message of that page to
any widget. A message is handled only if its `n` is above that of the page's last one, so it may safely arrive twice: where
the kernel allows it, each message is handled as soon as it arrives, in another thread, even while a cell keeps the kernel
busy, and then arrives once more in the usual way. Messages of a page that sends too many are ignored.

A page says when a view is gone, but not when the page itself is closed or reloaded. So a view that is in sight says so
regularly; and a widget whose program has ended is closed when its views are gone, or after a while.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Collection, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import anywidget
import traitlets

from .. import kernel
from ..guard import Guard
from . import front_end, messages, presence
from .budget import QUESTIONS, QuestionLimit

Request = TypeVar("Request")
Message = TypeVar("Message")

_STATE_COST = QUESTIONS / 2  # of sending all traits, which include the loader
_CODE_COST = QUESTIONS / 2
_MOST_PAGES = 1000  # pages that one widget remembers, the last ones to send something
SILENCE = 30.0  # seconds after which a view counts as out of sight; one in sight says so every 10, see view.ts
LINGER = 60.0  # seconds that an ended widget stays open: a view may return (a moved cell), a closed page does not say it is gone
MOST_STAYING = 20  # widgets that have ended and stay in the page


class Pages:
    """The pages that have shown a widget, by the id of their load, and how many views of it the last one has."""

    def __init__(self) -> None:
        self._views: dict[str, int] = {}  # the page that made a view last is the last item

    def __repr__(self) -> str:
        return f"<{len(self)} Pages, the last one with {self.views} views>"

    def __len__(self) -> int:
        return len(self._views)

    @property
    def views(self) -> int:
        """The number of views in the last page; the others may have been reloaded without a word of their views."""
        return next(reversed(self._views.values()), 0)

    def add(self, page: str) -> None:
        """A view of this page was made."""
        self._views[page] = self._views.pop(page, 0) + 1
        if len(self._views) > _MOST_PAGES:
            del self._views[next(iter(self._views))]

    def discard(self, page: str) -> None:
        """A view of this page is gone."""
        if self._views.get(page):
            self._views[page] -= 1


class InSight:
    """The views that are in sight: those that have said so in the last `SILENCE` seconds, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._said_at: dict[Hashable, float] = {}  # the last one to say so is the last item

    def __repr__(self) -> str:
        return f"<{len(self)} views InSight>"

    def __len__(self) -> int:
        self._forget_silent()
        return len(self._said_at)

    def add(self, view: Hashable) -> bool:
        """A view says that it is in sight; returns whether it was not known to be."""
        self._forget_silent()
        is_new = self._said_at.pop(view, None) is None
        self._said_at[view] = time.monotonic()
        if len(self._said_at) > self._most:
            self._forget_oldest()
        return is_new

    def discard(self, view: Hashable) -> None:
        """A view is out of sight."""
        self._said_at.pop(view, None)

    def _forget_silent(self) -> None:
        heard_since = time.monotonic() - SILENCE
        while self._said_at and next(iter(self._said_at.values())) < heard_since:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        del self._said_at[next(iter(self._said_at))]


class Widget(anywidget.AnyWidget, Generic[Request, Message]):
    """Receives messages from its pages once `_listen` was called; each request goes to `_on_request`, in any thread.

    Attributes:
        requests: the union of requests that its pages may send, from `messages`.
        shown: the state that its pages see.
        pages: the pages that have shown it.
    """

    requests: ClassVar[object]
    shown = traitlets.Dict().tag(sync=True)
    _loop: asyncio.AbstractEventLoop
    _staying: ClassVar[
        dict[Widget[Any, Any], None]
    ] = {}  # those that have ended and stay in the page, the oldest first
    unlimited: ClassVar[Collection[str]] = ()  # operations that are handled no matter how often they come

    def __init__(self) -> None:
        super().__init__()
        self._guard = Guard()
        self._job = secrets.token_hex(16)
        self.pages = Pages()
        self._last_numbers: dict[
            str, int
        ] = {}  # the number of each page's last message; the page that sent one last is the last item
        self._has_ended = self._stays = False
        self._closing: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()  # for `_last_numbers`, and so that states are sent in order
        self._questions = QuestionLimit()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Does nothing: no page may change the state."""

    def close(self) -> None:
        """Close the widget, and the layout that ipywidgets makes for each one. Idempotent."""
        self._staying.pop(self, None)
        if self._closing:
            self._closing.cancel()
        layout = self.layout
        super().close()
        layout.close()

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        """Let pass only what a page may send: ipywidgets (8.1 seen) would show a traceback for a malformed message."""
        data = msg["content"].get("data")
        method = data.get("method") if isinstance(data, dict) else None
        if method == "custom":
            request = messages.read(data.get("content"), self.requests)
            if request and request["job"] == self._job:
                presence.hear(msg["header"].get("session"), request["op"])
        if method == "custom" or (method == "request_state" and self._questions.passes(_STATE_COST)):
            super()._handle_msg(msg)

    def _listen(self) -> None:
        self.on_msg(lambda _, content, __: self._receive(content))
        kernel.receive_early(self.comm, self._receive_early)

    def _receive_early(self, data: dict[str, Any]) -> None:
        if data.get("method") == "custom":
            self._receive(data.get("content"))

    def _receive(self, content: object) -> None:
        request = messages.read(content, self.requests)
        if request is None or not self._is_new(request):
            return
        operation = request["op"]
        if operation not in self.unlimited and not self._questions.passes(_CODE_COST if operation == "code" else 1):
            return
        with self._guard:  # else an error would be raised in the kernel's code, and not be reported to the user
            if operation == "code":  # also while the kernel is busy: without the code there are no buttons
                self.send(messages.Code(op="code"), front_end.packed())
            else:
                self._on_request(request, request["page"])

    def _on_request(self, request: Request, page: str) -> None:
        """Handle a checked request that comes for the first time, in any thread."""
        raise NotImplementedError

    def _set_shown(self, shown: messages.Shown) -> None:
        """Set the state."""
        self.shown = dict(shown)

    def _send_message(self, message: Message, buffers: Sequence[bytes] = ()) -> None:
        """Send a message to all pages."""
        self.send(message, list(buffers))

    @property
    def is_in_sight(self) -> bool:
        """Whether somebody looks at a view, as far as the views say so."""
        return False

    def _view_has_come(self, page: str) -> None:
        self.pages.add(page)
        if self._has_ended:
            self._close_if_gone()

    def _view_has_gone(self, page: str) -> None:
        self.pages.discard(page)
        if self._has_ended:
            self._close_if_gone()

    def _end(self, *, stays: bool) -> None:
        """The widget will not change any more; `stays`: it remains in the page, because nothing has replaced it there."""
        self._has_ended, self._stays = True, stays
        if stays:
            self._staying[self] = None
            if len(self._staying) > MOST_STAYING:
                next(iter(self._staying)).close()
        self._close_if_gone()

    def _close_if_gone(self) -> None:
        """Close the widget if its pages have no view of it; else after `LINGER`, as a page may be closed without a word.

        One that stays in the page is kept as long as it has a view. Nothing is closed at once if no page has shown it yet: when JupyterLab 4.6 hears that a widget is closed, it ends the subshell that
        gets the page's messages, and ipykernel 7.4 writes a warning into the cell if a message comes after that.
        """
        if self._closing:
            self._closing.cancel()
        if self._stays and self.pages.views:
            return
        if self.pages and not (self._stays or self.pages.views):
            self.close()
        else:
            self._closing = self._loop.call_later(LINGER, self._close_if_out_of_sight)

    def _close_if_out_of_sight(self) -> None:
        """A client that puts nothing in the place of another display shows it all the same."""
        if self.is_in_sight:
            self._close_if_gone()
        else:
            self.close()

    def _is_new(self, stamp: messages.Stamp) -> bool:
        """Whether a message is for this widget and comes for the first time."""
        page, number = stamp["page"], stamp["n"]
        if stamp["job"] != self._job:
            return False
        with self._lock:
            if self._last_numbers.get(page, -1) >= number:
                return False
            self._last_numbers.pop(page, None)
            self._last_numbers[page] = number
            if len(self._last_numbers) > _MOST_PAGES:
                del self._last_numbers[next(iter(self._last_numbers))]
        return True
