"""A cell whose program cannot be stopped ends all the same, with an error that says what lives on."""

import os
import re
import signal
import sys
import time

import pytest

from .. import unstoppable
from .kernel_session import kernel_session

pytestmark = pytest.mark.pure

if sys.platform != "linux":
    pytest.skip("capabilities are Linux's", allow_module_level=True)

BOUNDED = 30  # seconds that a loaded machine may take
LIVES_ON = r"\(pid (\d+)\) belongs to \S+, and may not be signalled from here"


@pytest.fixture(params=["best", "portable"])
def weak_kernel(request):
    """A kernel that cannot signal `program`; what it leaves is killed."""
    if not unstoppable.can_be_had():
        pytest.skip("to become another user takes root")
    with kernel_session(load=False) as session:
        session.pids = set()
        session.run(unstoppable.NO_RIGHTS)
        assert session.run("%load_ext ipyproc").status == "ok"
        session.run("import asyncio, ipyproc; program = unstoppable.FOREIGN; from ipyproc._core import launch")
        if request.param == "portable":
            session.run("launch.best = lambda: asyncio.sleep(0, launch.portable)")
        try:
            yield session
        finally:
            for pid in session.pids:
                os.kill(pid, signal.SIGKILL)


def test_timeout_interrupt_and_stop_end_the_cell_and_say_what_lives_on(weak_kernel):
    for cell, when in (
        ("%aproc --plain --timeout 1 {program}", None),
        ("%aproc --plain --no-raise-error --grace 30 {program}", "ready"),
        ("await ipyproc.run(*program, timeout=1)", None),
        ("process = await ipyproc.start(*program)\nawait process.stdout.readline()\nawait process.stop(0.2)", None),
        ("def f():\n    %aproc --plain {program}\nf()", "ready"),
    ):
        began = time.monotonic()
        done = weak_kernel.run(cell, on_message=weak_kernel.interrupt_when(when) if when else None)
        weak_kernel.pids |= set(map(int, re.findall(LIVES_ON, done.error)))
        assert time.monotonic() - began < BOUNDED
        assert done.error.startswith("ProcessNotStopped: ") and re.search(LIVES_ON, done.error), cell
        assert "was stopped" not in done.error and "KeyboardInterrupt" not in done.error
    assert len(weak_kernel.pids) == 5
    assert weak_kernel.run("%aprocs list").text().count("Could not be stopped: ") == 5
    again = weak_kernel.run("%aprocs stop all")
    assert again.status == "ok" and again.text().count("Could not be stopped: ") == 5


def test_a_card_says_so_and_goes_on_up_to_the_end_that_comes_later(weak_kernel):
    done = weak_kernel.run("%aproc --bg --proc p {program}")
    [card] = done.cards
    weak_kernel.run("while b'ready' not in p.log.read():\n    await asyncio.sleep(0.01)")
    weak_kernel.comm(card, op="stop", job=weak_kernel.jobs[card])
    states = []

    def tells(message):
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == card:
            data = message["content"]["data"]
            states.append(data.get("state", {}).get("shown") or data.get("content", {}).get("shown") or {})
        return bool(states) and "Could not be stopped" in states[-1].get("label", "")

    weak_kernel.idle_messages(tells)
    assert (states[-1]["name"], states[-1]["next_in"]) == ("running", None)
    [pid] = map(int, re.findall(LIVES_ON, states[-1]["label"]))
    os.kill(pid, signal.SIGTERM)
    assert weak_kernel.run("await p.wait()").value == "-15"
    assert weak_kernel.eventually("%aprocs list\n1", "1")
