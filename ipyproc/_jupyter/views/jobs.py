"""The progress of many commands, in the cell that runs them: a bar, those that failed, those that run.

In a page it is a card (see `jobs_card`) while they run, and static HTML in its place when they have ended. In a page
that does not draw cards the HTML is replaced as they go on; elsewhere it is one line a second at most. A client that is no
page, but has drawn cards before, gets one that stays: it may put nothing in the place of another display.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import html
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from ..._core.batch.parallel import Job
from ..._core.output import phrases
from ..._core.output.screen import inert_line
from .. import kernel
from ..guard import Guard, guarded
from ..page import presence
from ..page.messages import JobsRow, Picture
from .jobs_card import JobsCard

_PERIOD, _LINE_PERIOD = 0.25, 1.0  # seconds between two updates of a page, and between two lines
_MOST_FAILED, _MOST_RUNNING = 10, 20  # rows
_LONGEST = 120  # characters of a name, and of a last line


plain: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)
"""Whether what is awaited now is to be shown as in a headless run."""


@contextlib.asynccontextmanager
async def shown(
    shell: InteractiveShell, jobs: Sequence[Job], halt: Callable[[int], None]
) -> AsyncIterator[Callable[[Job], object]]:
    """Show these jobs while the body runs them; the body calls the yielded function with each job that has changed.

    Args:
        halt: called by the buttons, with a rung of the stop ladder.
    """
    view = JobsView(shell, jobs, halt)
    async with kernel.deliver_comms(shell):
        try:
            yield view.note
        finally:
            view.finish()


class JobsView:
    """Shows jobs: the first picture a moment after the first change, the last one at the end."""

    def __init__(self, shell: InteractiveShell, jobs: Sequence[Job], halt: Callable[[int], None]) -> None:
        self._guard = Guard()
        self._jobs = jobs
        self._failed: list[Job] = []
        captured = kernel.is_apart() or kernel.is_in_output_widget(shell)  # no display is replaced there
        self._client = presence.client(shell)
        reaches_page = presence.reaches_page(shell, is_replaced=True)
        is_text = plain.get() or kernel.is_headless(shell) or captured
        self._may_have_card = not is_text and reaches_page and kernel.receives_while_nested(shell)
        self._is_live = not is_text and (self._client.is_page or (self._client.has_drawn and self._may_have_card))
        self._halt = halt
        self._card: JobsCard | None = None
        self._display: DisplayHandle | None = None
        self._written: Counter[str] | None = None  # in the last line
        self._began = self._shown_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._drawing: asyncio.Task[None] | None = None
        self._last: dict[
            int, tuple[int, str]
        ] = {}  # by the number of a running job: bytes of its log, and its last line

    def __repr__(self) -> str:
        return f"<JobsView: {self._sentence()}>"

    @guarded
    def note(self, job: Job) -> None:
        """A job has changed."""
        if job.state == "failed":
            self._failed.append(job)
        if not (self._timer or self._drawing):
            self._show_in((_PERIOD if self._is_live else _LINE_PERIOD) - (time.monotonic() - self._shown_at))

    @guarded
    def finish(self) -> None:
        """The jobs have ended: leave the last picture in the notebook."""
        for each in (self._timer, self._drawing):
            if each:
                each.cancel()
        if self._is_live:
            self._put(self._bundle())
            if self._card and (len(self._card.pages) > 1 or not self._client.is_page):
                self._card.stay(self._picture(over=True))  # a page that was loaded anew cannot replace it
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
        await self._look()
        if self._card is None and self._may_have_card and self._client.may_draw:
            self._client.try_widget()
            self._card = JobsCard(self._halt)
            self._put({**self._bundle(), **self._card.view()})
        elif self._card is None:
            self._put(self._bundle())
        elif not (self._card.is_drawn or self._client.has_drawn or self._card.is_new):
            self._put({**self._bundle(), **(self._card.view() if self._client.is_here else {})})
        if self._card:
            self._card.draw(self._picture())
        if any(job.process for job in self._jobs):  # nobody calls `note` when their last lines change
            self._show_in(4 * _PERIOD)

    async def _look(self) -> None:
        """Read the last lines of the jobs that run; other tasks have their turns meanwhile."""
        shown = self._running()[:_MOST_RUNNING]
        self._last = {job.number: self._last.get(job.number, (-1, "")) for job in shown}
        for job in shown:
            if job.process and job.process.log and (size := job.process.log.bytes) != self._last[job.number][0]:
                self._last[job.number] = size, job.process.log.tail(1).strip()
                await asyncio.sleep(0)

    def _running(self) -> list[Job]:
        return [job for job in self._jobs if job.process]

    def _write_line(self) -> None:
        if (counts := self._counts()) != self._written:  # else the last line has said it a moment ago
            self._written = counts
            sys.stdout.write(f"{self._sentence()}\n")
            sys.stdout.flush()

    def _put(self, bundle: dict[str, object]) -> None:
        if self._display is None:
            self._display = DisplayHandle()
            self._display.display(bundle, raw=True)
        else:
            self._display.update(bundle, raw=True)

    def _counts(self) -> Counter[str]:
        return Counter(job.state for job in self._jobs)

    def _sentence(self) -> str:
        counts = self._counts()
        parts = [f"{counts['done'] + counts['skipped']:,} of {len(self._jobs):,} done"]
        parts += [f"{counts[state]:,} {state}" for state in ("failed", "running", "skipped") if counts[state]]
        return " · ".join([*parts, phrases.duration_words(time.monotonic() - self._began)])

    def _picture(self, *, over: bool = False) -> Picture:
        """The picture to show: jobs that failed first, then those that run, with the last line that each wrote."""
        counts = self._counts()
        running = self._running()
        rows = [_failed_row(job) for job in self._failed[:_MOST_FAILED]]
        rows += [self._row(job) for job in running[:_MOST_RUNNING]]
        hidden = len(self._failed[_MOST_FAILED:]) + len(running[_MOST_RUNNING:])
        more = f"… {phrases.count_words(hidden, 'other', 'others')}" if hidden else ""
        done = counts["done"] + counts["skipped"]
        return Picture(
            sentence=self._sentence(),
            total=len(self._jobs),
            done=done,
            failed=counts["failed"],
            rows=rows,
            more=more,
            over=over,
        )

    def _row(self, job: Job) -> JobsRow:
        process = job.process
        assert process
        where = f" on {process.where}" if process.where else ""
        last = self._last.get(job.number, (0, ""))[1]
        took = phrases.duration_words(process.duration)
        return JobsRow(state="running", mark="▶", name=_short(job.name + where), what=_short(last), time=took)

    def _bundle(self) -> dict[str, object]:
        picture = self._picture()
        rows = [f"{row['mark']} {row['name']}  {row['what']}".rstrip() for row in picture["rows"]]
        rows += [picture["more"]] if picture["more"] else []
        return {"text/plain": "\n".join([picture["sentence"], *rows]), "text/html": _html(picture, "\n".join(rows))}


def _failed_row(job: Job) -> JobsRow:
    return JobsRow(state="failed", mark="✘", name=_short(job.name), what=_short(job.outcome), time="")


def _html(picture: Picture, rows: str) -> str:
    failed, done = "var(--jp-error-color1, #d32f2f)", "var(--jp-success-color1, #388e3c)"
    border = "var(--jp-border-color2, #bdbdbd)"
    bar = "".join(
        f'<div style="width:{100 * count / max(1, picture["total"]):.2f}%;background:{colour}"></div>'
        for colour, count in ((failed, picture["failed"]), (done, picture["done"]))
    )
    lines = (
        f'<pre style="margin:0;padding:4px 8px;font:12.5px/19px var(--jp-code-font-family,monospace)">{html.escape(rows)}</pre>'
        if rows
        else ""
    )
    return (
        f'<div class="ipyproc-progress" style="border:1px solid {border};border-radius:4px;margin:2px 0;'
        f'border-left:3px solid {failed if picture["failed"] else done}">'
        f'<div style="padding:4px 8px;font-size:13px;font-variant-numeric:tabular-nums">{html.escape(picture["sentence"])}</div>'
        f'<div style="display:flex;height:4px;background:{border}">{bar}</div>{lines}</div>'
    )


def _short(text: str) -> str:
    line = inert_line(text)
    return f"{line[: _LONGEST - 1]}…" if len(line) > _LONGEST else line
