"""Lines that say "error" or "warning": real outputs of common tools, each line with what is expected of it before it.

In `tool_outputs` is what these tools wrote, without colours: GCC 12.2, Clang 22.1 (that of ziglang 0.17, whose name was put
right), GNU make 4.3, CMake 3.25, ninja 1.11, Python 3.13, pytest 9.2, npm 11.19, Node 20, esbuild, tsc, cargo and rustc 1.95. Paths were
shortened, and Rust's backtraces and repeated blocks left out. The marks were proposed by the code, and then read. `no_alarm.txt` is made up.
"""

import re
import time
from pathlib import Path

import pytest

from ipyproc._core.output import screen
from ipyproc._core.output.screen import Row
from ipyproc._jupyter.page import messages
from ipyproc._jupyter.views import severity, transcript
from ipyproc._jupyter.views.output import _buffer
from ipyproc._jupyter.views.state import State

pytestmark = pytest.mark.pure

OUTPUTS = sorted(Path(__file__).with_name("tool_outputs").glob("*.txt"))
MARKS = " WE"
SOME = ["a.c:1:2: warning: x", "a.c:1:2: error: x", "0 errors"]


@pytest.mark.parametrize("file", OUTPUTS, ids=lambda file: file.stem)
def test_each_line_of_real_outputs(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines
    assert [f"{MARKS[severity.said(line[2:])]}|{line[2:]}" for line in lines] == lines


def test_there_is_something_to_find_in_each():
    found = {file.stem: {line[0] for line in file.read_text(encoding="utf-8").splitlines()} for file in OUTPUTS}
    assert found.pop("no_alarm") == {" "}
    assert all({" ", "E"} <= marks for marks in found.values()) and len(found) == 8


def test_a_styled_line_is_left_to_the_program():
    rows = screen.rows([(2, b"a.c:1: error: plain\na.c:1: \x1b[1merror:\x1b[0m bold\n\x1b[32merror: green\n")])
    assert [severity.of(row) for row in rows] == [severity.ERROR, severity.NONE, severity.NONE]
    assert severity.of(Row(0, "error: a note of ours")) == severity.NONE


def test_live_and_saved_agree():
    rows = [Row(stream, text) for stream in (1, 2) for text in SOME]
    digits = [int(line[:1]) for line in _buffer(rows, 10_000).split(b"\n")]
    assert digits == [4, 7, 1, 5, 8, 2]
    saved = transcript._text(rows)
    looks = re.findall(r'<span style="display:block;padding:0 8px;([^"]*)">([^<]*)</span>', saved)
    assert [text for _, text in looks] == SOME * 2
    for digit, (look, _) in zip(digits, looks, strict=True):
        assert ("box-shadow" in look) == (digit % 3 == 2), "the mark of stderr"
        assert ("#9c7109" in look, "#d44747" in look) == (digit // 3 == 1, digit // 3 == 2)


def test_stderr_alone_is_no_alarm():
    saved = transcript._text([Row(2, "42%|####      | 42/100"), Row(2, "Cloning into 'x'...")])
    assert not re.search(r"d32f2f|211,47,47|background", saved) and "box-shadow:inset 2px 0 #9e9e9e" in saved


@pytest.mark.parametrize(("state", "marked"), [("failed", messages.LAST_ROWS), ("ok", 0), ("signaled", 0)])
def test_the_last_lines_of_a_failure_are_marked(state, marked):
    rows = [*(Row(1 + number % 2, f"line {number}") for number in range(9)), Row(0, "... a note")]
    html = transcript._html(State(state, ""), "job", "1 s", "", rows, "")
    found = re.findall(r"background:rgba\(211,47,47,.06\)\">([^<]*)<", html)
    assert found == [f"line {number}" for number in range(9 - marked, 9)]


HOSTILE = [
    "A" * 300,
    "a." * 150,
    "1 a, " * 60,
    ": " * 150,
    " " * 300 + "error",
    "E" * 299 + ":",
    "- " * 150,
    "_" * 300,
    "| " * 150,
]


@pytest.mark.parametrize(
    "text", [*HOSTILE, *(f"{text}rror FAILED ERR in 1" for text in HOSTILE)], ids=range(2 * len(HOSTILE))
)
def test_no_line_takes_long(text):
    text = text[:280] + "rror" + text[280:]
    severity.said(text)  # compiles
    best = min(_seconds(text) for _ in range(5))
    assert best < 0.002


def _seconds(text):
    began = time.perf_counter()
    severity.said(text)
    return time.perf_counter() - began
