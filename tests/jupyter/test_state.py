"""The closing sentence: how a program was stopped, by which signal, and how it ended then."""

import asyncio
import signal
import sys

import pytest

from ipyproc._core.batch import run
from ipyproc._core.program.ladder import INTERRUPT, KILL, TERMINATE
from ipyproc._jupyter.views import state

pytestmark = pytest.mark.pure

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
        (ALONE, TERMINATE, "stop", 60, "Stopped (SIGTERM)"),
        (FAMILY, TERMINATE, "stop", 60, "Stopped (SIGTERM)"),
        (EXITS_3, TERMINATE, "stop", 60, "Stopped (SIGTERM), exit 3"),
        (ABORTS, TERMINATE, "stop", 60, "Stopped (SIGTERM), ended by SIGABRT"),
        (STUBBORN, TERMINATE, "stop", 0.05, "Stopped (SIGKILL)"),
        (ALONE, KILL, "kill", 60, "Killed (SIGKILL)"),
        (FAMILY, KILL, "kill", 60, "Killed (SIGKILL)"),
        (ALONE, INTERRUPT, "interrupt", 60, "Interrupted (SIGINT)"),
        (ALONE, TERMINATE, "timeout", 60, "Timed out (SIGTERM)"),
        (ALONE, TERMINATE, "cancel", 60, "Cancelled (SIGTERM)"),
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
    assert state.of(process).label == said


async def test_a_sigkill_of_whoever_holds_the_program_is_a_sigkill_of_ours():
    process = await run.start("sh", "-c", STUBBORN)
    await process.stdout.readline()
    process.ladder.reach(TERMINATE, "stop")
    process.family.send_signal(signal.SIGKILL)
    await process.ladder.finished()
    assert state.of(process).label == "Stopped (SIGKILL)"


async def test_a_press_after_the_end_stops_only_what_is_left():
    process = await run.start("sh", "-c", "sleep 600 & exit 0")
    await process.wait()
    process.ladder.reach(TERMINATE, "stop")
    await process.ladder.finished()
    assert state.of(process).label == "Done, exit 0; the rest was stopped (SIGTERM)"


async def test_a_crash_is_called_one():
    process = await run.start("sh", "-c", "kill -SEGV $$")
    await process.ladder.finished()
    assert state.of(process) == state.State("failed", "Crashed (SIGSEGV)")
