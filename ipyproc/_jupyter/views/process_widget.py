"""The live widget of one process: its state and its output, with Stop and Kill. It stays where it is put.

How its messages are checked, and heard though the kernel is busy, is said in `widget`; what they are in `messages`;
what a page gets of the text in `output`. A widget that a page forges has no process and does nothing. Stop and Kill act
at once, in any thread; all else waits for the event loop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

import traitlets

from ..._core.output import phrases
from ..._core.output.rows import Rows
from ..._core.output.turns import in_turns
from ..._core.process.process import Process
from ..._core.process.run import LoggedRun, logged
from ..._core.program.ladder import KILL, TERMINATE
from ..guard import Guard, guarded
from ..page import front_end, messages
from ..page.budget import Budget, Rank
from ..page.widget import InSight, Widget
from . import state as states
from .figures import PERIOD, Figures
from .output import Output, times
from .stdin import Stdin
from .table import over
from .view import keep_updated, take_in

_BUTTONS = {"stop": TERMINATE, "kill": KILL}
_PAUSES = {"pause": signal.SIGSTOP, "resume": signal.SIGCONT} if sys.platform != "win32" else {}
_PAUSED_BY = 0.05  # seconds after which the program should have got the signal
_BEST_EFFORT = {"portable": "cleanup: best effort"}  # by launcher: what is promised when the kernel ends
_MOST_WATCHING = 20  # views of one widget
_PERIOD = 0.05  # seconds between two updates, at least
_TIMES = messages.fields(messages.Times)


class ProcessWidget(Widget[messages.CardRequest, messages.CardMessage]):
    """Shows one process.

    Attributes:
        state: "running", "closed" (it runs, and its output is closed), "paused", "stopping", "ok", "failed", "signaled",
            "timeout", "left" (it has ended, and something of its family runs) or "lost".
        returncode: as of the process.
        elapsed: seconds since its start, or from its start to its end.
        lines: of its output.
    """

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

    state = traitlets.Unicode(read_only=True)
    returncode = traitlets.Int(None, allow_none=True, read_only=True)
    elapsed = traitlets.Float(read_only=True)
    lines = traitlets.Int(read_only=True)

    def __init__(
        self,
        run: LoggedRun | None = None,
        *,
        note: str = "",
        folded: bool = False,
        notify_after: float | None = None,
        is_held: bool = False,
        **_: object,
    ) -> None:
        super().__init__()
        self._is_held = is_held  # by somebody who closes it
        self._run = run
        self._note = note
        self._folded = folded
        self._is_line = False
        self._notify_after = notify_after  # seconds; None: not at all, or not any more
        if run is not None:
            self._guard = Guard(run.log)
            self._figures = Figures(run)
            self._figures_sent: object = None
            self._stdin = Stdin(run)
            self._watching = InSight(_MOST_WATCHING)
            self._typing = asyncio.Lock()  # what is typed is sent in the order in which it came
            self._tasks: set[asyncio.Task[None]] = set()
            self._loop = asyncio.get_running_loop()
            self._budget = Budget.of(self._loop)
            self._output = Output(run, self._stdin, self._budget, self._send_message, self._questions, self._guard)
            self._listen()

    def __repr__(self) -> str:
        if self._run is None:
            return f"<{type(self).__name__} without a process>"
        return f"{states.of(self._run).label}: {self._run.name} (pid {self._run.pid})"

    def close(self) -> None:
        """Close the widget, and end the tasks that work for it."""
        if self._run is not None:
            for task in self._tasks:
                task.cancel()
            self._output.close()
            self._budget.forget(self._send_figures)
            self._budget.forget(self._send_history)
        super().close()

    @property
    def period(self) -> float:
        """Seconds between two updates, at least."""
        return _PERIOD

    @property
    def is_in_sight(self) -> bool:
        """Whether somebody looks at a view, as far as the views say so."""
        return self._run is not None and bool(self._watching)

    def follow(self, process: Process) -> None:
        """Keep it up to date in the background until the process, its output and its family have ended."""
        process.add_done_callback(self._program_has_ended)
        self._do(self._follow(process))

    def _program_has_ended(self, _: Process) -> None:
        """Nothing waits for the next update: whoever awaits the process may look at the traits then."""
        if self.comm is not None:
            self.update()

    async def _follow(self, process: Process) -> None:
        assert self._run is not None
        ending = asyncio.ensure_future(over(process))
        try:
            await keep_updated(self, self._run.log, ending)
        finally:
            ending.cancel()
        await self.finish()

    @guarded
    def show(self) -> None:
        """Tell the pages the state."""
        self._push_state()

    @guarded
    def update(self) -> None:
        """Send what has changed."""
        self._notify()
        self._push_state()  # first, so that it arrives even if the output cannot be shown
        self._push_tail()
        if self._watching and time.monotonic() - self._figures.looked_at >= PERIOD:
            self._look()
        elif self.pages and self._figures.history.is_due:  # somebody may look later
            self._figures.look()

    @guarded
    async def settle(self) -> None:
        """Take in all of the output."""
        await take_in(self._output.rows)

    @guarded
    async def finish(self) -> None:
        """The output has ended: show the end."""
        self._notify()
        self._push_state()
        await self._output.take_in()
        self._push_tail()
        if not self._is_held:
            self._end(stays=True)

    @property
    def _all_rows(self) -> set[Rows]:
        """The rows of the output that it shows."""
        return {self._output.rows}

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

    @guarded
    def _send_history(self) -> int:
        points = self._figures.history.points
        message = messages.History(
            op="history",
            elapsed=[point.elapsed for point in points],
            cpu=[point.cpu for point in points],
            memory=[point.memory for point in points],
        )
        self._send_message(message)
        return 100 + 25 * len(points)

    def _push_state(self) -> None:
        with self._lock:
            new = self._state()
            if any(self.shown.get(key) != value for key, value in new.items() if key not in _TIMES):
                self._set_shown(new)
                self._budget.spend(len(str(new)))
        with self._guard:
            self._tell()

    def _tell(self) -> None:
        """Tell those who observe the traits."""
        assert self._run is not None
        with self.hold_trait_notifications():
            self.set_trait("state", self.shown["name"])
            self.set_trait("returncode", self._run.returncode)
            self.set_trait("elapsed", round(self._run.duration, 3))
            self.set_trait("lines", self._run.log.lines)

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
            folded=self._folded,
            line=self._is_line,
            ends=run.launcher == "supervised" and not run.program.keep,
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
        if request["op"] == "ready":
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
            self._do(self._type(request["text"]))
        elif request["op"] == "eof":
            self._do(self._end_input())
        elif request["op"] == "watch":
            self._watch(request["view"], on=request["on"])
        elif request["op"] == "bye":
            self._view_has_gone(page)
        else:
            self._output.look_up(request, page)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @guarded
    async def _type(self, text: str) -> None:
        async with self._typing:
            await in_turns(self._output.rows.take_in())
            shown = self._stdin.send(text, self._output.prompt)
            if shown is not None:
                await self._echo(shown)
                self._push_tail(anew=True)

    async def _echo(self, text: str) -> None:
        """Let all that shows the output take in a line that was typed."""
        for rows in self._all_rows:
            await in_turns(rows.echo(text))

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
            if self._figures.history.points:
                self._budget.ask(self._send_history, Rank.SEEN)


def another_widget(process: Process, *, is_held: bool) -> ProcessWidget:
    """Make a widget to be put anywhere. `is_held`: it is closed by whoever holds it, and not by itself after the end."""
    made = ProcessWidget(logged(process), is_held=is_held)
    made.show()
    made.follow(process)
    return made
