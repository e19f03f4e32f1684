"""The live card of one process in a cell; its transcript takes its place when the program has ended.

As long as no page has said that it draws cards, text stands in for this one: the output is written as it comes, until a
page has drawn the card, which then goes on from there. Nobody waits for a page.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Collection

from IPython.display import DisplayHandle

from ..._core.output import log as logs
from ..._core.output.rows import Rows
from ..._core.output.turns import in_turns
from ..._core.process.run import LoggedRun
from .. import kernel, running_cell
from ..guard import guarded
from ..page import messages, presence
from . import kept, transcript
from .process_widget import ProcessWidget
from .stream import StreamView
from .view import take_in

_MOST_PATIENCE = 10.0  # seconds that a page gets that has answered late
_NOTHING = {"text/plain": ""}
_TYPING_PATIENCE = 5.0  # seconds without a page that could be typed in; then the program reads the end of its input
_MOST_WHOLE = 3  # cards that one cell has at once; further ones begin as one line

_running: weakref.WeakSet[Card] = weakref.WeakSet()  # those that have not become transcripts


class Card(ProcessWidget):
    """Shows one process in a cell while it runs, and its transcript in the same place when it has ended."""

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
        # the log is folded away where some of the output goes to a variable and not into the cell
        super().__init__(run, note=note, folded=len(streams) < 2, notify_after=notify_after)
        self._streams = streams
        self._display = display or DisplayHandle()
        self._in_place = display is not None  # whether it replaces what the cell shows already
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
        self._cell = running_cell.number()
        if run is not None:
            self._transcribed = self._output.rows if streams == logs.BOTH else Rows(run.log, streams)

    @property
    def period(self) -> float:
        return self._text.period if self._text else super().period

    @property
    def tells_end(self) -> bool:
        """Whether it says how the program has ended, as far as one can know."""
        is_replaced = self._client.is_page and self._client.is_here  # by the transcript, which says it too
        return not self._is_away and (self._is_drawn or is_replaced)

    @property
    def has_error(self) -> bool:
        """Whether not all could be shown."""
        return self._guard.has_reported

    @guarded
    def show(self) -> None:
        """Put the card into the cell that runs now, or in place of what `display` shows already."""
        self._looked_at = time.monotonic()
        self._is_line = sum(each._cell == self._cell for each in _running) >= _MOST_WHOLE
        _running.add(self)
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
    def update(self) -> None:
        """Send what has changed. As long as no page has drawn the card, write text."""
        super().update()
        now = time.monotonic()
        self._waited += min(now - self._looked_at, 0.5)  # while the kernel was busy, no page could be heard
        self._looked_at = now
        self._look_for_page()
        if self._text:
            self._text.update()

    def _look_for_page(self) -> None:
        """Let the text go on where the card is not drawn, and the card where it is."""
        if self._run is None:
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
        for rows in self._all_rows:
            await take_in(rows)

    @guarded
    async def finish(self) -> None:
        """The output has ended: replace the card by the transcript.

        A page that was loaded anew does not put it there (it has forgotten which output is ours), and other clients never
        do: there the card stays and shows the end.
        """
        run = self._run
        assert run is not None
        _running.discard(self)
        self._notify()
        self._push_state()
        rows: Rows | None = self._transcribed
        if not (self._client.is_page or self._is_drawn or self._client.has_drawn):
            self._go_on_as_text()  # such a client shows no card, and may put no transcript in its place
        if self._text:
            await self._text.finish()
            rows = None  # it stands there already
            if self._above and not self._is_away:  # what says the end would stand in the middle of it
                self._is_away = True
                self._display.update(_NOTHING, raw=True)
        await self._output.take_in()
        await in_turns(self._transcribed.take_in())
        self._push_tail()
        is_replaced = self._client.is_page and len(self.pages) < 2
        if not self._is_away:
            link = kept.keep(run) if rows and rows.total and self._client.is_here else ""
            first = await in_turns(self._left.unchanged(self._transcribed)) if self._left else 0
            bundle = await in_turns(
                transcript.bundle(run, rows, self._note, self._limit, first, link, folded=self._is_line)
            )
            self._display.update(bundle, raw=True)
        if is_replaced:
            self._output.rest()
        self._end(stays=not is_replaced)

    @property
    def _all_rows(self) -> set[Rows]:
        return {self._output.rows, self._transcribed}

    async def _echo(self, text: str) -> None:
        await super()._echo(text)
        if stream := self._text or self._left:
            await in_turns(stream.echo(text))

    @guarded
    def _handle(self, request: messages.CardRequest, page: str) -> None:
        self._is_drawn = self._is_drawn or request["op"] == "shown"
        super()._handle(request, page)
