"""How a cell shows its program: as text or in a card, into captured files, and with a closing line where there is no card."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Collection

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from ..._core.output import log
from ..._core.output.screen import inert_line
from ..._core.process.run import LoggedRun
from .. import kernel
from ..guard import Guard
from ..line.options import Options
from ..page import presence
from ..views import state, transcript
from ..views.captured import Captured
from ..views.first import FirstText
from ..views.stream import StreamView
from ..views.view import EndingView, NoView, View, keep_updated
from . import variables

CARD_DELAY = 0.2  # seconds; a command that has ended by then gets no card
_MOMENT = 0.005  # seconds; most commands end this soon after their first output
_NAMES = {log.STDOUT_FD: "sys.stdout", log.STDERR_FD: "sys.stderr"}
_NO_CARD = "no page, a captured cell, an Output widget, a thread, --plain or --quiet"


class Showing:
    """Chooses the views of one cell by its options and by where it runs.

    Attributes:
        view: what shows the program now.
        is_capturing: whether `sys.stdout` or `sys.stderr` was replaced by a file that gets output of the program.

    Raises:
        UsageError: an option needs a card (to type in, or for a notification), and there will be none.
    """

    def __init__(self, shell: InteractiveShell, options: Options, limit: int, *, awaited: bool) -> None:
        self._shell = shell
        self._options = options
        self._limit = limit
        self._variables = variables.names(options)
        shown = log.BOTH if options.tee else log.BOTH - self._variables.keys()
        files = {log.STDOUT_FD: sys.stdout, log.STDERR_FD: sys.stderr}
        self._note_file = next((file for file in files.values() if kernel.is_own_stream(file)), None)
        self._captured = {
            stream: file
            for stream, file in files.items()
            if stream in shown and not (options.quiet or kernel.is_own_stream(file))
        }
        self._streams = shown - self._captured.keys()
        self._client = presence.client(shell)
        self._may_have_card = (
            (awaited or options.bg or kernel.receives_while_nested(shell))
            and not (options.quiet or options.plain)
            and presence.reaches_page(shell, is_replaced=not options.bg)
        )
        self._might_draw = self._client.may_draw  # a page that is silent meanwhile has not missed its time here
        self.view: View = NoView()
        self._captures: Captured | None = None
        if options.stdin == "ask" and not self._uses_card:
            raise UsageError(f"--stdin ask: there will be no card here to type in ({_NO_CARD}); give a file, or none")
        if options.notify is not None and not self._uses_card:
            raise UsageError(
                f"--notify: there will be no card here that could tell the browser ({_NO_CARD}); leave it out"
            )

    @property
    def _uses_card(self) -> bool:
        return self._may_have_card and (self._might_draw or self._client.may_draw)

    @property
    def is_capturing(self) -> bool:
        return bool(self._captured)

    @property
    def shows_output(self) -> bool:
        """Whether any of the output is shown in the cell."""
        return bool(self._streams) and not self._options.quiet

    @property
    def error(self) -> Exception | None:
        """Why not all of the output was captured; None if it was."""
        return self._captures.error if self._captures else None

    def begin(self, run: LoggedRun, *, plain: bool) -> View:
        """Make a view for this program, which may be a second attempt after the first was lost; it shows nothing yet."""
        self._captures = None
        self._use(run, self._make(run, plain=plain))
        return self.view

    async def show(self, run: LoggedRun, ending: asyncio.Future[None]) -> None:
        """Show it: a command that is over soon gets its output as text, or a transcript if it has failed; any other a card."""
        text = await self._show_first(run, ending) if self._uses_card else None
        over = ending.done() and run.log.ended and not run.family.left()
        if not (over and text):
            has_frame = over and self._uses_card and self._client.is_here and state.has_failed(run)
            view = self._first_text(run) if has_frame else self._make(run, plain=over, before=text)
            self._use(run, view)
            view.show()

    async def _show_first(self, run: LoggedRun, ending: asyncio.Future[None]) -> FirstText | StreamView | None:
        """Wait until it is time for a card, or the end has come; what shows the output that was written up to then.

        In the place of the first text a page puts the card. Where nobody knows whether it will, the first text is no
        display; and a client that is none, but draws cards, gets nothing that would have to be replaced.
        """
        text: FirstText | StreamView | None = None
        card_at = time.monotonic() + CARD_DELAY
        first = asyncio.ensure_future(_first_output(run.log, self._streams))
        try:
            await asyncio.wait([ending, first], timeout=CARD_DELAY, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        patience = _MOMENT if run.log.size(self._streams) else CARD_DELAY
        await asyncio.wait([ending], timeout=min(patience, max(0.0, card_at - time.monotonic())))
        has_output = run.log.size(self._streams) and not ending.done() and time.monotonic() < card_at
        if has_output and (self._client.is_page or not self._client.is_here):
            text = self._first_text(run) if self._client.is_here else StreamView(run, self._streams, live=True)
            text.show()
            self._use(run, text)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, card_at - time.monotonic())):
                    await keep_updated(self.view, run.log, ending)
        return text

    def note(self, text: str) -> None:
        """Write a line of ipyproc's own into the cell, but never into a file that captures output."""
        if self._note_file:
            self._note_file.write(f"{text}\n")
            self._note_file.flush()

    def waiting(self, text: str) -> Callable[[], object]:
        """Write what the cell waits for; call the result when it no longer does. In a page the line is gone then."""
        if not (self._note_file and self._uses_card and self._client.is_here):
            self.note(text)
            return lambda: None
        display = DisplayHandle()
        display.display({"text/plain": text}, raw=True)
        return lambda: display.update({"text/plain": ""}, raw=True)

    def tell_failure(self, run: LoggedRun, *, raises: bool) -> None:
        """Write how the program failed, unless a card shows it, or an error follows (with `--quiet`, or in a live notebook)."""
        is_told = (self._framed is not None and self._framed.tells_end) or (
            raises and (self._options.quiet or not kernel.is_headless(self._shell))
        )
        if state.has_failed(run) and not is_told:
            self.note(transcript.closing_line(run))

    @property
    def tells_all(self) -> bool:
        """Whether the cell shows how the program has ended, and its last lines."""
        view = self._framed
        return bool(view and view.tells_end and not view.has_error and self._streams == log.BOTH)

    @property
    def _framed(self) -> EndingView | None:
        view = self.view.shown if isinstance(self.view, Captured) else self.view
        return view if isinstance(view, EndingView) else None

    def _first_text(self, run: LoggedRun) -> FirstText:
        return FirstText(run, self._streams, self._limit, self._notes(run))

    def _use(self, run: LoggedRun, view: View) -> None:
        """Use this view from now on; if output is captured, wrap it in the view that writes to the capturing files."""
        self.view = view
        if self._captured:
            self._captures = self._captures or Captured(run, self._captured, view)
            self._captures.shown = view
            self.view = self._captures

    def _make(self, run: LoggedRun, *, plain: bool, before: FirstText | StreamView | None = None) -> View:
        if self._options.quiet:
            return NoView()
        text = before if isinstance(before, StreamView) else None
        if plain or not (self._uses_card or before):
            return StreamView(run, self._streams, live=not kernel.drops_late_output(self._shell))
        with Guard(run.log):
            from ..views.card import Card  # late: it loads anywidget, which a run without pages never needs

            display = before.display if isinstance(before, FirstText) else None
            notes, notify = self._notes(run), self._options.notify
            return Card(run, self._streams, notes, self._limit, display, notify, self._client, text)
        return text or StreamView(run, self._streams, live=True)  # text stands in for a card that could not be made

    def _notes(self, run: LoggedRun) -> str:
        """The note that a card shows beside the name."""
        only_there = self._variables.keys() - self._streams - self._captured.keys()
        names = ", ".join(self._variables[stream] for stream in sorted(only_there))
        notes = [f"output in {names}"] if names else []
        if self._captured:
            notes.append(f"captured: {', '.join(_NAMES[stream] for stream in sorted(self._captured))}")
        if run.where:
            notes.append(f"on {inert_line(run.where)}")
        if self._options.keep:
            notes.append(f"kept; log: {inert_line(str(run.log.path))}")
        return " · ".join(notes)


async def _first_output(output: log.Log, streams: Collection[int]) -> None:
    while not output.size(streams) and not output.open_streams.isdisjoint(streams):
        await output.changed(output.bytes, streams)
