r"""The live card of one process: an anywidget that shows its state and last lines, with Stop and Kill.

The kernel owns the text; the page gets the last lines in binary custom messages, at most ten a second, and never in
a synced trait. State flows from kernel to page only: what a page sends to change a trait is ignored, and a message
may carry nothing but an operation and the id of the card. A card that a page forges has no process and does nothing.

Wire::

    page -> kernel   {op: "ready", job, page}     a view was made; the answer is state and tail ("page": one per load)
                     {op: "stop" | "kill", job}   a button
                     {op: "ping", job}            are you there? the answer is a tail
                     {op: "bye", job}             a view has gone
    kernel -> page   {op: "tail", elapsed, counts} + [rows joined by \n, each with its stream before it]
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import secrets
import time
from collections.abc import Collection
from typing import Any

import anywidget
import traitlets
from IPython.display import DisplayHandle

from .._core import screen
from .._core.ladder import KILL, TERMINATE
from .._core.process import Process
from . import state as states
from . import transcript
from .stream import StreamView

PAGE_PATIENCE = 5.0  # seconds in which the first page of a kernel has to say that it is there
PAGE_RETRY = 600.0  # seconds without cards after that; a page may be opened later
_FEED_BYTES = 64 * 1024  # of a flood only so many of the last bytes go through the screen at a time
_TAIL_LINES = 100
_ROW, _TAIL = 2000, 10_000  # characters of a row, and of all rows
_STATIC = pathlib.Path(__file__).parent / "static"


class Card(anywidget.AnyWidget):
    """Shows one process in a cell while it runs, and its transcript in the same place when it has ended."""

    # text and not a path: anywidget 0.11 holds every widget whose code is a file, to reload it when the file changes
    _esm = (_STATIC / "card.js").read_text(encoding="utf-8")
    _css = (_STATIC / "card.css").read_text(encoding="utf-8")
    shown = traitlets.Dict().tag(sync=True)
    period = 0.1  # seconds between two updates, at least
    has_page = False
    """Whether a page of this kernel has ever shown a card; `jupyter console` never does."""
    no_page_until = 0.0
    """Up to this `time.monotonic()` no card is tried, for the last one met no page."""

    def __init__(
        self,
        process: Process | None = None,
        streams: Collection[int] = (),
        note: str = "",
        **_: object,
    ) -> None:
        super().__init__()
        self._process = process
        self._streams = streams
        self._note = note
        self._job = secrets.token_hex(16)
        self._pages: set[str] = set()  # each load of the page has an id of its own
        self._display = DisplayHandle()
        self._views = 0  # of the page that was loaded last
        self._ready = asyncio.Event()
        self._waited, self._looked_at = 0.0, 0.0  # seconds in which a page could have spoken; when we looked last
        self._text: StreamView | None = None  # stands in for a page that does not come
        self._screen = screen.Screen()
        self._fed = 0  # how far into the log the screen has come
        self._sent = -1
        self._finished = False
        if process is not None:
            self._loop = asyncio.get_running_loop()
            self.on_msg(self._on_message)

    def __repr__(self) -> str:
        if self._process is None:
            return "<Card without a process>"
        return f"{states.of(self._process).label}: {self._process.name} (pid {self._process.pid})"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Nothing: no page may change what the kernel says."""

    def close(self) -> None:
        """End the widget, and the layout that ipywidgets gives each one."""
        layout = self.layout
        super().close()
        layout.close()

    @property
    def folded(self) -> bool:
        """Whether the log is folded away: a part of the output goes to a variable and not into the cell."""
        return len(self._streams) < 2

    def show(self) -> None:
        """Put the card into the cell that is running now."""
        self._looked_at = time.monotonic()
        self._push_state()
        view = {"model_id": self.model_id, "version_major": 2, "version_minor": 0}
        self._display.display({"application/vnd.jupyter.widget-view+json": view, "text/plain": repr(self)}, raw=True)

    def update(self) -> None:
        """Send what has changed; costs nothing before a page is ready. Without a page, write text instead."""
        self._push_state()
        self._push_tail()
        now = time.monotonic()
        self._waited += min(now - self._looked_at, 0.5)  # while the kernel was busy, no page could be heard
        self._looked_at = now
        if not (Card.has_page or self._text) and self._waited > PAGE_PATIENCE:
            self._write_text()
        if self._text:
            self._text.update()

    async def settle(self) -> None:
        """Give the first page of this kernel the time to say that it is there."""
        if not (Card.has_page or self._text):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, PAGE_PATIENCE - self._waited)):
                    await self._ready.wait()
            if not Card.has_page:
                self._write_text()

    def _write_text(self) -> None:
        assert self._process is not None
        Card.no_page_until = time.monotonic() + PAGE_RETRY
        self._text = StreamView(self._process, self._streams)

    def finish(self) -> None:
        """The output has ended: put the transcript in the place of the card.

        After a reload of the page nothing can be put there any more (the page has forgotten which output is ours):
        then the card stays and shows the end.
        """
        streams = self._streams
        if self._text:
            self._text.finish()
            streams = ()  # it stands there already
        process = self._process
        assert process is not None
        self._finished = True
        self._push_state()
        self._push_tail()
        if len(self._pages) < 2:
            self._display.update(transcript.bundle(process, streams, self._note), raw=True)
            if self._pages and not self._views:
                self.close()

    def _push_state(self) -> None:
        process = self._process
        assert process is not None
        now, ladder = states.of(process), process.ladder
        new = {
            "job": self._job,
            "name": now.name,
            "label": now.label,
            "title": process.name,
            "note": self._note,
            "pid": process.pid,
            "folded": self.folded,
            "sent": ladder.sent.name if ladder.sent else "",
        }
        if new != {key: self.shown.get(key) for key in new}:
            self.shown = new | self._clock()

    def _clock(self) -> dict[str, Any]:
        """Times as spans that count from now: the clocks of kernel and page need not agree."""
        process = self._process
        assert process is not None
        ladder = process.ladder
        return {
            "elapsed": round(process.duration, 3),
            "sent_ago": round(time.monotonic() - ladder.sent_at, 3) if ladder.sent else 0,
            "next_in": None if ladder.next_in is None else round(ladder.next_in, 3),
        }

    def _push_tail(self) -> None:
        process = self._process
        if not self._pages or process is None or process.log is None or process.log.bytes == self._sent:
            return
        self._sent = process.log.bytes
        if self._sent - self._fed > _FEED_BYTES:  # a flood: what is between was never in sight
            self._screen, self._fed = screen.Screen(), self._sent - _FEED_BYTES
        self._screen.feed(process.log.pieces(self._fed))
        self._fed = self._sent
        self._screen.forget(_TAIL_LINES)
        rows, size = [], 0
        for stream, row in reversed(self._screen.lines):
            rows.append(f"{stream}{row[:_ROW]}")
            size += len(rows[-1])
            if size > _TAIL:
                break
        text = "\n".join(reversed(rows))
        message = {"op": "tail", "counts": transcript.counts(process, (1, 2)), **self._clock()}
        self.send(message, [text.encode()])

    def _on_message(self, _: object, content: object, __: object) -> None:
        # ipykernel may call this in another thread (a subshell): only hand it to the loop of the process
        if not isinstance(content, dict) or content.get("job") != self._job:
            return
        operation, page = content.get("op"), content.get("page")
        self._loop.call_soon_threadsafe(self._handle, operation, page if isinstance(page, str) else "")

    def _handle(self, operation: object, page: str) -> None:
        process = self._process
        assert process is not None
        if operation == "ready" and len(page) <= 64 and len(self._pages) < 1000:
            Card.has_page, Card.no_page_until = True, 0.0
            self._ready.set()
            self._views = self._views + 1 if page in self._pages or not self._pages else 1  # a reload says no "bye"
            self._pages.add(page)
            self._sent = -1  # this view has nothing yet
            self._push_tail()
        elif operation == "ping":
            self._sent = -1  # it may have missed something
            self._push_tail()
        elif operation == "stop":
            process.ladder.reach(TERMINATE, "stop")
            self._push_state()
        elif operation == "kill":
            process.ladder.reach(KILL, "kill")
            self._push_state()
        elif operation == "bye":
            self._views -= 1
            if self._finished and self._views <= 0 and len(self._pages) < 2:
                self.close()
