"""What stays in the notebook when a program has ended: static text/html and text/plain, without scripts.

It is bounded: the first and the last lines of the output, and between them a line that says how much is left out and where
the whole log is. The text comes from the screen, so it is inert; in HTML all of it is escaped.
"""

from __future__ import annotations

import datetime
import html
import itertools
from collections.abc import Callable

from ..._core.batch.completed import CompletedProcess
from ..._core.output import log, phrases, screen
from ..._core.output.log import STDERR_FD
from ..._core.output.rows import Rows, ends, fitting
from ..._core.output.screen import Row, inert_line
from ..._core.output.turns import Turns, within
from ..._core.process.run import LoggedRun, Run
from ..._core.program.usage import Usage
from . import state
from .styles import markup, parts

LIMIT = 64 * 1024
"""Bytes of output, in both its forms together, that one cell adds to the notebook."""
_LINES = 2000
_RESULT_BYTES, _RESULT_LINES = 16 * 1024, 40  # of output in a result that a cell shows
_TURNS, _NEAR = (
    40,
    1 << 13,
)  # for a picture that is needed at once: turns of work, and the `behind` of its `Rows`, bytes
_AROUND = 50  # bytes of markup around a row where the streams alternate

_BORDER = "var(--jp-border-color2, #bdbdbd)"
_DIM = "var(--jp-ui-font-color2, #616161)"
_COLOURS = {
    "ok": "var(--jp-success-color1, #388e3c)",
    "failed": "var(--jp-error-color1, #d32f2f)",
    "signaled": "var(--jp-warn-color1, #f57c00)",
    "timeout": "var(--jp-warn-color1, #f57c00)",
}


def bundle(run: Run, rows: Rows | None, note: str = "", limit: int = LIMIT, first: int = 0) -> Turns[dict[str, str]]:
    """The MIME bundle of a process: its state and name, these rows of its output from `first` on, and a note at the end."""
    shown: list[Row] = []
    if rows:
        shown = yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, _LINES, first)
    return _bundle(run, shown, note)


def at_once(run: LoggedRun, limit: int = LIMIT) -> dict[str, str]:
    """The MIME bundle of a run with all its streams, for a caller that cannot wait."""
    return _bundle(run, _at_once(run.log, limit, _LINES), "")


def _bundle(run: Run, shown: list[Row], note: str) -> dict[str, str]:
    now = state.of(run)
    took = phrases.duration_words(run.duration)
    used = _used(run.usage)
    return {
        "text/plain": "\n".join([*(row.plain for row in shown), closing_line(run, note)]),
        "text/html": _html(now, run.name, took, used, shown, note, until(run)),
    }


def closing_line(run: Run, note: str = "") -> str:
    """How the program ended, in one line: `✘ Failed, exit 3 · 9.1 s · CPU 7.2 s · peak 412 MB · make`."""
    now = state.of(run)
    took = phrases.duration_words(run.duration)
    return f"{now.mark} {now.label} · {took}{_dotted(_used(run.usage))} · {run.name}{_dotted(note)}"


def picture(done: CompletedProcess) -> dict[str, str]:
    """A result as Jupyter shows it: HTML that says how it ended, with the first and the last lines of its output."""
    if done.log:
        shown = _at_once(done.log, _RESULT_BYTES, _RESULT_LINES)
    else:
        held = screen.rows(done.pieces())
        shown = fitting(iter(held), _cost_up_to(_RESULT_BYTES), _RESULT_BYTES, _RESULT_LINES)
        if hidden := len(held) - len(shown):
            shown.append(Row(0, f"... {phrases.count_words(hidden, 'line', 'lines')} not shown"))
    took = phrases.duration_words(done.duration)
    return {"text/html": _html(state.of_result(done), done.name, took, _used(done.usage), shown, "")}


def _at_once(output: log.Log, limit: int, lines: int) -> list[Row]:
    """The first and the last lines of an output; or a note, if drawing them takes longer than the caller can wait."""

    def work() -> Turns[list[Row]]:
        rows = Rows(output, log.BOTH, behind=_NEAR)
        yield from rows.take_in()
        return (yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, lines))

    shown = within(work(), _TURNS)
    if shown is None:
        output.keep()
        where = inert_line(str(output.path))
        return [Row(0, f"... not shown, as it was rewritten too often to be drawn at once; full log: {where}")]
    return shown


def text_bundle(rows: Rows, limit: int = LIMIT) -> Turns[dict[str, str]]:
    """The MIME bundle of the output alone, without a frame."""
    shown = yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, _LINES)
    return {"text/plain": "\n".join(row.plain for row in shown), "text/html": _pre(shown)}


def _cost_up_to(limit: int) -> Callable[[Row], int]:
    """A function that counts the bytes of a row in both forms, with markup; above the limit, the count need not be exact."""

    def cost(row: Row) -> int:
        size = len(row.plain.encode()) + _AROUND
        for part in parts(row):
            size += len(part.encode())
            if size > limit:
                break
        return size

    return cost


def counts(rows: Rows) -> str:
    """How much was written, as text: `122 lines · 9.4 kB · 1.2 kB on stderr`."""
    lines, size, on_stderr = rows.total, rows.log.bytes, rows.log.bytes_of[STDERR_FD]
    parts = [phrases.count_words(lines, "line", "lines"), phrases.size_words(size)]
    if on_stderr:
        parts.append(f"{phrases.size_words(on_stderr)} on stderr")
    return " · ".join(parts)


def until(run: Run) -> str:
    """The date and time when it ended, as text; empty while it runs."""
    if run.ended_at is None:
        return ""
    return f"ended {datetime.datetime.fromtimestamp(run.ended_at).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _html(now: state.State, title: str, took: str, used: str, rows: list[Row], note: str, ended: str = "") -> str:
    colour = _COLOURS.get(now.name, _DIM)
    head = (
        f'<div style="display:flex;flex-wrap:wrap;align-items:baseline;gap:0 8px;padding:4px 8px;font-size:13px">'
        f'<span style="display:flex;gap:8px"><span style="flex:none;width:14px;color:{colour};text-align:center">{now.mark}</span>'
        f"<b>{html.escape(now.label)}</b></span>"
        f'<code style="flex:1 1 120px;background:none;font-size:12.5px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
        f"{html.escape(title)}</code>"
        + "".join(f'<span style="color:{_DIM}">{html.escape(each)}</span>' for each in (note, used) if each)
        + f'<span style="white-space:nowrap;font-variant-numeric:tabular-nums" title="{ended}">{took}</span></div>'
    )
    body = (
        # column-reverse: it opens scrolled to its end, as the card was, without a script
        f'<div style="display:flex;flex-direction:column-reverse;max-height:340px;overflow:auto;'
        f'border-top:1px solid {_BORDER}">{_pre(rows)}</div>'
        if rows
        else ""
    )
    return (
        f'<div class="ipyproc-transcript" style="border:1px solid {_BORDER};border-left:3px solid {colour};'
        f'border-radius:4px;margin:2px 0">{head}{body}</div>'
    )


def _pre(rows: list[Row]) -> str:
    runs = itertools.groupby(rows, key=lambda row: row.stream)
    output = "".join(_rows(stream, list(run)) for stream, run in runs)
    return (
        f'<pre style="flex:none;overflow:visible;margin:0;padding:4px 0;'
        f'font:12.5px/18px var(--jp-code-font-family,monospace);white-space:pre-wrap;text-align:left;tab-size:8">{output}</pre>'
    )


def _rows(stream: int, rows: list[Row]) -> str:
    """Rows of one stream that follow one another."""
    look = {
        STDERR_FD: "background:rgba(211,47,47,.09);box-shadow:inset 2px 0 #d32f2f",
        0: f"color:{_DIM};border:1px dashed {_BORDER};border-width:1px 0",  # a note of ours
    }.get(stream, "")
    text = "\n".join(map(markup, rows)) or " "
    return f'<span style="display:block;padding:0 8px;{look}">{text}</span>'


def _used(usage: Usage | None) -> str:
    """CPU time and peak memory as text; empty if they were not measured."""
    if usage is None:
        return ""
    peak = "" if usage.peak_bytes is None else f" · peak {phrases.size_words(usage.peak_bytes)}"
    return f"CPU {phrases.duration_words(usage.user + usage.system)}{peak}"


def _dotted(note: str) -> str:
    return f" · {note}" if note else ""
