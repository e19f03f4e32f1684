"""`--stdin ask`: what is typed on the card reaches the program, and is shown as a terminal would show it."""

import pytest

from ipyproc._core.output.log import BOTH, Log
from ipyproc._core.output.rows import Rows
from ipyproc._core.output.screen import Row
from ipyproc._core.output.turns import done
from ipyproc._jupyter.page.messages import MOST_STDIN
from ipyproc._jupyter.views.stdin import asks_for_secret

from .test_card import Page, is_tail, shown

NAMES = "name = input('name? '); print('hello', name); print('rest', input('more? '))"


def start(kernel, code):
    page = Page(kernel)
    kernel.run(f"code = {code!r}")
    messages = kernel.run("%aproc --bg --proc p --stdin ask python3 -u -c {code}", on_message=page).messages
    return page, messages


def tail_rows(message, card):
    """The rows that one tail brings."""
    return bytes(message["buffers"][0]).decode() if is_tail(message, card) else ""


def until(kernel, page, wanted):
    """Messages up to the tail that brings this text."""
    return kernel.idle_messages(lambda message: wanted in tail_rows(message, page.card))


def test_lines_reach_the_program_and_are_shown_behind_the_prompt(kernel):
    page, _ = start(kernel, NAMES)
    page.send("stdin", text="Ada\n")
    until(kernel, page, "more? ")
    page.send("stdin", text="\x1b[31m€\n")
    assert kernel.run("await p.wait()").value == "0"
    assert kernel.json("p.log.read().decode()") == "name? hello Ada\nmore? rest \x1b[31m€\n", (
        "what was typed is not in the log"
    )


@pytest.mark.parametrize(
    ("line", "hint"), [("%%aproc", True), ("%%aproc --stdin /dev/null", False), ("%%aproc python3 -", False)]
)
def test_a_question_without_input_is_told_how_to_answer_it(kernel, line, hint):
    code = "x = input('Go on? ')" if line.endswith("-") else "printf 'Go on? '; read x"
    error = kernel.run(f"{line}\n{code}").error
    assert "it asked 'Go on? ', and there was no input for that" in error
    assert error.splitlines()[0].endswith("; --stdin ask gives you a row to type in") == hint


def test_the_end_of_input(kernel):
    page, messages = start(kernel, "import sys; print(len(sys.stdin.read()))")
    assert shown(messages, page.card)[-1]["stdin"] is True
    page.send("stdin", text="abc")
    page.send("eof")
    page.send("eof")
    page.send("stdin", text="too late\n")
    kernel.run("await p.wait()")
    assert kernel.json("p.log.read().decode()") == "3\n"


def test_what_was_typed_for_a_password_is_never_shown(kernel):
    code = (
        "import time; x = input('Password: '); print('Again, password:'); print('got', x == input()); time.sleep(600)"
    )
    page, _ = start(kernel, code)
    until(kernel, page, "Password: ")
    page.send("stdin", text="hunter2\n")
    messages = until(kernel, page, "Again, password:")
    page.send("stdin", text="hunter2\n")
    messages += until(kernel, page, "got True")
    assert any("Password: ••••••••" in tail_rows(message, page.card) for message in messages)
    assert "hunter2" not in str(messages)
    assert messages[-1]["content"]["data"]["content"]["secret"] is False
    done = kernel.run("await p.stop()")
    assert "hunter2" not in str(done.messages)


def test_what_is_too_much_or_no_text_is_ignored(kernel):
    page, _ = start(kernel, "print(input('? '))")
    for wrong in ("x" * (MOST_STDIN + 1), "€" * MOST_STDIN, 5, None, ["x"]):
        page.send("stdin", text=wrong)
    page.send("stdin", text="right\n")
    kernel.run("await p.wait()")
    assert kernel.json("p.log.read().decode()") == "? right\n"


def test_what_nobody_reads_is_bounded(kernel):
    page, _ = start(kernel, "import time; print('up'); time.sleep(600)")
    kernel.run("import asyncio")
    for _ in range(40):
        page.send("stdin", text="x" * MOST_STDIN)
    size = "p.stdin.transport.get_write_buffer_size()"
    kernel.run(f"while {size} < 900_000: await asyncio.sleep(0.01)")
    assert kernel.json(size) <= 1 << 20
    assert kernel.run("await p.stop()").value == "-15"


@pytest.mark.parametrize("flag", ["--plain", "--quiet", "headless", "captured"])
def test_where_nobody_can_type_it_is_an_error_before_anything_starts(kernel, flag):
    options = flag if flag.startswith("-") else ""
    line = f"%aproc --stdin ask {options} touch started"
    code = f"import os\n{line}" if flag != "captured" else f"%%capture\n{line}"
    done = kernel.run(code, headless=flag == "headless")
    if flag != "captured":  # %%capture shows the error and goes on
        assert done.error.startswith("UsageError: --stdin ask: there will be no card")
    assert kernel.json("__import__('os').path.exists('started')") is False


def test_echo_goes_behind_the_open_row_and_every_row_keeps_its_place():
    log = Log()
    rows = Rows(log, BOTH)
    for number in range(500):
        log.write(1, b"line %d\n" % number)
    log.write(1, b"name? ")
    done(rows.echo("Ada\x1b[2J"))
    log.write(1, b"hello\n")
    log.write(2, b"code: ")
    done(rows.echo("x"))
    log.write(1, b"end\n")
    while rows.follow():
        pass
    last = [row.plain for row in rows.read_all(498, rows.total)]
    assert last == ["line 498", "line 499", "name? Ada", "hello", "code: x", "end"]
    assert [row.plain for row in rows.read(3, 2)] == ["line 3", "line 4"]
    assert b"Ada" not in log.read()
    log.discard()


@pytest.mark.parametrize(
    ("prompt", "secret"),
    [
        ("Password: ", True),
        ("[sudo] password for me:", True),
        ("Enter passphrase for key '/home/me/.ssh/id': ", True),
        ("Token: ", True),
        ("Password for 'https://me@example.com': ", True),
        ("Paste an API key from your profile and hit enter: ", True),
        ("Passwort: ", True),
        ("请输入密码：", True),
        ("name? ", False),
        ("password changed", False),
        ("password: ok", False),
        ("spin: ", False),
    ],
)
def test_prompts(prompt, secret):
    assert asks_for_secret([Row(1, prompt)]) == secret
    assert not asks_for_secret([Row(1, prompt), Row(1, "name? ")])
