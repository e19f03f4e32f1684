r"""The live card of many commands: how far they have come, with Stop all and Kill all.

How its messages are checked, and heard though the kernel is busy, is said in `widget`. What programs wrote travels in
custom messages and never in a synced trait. Wire, without what all widgets have::

    page -> kernel   {op: "ready" | "bye"}            a view was made (the answer is a picture), is gone
                     {op: "ping"}                     the code has come; the answer is a picture
                     {op: "stop" | "kill"}            a button
    kernel -> page   {op: "picture", ...}             all that is to be seen, see `Picture`
                     {op: "stopping", rung}           the answer to a button, at once: how far up the ladder it is
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from ..._core.program.ladder import KILL, TERMINATE
from ..guard import guarded
from ..page import front_end, presence
from ..page.budget import Wire
from ..page.widget import Widget

_BUTTONS = {"stop": TERMINATE, "kill": KILL}


@dataclasses.dataclass(frozen=True)
class Row:
    """One command: its state, a mark for that, its name, how it ended or what it wrote last, since when it runs."""

    state: str
    mark: str
    name: str
    what: str
    time: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """What there is to see: a sentence, a bar (of `total`), some rows, how many there are besides, and whether it is the end."""

    sentence: str
    total: int
    done: int
    failed: int
    rows: Sequence[Row]
    more: str
    over: bool


class JobsCard(Widget):
    """Shows pictures, which it gets from elsewhere, while a page looks on; a button calls `halt`, in any thread."""

    _esm = front_end.loader("jobs")
    unlimited = ("ready", "bye", *_BUTTONS)
    shown = traitlets.Dict().tag(sync=True)

    def __init__(self, halt: Callable[[int], None] | None = None, **_: object) -> None:
        super().__init__()
        self.made_at = time.monotonic()
        self._halt = halt
        self._rung = -1  # of the last button
        self._picture: Picture | None = None
        if halt is not None:
            self._loop = asyncio.get_running_loop()
            self._wire = Wire.of(self._loop)
            self.shown = {"job": self._job, "label": "Commands", "title": "how far they have come"}
            self._listen()

    def __repr__(self) -> str:
        return f"<JobsCard: {self._picture.sentence}>" if self._picture else "<JobsCard without jobs>"

    def view(self) -> dict[str, object]:
        """The part of a MIME bundle that makes a page show it."""
        return {
            "application/vnd.jupyter.widget-view+json": {
                "model_id": self.model_id,
                "version_major": 2,
                "version_minor": 0,
            }
        }

    def draw(self, picture: Picture) -> None:
        """This is to be seen from now on."""
        self._picture = picture
        if self.pages:
            self._wire.ask(self._send_picture)

    def leave(self) -> None:
        """Something else has taken its place: its buttons do nothing any more."""
        self._let_go()
        self._end(stays=False)

    def stay(self, picture: Picture) -> None:
        """Show this last picture: in a page that was loaded anew nothing can take its place."""
        self.draw(picture)
        self._end(stays=True)

    def close(self) -> None:
        """End the widget; its buttons do nothing any more."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        """Of the jobs, and of what they have written: a page that was closed never says that it is gone."""
        if self._halt is not None:
            self._halt = None
            self._wire.forget(self._send_picture)

    @guarded
    def _send_picture(self) -> int:
        if self._picture is None:
            return 0
        message = {"op": "picture", **dataclasses.asdict(self._picture), "rung": self._rung}
        self.send(message)
        return len(str(message))

    def _take(self, operation: str, content: dict[str, Any]) -> None:
        halt = self._halt
        if halt and operation in _BUTTONS:
            self._rung = max(self._rung, _BUTTONS[operation])
            halt(self._rung)
            self.send({"op": "stopping", "rung": self._rung})  # at once, as the kernel may be busy
        elif operation in ("ready", "ping", "bye"):
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._be_seen, operation, content["page"])

    @guarded
    def _be_seen(self, operation: str, page: str) -> None:
        if operation == "bye":
            self._view_has_gone(page)
            return
        if operation == "ready":
            self._view_has_come(page)
        presence.seen()
        if self._halt is not None:
            self._wire.ask(self._send_picture)
