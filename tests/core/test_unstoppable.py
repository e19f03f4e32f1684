"""What cannot be stopped keeps nobody waiting, and no end that nobody saw is told: an error says what lives on, and why."""

import asyncio
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._core.program.ladder import INTERRUPT
from ipyproc._jupyter.views import state

from .. import unstoppable

pytestmark = pytest.mark.pure

if sys.platform != "linux":
    pytest.skip("capabilities and ptrace are Linux's", allow_module_level=True)

BOUNDED = 30  # seconds that a loaded machine may take for what takes six
SCRIPT = f"""
{unstoppable.NO_RIGHTS}
import asyncio, json, shlex, sys, time
import ipyproc
from ipyproc._core import launch

program = unstoppable.FOREIGN
if sys.argv[1] == "portable":
    launch.best = lambda: asyncio.sleep(0, launch.portable)

async def tell(work):
    began = time.monotonic()
    try:
        result = repr(await work)
    except Exception as error:
        pids = [each.pid for each in getattr(error, "survivors", ())]
        result = [type(error).__name__, str(error), getattr(error, "returncode", None), pids]
    print(json.dumps([result, time.monotonic() - began]), flush=True)

async def started(*words):
    process = await ipyproc.start(*words)
    await process.stdout.readline()
    return process

async def main():
"""


@pytest.fixture(params=["best", "portable"])
def launcher(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(launch, "best", lambda: asyncio.sleep(0, launch.portable))
    return request.param


@pytest.fixture
def told(launcher):
    """What a script tells of its work, which cannot stop the program; that one is killed at the end."""
    if not unstoppable.can_be_had():
        pytest.skip("to become another user takes root")
    pids = set()

    def run(body):
        script = f"{SCRIPT}{textwrap.indent(textwrap.dedent(body), '    ')}\nasyncio.run(main())"
        command = [sys.executable, "-c", script, launcher]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        print(*lines, sep="\n")
        pids.update(pid for result, _ in lines if isinstance(result, list) for pid in result[3])
        assert all(took < BOUNDED for _, took in lines)
        return [result for result, _ in lines]

    yield run
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def check(result, *, returncode):
    """One process lives on, and the error says so."""
    name, text, code, pids = result
    assert (name, code, len(pids)) == ("ProcessNotStopped", returncode, 1)
    assert f"(pid {pids[0]}) belongs to " in text and "and may not be signalled from here" in text
    assert "was stopped" not in text


def test_stop_is_an_error_that_names_what_lives_on_and_may_be_tried_again(told):
    first, again, inner = told(
        """
        process = await started(*program)
        await tell(process.stop(0.2))
        await tell(process.stop(0.2))
        async def inner():
            async with process:
                raise ZeroDivisionError
        await tell(inner())
        """
    )
    check(first, returncode=None)
    check(again, returncode=None)
    assert inner[0] == "ZeroDivisionError"


def test_a_timeout_claims_no_stop_that_was_none(told):
    run, script, one_of_two = told(
        """
        await tell(ipyproc.run(*program, timeout=2, retry_lost=3))
        await tell(ipyproc.run("sh", "-c", f"trap 'exit 3' TERM; {shlex.join(program)} & echo all; wait", timeout=2))
        await tell(ipyproc.parallel([program, ["true"]], timeout=0.5, retries=3))
        """
    )
    check(run, returncode=None)
    assert "could not be stopped after its timeout of 2 s: " in run[1] and run[1].endswith("\nready")
    check(script, returncode=3)
    check(one_of_two, returncode=None)


def test_interrupts_end_in_vain_too(told):
    [climbed] = told(
        """
        process = await started(*program)
        for _ in range(5):
            process.ladder.climb(0, "interrupt")
        await tell(process.ladder.finished())
        """
    )
    check(climbed, returncode=None)


@pytest.mark.usefixtures("nothing_left")
async def test_a_debugger_that_holds_it_is_named_and_the_end_is_known_when_it_lets_go(launcher):
    process = await ipyproc.start(*unstoppable.HELD)
    await process.stdout.readline()
    loop, gaps, last = asyncio.get_running_loop(), [], time.monotonic()

    def tick():
        nonlocal last
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        loop.call_later(0.01, tick)

    pipe = subprocess.PIPE
    with subprocess.Popen([*unstoppable.DEBUGGER, str(process.pid)], stdin=pipe, stdout=pipe, stderr=pipe) as debugger:
        if debugger.stdout.readline() != b"held\n":
            await process.stop()
            pytest.skip(f"debuggers are not allowed here: {debugger.stderr.read().decode()}")
        tick()
        began = time.monotonic()
        with pytest.raises(ipyproc.ProcessNotStopped, match=rf"\(pid {debugger.pid}\)") as caught:
            await process.stop(0.2)
        assert time.monotonic() - began < BOUNDED and max(gaps) < 3, "the event loop waits for no debugger"
        [survivor] = caught.value.survivors
        assert (survivor.pid, process.returncode) == (process.pid, None)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.survivors) == (str(caught.value), (survivor,))
        assert state.of(process).label == f"Could not be stopped: {survivor}"
        debugger.stdin.close()
    assert await process.wait() == (-signal.SIGTERM if launcher == "portable" else -signal.SIGKILL)
    assert process.ladder.failure is None and process.ladder.cause == "stop"


@pytest.mark.usefixtures("nothing_left")
async def test_what_ends_by_itself_later_was_stopped_by_nobody(launcher, monkeypatch):
    process = await ipyproc.start("sh", "-c", "trap '' INT TERM; echo ready; read line; exit 4", stdin=ipyproc.PIPE)
    await process.stdout.readline()
    family = type(process.family)
    with monkeypatch.context() as patched:  # SIGKILL is lost on the way, as it is for a process of another user
        patched.setattr(family, "send_signal", lambda self, number, *, kill_in=None: 1)
        patched.setattr(family, "kill_grace", 0.1)
        process.ladder.reach(INTERRUPT, "interrupt", 0.1)
        with pytest.raises(ipyproc.ProcessNotStopped, match="has not ended yet"):
            await process.ladder.finished()
    process.stdin.write(b"go on\n")
    assert await process.wait() == 4
    assert (process.ladder.cause, process.ladder.failure) == ("", None)
    assert state.of(process).label == "Failed, exit 4"
    assert await process.stop() == 4


def test_the_error_names_a_few():
    survivors = [ipyproc._core.survivor.Survivor(pid, "x", "lives on") for pid in range(9)]
    text = str(ipyproc.ProcessNotStopped(survivors))
    assert len(re.findall("lives on", text)) == 5 and text.endswith("; 4 more")
