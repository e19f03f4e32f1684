"""Many commands at a glance: how many have ended, those that failed, those that run, and the last lines of all that is kept."""

from __future__ import annotations

import asyncio
import html
from collections import Counter
from collections.abc import Container

from ..._core.batch.parallel import Batch, Job
from ..._core.output import phrases
from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..page.messages import JobsRow, Picture
from . import link as links

_MOST_FAILED, _MOST_RUNNING, _MOST_DONE = 10, 20, 10  # rows
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

    def process(self, number: int) -> Process | None:
        """The process of this job, with its log, if it runs or its output is kept."""
        jobs, ended = self._batch.jobs, self._batch.ended.get(number)
        running = jobs[number].process if number < len(jobs) else None
        return running or (ended.logged if ended else None)

    def picture(self, opened: Container[int] = (), *, all_kept: bool = False) -> Picture:
        """The picture to show: jobs that failed first, then those that run, then those that were done last.

        Args:
            opened: the numbers of jobs that are to be in it.
            all_kept: all whose output can be shown are to be in it.
        """
        counts, jobs, ended = self.counts, self._batch.jobs, self._batch.ended
        running = self.running()
        failed = [job for job in jobs if job.state == "failed"]
        done_last = [jobs[number] for number in ended if jobs[number].state == "done"]
        shown = {job.number for job in failed[:_MOST_FAILED] + running[:_MOST_RUNNING] + done_last[-_MOST_DONE:]}
        shown |= {number for number in (*ended, *(job.number for job in running)) if all_kept or number in opened}
        if self._batch.is_over:
            done_last.sort(key=lambda job: -job.number)
        rows = [self._failed_row(job) for job in failed if job.number in shown]
        rows += [self._row(job) for job in running if job.number in shown]
        rows += [self._done_row(job) for job in reversed(done_last) if job.number in shown]
        hidden = len(failed) + len(running) + (counts["done"] if ended.most else 0) - len(rows)
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
        return JobsRow(
            id=job.number,
            state="running",
            mark="▶",
            name=_short(job.name + where),
            what=_short(last),
            time=took,
            opens=process.log is not None,
        )

    def _failed_row(self, job: Job) -> JobsRow:
        ended = self._batch.ended.get(job.number)
        return JobsRow(
            id=job.number,
            state="failed",
            mark="✘",
            name=_short(job.name),
            what=_short(job.outcome),
            time=phrases.duration_words(ended.result.duration) if ended else "",
            opens=ended is not None,
        )

    def _done_row(self, job: Job) -> JobsRow:
        ended = self._batch.ended.get(job.number)
        assert ended
        return JobsRow(
            id=job.number,
            state="done",
            mark="✔",
            name=_short(job.name),
            what=_short(ended.last_line),
            time=phrases.duration_words(ended.result.duration),
            opens=True,
        )

    def bundle(self, link: str = "") -> dict[str, object]:
        """The picture as a MIME bundle; `link`: the id by which a page can open it again."""
        picture = self.picture()
        rows = [f"{row['mark']} {row['name']}  {row['what']}".rstrip() for row in picture["rows"]]
        rows += [picture["more"]] if picture["more"] else []
        return {
            "text/plain": "\n".join([picture["sentence"], *rows]),
            "text/html": _html(picture, "\n".join(rows), link),
        }


def _html(picture: Picture, rows: str, link: str) -> str:
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
        f'<div style="display:flex;flex-wrap:wrap;gap:0 16px;padding:4px 8px;font-size:13px;font-variant-numeric:tabular-nums">'
        f"<span>{html.escape(picture['sentence'])}</span>{links.to(link, 'the output of each command')}</div>"
        f'<div style="display:flex;height:4px;background:{border}">{bar}</div>{lines}</div>'
    )


def _short(text: str) -> str:
    line = inert_line(text)
    return f"{line[: _LONGEST - 1]}…" if len(line) > _LONGEST else line
