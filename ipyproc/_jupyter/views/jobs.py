"""The progress of many commands, in the cell that runs them: a bar, those that failed, those that run.

In a page it is a card (see `jobs_card`) while they run, and static HTML in its place when they have ended. In a page
that does not draw cards the HTML is replaced as they go on; elsewhere it is one line a second at most. A client that is no
page, but has drawn cards before, gets one that stays: it may put nothing in the place of another display.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from ..._core.batch import ended
from ..._core.batch.parallel import Batch
from .. import kernel
from ..guard import Guard, guarded
from ..page import presence
from . import kept
from .tally import Tally

if TYPE_CHECKING:
    from .jobs_card import JobsCard

_PERIOD, _LINE_PERIOD = 0.25, 1.0  # seconds between two updates of a page, and between two lines

plain: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)
"""Whether what is awaited now is to be shown as in a headless run."""


@contextlib.asynccontextmanager
async def shown(shell: InteractiveShell, batch: Batch) -> AsyncIterator[None]:
    """Show a batch while the body runs it."""
    view = JobsView(shell, batch)
    batch.watchers.add(view.note)
    async with kernel.deliver_comms(shell):
        try:
            yield
        finally:
            batch.watchers.discard(view.note)
            view.finish()


class JobsView:
    """Shows a batch in the cell that runs now: the first picture a moment after the first change, the last one at the end."""

    def __init__(self, shell: InteractiveShell, batch: Batch) -> None:
        self._guard = Guard()
        self._batch = batch
        self._tally = Tally(batch)
        captured = kernel.is_apart() or kernel.is_in_output_widget(shell)  # no display is replaced there
        self._client = presence.client(shell)
        reaches_page = presence.reaches_page(shell, is_replaced=True)
        is_text = plain.get() or kernel.is_headless(shell) or captured
        self._may_have_card = not is_text and reaches_page and kernel.receives_while_nested(shell)
        self._is_live = not is_text and (self._client.is_page or (self._client.has_drawn and self._may_have_card))
        if self._may_have_card:
            batch.ended.most = ended.MOST
        self._card: JobsCard | None = None
        self._display: DisplayHandle | None = None
        self._written: Counter[str] | None = None  # in the last line
        self._shown_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._drawing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<JobsView: {self._tally.sentence()}>"

    @guarded
    def note(self) -> None:
        """A job has changed."""
        if not (self._timer or self._drawing):
            self._show_in((_PERIOD if self._is_live else _LINE_PERIOD) - (time.monotonic() - self._shown_at))

    @guarded
    def finish(self) -> None:
        """The jobs have ended: leave the last picture in the notebook."""
        for each in (self._timer, self._drawing):
            if each:
                each.cancel()
        if self._is_live:
            picture = self._tally.picture(all_kept=True)
            self._put(self._tally.bundle(kept.keep_batch(picture, self._batch.ended) if self._client.is_here else ""))
            if self._card and (len(self._card.pages) > 1 or not self._client.is_page):
                self._card.stay(picture)  # a page that was loaded anew cannot replace it
            elif self._card:
                self._card.leave()
        else:
            self._write_line()

    def _show_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._show)

    @guarded
    def _show(self) -> None:
        self._timer, self._shown_at = None, time.monotonic()
        if self._is_live:
            self._drawing = asyncio.get_running_loop().create_task(self._draw())
            self._drawing.add_done_callback(self._has_drawn)
        else:
            self._write_line()

    def _has_drawn(self, _: object) -> None:
        self._drawing = None

    @guarded
    async def _draw(self) -> None:
        await self._tally.look()
        if self._card is None and self._may_have_card and self._client.may_draw:
            self._client.try_widget()
            from .jobs_card import JobsCard  # late: it loads anywidget

            self._card = JobsCard(self._batch.halt_at, self._tally.process)
            self._put({**self._tally.bundle(), **self._card.view()})
        elif self._card is None:
            self._put(self._tally.bundle())
        elif not (self._card.is_drawn or self._client.has_drawn or self._card.is_new):
            self._put({**self._tally.bundle(), **(self._card.view() if self._client.is_here else {})})
        if self._card:
            self._card.draw(self._tally.picture(self._card.opened))
        if self._tally.running():  # nobody calls `note` when their last lines change
            self._show_in(4 * _PERIOD)

    def _write_line(self) -> None:
        if (counts := self._tally.counts) != self._written:  # else the last line has said it a moment ago
            self._written = counts
            sys.stdout.write(f"{self._tally.sentence()}\n")
            sys.stdout.flush()

    def _put(self, bundle: dict[str, object]) -> None:
        if self._display is None:
            self._display = DisplayHandle()
            self._display.display(bundle, raw=True)
        else:
            self._display.update(bundle, raw=True)
