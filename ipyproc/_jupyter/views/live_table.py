"""The live table of the processes of this kernel: one widget, however many cells show it.

See `page.widget` for how messages are checked, `page.messages` for what they are. Only views that are in sight cost
anything: without one, nothing is measured and nothing is sent. Stop and Kill act at once, in any thread; all else waits
for the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import Any

from IPython.display import DisplayHandle

from ..._core.output import phrases
from ..._core.program.ladder import KILL, TERMINATE
from .. import kernel
from ..guard import guarded
from ..page import front_end, messages, presence
from ..page.budget import Budget
from ..page.widget import InSight, Widget
from . import listing
from .opened import Opened
from .table import Entry, Table

PERIOD = 1.0  # seconds between two updates while anything runs
_SOONEST = 0.2  # seconds between two updates, at least
_SLICE = 0.01  # seconds of measuring in one update
_LOOKS = 5  # at whether a page has said that it can draw it, before it becomes text
_MOST_VIEWS = 100
_BUTTONS = {"stop": TERMINATE, "kill": KILL}


class LiveTable(Widget[messages.TableRequest, messages.TableMessage]):
    """Shows the table in cells, with buttons for each process."""

    _esm = front_end.loader("table")
    requests = messages.TableRequest
    unlimited = ("here", "shown", "stop", "kill")

    def __init__(self, table: Table | None = None, **_: object) -> None:
        super().__init__()
        self._table = table
        self._views = InSight(_MOST_VIEWS)
        self._sent: dict[int, dict[str, Any]] = {}  # the rows as the pages know them
        self._opened = Opened()
        self._look_at = 0.0  # the earliest time of the next update, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None  # for the next update
        if table is not None:
            self._loop = asyncio.get_running_loop()
            self._budget = Budget.of(self._loop)
            self._set_shown(
                messages.TableShown(
                    version=messages.VERSION,
                    job=self._job,
                    label="Table",
                    title="the processes of this kernel",
                    pauses=hasattr(signal, "SIGSTOP"),
                )
            )
            table.watchers.add(self._table_changed)
            self._listen()

    def __repr__(self) -> str:
        return f"<LiveTable of {self._table!r}>"

    @guarded
    def show(self) -> None:
        """Put a view into the cell that runs now."""
        assert self._table is not None
        client = presence.client(self._table.shell)
        client.try_widget()
        view = {"model_id": self.model_id, "version_major": 2, "version_minor": 0}
        text = {"text/plain": listing.text(self._table).rstrip("\n")}
        shown = DisplayHandle()
        shown.display({"application/vnd.jupyter.widget-view+json": view, **text}, raw=True)
        self._look_for_page(client, shown, text, _LOOKS)

    @guarded
    def _look_for_page(self, client: presence.Client, shown: DisplayHandle, text: dict[str, str], looks: int) -> None:
        """Leave the text alone to a page that does not say that it can draw the table: else it might say that it cannot.

        In several looks: while the kernel is busy, no page can be heard, and only one of them passes.
        """
        if client.is_here or self._table is None:
            return
        if not looks:
            shown.update(text, raw=True)
            return
        looks -= not kernel.has_unheard(self._table.shell)
        self._loop.call_later(presence.PATIENCE / _LOOKS, self._look_for_page, client, shown, text, looks)

    def close(self) -> None:
        """Close the widget and its cards."""
        if self._table is not None:
            self._table.watchers.discard(self._table_changed)
            self._table = None
            self._budget.forget(self._send_rows)
            self._stop_timer()
        self._opened.close()
        super().close()

    def _table_changed(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._look_in, 0.0)

    def _look_in(self, seconds: float) -> None:
        """Update after so many seconds or sooner, but not more often than every `_SOONEST`."""
        due = max(self._loop.time() + seconds, self._look_at)
        if self._views and not (self._timer and self._timer.when() <= due):
            self._stop_timer()
            self._timer = self._loop.call_at(due, self._look)

    @guarded
    def _look(self) -> None:
        self._timer = None
        if self._views:
            self._budget.ask(self._send_rows)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    @guarded
    def _send_rows(self) -> int:
        """Send the rows that have changed; returns the number of bytes, 0 if there was nothing to send."""
        if self._table is None:
            return 0
        began = time.monotonic()
        for entry in sorted(self._table.entries.values(), key=lambda entry: (not entry.ladder, entry.measured_at)):
            entry.measure()
            if time.monotonic() > began + _SLICE:
                break  # the others are measured in the next updates
        rows = {entry.id: _row(entry) for entry in self._table.entries.values()}
        self._look_at = self._loop.time() + _SOONEST
        if self._table.running:
            self._look_in(PERIOD)
        changed = [row for number, row in rows.items() if _lasting(row) != self._sent.get(number)]
        if not changed and list(rows) == list(self._sent):
            return 0
        self._sent = {number: _lasting(row) for number, row in rows.items()}
        self._send_message(messages.TableRows(op="rows", rows=changed, ids=list(rows)))
        return len(str(changed)) + 5 * len(rows)

    def _on_request(self, request: messages.TableRequest, page: str) -> None:
        reached = []
        if request["op"] == "stop" or request["op"] == "kill":
            for entry in self._meant(request["id"]):
                if ladder := entry.ladder:
                    sent = ladder.sent
                    ladder.reach(_BUTTONS[request["op"]], request["op"])
                    reached += [entry] if ladder.sent is not sent else []
        self._loop.call_soon_threadsafe(self._handle, request, page)
        if reached:  # at once, as the kernel may be busy
            self._send_message(messages.TableRows(op="rows", rows=[_row(entry) for entry in reached], ids=None))

    @guarded
    def _handle(self, request: messages.TableRequest, page: str) -> None:
        if self._table is None:
            return
        if request["op"] == "watch":
            view = page, request["view"]
            if not request["on"]:
                self._views.discard(view)
            elif self._views.add(view):
                self._sent = {}  # the new view has no rows yet
        elif request["op"] == "pause" or request["op"] == "resume":
            for entry in self._meant(request["id"]):
                with contextlib.suppress(RuntimeError):  # it has just ended
                    entry.set_paused(request["op"] == "pause")
        elif request["op"] == "card":
            meant = self._table.entries.get(request["id"])
            model = self._opened.open(meant.id, meant.process) if meant else ""
            self._send_message(messages.CardModel(op="card", id=request["id"], view=request["view"], model=model))
        self._look_in(0.0)

    def _meant(self, number: int) -> list[Entry]:
        """The processes that a request is about, and of which anything runs."""
        if self._table is None:
            return []
        running = self._table.running
        return [running[number]] if number in running else list(running.values()) if number == 0 else []


def _row(entry: Entry) -> messages.TableRow:
    told = entry.look()
    figures = told.figures
    return messages.TableRow(
        id=entry.id,
        state=told.state.name,
        mark=told.state.mark,
        label=told.state.label,
        name=told.name,
        pid=told.pid,
        origin=told.origin,
        cell=entry.cell,
        since=time.strftime("%H:%M:%S", time.localtime(entry.started_at)),
        elapsed=round(told.duration, 2),
        runs=entry.ladder is not None,
        cpu=figures.cpu_words if figures else "",
        memory=phrases.size_words(figures.memory) if figures else "",
        lines=told.lines,
        opens=told.opens,
    )


def _lasting(row: messages.TableRow) -> dict[str, Any]:
    """The part of a row that does not change merely with time."""
    return {key: value for key, value in row.items() if key != "elapsed" or not row["runs"]}
