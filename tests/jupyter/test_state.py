"""The closing sentence: who stopped a program, with which signal, how it ended then, and how many ended."""

import asyncio
import signal
import sys

import pytest

from ipyproc._core.batch import run
from ipyproc._core.program.ladder import INTERRUPT, KILL, TERMINATE
from ipyproc._jupyter.views import state

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

EXITS_3 = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
ABORTS = "trap 'kill -ABRT $$' TERM; echo ready; while :; do sleep 0.01; done"
STUBBORN = "trap '' TERM; echo ready; exec sleep 600"
ALONE = "echo ready; exec sleep 600"
FAMILY = "sleep 600 & sleep 600 & echo ready; wait"


@pytest.mark.parametrize(
    ("script", "rung", "cause", "grace", "said"),
    [
        (ALONE, TERMINATE, "stop", 60, "Stopped by you with SIGTERM"),
        (FAMILY, TERMINATE, "stop", 60, "Stopped by you with SIGTERM; 3 processes ended"),
        (EXITS_3, TERMINATE, "stop", 60, "Stopped by you with SIGTERM, exit 3"),
        (ABORTS, TERMINATE, "stop", 60, "Stopped by you with SIGTERM, ended by SIGABRT"),
        (STUBBORN, TERMINATE, "stop", 0.05, "Stopped by you with SIGKILL"),
        (ALONE, KILL, "kill", 60, "Killed by you with SIGKILL"),
        (FAMILY, KILL, "kill", 60, "Killed by you with SIGKILL; 3 processes ended"),
        (ALONE, INTERRUPT, "interrupt", 60, "Interrupted with SIGINT"),
        (ALONE, TERMINATE, "timeout", 60, "Timed out, stopped with SIGTERM"),
        (ALONE, TERMINATE, "cancel", 60, "Cancelled, stopped with SIGTERM"),
    ],
)
async def test_what_it_says(script, rung, cause, grace, said):
    process = await run.start("sh", "-c", script)
    await process.stdout.readline()
    if script == FAMILY:
        while len(process.family.alive()) < 3:
            await asyncio.sleep(0.01)
    process.ladder.grace = grace
    process.ladder.reach(rung, cause)
    assert state.of(process) == state.State("stopping", f"Stopping ({process.ladder.sent.name} sent)")
    await process.ladder.finished()
    label = state.of(process).label
    assert label.removesuffix("; 2 processes ended") == said  # a script that waits has a `sleep` beside it, mostly


async def test_a_sigkill_of_whoever_holds_the_program_is_a_sigkill_of_ours():
    process = await run.start("sh", "-c", STUBBORN)
    await process.stdout.readline()
    process.ladder.reach(TERMINATE, "stop")
    process.family.send_signal(signal.SIGKILL)
    await process.ladder.finished()
    assert state.of(process).label == "Stopped by you with SIGKILL"


async def test_a_press_after_the_end_stops_only_what_is_left():
    process = await run.start("sh", "-c", "sleep 600 & exit 0")
    await process.wait()
    process.ladder.reach(TERMINATE, "stop")
    await process.ladder.finished()
    assert state.of(process).label == "Done, exit 0; what was left was ended by you with SIGTERM"


async def test_a_crash_is_called_one():
    process = await run.start("sh", "-c", "kill -SEGV $$")
    await process.ladder.finished()
    assert state.of(process) == state.State("failed", "Crashed (SIGSEGV)")
