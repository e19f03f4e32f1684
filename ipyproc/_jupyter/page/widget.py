"""What every widget of ours has: a state that the kernel alone sets, and messages that are checked and heard once.

State flows from kernel to page only: what a page sends to change a trait is ignored. What may be said, in which
direction, is in `messages`; a message that is not as it says is not heard. Each message of a page carries
`job`, an id of the widget that nobody can guess, `page`, one id for each load of the page, and `n`, a number that grows
with each message of that page, to whichever widget. A message is handled only if its `n` is above that of the last one
of the page; so it does not matter that it may come twice. For where the kernel allows it, each is heard as soon as it
arrives, in another thread, though a cell keeps the kernel busy; and later in its usual way again. A page that asks too
often is not heard.

A page says when a view is gone, but one that was closed or loaded anew does not. So a view that is in sight says so again
and again; and what has ended is closed when its views are gone, or after a while.
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

_STATE_COST = QUESTIONS / 2  # of sending all traits, the loader among them
_CODE_COST = QUESTIONS / 2
_MOST_PAGES = 1000  # that one widget knows; then it forgets those that it heard long ago
SILENCE = 30.0  # seconds; a view in sight says so every 10, see view.ts
LINGER = (
    60.0  # seconds in which a view may come again (a cell that is moved), or that of a page which is gone not say so
)
MOST_STAYING = 20  # that have ended and stay where they are


class Pages:
    """The pages that have shown a widget, each under the id of its load, and how many views the last of them has."""

    def __init__(self) -> None:
        self._views: dict[str, int] = {}  # the page that spoke last stands last

    def __repr__(self) -> str:
        return f"<{len(self)} Pages, the last one with {self.views} views>"

    def __len__(self) -> int:
        return len(self._views)

    @property
    def views(self) -> int:
        """Of the last page: the others may have been loaded anew, and say nothing of their views."""
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
    """The views that somebody looks at: those that have said so in the last `SILENCE` seconds, and no more than `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._said_at: dict[Hashable, float] = {}  # the last one stands last

    def __repr__(self) -> str:
        return f"<{len(self)} views InSight>"

    def __len__(self) -> int:
        self._forget_silent()
        return len(self._said_at)

    def add(self, view: Hashable) -> bool:
        """This one says so; whether it is new."""
        self._forget_silent()
        is_new = self._said_at.pop(view, None) is None
        self._said_at[view] = time.monotonic()
        if len(self._said_at) > self._most:
            self._forget_oldest()
        return is_new

    def discard(self, view: Hashable) -> None:
        """This one is out of sight."""
        self._said_at.pop(view, None)

    def _forget_silent(self) -> None:
        heard_since = time.monotonic() - SILENCE
        while self._said_at and next(iter(self._said_at.values())) < heard_since:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        del self._said_at[next(iter(self._said_at))]


class Widget(anywidget.AnyWidget, Generic[Request, Message]):
    """Hears its pages once `_listen` was called; `_take` gets what they send, in any thread.

    Attributes:
        requests: what they may send, of `messages`.
        shown: the state that they see.
        pages: that have shown it.
    """

    requests: ClassVar[object]
    shown = traitlets.Dict().tag(sync=True)
    _loop: asyncio.AbstractEventLoop
    _staying: ClassVar[dict[Widget[Any, Any], None]] = {}  # that have ended, the oldest first
    unlimited: ClassVar[Collection[str]] = ()  # operations that are heard however often they come

    def __init__(self) -> None:
        super().__init__()
        self._guard = Guard()
        self._job = secrets.token_hex(16)
        self.pages = Pages()
        self._heard: dict[
            str, int
        ] = {}  # the number of the last message of each page; that which spoke last stands last
        self._has_ended = self._stays = False
        self._closing: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()  # for that, and for the order of what is said about the state
        self._questions = QuestionLimit()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Nothing: no page may change what the kernel says."""

    def close(self) -> None:
        """End the widget, and the layout that ipywidgets gives each one. Idempotent."""
        self._staying.pop(self, None)
        if self._closing:
            self._closing.cancel()
        layout = self.layout
        super().close()
        layout.close()

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        """What a page may send. ipywidgets (8.1 seen) calls this, and shows a traceback for what is not well formed."""
        data = msg["content"].get("data")
        method = data.get("method") if isinstance(data, dict) else None
        if method == "custom":
            request = messages.read(data.get("content"), self.requests)
            if request and request["job"] == self._job:
                presence.hear(msg["header"].get("session"), request["op"])
        if method == "custom" or (method == "request_state" and self._questions.passes(_STATE_COST)):
            super()._handle_msg(msg)

    def _listen(self) -> None:
        self.on_msg(lambda _, content, __: self._hear(content))
        kernel.hear_early(self.comm, self._hear_early)

    def _hear_early(self, data: dict[str, Any]) -> None:
        if data.get("method") == "custom":
            self._hear(data.get("content"))

    def _hear(self, content: object) -> None:
        request = messages.read(content, self.requests)
        if request is None or not self._is_new(request):
            return
        operation = request["op"]
        if operation not in self.unlimited and not self._questions.passes(_CODE_COST if operation == "code" else 1):
            return
        with self._guard:  # else whoever has called us, and not the user, would be told
            if operation == "code":  # also while the kernel is busy: without it there is no button
                self.send(messages.Code(op="code"), front_end.packed())
            else:
                self._take(request, request["page"])

    def _take(self, request: Request, page: str) -> None:
        """Take what a page has sent, which is new and as it should be, in any thread."""
        raise NotImplementedError

    def _set_shown(self, shown: messages.Shown) -> None:
        """This is the state from now on."""
        self.shown = dict(shown)

    def _tell(self, message: Message, buffers: Sequence[bytes] = ()) -> None:
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
        """Nothing will change here any more; `stays`: it is to be seen as it is, and nothing has taken its place in the page."""
        self._has_ended, self._stays = True, stays
        if stays:
            self._staying[self] = None
            if len(self._staying) > MOST_STAYING:
                next(iter(self._staying)).close()
        self._close_if_gone()

    def _close_if_gone(self) -> None:
        """Close it when no page shows it; later, where one may come or may be gone without a word.

        Not at once where no page has shown it yet: JupyterLab 4.6 answers an end with that of the thread which takes the
        page's messages (a subshell), and ipykernel 7.4 writes a warning into the cell for a message that comes then.
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
        """Whether a message is for this widget, and comes for the first time."""
        page, number = stamp["page"], stamp["n"]
        if stamp["job"] != self._job:
            return False
        with self._lock:
            if self._heard.get(page, -1) >= number:
                return False
            self._heard.pop(page, None)
            self._heard[page] = number
            if len(self._heard) > _MOST_PAGES:
                del self._heard[next(iter(self._heard))]
        return True
