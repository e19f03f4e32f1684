"""What stays in the notebook when a program has ended: static text/html and text/plain, without scripts.

It is bounded: the first and the last lines of the output. What is left out is said three times, because a reader may see
only a part of it: at the head, in a line between them, and at the foot, where the whole log is named too. The text comes
from the screen, so it is inert; in HTML all of it is escaped.
"""

from __future__ import annotations

import datetime
import html
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..._core.batch.completed import CompletedProcess
from ..._core.output import log, phrases, screen
from ..._core.output.log import STDERR_FD
from ..._core.output.rows import Rows, ends, fitting
from ..._core.output.screen import Row, inert_line
from ..._core.output.turns import Turns, within
from ..._core.process.run import LoggedRun, ShownRun
from ..._core.program.usage import Usage
from ..page.messages import LAST_ROWS
from . import link as links
from . import severity, spark, state
from .styles import CSS_OF_SAID, INK, markup, parts

LIMIT = 64 * 1024
"""Bytes of output, in both its forms together, that one cell adds to the notebook."""
_LINES = 2000
_RESULT_BYTES, _RESULT_LINES = 16 * 1024, 40  # of output in a result that a cell shows
_TURNS, _NEAR = (
    40,
    1 << 13,
)  # for a picture that is needed at once: turns of work, and the `behind` of its `Rows`, bytes
_WIDE = 80  # characters; where a row has more, there is a toggle that wraps it
_AROUND = 50  # bytes of markup around a row where the streams alternate

_BORDER = "var(--jp-border-color2, var(--vscode-widget-border, #bdbdbd))"
_EDGE = "#9e9e9e"
_DIM = "var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #616161))"
_COLOURS = {
    "ok": "var(--jp-success-color1, var(--vscode-testing-iconPassed, #388e3c))",
    "failed": "var(--jp-error-color1, var(--vscode-errorForeground, #d32f2f))",
    "signaled": "var(--jp-warn-color1, var(--vscode-editorWarning-foreground, #f57c00))",
    "timeout": "var(--jp-warn-color1, var(--vscode-editorWarning-foreground, #f57c00))",
}
_PRE = (
    f"{INK};margin:0;padding:4px 0;box-sizing:border-box;white-space:pre;word-break:normal;text-align:left;tab-size:8;"
    "font:12.5px/18px var(--jp-code-font-family,var(--vscode-editor-font-family,monospace))"
)
_REACHED = 'tabindex="0" role="group" aria-label="Output"'  # scrolled with the keyboard, too
# a toggle that needs no script; where a page takes away the style, the toggle stays hidden
_WRAP = (
    "<style>.ipyproc-wrap{display:inline!important;position:sticky;left:0}"
    '.ipyproc-wrap::after{content:" Wrap lines"}.ipyproc-wrap input{margin:0;vertical-align:middle}'
    ".ipyproc-transcript:has(.ipyproc-wrap :checked) pre,.ipyproc-text:has(:checked)"
    "{white-space:pre-wrap!important;overflow-wrap:anywhere;width:auto!important}</style>"
    '<label style="display:none" class="ipyproc-wrap"><input type="checkbox" aria-label="Wrap lines"></label>'
)


def bundle(
    run: ShownRun,
    rows: Rows | None,
    note: str = "",
    limit: int = LIMIT,
    first: int = 0,
    link: str = "",
    *,
    folded: bool = False,
) -> Turns[dict[str, str]]:
    """The MIME bundle of a process: its state and name, these rows of its output from `first` on, and a note at the end.

    Args:
        link: the id by which a page can open the run again; see `kept`.
        folded: only its head is seen until somebody unfolds it, unless it has failed.
    """
    shown: list[Row] = []
    if rows:
        shown = yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, _LINES, first)
    return _bundle(run, shown, note, extent(rows, shown, first) if rows else None, link, folded=folded)


def at_once(run: LoggedRun, limit: int = LIMIT, link: str = "") -> dict[str, str]:
    """The MIME bundle of a run with all its streams, for a caller that cannot wait."""
    return _bundle(run, *_at_once(run.log, limit, _LINES), link)


@dataclass(frozen=True)
class Extent:
    """How much there is of an output, and where: what stands at the foot, and at the head if not all of it is shown."""

    lines: int
    hidden: int  # lines that are not shown
    counts: str
    log: str  # the path, as text, as long as it is of use

    @property
    def head(self) -> str:
        """How much of it is shown; empty: all."""
        return f"{self.lines - self.hidden:,} of {self.lines:,} lines shown" if self.hidden else ""

    @property
    def foot(self) -> str:
        """`300,000 lines · 2.0 MB · 1,117 shown`."""
        return f"{self.counts} · {self.lines - self.hidden:,} shown" if self.hidden else self.counts


def extent(rows: Rows, shown: list[Row], first: int = 0) -> Extent:
    """How much there is of these rows, of which some are shown, from `first` on."""
    log = rows.log
    hidden = max(0, rows.total - first - sum(row.stream != 0 for row in shown))
    return Extent(rows.total, hidden, counts(rows), inert_line(str(log.path)) if log.is_kept and log.is_there() else "")


def _bundle(
    run: ShownRun, shown: list[Row], note: str = "", size: Extent | None = None, link: str = "", *, folded: bool = False
) -> dict[str, str]:
    now = state.of(run)
    took = phrases.duration_words(run.duration)
    used = _used(run.usage)
    return {
        "text/plain": "\n".join([*(row.plain for row in shown), closing_line(run, note)]),
        "text/html": _html(
            now,
            run.name,
            took,
            used,
            shown,
            note,
            until(run),
            size,
            link,
            spark.svg(run),
            folded=folded and not state.has_failed(run),
        ),
    }


def closing_line(run: ShownRun, note: str = "") -> str:
    """How the program ended, in one line: `✘ Failed, exit 3 · 9.1 s · CPU 7.2 s · peak 412 MB · make`."""
    now = state.of(run)
    took = phrases.duration_words(run.duration)
    return f"{now.mark} {now.label} · {took}{_dotted(_used(run.usage))} · {run.name}{_dotted(note)}"


def picture(done: CompletedProcess) -> str:
    """A result as a notebook shows it: HTML that says how it ended, with the first and the last lines of its output."""
    size: Extent | None = None
    if done.log:
        shown, _, size = _at_once(done.log, _RESULT_BYTES, _RESULT_LINES)
    else:
        held = screen.rows(done.pieces())
        shown = fitting(iter(held), _cost_up_to(_RESULT_BYTES), _RESULT_BYTES, _RESULT_LINES)
        if hidden := len(held) - len(shown):
            shown.append(Row(0, f"... {phrases.count_words(hidden, 'line', 'lines')} not shown"))
    took = phrases.duration_words(done.duration)
    return _html(state.of_result(done), done.name, took, _used(done.usage), shown, "", size=size)


def _at_once(output: log.Log, limit: int, lines: int) -> tuple[list[Row], str, Extent | None]:
    """The first and the last lines of an output; or a note, if drawing them takes longer than the caller can wait."""

    def work() -> Turns[tuple[list[Row], str, Extent | None]]:
        rows = Rows(output, log.BOTH, behind=_NEAR)
        yield from rows.take_in()
        shown = yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, lines)
        return shown, "", extent(rows, shown)

    shown = within(work(), _TURNS)
    if shown is None:
        output.keep()
        where = inert_line(str(output.path))
        note = f"... not shown, as it was rewritten too often to be drawn at once; full log: {where}"
        return [Row(0, note)], "", None
    return shown


def text_bundle(rows: Rows, limit: int = LIMIT) -> Turns[dict[str, str]]:
    """The MIME bundle of the output alone, without a frame."""
    shown = yield from ends(rows, _cost_up_to(limit), limit // 2, limit // 2, _LINES)
    return {"text/plain": "\n".join(row.plain for row in shown), "text/html": _text(shown)}


def _cost_up_to(limit: int) -> Callable[[Row], int]:
    """A function that counts the bytes of a row in both forms, with markup; above the limit, the count need not be exact."""

    def cost(row: Row) -> int:
        size = len(row.plain.encode()) + _AROUND + len(CSS_OF_SAID[severity.of(row)])
        for part in parts(row):
            size += len(part.encode())
            if size > limit:
                break
        return size

    return cost


def counts(rows: Rows) -> str:
    """How much was written, as text: `122 lines · 9.4 kB (1.2 kB stderr)`, `1 line · 5 B (all stderr)`."""
    lines, size = rows.total, rows.log.size(rows.streams)
    on_stderr = rows.log.bytes_of[STDERR_FD] if STDERR_FD in rows.streams else 0
    said = f"{phrases.count_words(lines, 'line', 'lines')} · {phrases.size_words(size)}"
    if on_stderr:
        said += f" ({'all' if on_stderr == size else phrases.size_words(on_stderr)} stderr)"
    return said


def until(run: ShownRun) -> str:
    """The date and time when it ended, as text; empty while it runs."""
    if run.ended_at is None:
        return ""
    return f"ended {datetime.datetime.fromtimestamp(run.ended_at).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _html(
    now: state.State,
    title: str,
    took: str,
    used: str,
    rows: list[Row],
    note: str,
    ended: str = "",
    size: Extent | None = None,
    link: str = "",
    picture: str = "",
    *,
    folded: bool = False,
) -> str:
    colour = _COLOURS.get(now.name, _DIM)
    head = (
        f'<div style="display:flex;flex-wrap:wrap;align-items:baseline;gap:0 8px;padding:4px 8px;font-size:13px">'
        f'<span style="display:flex;gap:8px"><span style="flex:none;width:14px;color:{colour};text-align:center">{now.mark}</span>'
        f"<b>{html.escape(now.label)}</b></span>"
        f'<code style="flex:1 1 120px;background:none;font-size:12.5px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
        f"{html.escape(title)}</code>"
        + "".join(
            f'<span style="color:{_DIM}">{html.escape(each)}</span>'
            for each in (size and size.head, note, used)
            if each
        )
        + (f'<span style="flex:none;align-self:center;color:{_DIM}">{picture}</span>' if picture else "")
        + f'<span style="white-space:nowrap;font-variant-numeric:tabular-nums" title="{ended}">{took}</span></div>'
    )
    body = (
        # column-reverse: it opens scrolled to its end, as the card was, without a script
        f'<div {_REACHED} style="display:flex;flex-direction:column-reverse;max-height:340px;overflow:auto;'
        f'border-top:1px solid {_BORDER}"><pre style="flex:none;overflow:visible;width:max-content;min-width:100%;{_PRE}">{_all(rows, failed=now.name == "failed")}</pre></div>'
        if rows
        else ""
    )
    foot = _foot(rows, size, note, link) if rows else ""
    if folded and rows:
        head = head.replace("display:flex;", "display:inline-flex;width:calc(100% - 24px);box-sizing:border-box;", 1)
        head, body, foot = f'<details><summary style="padding-left:8px">{head}</summary>', f"{body}{foot}", "</details>"
    return (
        f'<div class="ipyproc-transcript" style="border:1px solid {_BORDER};border-left:3px solid {colour};'
        f'border-radius:4px;margin:2px 0">{head}{body}{foot}</div>'
    )


def _foot(rows: list[Row], size: Extent | None, note: str, link: str) -> str:
    where = f"log: {size.log}" if size and size.log and size.log not in note else ""
    spans = "".join(f"<span>{html.escape(each)}</span>" for each in (size and size.foot, where) if each)
    if _is_wide(rows):
        spans += f"<span>{_WRAP}</span>"
    spans += links.to(link, "find, copy, download, the whole log")
    if not spans:
        return ""
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:0 16px;padding:2px 8px;border-top:1px solid {_BORDER};'
        f'font-size:12px;color:{_DIM};overflow-wrap:anywhere;font-variant-numeric:tabular-nums">{spans}</div>'
    )


def _is_wide(rows: list[Row]) -> bool:
    return any(len(row.text) > _WIDE for row in rows)


def _text(rows: list[Row]) -> str:
    """The rows without a frame."""
    toggle = f'<span style="display:block;padding:0 8px;color:{_DIM}">{_WRAP}</span>' if _is_wide(rows) else ""
    focus = f" {_REACHED}" if toggle else ""
    return f'<pre class="ipyproc-text"{focus} style="overflow-x:auto;{_PRE}">{_all(rows)}{toggle}</pre>'


def _all(rows: list[Row], *, failed: bool = False) -> str:
    """`failed`: the last rows may say why, and are marked."""
    last = {id(row) for row in [row for row in rows if row.stream][-LAST_ROWS:]} if failed else ()
    runs = itertools.groupby(rows, key=lambda row: _look(row, is_last=id(row) in last))
    return "".join(_rows(look, run) for look, run in runs)


def _look(row: Row, *, is_last: bool) -> str:
    """How a row looks apart from its own styles, as CSS."""
    if not row.stream:
        return f"color:{_DIM};border:1px dashed {_BORDER};border-width:1px 0"  # a note of ours
    edge = f"box-shadow:inset 2px 0 {_EDGE}" if row.stream == STDERR_FD else ""
    return ";".join(
        filter(None, (edge, "background:rgba(211,47,47,.06)" if is_last else "", CSS_OF_SAID[severity.of(row)]))
    )


def _rows(look: str, rows: Iterable[Row]) -> str:
    """Rows that look alike and follow one another."""
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
