"""The live card of many commands: their progress, with Stop all and Kill all.

See `page.widget` for how messages are checked, and received even while the kernel is busy; `page.messages` for what they
are.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from ..._core.process.process import Process
from ..._core.program.ladder import KILL, TERMINATE
from ..guard import guarded
from ..page import front_end, messages, presence
from ..page.budget import Budget
from ..page.widget import Widget
from .opened import Opened

_BUTTONS = {"stop": TERMINATE, "kill": KILL}


class JobsCard(Widget[messages.JobsRequest, messages.JobsMessage]):
    """Shows pictures, which it gets from elsewhere, while a page looks on.

    Args:
        halt: called by a button, in any thread.
        find: gives the process of the row with this number, if its output can be shown.

    Attributes:
        opened: the cards of rows that somebody has opened.
        is_drawn: a page has said that it has drawn it.
    """

    _esm = front_end.loader("jobs")
    requests = messages.JobsRequest
    unlimited = ("here", "ready", "shown", "bye", *_BUTTONS)

    def __init__(
        self,
        halt: Callable[[int], None] | None = None,
        find: Callable[[int], Process | None] | None = None,
        **_: object,
    ) -> None:
        super().__init__()
        self._made_at = time.monotonic()
        self.is_drawn = False
        self._halt = halt
        self._find = find
        self.opened = Opened()
        self._rung = -1  # of the last button
        self._picture: messages.Picture | None = None
        if find is not None:
            self._loop = asyncio.get_running_loop()
            self._budget = Budget.of(self._loop)
            title = "how far they have come"
            self._set_shown(messages.Shown(version=messages.VERSION, job=self._job, label="Commands", title=title))
            self._listen()

    def __repr__(self) -> str:
        return f"<JobsCard: {self._picture['sentence']}>" if self._picture else "<JobsCard without jobs>"

    @property
    def is_new(self) -> bool:
        """Whether its pages have had no time to draw it."""
        return time.monotonic() < self._made_at + presence.PATIENCE

    def view(self) -> dict[str, object]:
        """The part of a MIME bundle that makes a page show the card."""
        return {
            "application/vnd.jupyter.widget-view+json": {
                "model_id": self.model_id,
                "version_major": 2,
                "version_minor": 0,
            }
        }

    def draw(self, picture: messages.Picture) -> None:
        """Show this picture from now on."""
        self._picture = picture
        if self.pages:
            self._budget.ask(self._send_picture)

    def leave(self) -> None:
        """Something else has replaced the card in the page: its buttons do nothing any more."""
        self._let_go()
        self._end(stays=False)

    def stay(self, picture: messages.Picture) -> None:
        """Show this last picture and remain: in a page that was reloaded, nothing can replace the card."""
        self.draw(picture)
        self._end(stays=True)

    def close(self) -> None:
        """Close the widget and the cards of its rows; its buttons do nothing any more."""
        self._let_go()
        self.opened.close()
        super().close()

    def _let_go(self) -> None:
        """Hold the jobs and their output no longer: the widget may stay open, as a closed page never says that it is gone."""
        if self._find is not None:
            self._halt = self._find = None
            self._budget.forget(self._send_picture)

    @guarded
    def _send_picture(self) -> int:
        if self._picture is None:
            return 0
        message = messages.Draw(op="picture", picture=self._picture, rung=self._rung)
        self._send_message(message)
        return len(str(message))

    def _on_request(self, request: messages.JobsRequest, page: str) -> None:
        halt, operation = self._halt, request["op"]
        if operation in _BUTTONS:
            if halt:
                self._rung = max(self._rung, _BUTTONS[operation])
                halt(self._rung)
                self._send_message(
                    messages.Stopping(op="stopping", rung=self._rung)
                )  # at once, as the kernel may be busy
        else:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._handle, request, page)

    @guarded
    def _handle(self, request: messages.JobsRequest, page: str) -> None:
        operation = request["op"]
        if request["op"] == "card":
            number = request["id"]
            model = self.opened.open(number, self._find(number) if self._find else None)
            self._send_message(messages.CardModel(op="card", id=number, view=request["view"], model=model))
            return
        if operation == "bye":
            self._view_has_gone(page)
            return
        if operation == "ready":
            self._view_has_come(page)
        self.is_drawn = self.is_drawn or operation == "shown"
        if self._find is not None:
            self._budget.ask(self._send_picture)
