"""Many commands at a glance: how many have ended, those that failed, those that run and their last lines."""

from __future__ import annotations

import asyncio
import html
from collections import Counter

from ..._core.batch.parallel import Batch, Job
from ..._core.output import phrases
from ..._core.output.screen import inert_line
from ..page.messages import JobsRow, Picture

_MOST_FAILED, _MOST_RUNNING = 10, 20  # rows
_LONGEST = 120  # characters of a name, and of a last line


class Tally:
    """Of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._last: dict[
            int, tuple[int, str]
        ] = {}  # by the number of a running job: bytes of its log, and its last line

    def __repr__(self) -> str:
        return f"<Tally: {self.sentence()}>"

    @property
    def counts(self) -> Counter[str]:
        """How many jobs are in each state."""
        return Counter(job.state for job in self._batch.jobs)

    async def look(self) -> None:
        """Read the last lines of the jobs that run; other tasks have their turns meanwhile."""
        shown = self.running()[:_MOST_RUNNING]
        self._last = {job.number: self._last.get(job.number, (-1, "")) for job in shown}
        for job in shown:
            if job.process and job.process.log and (size := job.process.log.bytes) != self._last[job.number][0]:
                self._last[job.number] = size, job.process.log.tail(1).strip()
                await asyncio.sleep(0)

    def running(self) -> list[Job]:
        """Those that run."""
        return [job for job in self._batch.jobs if job.process]

    def sentence(self) -> str:
        """The whole in one line."""
        counts = self.counts
        parts = [f"{counts['done'] + counts['skipped']:,} of {len(self._batch.jobs):,} done"]
        parts += [f"{counts[state]:,} {state}" for state in ("failed", "running", "skipped") if counts[state]]
        return " · ".join([*parts, phrases.duration_words(self._batch.duration)])

    def picture(self) -> Picture:
        """The picture to show: jobs that failed first, then those that run, with the last line that each wrote."""
        counts = self.counts
        running = self.running()
        failed = [job for job in self._batch.jobs if job.state == "failed"]
        rows = [_failed_row(job) for job in failed[:_MOST_FAILED]]
        rows += [self._row(job) for job in running[:_MOST_RUNNING]]
        hidden = len(failed[_MOST_FAILED:]) + len(running[_MOST_RUNNING:])
        more = f"… {phrases.count_words(hidden, 'other', 'others')}" if hidden else ""
        done = counts["done"] + counts["skipped"]
        return Picture(
            sentence=self.sentence(),
            total=len(self._batch.jobs),
            done=done,
            failed=counts["failed"],
            rows=rows,
            more=more,
            over=self._batch.is_over,
        )

    def _row(self, job: Job) -> JobsRow:
        process = job.process
        assert process
        where = f" on {process.where}" if process.where else ""
        last = self._last.get(job.number, (0, ""))[1]
        took = phrases.duration_words(process.duration)
        return JobsRow(state="running", mark="▶", name=_short(job.name + where), what=_short(last), time=took)

    def bundle(self) -> dict[str, object]:
        """The picture as a MIME bundle."""
        picture = self.picture()
        rows = [f"{row['mark']} {row['name']}  {row['what']}".rstrip() for row in picture["rows"]]
        rows += [picture["more"]] if picture["more"] else []
        return {"text/plain": "\n".join([picture["sentence"], *rows]), "text/html": _html(picture, "\n".join(rows))}


def _failed_row(job: Job) -> JobsRow:
    return JobsRow(state="failed", mark="✘", name=_short(job.name), what=_short(job.outcome), time="")


def _html(picture: Picture, rows: str) -> str:
    failed, done = (
        "var(--jp-error-color1, var(--vscode-errorForeground, #d32f2f))",
        "var(--jp-success-color1, var(--vscode-testing-iconPassed, #388e3c))",
    )
    border = "var(--jp-border-color2, var(--vscode-widget-border, #bdbdbd))"
    bar = "".join(
        f'<div style="width:{100 * count / max(1, picture["total"]):.2f}%;background:{colour}"></div>'
        for colour, count in ((failed, picture["failed"]), (done, picture["done"]))
    )
    lines = (
        f'<pre style="margin:0;padding:4px 8px;font:12.5px/19px var(--jp-code-font-family,var(--vscode-editor-font-family,monospace))">{html.escape(rows)}</pre>'
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
