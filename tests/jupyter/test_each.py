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
    sentence, *rows = last["text/plain"].splitlines()
    assert re.match(r"3 of 3 done · \d+\.\d+ s$", sentence)
    assert rows == ["✔ a b  got a b", "✔ it's; touch PWNED  got it's; touch PWNED", "✔ $HOME  got $HOME"]
    assert "width:100.00%" in last["text/html"] and "<script" not in last["text/html"]


def test_while_they_run_their_last_lines_are_shown_and_failures_first(kernel, tmp_path):
    kernel.run("items = ['bad', 'one', 'two']")
    code = (
        "%%aproc --each items --jobs 3 --no-raise-error\n"
        'if [ {item} = bad ]; then exit 7; fi\necho "<b>at</b> "{item}; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    )
    pictures = []

    def look(message):
        pictures.extend(picture_of(message))
        if len(pictures[-1]["rows"] if pictures else ()) == 3 and all(row["what"] for row in pictures[-1]["rows"]):
            (tmp_path / "go").touch()

    done = kernel.run(code, on_message=look)
    seen = next(each for each in pictures if len(each["rows"]) == 3 and all(row["what"] for row in each["rows"]))
    assert re.match(r"0 of 3 done · 1 failed · 2 running · ", seen["sentence"])
    assert (seen["total"], seen["done"], seen["failed"]) == (3, 0, 1)
    assert [(row["state"], row["name"], row["what"]) for row in seen["rows"]] == [
        ("failed", "bad", "exited with status 7"),
        ("running", "one", "<b>at</b> one"),
        ("running", "two", "<b>at</b> two"),
    ]
    last = done.displays[-1]
    assert last["text/plain"].startswith("2 of 3 done · 1 failed · ")
    assert set(last) == {"text/plain", "text/html"} and "✘ bad" in last["text/html"]


def test_the_outputs_become_what_was_asked_for(kernel):
    kernel.run("items = range(2)")
    kernel.run("""%%aproc --each items --out o --format json\nprintf '\\033[1m' >&2; echo '{"a": '{item}'}'""")
    assert kernel.run("o").value == "[{'a': 0}, {'a': 1}]"
    kernel.run("%%aproc --each items --out o\nprintf '10%%\\r20%%\\n'")
    assert kernel.run("o").value == r"['20%\n', '20%\n']", "as a terminal would leave it"


def test_a_failure_leaves_what_there_is(kernel):
    kernel.run("items = range(4)")
    done = kernel.run(
        "%%aproc --each items --jobs 1 --out o --format json\necho {item}; [ {item} != 1 ] || echo half; [ {item} != 1 ]"
    )
    assert done.error.startswith("ProcessExitError: `1`, line 1: `[ 1 != 1 ]` exited"), done.error
    assert kernel.run("o").value == "[0, None, None, None]"


def test_plain_and_grace_count_too(kernel):
    kernel.run("items = [1]")
    line = "%%aproc --each items --plain --grace 0.1 --timeout 0.3"
    done = kernel.run(f"{line}\ntrap '' TERM; while true; do sleep 0.01; done")
    assert done.error.startswith("ProcessTimeout: ") and done.ended_at - done.times[0] < 3
    assert not done.displays and done.text().startswith("0 of 1 done · 1 failed · ")


def test_an_empty_list_is_no_error_and_no_result(kernel):
    kernel.run("items = []")
    done = kernel.run("%%aproc --each items --out texts\necho {item}")
    assert (done.status, done.value) == ("ok", "") and kernel.run("texts").value == "[]"


def test_it_expands_anyway(kernel):
    kernel.run("items, greeting = ['a', 'b'], 'hi there'")
    assert kernel.run("%%aproc --each items --expand --out texts\necho {greeting} {item}").status == "ok"
    assert kernel.run("texts").value == "['hi there a\\n', 'hi there b\\n']"


def picture_of(message):
    content = message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}
    return [content["picture"]] if content.get("op") == "picture" else []


def test_where_no_page_answers_the_text_goes_on(silent_kernel, tmp_path):
    kernel = silent_kernel
    kernel.run("items = ['one']", page="")

    def look(message):
        if "<b>at" in message["content"].get("data", {}).get("text/plain", ""):
            (tmp_path / "go").touch()

    code = f"%%aproc --each items\nsleep 1.2; echo '<b>at'; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    done = kernel.run(code, page="", on_message=look)
    assert "&lt;b&gt;at" in done.displays[-2]["text/html"] and set(done.displays[-2]) == {"text/plain", "text/html"}


@pytest.mark.parametrize("button", ["stop", "kill"])
@pytest.mark.parametrize(
    "code",
    [
        "%%aproc --each items --jobs 2\n{trap}echo ready; sleep 600",
        "import ipyproc\nawait ipyproc.parallel([['sh', '-c', '{trap}echo ready; sleep 600']] * 9, jobs=2)",
        "import ipyproc\nipyproc.parallel([['sh', '-c', '{trap}echo ready; sleep 600']] * 9, jobs=2).result()",
    ],
)
def test_the_buttons_end_all(kernel, code, button):
    kernel.run("items = range(9)")
    pressed = []

    def look(message):
        for picture in picture_of(message):
            if [row["what"] for row in picture["rows"]] == ["ready", "ready"] and not pressed:
                pressed.append(message["content"]["comm_id"])
                kernel.comm(pressed[0], op="kill", job="0" * 32)  # forged: nothing happens
                kernel.comm(pressed[0], op=button, job=kernel.jobs[pressed[0]])

    trap = 'trap "" TERM; ' if button == "kill" else ""
    done = kernel.run(code.format(trap=trap), on_message=look)
    signal = {"stop": "SIGTERM", "kill": "SIGKILL"}[button]
    assert done.error.startswith("ProcessStopped: ") and signal in done.error, done.error
    assert "0 of 9 done · 2 failed" in done.displays[-1]["text/plain"]
    assert kernel.eventually(PROGRAMS, "[]")


def test_a_batch_shows_itself_unless_told(kernel):
    done = kernel.run("import ipyproc\nlen(await ipyproc.parallel([['true']] * 3))")
    assert done.value == "3" and done.displays[-1]["text/plain"].startswith("3 of 3 done · ")
    done = kernel.run("len(await ipyproc.parallel([['true']] * 3, progress=False))")
    assert done.value == "3" and not done.displays
    done = kernel.run("items = [1]").status and kernel.run("%%aproc --each items --quiet\ntrue")
    assert done.status == "ok" and not done.displays


def test_a_failure_starts_no_more_and_ends_the_cell(kernel):
    kernel.run("items = range(20)")
    done = kernel.run("%%aproc --each items --jobs 1\necho {item}; [ {item} != 2 ]")
    assert done.error.startswith("ProcessExitError: `2`, line 1: `[ 2 != 2 ]` exited with 1")
    assert done.displays[-1]["text/plain"].startswith("2 of 20 done · 1 failed · ")


def test_an_interrupt_stops_all(kernel):
    kernel.run("items = range(4)")
    interrupted = []

    def look(message):
        what = [row["what"] for picture in picture_of(message) for row in picture["rows"]]
        if what == ["ready", "ready"] and not interrupted:
            interrupted.append(True)
            kernel.manager.interrupt_kernel()

    done = kernel.run("%%aproc --each items --jobs 2\necho ready; sleep 600", on_message=look)
    assert "KeyboardInterrupt" in done.error
    assert kernel.run(PROGRAMS).value == "[]"


def test_headless_it_is_a_line_a_second():
    done = execute(notebook("items = range(6)", "%%aproc --each items --jobs 2\nsleep 0.5"))
    lines = text(done.cells[2]).splitlines()
    took = re.match(r"6 of 6 done · (\d+\.\d) s", lines[-1])
    assert took and 2 <= len(lines) <= float(took[1]) + 2, lines


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("--each nosuch", "--each: the name 'nosuch' is not defined"),
        ("--each word", "--each: word is no list, but of type str"),
        ("--each frame", "--each: frame is a table; give one of its columns"),
        ("--each items --jobs 0", "--jobs: '0' is no whole number from 1 on"),
        ("--jobs 2", "--jobs goes with --each NAME"),
        ("--each items --bg", "--bg cannot go with --each"),
        ("--each items cat", "--each goes with a script"),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_starts(kernel, line, error):
    kernel.run("word, items = 'abc', [1]")
    kernel.run("class Frame(list): to_csv = columns = None\nframe = Frame()")
    assert error in kernel.run(f"%%aproc {line}\ntouch PWNED").error


def test_a_line_that_names_a_program_is_told_what_each_goes_with(kernel):
    kernel.run("items = [1]")
    assert "--each goes with a script" in kernel.run("%aproc --each items echo {item}").error


def test_the_card_ends_when_the_page_says_that_it_is_gone(kernel):
    """Not before: JupyterLab ends the thread of its messages then, and ipykernel warns in the cell of one that comes late."""
    kernel.run("items = [1, 2]")
    (card,) = set(kernel.run("%%aproc --each items\nsleep 0.6").cards)
    is_open = f"{card!r} in __import__('comm').get_comm_manager().comms"
    assert kernel.json(is_open) is True
    held = (  # cards of before, which are closed and not collected, have no comm
        "[each._halt for each in gc.get_objects() "
        "if type(each).__name__ == 'JobsCard' and getattr(each.comm, 'comm_id', '') == card]"
    )
    assert kernel.run(f"import gc; card = {card!r}; {held}").value == "[None]", "it would hold all results"
    kernel.comm(card, op="bye", job=kernel.jobs[card])
    assert kernel.eventually(is_open, "False")


def test_a_failure_that_is_no_error_leaves_a_line(kernel):
    kernel.run("items = list(range(9))")
    done = kernel.run("%%aproc --each items --quiet --no-raise-error --jobs 2\n[ {item} = 3 ]")
    assert (done.status, done.text()) == ("ok", "✘ 8 of 9 failed: 0, 1, 2, 4, 5, …\n")
    assert kernel.run("%%aproc --each items --quiet --no-raise-error\ntrue").text() == ""
