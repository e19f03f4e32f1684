"""What stays in the notebook when a program has ended: text/html and text/plain, static, without a script.

It is bounded: the first and the last 16 KiB of the output and at most 500 lines of each, with a line between that says
how much is not shown and where the whole log is; twice that, for there are two forms of it, is what a cell can add to
a notebook. The text comes from the screen, so it is inert; in HTML all of it is escaped.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Collection

from .._core import screen, status
from .._core.log import STDERR_FD
from .._core.process import Process
from . import state

HEAD = TAIL = 16 * 1024  # bytes
HEAD_LINES = TAIL_LINES = 500

_BORDER = "var(--jp-border-color2, #bdbdbd)"
_DIM = "var(--jp-ui-font-color2, #616161)"
_COLOURS = {
    "ok": "var(--jp-success-color1, #388e3c)",
    "failed": "var(--jp-error-color1, #d32f2f)",
    "signaled": "var(--jp-warn-color1, #f57c00)",
}


def bundle(process: Process, streams: Collection[int], note: str = "") -> dict[str, str]:
    """The MIME bundle of a process: its state and name, the output of these streams, and a note at the end."""
    now = state.of(process)
    lines = _lines(process, streams)
    took = status.duration_words(process.duration)
    return {
        "text/plain": "\n".join(
            [text for _, text in lines] + [f"{now.mark} {now.label} · {took} · {process.name}{_dotted(note)}"]
        ),
        "text/html": _html(now, process.name, took, lines, note),
    }


def counts(process: Process, streams: Collection[int]) -> str:
    """What was written, in figures: `122 lines · 9.4 kB · 1.2 kB on stderr`."""
    assert process.log is not None
    size = process.log.size(streams)
    on_stderr = process.log.bytes_of[STDERR_FD] if STDERR_FD in streams else 0
    lines = process.log.lines
    parts = [f"{lines} line" if lines == 1 else f"{lines} lines", status.size_words(size)]
    if on_stderr:
        parts.append(f"{status.size_words(on_stderr)} on stderr")
    return " · ".join(parts)


def _lines(process: Process, streams: Collection[int]) -> list[tuple[int, str]]:
    log = process.log
    assert log is not None
    size = log.size(streams)
    lines = screen.lines(log.pieces(streams=streams)) if size <= HEAD + TAIL else []
    if size > HEAD + TAIL or len(lines) > HEAD_LINES + TAIL_LINES:
        head = (lines or screen.lines(log.head(HEAD, streams)))[:HEAD_LINES]
        tail = (lines or screen.lines(log.tail(TAIL, streams)))[-TAIL_LINES:]
        hidden = size - sum(len(text.encode()) + 1 for _, text in head + tail)
        lines = [*head, (0, log.leave_out(hidden)), *tail]
    if log.dropped:
        lines.append((0, f"... {status.size_words(log.dropped)} were lost: the log could not be written"))
    return lines


def _html(now: state.State, title: str, took: str, lines: list[tuple[int, str]], note: str) -> str:
    colour = _COLOURS.get(now.name, _DIM)
    head = (
        f'<div style="display:flex;gap:8px;padding:4px 8px;font-size:13px">'
        f'<span style="color:{colour}">{now.mark}</span><b>{html.escape(now.label)}</b>'
        f'<code style="flex:1;background:none;font-size:12.5px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
        f"{html.escape(title)}</code>"
        f'<span style="color:{_DIM}">{html.escape(note)}</span><span>{took}</span></div>'
    )
    runs = itertools.groupby(lines, key=lambda line: line[0])
    rows = "".join(_rows(stream, [text for _, text in run]) for stream, run in runs)
    body = (
        # column-reverse: it opens at its end, as the card stood, without a script
        f'<div style="display:flex;flex-direction:column-reverse;max-height:340px;overflow:auto;'
        f'border-top:1px solid {_BORDER}"><pre style="flex:none;overflow:visible;margin:0;padding:4px 0;'
        f'font-size:12.5px;line-height:18px;white-space:pre-wrap;text-align:left">{rows}</pre></div>'
        if lines
        else ""
    )
    return (
        f'<div class="ipyproc-transcript" style="border:1px solid {_BORDER};border-left:3px solid {colour};'
        f'border-radius:4px;margin:2px 0">{head}{body}</div>'
    )


def _rows(stream: int, texts: list[str]) -> str:
    """Lines of one stream that follow one another."""
    look = {
        STDERR_FD: "background:rgba(211,47,47,.09);box-shadow:inset 2px 0 #d32f2f",
        0: f"color:{_DIM};border:1px dashed {_BORDER};border-width:1px 0",  # a note of ours
    }.get(stream, "")
    text = html.escape("\n".join(texts)) or " "
    return f'<span style="display:block;padding:0 8px;{look}">{text}</span>'


def _dotted(note: str) -> str:
    return f" · {note}" if note else ""
