"""How far many commands have come, in the cell that runs them: a bar, those that failed, those that run.

Text and HTML without a script, replaced in the same place; where nobody looks on, one line a second at most.
"""

from __future__ import annotations

import asyncio
import html
import sys
import time
from collections import Counter
from collections.abc import Sequence

from IPython.display import DisplayHandle

from .._core import status
from .._core.parallel import Job
from .._core.screen import inert_line

_PERIOD, _LINE_PERIOD = 0.25, 1.0  # seconds between two updates of a page, and between two lines
_MOST_FAILED, _MOST_RUNNING = 10, 20  # rows
_LONGEST = 160  # characters of a row


class JobsView:
    """Shows jobs; to be called whenever one of them has changed. A context manager: at its end it shows the last state."""

    def __init__(self, *, live: bool) -> None:
        self.jobs: Sequence[Job] = ()
        self._failed: list[Job] = []
        self._live = live
        self._display: DisplayHandle | None = None
        self._began = self._shown_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<JobsView: {self._sentence()}>"

    def __enter__(self) -> JobsView:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._show()

    def __call__(self, job: Job) -> None:
        """This one has changed."""
        if job.state == "failed":
            self._failed.append(job)
        if self._timer is None:
            wait = self._shown_at + (_PERIOD if self._live else _LINE_PERIOD) - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._show)

    def _show(self) -> None:
        self._timer, self._shown_at = None, time.monotonic()
        if not self._live:
            sys.stdout.write(f"{self._sentence()}\n")
            sys.stdout.flush()
            return
        rows = self._rows()
        bundle = {"text/plain": "\n".join([self._sentence(), *rows]), "text/html": self._html(rows)}
        if self._display is None:
            self._display = DisplayHandle()
            self._display.display(bundle, raw=True)
        else:
            self._display.update(bundle, raw=True)
        if any(job.process for job in self.jobs):  # their last lines change without a word
            self._timer = asyncio.get_running_loop().call_later(4 * _PERIOD, self._show)

    def _counts(self) -> Counter[str]:
        return Counter(job.state for job in self.jobs)

    def _sentence(self) -> str:
        counts = self._counts()
        parts = [f"{counts['done'] + counts['skipped']} of {len(self.jobs)} done"]
        parts += [f"{counts[state]} {state}" for state in ("failed", "running", "skipped") if counts[state]]
        return " · ".join([*parts, status.duration_words(time.monotonic() - self._began)])

    def _rows(self) -> list[str]:
        """Those that failed first, then those that run, with what they wrote last."""
        failed = [_row("✘", job, status.describe(job.result.returncode) if job.result else "") for job in self._failed]
        running = [job for job in self.jobs if job.process]
        rows = [*failed[:_MOST_FAILED], *(_row("▶", job, _last_line(job)) for job in running[:_MOST_RUNNING])]
        if hidden := len(failed[_MOST_FAILED:]) + len(running[_MOST_RUNNING:]):
            rows.append(f"… {status.count_words(hidden, 'other', 'others')}")
        return rows

    def _html(self, rows: Sequence[str]) -> str:
        counts, total = self._counts(), max(1, len(self.jobs))
        parts = (
            ("var(--jp-error-color1, #d32f2f)", counts["failed"]),
            ("var(--jp-success-color1, #388e3c)", counts["done"] + counts["skipped"]),
        )
        bar = "".join(
            f'<div style="width:{100 * count / total:.2f}%;background:{colour}"></div>' for colour, count in parts
        )
        text = html.escape("\n".join(rows))
        return (
            f'<div class="ipyproc-progress" style="font-size:13px"><div>{html.escape(self._sentence())}</div>'
            f'<div style="display:flex;height:4px;margin:4px 0;background:var(--jp-border-color2, #e0e0e0)">{bar}</div>'
            f'<pre style="margin:0;font:12.5px/18px var(--jp-code-font-family,monospace)">{text}</pre></div>'
        )


def _row(mark: str, job: Job, what: str) -> str:
    where = f" on {job.process.where}" if job.process and job.process.where else ""
    line = inert_line(f"{mark} {job.name}{where}  {what}".rstrip())
    return f"{line[: _LONGEST - 1]}…" if len(line) > _LONGEST else line


def _last_line(job: Job) -> str:
    return job.process.log.tail(1).strip() if job.process and job.process.log else ""
