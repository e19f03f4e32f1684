"""While a synchronous cell keeps the kernel busy Stop and Kill answer (ipykernel 7.4); a cell that waits so has a card."""

import time

import ipykernel
import psutil
import pytest

from .test_card import Page, is_tail

EARLY = ipykernel.version_info >= (7, 4)  # else the kernel reads no message of the page before the cell has ended
SPIN, SLEEP = "for _ in range(1_000_000): pass", "time.sleep(0.5)"
TRAP = "trap 'echo got it > {mark}' TERM; echo ready; while true; do sleep 0.02; done"


def wait_until(condition):
    """Seconds until it is so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 20, "it did not come while the kernel was busy"
        time.sleep(0.001)
    return time.monotonic() - began


@pytest.fixture
def background(kernel):
    """Start a program behind a cell; gives its page and its pid."""

    def start(code):
        page = Page(kernel)
        done = kernel.run(code, on_message=page)
        if not any(is_tail(message, page.card) for message in done.messages):
            kernel.idle_messages(lambda message: is_tail(message, page.card))
        return page, int(kernel.run("p.pid").value)

    yield start
    kernel.run("await p.stop(0)")


@pytest.fixture
def busy(kernel, tmp_path):
    """Run a cell that never gives the event loop a turn; when it is busy, `meanwhile` is called, then it may end."""
    end = tmp_path / "end"

    def run(meanwhile, what=SPIN):
        end.unlink(missing_ok=True)

        def look(message):
            if message["msg_type"] == "stream":
                meanwhile()
                end.touch()

        code = f"import os, time; print('busy', flush=True)\nwhile not os.path.exists({str(end)!r}):\n    {what}"
        return kernel.run(code, on_message=look)

    return run


def answers(messages, op):
    """What the kernel has said with this operation."""
    contents = [m["content"]["data"].get("content", {}) for m in messages if m["msg_type"] == "comm_msg"]
    return [content for content in contents if content.get("op") == op]


@pytest.mark.skipif(not EARLY, reason="ipykernel 6 hears nothing")
@pytest.mark.parametrize("what", [SPIN, SLEEP])
@pytest.mark.parametrize(("op", "code"), [("stop", -15), ("kill", -9)])
def test_a_button_ends_the_program_while_the_cell_is_busy(kernel, background, busy, op, code, what):
    page, pid = background("%aproc --bg --proc p {program} out ready stall")
    took = []

    def click():
        page.send(op)
        took.append(wait_until(lambda: not psutil.pid_exists(pid)))

    done = busy(click, what)
    print(f"{op} while `{what}`: ended after {took[0] * 1000:.0f} ms")
    assert [answer["shown"]["name"] for answer in answers(done.messages, "state")] == ["stopping"]
    assert kernel.run("await p.wait()").value == str(code)


@pytest.mark.skipif(EARLY, reason="ipykernel 7.4 hears it")
def test_else_it_waits_for_the_end_of_the_cell(kernel, background, busy):
    page, pid = background("%aproc --bg --proc p {program} out ready stall")

    def click():
        page.send("stop")
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(pid).wait(0.3)

    busy(click)
    assert kernel.run("await p.wait()").value == "-15"


@pytest.mark.skipif(not EARLY, reason="ipykernel 6 hears nothing")
def test_a_stubborn_program_is_signalled_at_once_and_kill_ends_it(kernel, background, busy, tmp_path):
    mark = tmp_path / "mark"
    kernel.run(f"mark = {str(mark)!r}")
    page, pid = background(f"%%aproc --bg --proc p --grace 60 --expand\n{TRAP}")
    took = []

    def click_twice():
        page.send("stop")
        took.append(wait_until(mark.exists))
        page.send("kill")
        took.append(wait_until(lambda: not psutil.pid_exists(pid)))

    done = busy(click_twice)
    print(f"SIGTERM after {took[0] * 1000:.0f} ms, gone {took[1] * 1000:.0f} ms after the second press")
    assert [answer["shown"]["sent"] for answer in answers(done.messages, "state")] == ["SIGTERM", "SIGKILL"]
    kernel.run("await p.wait(); from ipyproc._jupyter.views import state")
    assert kernel.run("state.of(p).label").value.startswith("'Stopped (SIGKILL)")


def test_each_message_is_handled_once_though_it_comes_twice(kernel, background, busy):
    page, _ = background("%aproc --bg --proc p {program} out ready stall")
    done = busy(lambda: page.send("find", id="first", text="ready", case=False))
    page.send("find", id="second", text="ready", case=False)
    messages = done.messages + kernel.idle_messages(lambda message: bool(answers([message], "found")))
    while (found := [answer["id"] for answer in answers(messages, "found")])[-1] != "second":
        messages += kernel.idle_messages(lambda message: bool(answers([message], "found")))
    # heard together, as by ipykernel 6, the second one takes the place of the first
    assert found in (["first", "second"], ["second"])


def test_what_is_replayed_or_wrongly_numbered_does_nothing(kernel, background):
    page, _ = background("%aproc --bg --proc p {program} out ready stall")
    number = next(kernel.numbers)
    page.send("ping", n=number)
    for wrong in (number, number - 1, 0, -1, True, None, "9", float(number + 1), number + 0.5, 1 << 53, [number + 1]):
        page.send("kill", n=wrong)
    for wrong in (None, 5, "x" * 65, ["page-1"]):
        page.send("kill", page=wrong)
    assert kernel.run("p.returncode, p.ladder.sent").value == "(None, None)"
    page.send("stop", n=(1 << 53) - 1)
    assert kernel.run("await p.wait()").value == "-15"


def test_pages_are_numbered_each_by_itself_and_a_new_one_is_always_heard(kernel, background):
    page, _ = background("%aproc --bg --proc p {program} out ready stall")
    for number in range(1100):
        page.send("ping", page=f"other-{number}", n=1)
    page.send("kill", page="other-1099", n=1)
    assert kernel.run("p.ladder.sent").value == "", "a number that it has used"
    page.send("stop", page="one more", n=1)
    assert kernel.run("await p.wait()").value == "-15"


SYNCHRONOUS = [
    "def f():\n    %aproc {program} out ready stall\nf()",
    "%%time\n%aproc {program} out ready stall",
    "%autoawait off\n%aproc {program} out ready stall",
]


@pytest.mark.parametrize("code", SYNCHRONOUS)
@pytest.mark.parametrize(("op", "label"), [("stop", "Stopped (SIGTERM)"), ("kill", "Killed (SIGKILL)")])
def test_a_cell_that_waits_synchronously_has_a_card(kernel, code, op, label):
    page = Page(kernel)
    clicked_at = []

    def look(message):
        page(message)
        if is_tail(message, page.card) and message["content"]["data"]["content"]["total"]:
            page.send("find", id="f", text="ready", case=False)
        if answers([message], "found") and not clicked_at:
            clicked_at.append(time.monotonic())
            page.send(op)

    done = kernel.run(code, on_message=look)
    print(f"click to the end of the cell: {(done.ended_at - clicked_at[0]) * 1000:.0f} ms")
    kernel.run("%autoawait on")
    assert len(done.cards) == 1
    assert done.of_type("update_display_data")[-1]["data"]["text/plain"].startswith(f"ready\n■ {label} · ")
    assert done.error.startswith("ProcessStopped: ") or code.startswith("%%time")  # IPython 8 only shows it there


@pytest.mark.parametrize("code", SYNCHRONOUS)
def test_an_interrupt_ends_it_too(kernel, code):
    code = code.replace("{program} out ready stall", "sleep 600")
    done = kernel.run(code, on_message=kernel.interrupt_when("Running"))
    kernel.run("%autoawait on")
    assert len(done.cards) == 1
    assert done.displays[-1]["text/plain"].startswith("■ Interrupted (SIGINT) · ")


def test_an_error_of_ours_loses_no_message(kernel):
    code = (
        "import ipywidgets\nfrom ipyproc._jupyter import kernel as room\n"
        "widget, told = ipywidgets.IntSlider(), []\n"
        "room.receive_early(widget.comm, lambda data: told.append(data) or 1 / 0)\n"
        "room.receive_early(None, print); widget.comm.comm_id"
    )
    comm = eval(kernel.run(code).value)
    data = {"method": "update", "state": {"value": 5}, "buffer_paths": []}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", {"comm_id": comm, "data": data}))
    assert eval(kernel.run("widget.value, told").value) == (5, [data] if EARLY else [])
