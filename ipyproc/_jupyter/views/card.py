"""The live card of one process: an anywidget that shows its state and its output, with Stop and Kill.

How its messages are checked, and heard though the kernel is busy, is said in `widget`; what they are in `messages`;
what a page gets of the text in `output`. A card that a page forges has no process and does nothing. Stop and Kill act at
once, in any thread; all else waits for the event loop.

As long as no page has said that it draws cards, text stands in for this one: the output is written as it comes, until a
page has drawn the card, which then goes on from there. Nobody waits for a page.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Collection, Coroutine
from typing import Any

from IPython.display import DisplayHandle

from ..._core.output import log as logs
from ..._core.output import phrases
from ..._core.output.rows import Rows
from ..._core.output.turns import in_turns
from ..._core.process.run import LoggedRun
from ..._core.program.ladder import KILL, TERMINATE
from .. import kernel
from ..guard import Guard, guarded
from ..page import front_end, messages, presence
from ..page.budget import Budget, Rank
from ..page.widget import InSight, Widget
from . import state as states
from . import transcript
from .figures import PERIOD, Figures
from .output import Output, times
from .stdin import Stdin
from .stream import StreamView
from .view import take_in

_BUTTONS = {"stop": TERMINATE, "kill": KILL}
_PAUSES = {"pause": signal.SIGSTOP, "resume": signal.SIGCONT} if sys.platform != "win32" else {}
_PAUSED_BY = 0.05  # seconds after which the program should have got the signal
_BEST_EFFORT = {"portable": "cleanup: best effort"}  # by launcher: what is promised when the kernel ends
_MOST_WATCHING = 20  # views of one card
_MOST_PATIENCE = 10.0  # seconds that a page gets that has answered late
_NOTHING = {"text/plain": ""}
_TYPING_PATIENCE = 5.0  # seconds without a page that could be typed in; then the program reads the end of its input
_PERIOD = 0.05  # seconds between two updates, at least
_TIMES = messages.fields(messages.Times)


class Card(Widget[messages.CardRequest, messages.CardMessage]):
    """Shows one process in a cell while it runs, and its transcript in the same place when it has ended."""

    # text and not a path: anywidget 0.11 holds every widget whose code is a file, to reload it when the file changes
    _esm = front_end.loader("card")
    requests = messages.CardRequest
    unlimited = (
        "here",
        "ready",
        "shown",
        "stop",
        "kill",
        "bye",
        "stdin",
        "eof",
        "download",
    )  # the last one waits instead

    def __init__(
        self,
        run: LoggedRun | None = None,
        streams: Collection[int] = (),
        note: str = "",
        transcript_limit: int = transcript.LIMIT,
        display: DisplayHandle | None = None,
        notify_after: float | None = None,
        client: presence.Client | None = None,
        text: StreamView | None = None,
        **_: object,
    ) -> None:
        super().__init__()
        self._run = run
        self._streams = streams
        self._note = note
        self._display = display or DisplayHandle()
        self._in_place = display is not None  # whether it replaces what the cell shows already
        self._embedded = False
        self._client = client or presence.Client()
        self._is_drawn = False  # a page has said that it has drawn this card
        self._is_away = False  # no page has said so, and the view was taken out of the cell
        self._waited, self._looked_at = 0.0, 0.0  # seconds in which a page could have spoken; when we looked last
        self._request = ""  # of the cell that it stands in
        self._text = text  # stands in for a page that has not drawn the card
        self._left: StreamView | None = None  # the same, once the card goes on from there
        self._above = 0  # so many messages of the text stand above the card
        self._patience = presence.PATIENCE
        self._limit = transcript_limit
        self._notify_after = notify_after  # seconds; None: not at all, or not any more
        if run is not None:
            self._guard = Guard(run.log)
            self._figures = Figures(run)
            self._figures_sent: object = None
            self._stdin = Stdin(run)
            self._watching = InSight(_MOST_WATCHING)
            self._typing = asyncio.Lock()  # what is typed is sent in the order in which it came
            self._typed: set[asyncio.Task[None]] = set()
            self._loop = asyncio.get_running_loop()
            self._budget = Budget.of(self._loop)
            self._output = Output(run, self._stdin, self._budget, self._send_message, self._questions, self._guard)
            is_whole = self._streams == logs.BOTH
            self._transcribed = self._output.rows if is_whole else Rows(run.log, self._streams)
            self._listen()

    def __repr__(self) -> str:
        if self._run is None:
            return "<Card without a process>"
        return f"{states.of(self._run).label}: {self._run.name} (pid {self._run.pid})"

    def close(self) -> None:
        """Close the widget, and end the tasks that work for its pages."""
        if self._run is not None:
            for task in self._typed:
                task.cancel()
            self._output.close()
            self._budget.forget(self._send_figures)
        super().close()

    @property
    def folded(self) -> bool:
        """Whether the log is folded away, because some of the output goes to a variable and not into the cell."""
        return len(self._streams) < 2

    @property
    def period(self) -> float:
        """Seconds between two updates, at least."""
        return self._text.period if self._text else _PERIOD

    @property
    def tells_end(self) -> bool:
        """Whether it says how the program has ended, as far as one can know."""
        is_replaced = self._client.is_page and self._client.is_here  # by the transcript, which says it too
        return not self._is_away and (self._embedded or self._is_drawn or is_replaced)

    @property
    def is_in_sight(self) -> bool:
        """Whether somebody looks at a view, as far as the views say so."""
        return self._run is not None and bool(self._watching)

    @guarded
    def show(self) -> None:
        """Put the card into the cell that runs now, or in place of what `display` shows already."""
        self._looked_at = time.monotonic()
        self._push_state()
        self._request = kernel.request_id()
        if not self._client.is_here:
            self._go_on_as_text()
        self._display_view()

    def _display_view(self) -> None:
        self._client.try_widget()
        self._above = self._text.messages if self._text else 0
        view = {"model_id": self.model_id, "version_major": 2, "version_minor": 0}
        # whoever cannot draw it shows the text instead of it: where that is written anyway, there is nothing to add
        bundle = {"application/vnd.jupyter.widget-view+json": view, "text/plain": "" if self._text else repr(self)}
        if self._in_place:
            self._display.update(bundle, raw=True)
        else:
            self._display.display(bundle, raw=True)

    @guarded
    def embed(self) -> None:
        """Prepare to be shown inside another widget, where the card stays after the end instead of a transcript."""
        self._embedded = True
        self._looked_at = time.monotonic()
        self._push_state()

    @guarded
    def update(self) -> None:
        """Send what has changed. As long as no page has drawn the card, write text."""
        now = time.monotonic()
        self._notify()
        self._push_state()  # first, so that it arrives even if the output cannot be shown
        self._push_tail()
        if self._watching and now - self._figures.looked_at >= PERIOD:
            self._look()
        self._waited += min(now - self._looked_at, 0.5)  # while the kernel was busy, no page could be heard
        self._looked_at = now
        self._look_for_page()
        if self._text:
            self._text.update()

    def _look_for_page(self) -> None:
        """Let the text go on where the card is not drawn, and the card where it is."""
        if self._embedded or self._run is None:
            return
        is_here = self._client.is_here
        if self._text and (self._is_drawn or (self._is_away and is_here)):
            self._take_over(self._text)
        if self._is_drawn or self._waited <= self._patience or (self._client.has_drawn and not self._text):
            return
        self._go_on_as_text()
        if not (is_here or self._is_away):
            self._is_away = True  # else it might say there that it cannot be drawn
            self._display.update(_NOTHING, raw=True)
        if self._is_away and self._waited > _TYPING_PATIENCE:
            self._stdin.end()  # nobody can type

    def _go_on_as_text(self) -> None:
        if self._text is None and self._run is not None:
            self._text, self._left = self._left or StreamView(self._run, self._streams, live=True), None

    def _take_over(self, text: StreamView) -> None:
        """Go on where the text ends, and below it."""
        is_above = self._is_away or text.messages != self._above
        if is_above and kernel.request_id() != self._request:
            return  # what is displayed now would get into another cell, or into none
        if not text.leave():
            return
        self._text, self._left = None, text
        if is_above:
            if not self._is_away:
                self._display.update(_NOTHING, raw=True)
            self._is_away = self._in_place = False
            self._display = DisplayHandle()
            self._patience, self._waited = min(max(self._patience, 2 * self._waited), _MOST_PATIENCE), 0.0
            self._display_view()

    @guarded
    async def settle(self) -> None:
        """Take in all of the output."""
        await take_in(self._output.rows)
        await take_in(self._transcribed)

    @guarded
    async def finish(self) -> None:
        """The output has ended: replace the card by the transcript.

        A page that was loaded anew does not put it there (it has forgotten which output is ours), and other clients never
        do: there the card stays and shows the end.
        """
        run = self._run
        assert run is not None
        self._notify()
        self._push_state()
        rows: Rows | None = self._transcribed
        draws = self._is_drawn or self._client.has_drawn
        if not (self._client.is_page or draws or self._embedded):
            self._go_on_as_text()  # such a client shows no card, and may put no transcript in its place
        if self._text:
            await self._text.finish()
            rows = None  # it stands there already
            if self._above and not self._is_away:  # what says the end would stand in the middle of it
                self._is_away = True
                self._display.update(_NOTHING, raw=True)
        await in_turns(self._output.rows.take_in())
        await in_turns(self._transcribed.take_in())
        self._push_tail()
        is_replaced = self._client.is_page and len(self.pages) < 2 and not self._embedded
        if not (self._embedded or self._is_away):
            first = await in_turns(self._left.unchanged(self._transcribed)) if self._left else 0
            bundle = await in_turns(transcript.bundle(run, rows, self._note, self._limit, first))
            self._display.update(bundle, raw=True)
        if is_replaced:
            self._output.rest()
        self._end(stays=not is_replaced)

    def _notify(self) -> None:
        """Notify the user of the end of the program, once, even if some of its family goes on."""
        run, after = self._run, self._notify_after
        assert run is not None
        if after is None or not run.is_over:
            return
        self._notify_after = None
        if run.duration > after:
            took = phrases.duration_words(run.duration)
            self._send_message(messages.Notify(op="notify", label=states.of(run).label, took=took))

    @guarded
    def _look(self) -> None:
        self._figures.look()
        if self._figures.looked_at:
            self._budget.ask(self._send_figures, Rank.SEEN)
        self._push_state()

    @guarded
    def _send_figures(self) -> int:
        now = self._figures
        seen = now.cpu_words, phrases.size_words(now.memory), now.count
        if seen == self._figures_sent:
            return 0
        self._figures_sent = seen
        cpu = None if now.cpu is None else round(now.cpu)
        self._send_message(messages.Figures(op="figures", cpu=cpu, memory=now.memory, count=now.count))
        return 200

    def _push_state(self) -> None:
        with self._lock:
            new = self._state()
            if any(self.shown.get(key) != value for key, value in new.items() if key not in _TIMES):
                self._set_shown(new)
                self._budget.spend(len(str(new)))

    def _state(self) -> messages.CardShown:
        run = self._run
        assert run is not None
        now, ladder = states.of(run, paused=self._figures.paused), run.ladder
        return messages.CardShown(
            version=messages.VERSION,
            job=self._job,
            name=now.name,
            label=now.label,
            title=run.name,
            note=" · ".join(filter(None, (self._note, _BEST_EFFORT.get(run.launcher)))),
            pid=run.pid,
            folded=self.folded,
            sent=ladder.sent.name if ladder.sent else "",
            pauses=bool(_PAUSES),
            stdin=self._stdin.is_open,
            notifies=self._notify_after is not None,
            **times(run),
        )

    def _push_tail(self, *, anew: bool = False) -> None:
        self._output.push(has_page=bool(self.pages), is_in_sight=bool(self._watching), anew=anew)

    def _on_request(self, request: messages.CardRequest, page: str) -> None:
        """Do at once what a button asks for, and hand all else to the event loop of the process."""
        assert self._run is not None
        operation, ladder = request["op"], self._run.ladder
        sent = ladder.sent
        if operation in _BUTTONS:
            ladder.reach(_BUTTONS[operation], operation)
        if operation in _PAUSES and self._run.family.is_threadsafe and not self._run.is_over:
            self._run.family.send_signal(_PAUSES[operation])
        self._loop.call_soon_threadsafe(self._handle, request, page)
        if ladder.sent is not sent:
            with self._lock:
                self._send_message(messages.State(op="state", shown=self._state()))

    @guarded
    def _handle(self, request: messages.CardRequest, page: str) -> None:
        assert self._run is not None
        if request["op"] == "shown":
            self._is_drawn = True
        elif request["op"] == "ready":
            self._view_has_come(page)
            self._push_tail(anew=True)  # the new view has no rows yet
        elif request["op"] == "ping":
            self._push_tail(anew=True)  # it may have missed something
        elif request["op"] in _BUTTONS:
            self._push_state()
        elif request["op"] in _PAUSES and not self._run.is_over:
            if not self._run.family.is_threadsafe:
                self._run.family.send_signal(_PAUSES[request["op"]])
            self._loop.call_later(_PAUSED_BY, self._look)
        elif request["op"] == "stdin":
            self._do_in_order(self._type(request["text"]))
        elif request["op"] == "eof":
            self._do_in_order(self._end_input())
        elif request["op"] == "watch":
            self._watch(request["view"], on=request["on"])
        elif request["op"] == "bye":
            self._view_has_gone(page)
        else:
            self._output.look_up(request, page)

    def _do_in_order(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._typed.add(task)
        task.add_done_callback(self._typed.discard)

    @guarded
    async def _type(self, text: str) -> None:
        async with self._typing:
            await in_turns(self._output.rows.take_in())
            shown = self._stdin.send(text, self._output.prompt)
            if shown is not None:
                for rows in {self._output.rows, self._transcribed}:
                    await in_turns(rows.echo(shown))
                if stream := self._text or self._left:
                    await in_turns(stream.echo(shown))
                self._push_tail(anew=True)

    @guarded
    async def _end_input(self) -> None:
        async with self._typing:
            self._stdin.end()
            self._push_state()

    def _watch(self, view: str, *, on: bool) -> None:
        if not on:
            self._watching.discard(view)
        elif self._watching.add(view):
            self._figures_sent = None  # the new view has none yet
