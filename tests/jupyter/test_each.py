"""`%%aproc --each`: a script for each item, some at once, with a bar; and a line a second where nobody looks on."""

import re

import pytest

from .kernel_session import PROGRAMS
from .test_headless import execute, notebook, text


def test_the_body_is_run_for_each_item(kernel):
    kernel.run("names = ['a b', \"it's; touch PWNED\", '$HOME']")
    done = kernel.run("%%aproc --each names --jobs 2 --out texts\necho got {item}")
    assert done.status == "ok", done.error
    assert kernel.run("texts").value == repr(["got a b\n", "got it's; touch PWNED\n", "got $HOME\n"])
    last = done.displays[-1]
    assert re.match(r"3 of 3 done · 0\.\d\d s$", last["text/plain"])
    assert "width:100.00%" in last["text/html"] and "<script" not in last["text/html"]


def test_while_they_run_their_last_lines_are_shown_and_failures_first(kernel, tmp_path):
    kernel.run("items = ['bad', 'one', 'two']")
    code = (
        "%%aproc --each items --jobs 3 --no-raise-error\n"
        'if [ {item} = bad ]; then exit 7; fi\necho "<b>at</b> "{item}; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    )
    seen = []

    def look(message):
        data = message["content"].get("data", {}) if "display_data" in message["msg_type"] else {}
        if "<b>at</b> two" in data.get("text/plain", ""):
            seen.append(data)
            (tmp_path / "go").touch()

    done = kernel.run(code, on_message=look)
    rows = seen[0]["text/plain"].split("\n")
    assert re.match(r"0 of 3 done · 1 failed · 2 running · ", rows[0])
    assert rows[1].startswith("✘ bad  exited with status 7") and rows[2] == "▶ one  <b>at</b> one"
    assert "<b>" not in seen[0]["text/html"]
    assert done.displays[-1]["text/plain"].startswith("2 of 3 done · 1 failed · ")


def test_a_failure_starts_no_more_and_ends_the_cell(kernel):
    kernel.run("items = range(20)")
    done = kernel.run("%%aproc --each items --jobs 1\necho {item}; [ {item} != 2 ]")
    assert done.error.startswith("ProcessExitError: `2` exited with status 1")
    assert done.displays[-1]["text/plain"].startswith("2 of 20 done · 1 failed · ")


def test_an_interrupt_stops_all(kernel):
    kernel.run("items = range(4)")
    interrupted = []

    def look(message):
        data = message["content"].get("data", {}) if "display_data" in message["msg_type"] else {}
        if "1  ready" in data.get("text/plain", "") and not interrupted:
            interrupted.append(True)
            kernel.manager.interrupt_kernel()

    done = kernel.run("%%aproc --each items --jobs 2\necho ready; sleep 600", on_message=look)
    assert "KeyboardInterrupt" in done.error
    assert kernel.run(PROGRAMS).value == "[]"


def test_headless_it_is_a_line_a_second():
    done = execute(notebook("items = range(6)", "%%aproc --each items --jobs 2\nsleep 0.5"))
    lines = text(done.cells[2]).splitlines()
    assert 2 <= len(lines) <= 4 and re.match(r"6 of 6 done · 1\.\d s", lines[-1]), lines


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("--each nosuch", "--each: the name 'nosuch' is not defined"),
        ("--each word", "--each: word is a str, and no list"),
        ("--each items --jobs 0", "--jobs: '0' is no whole number from 1 on"),
        ("--jobs 2", "--jobs goes with --each NAME"),
        ("--each items --bg", "--bg cannot go with --each"),
        ("--each items cat", "--each goes with a script"),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_starts(kernel, line, error):
    kernel.run("word, items = 'abc', [1]")
    assert error in kernel.run(f"%%aproc {line}\ntouch PWNED").error
