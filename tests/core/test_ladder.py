"""The stop ladder from any thread, also while the event loop is busy; what it sends, and what it says of it."""

import asyncio
import contextlib
import errno
import logging
import math
import signal
import sys
import threading
import time

import psutil
import pytest

import ipyproc
from ipyproc._core import launch, process_table
from ipyproc._core.batch import run
from ipyproc._core.program.ladder import INTERRUPT, KILL, TERMINATE

if sys.platform != "linux":
    pytest.skip("only a supervised family takes signals from any thread", allow_module_level=True)

from ipyproc._core.launch import supervised

from ..starting import start_exec

pytestmark = pytest.mark.usefixtures("nothing_left")
FORKS_IN_A_THREAD = (
    "import subprocess, sys, threading; threading.Thread(target=lambda: ("
    "subprocess.Popen(['sleep', '600']), print('ready', flush=True), threading.Event().wait())).start()"
)


async def started(*words, launcher=supervised):
    """A process that has written its first line."""
    running = await start_exec(launcher, *words, stdout=ipyproc.LOG, start_new_session=True)
    await running.stdout.readline()
    return running


def in_thread(call, *arguments):
    """Call it in another thread, and wait for it without giving the event loop a turn; seconds that it took."""
    began = time.monotonic()
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    thread.join()
    return time.monotonic() - began


def wait_gone(running):
    """Wait until a family has ended, without giving the event loop a turn; seconds that it took."""
    began = time.monotonic()
    while running.family.alive():
        assert time.monotonic() - began < 5, "it was not signalled while the event loop was busy"
        time.sleep(0.001)
    return time.monotonic() - began


def test_a_signal_goes_out_at_once_though_the_loop_is_busy(program):
    async def main():
        running = await started(*program("out", "ready", "stall"))
        took = in_thread(running.ladder.reach, TERMINATE, "stop") + wait_gone(running)
        print(f"ended {took * 1000:.1f} ms after the call")
        assert running.returncode is None, "the loop had no turn yet"
        assert await running.wait() == -15
        await running.ladder.finished()
        assert (running.ladder.sent, running.ladder.cause) == (signal.SIGTERM, "stop")

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
def test_what_ended_while_the_loop_was_busy_gets_no_further_signal(program, launcher):
    async def main():
        running = await started(
            "sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", launcher=launcher
        )
        running.ladder.grace = 0.4
        running.ladder.reach(TERMINATE, "stop")
        await asyncio.sleep(0)  # the timer of the next signal runs
        wait_gone(running)
        time.sleep(0.45)  # and is long due
        assert await running.wait() == 3
        await running.ladder.finished()
        assert running.ladder.sent == signal.SIGTERM

    asyncio.run(main())


def test_time_climbs_for_a_call_from_a_thread_too(program):
    async def main():
        running = await started(*program("ignore", "INT", "ignore", "TERM", "out", "ready", "stall"))
        running.ladder.grace = 0.1
        in_thread(running.ladder.reach, INTERRUPT, "stop")
        assert running.ladder.sent == signal.SIGINT
        assert await running.wait() == -9
        # whoever holds the family may have sent the last one by himself
        assert running.ladder.sent in (signal.SIGTERM, signal.SIGKILL) and running.ladder.cause == "stop"

    asyncio.run(main())


def test_each_press_climbs_though_the_loop_is_busy(program):
    async def main():
        running = await started(*program("ignore", "INT", "ignore", "TERM", "out", "ready", "stall"))
        sent = []
        for _ in range(4):
            in_thread(running.ladder.climb, INTERRUPT, "interrupt")
            sent.append(running.ladder.sent)
        assert sent == [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]
        wait_gone(running)
        assert await running.wait() == -9

    asyncio.run(main())


def test_presses_from_many_threads_are_counted_once_each(program, monkeypatch):
    sent = []
    send = supervised.ShimFamily.send_signal

    def record(self, number, *, kill_in=None):
        sent.append((number, kill_in))
        return send(self, number, kill_in=kill_in)

    monkeypatch.setattr(supervised.ShimFamily, "send_signal", record)

    async def main():
        running = await started(*program("ignore", "INT", "ignore", "TERM", "out", "ready", "stall"))
        running.ladder.grace = 60
        calls = [
            threading.Thread(target=running.ladder.reach, args=(rung, "stop"))
            for rung in [INTERRUPT] * 9 + [TERMINATE] * 9
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert len(sent) == len(set(sent)) and sent[-1] == (signal.SIGTERM, 60)
        assert set(sent) <= {(signal.SIGINT, 62), (signal.SIGTERM, 60)}
        assert 59 < running.ladder.next_in <= 60
        in_thread(running.ladder.reach, KILL, "kill")
        assert sent[-1] == (signal.SIGKILL, None) and running.ladder.next_in is None
        assert await running.wait() == -9
        assert running.ladder.cause == "stop"

    asyncio.run(main())


def test_a_family_of_the_loop_alone_gets_it_in_the_loops_next_turn(program):
    async def main():
        running = await started(*program("out", "ready", "stall"), launcher=launch.portable)
        in_thread(running.ladder.reach, TERMINATE, "stop")
        assert running.ladder.sent is None
        assert await running.wait() == -15
        await running.ladder.finished()
        assert (running.ladder.sent, running.ladder.reached) == (signal.SIGTERM, 1)

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
def test_it_knows_how_many_were_reached(program, launcher):
    async def main():
        words = " ".join(program())
        running = await started(
            "sh", "-c", f"{words} stall & {words} setsid stall & sleep 600 & echo ready; wait", launcher=launcher
        )
        while len(running.family.alive()) < 4:
            await asyncio.sleep(0.01)
        assert await running.stop() == -15
        assert running.ladder.reached == 4
        running = await started(sys.executable, "-c", FORKS_IN_A_THREAD, launcher=launcher)
        await running.stop(0)
        assert running.ladder.reached == 2

    asyncio.run(main())


def test_stopping_what_is_left_of_a_family_is_no_reason_for_the_programs_end(program):
    async def main():
        running = await run.start("sh", "-c", f"{' '.join(program())} stall & exit 4")
        assert await running.wait() == 4
        assert await running.stop() == 4
        assert running.ladder.sent and not running.ladder.cause and not running.family.alive()

    asyncio.run(main())


STUBBORN = ("ignore", "INT", "ignore", "TERM", "out", "ready", "stall")
# each call is a rung of the ladder, the grace that is asked for, and when the next signals are due then
SLOW, FAST = (TERMINATE, 30, {signal.SIGKILL: 30}), (TERMINATE, 0.5, {signal.SIGKILL: 0.5})
SLOW_INTERRUPT = (INTERRUPT, 30, {signal.SIGTERM: 2, signal.SIGKILL: 32})
FAST_INTERRUPT = (INTERRUPT, 0.3, {signal.SIGTERM: 0.3, signal.SIGKILL: 0.6})
DEADLINES = [
    [SLOW, FAST],
    [FAST, SLOW],
    [SLOW_INTERRUPT, FAST],
    [FAST_INTERRUPT, SLOW],
    [SLOW_INTERRUPT, FAST_INTERRUPT],
    [SLOW, FAST_INTERRUPT],
    [SLOW, FAST, SLOW, (TERMINATE, None, {signal.SIGKILL: 5})],
]


def reach(running, calls):
    """Call the ladder; the earliest and the latest moment at which each signal is due then."""
    earliest, latest = {}, {}
    for rung, grace, due in calls:
        for times in (earliest, latest):
            if times is latest:
                running.ladder.reach(rung, "stop", grace)
            for number, seconds in due.items():
                times[number] = min(times.get(number, math.inf), time.monotonic() + seconds)
    return earliest, latest


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
@pytest.mark.parametrize("calls", DEADLINES)
def test_the_earliest_deadline_that_anybody_has_asked_for_holds(program, launcher, calls):
    async def main():
        running = await started(*program(*STUBBORN), launcher=launcher)
        earliest, latest = reach(running, calls)
        following = signal.SIGTERM if running.ladder.sent == signal.SIGINT else signal.SIGKILL
        before, shown, after = time.monotonic(), running.ladder.next_in, time.monotonic()
        assert before + shown < latest[following] + 0.01, "what the card counts down to"
        assert after + shown > earliest[following] - 0.01
        assert await running.wait() == -9
        late = time.monotonic() - latest[signal.SIGKILL]
        print(f"ended {late * 1000:.0f} ms after the deadline")
        assert earliest[signal.SIGKILL] - 0.01 < time.monotonic() and late < 4
        await running.ladder.finished()

    asyncio.run(main())


@pytest.mark.parametrize("calls", DEADLINES)
def test_and_it_holds_though_the_loop_is_busy(program, calls):
    async def main():
        running = await started(*program(*STUBBORN))
        earliest, latest = reach(running, calls)
        wait_gone(running)
        assert earliest[signal.SIGKILL] - 0.01 < time.monotonic() < latest[signal.SIGKILL] + 4
        assert await running.wait() == -9
        await running.ladder.finished()

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
@pytest.mark.parametrize("graces", [(30, 0.3), (0.3, 30)])
def test_stop_twice_ends_it_at_the_earlier_moment(program, launcher, graces):
    async def main():
        running = await started(*program(*STUBBORN), launcher=launcher)
        began = time.monotonic()
        assert await asyncio.gather(*(running.stop(grace) for grace in graces)) == [-9, -9]
        assert time.monotonic() - began < 10

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
@pytest.mark.parametrize("grace", [1e12, 1e300, math.inf])
def test_a_grace_without_an_end(program, launcher, grace):
    async def main():
        running = await started(*program("out", "ready", "stall"), launcher=launcher)
        assert await running.stop(grace) == -15

    asyncio.run(main())


@pytest.mark.parametrize("grace", ["5", math.nan, -1, True])
def test_a_grace_that_is_none(program, grace):
    async def main():
        running = await started(*program("out", "ready", "stall"))
        with pytest.raises((TypeError, ValueError), match=f"grace={grace!r}: allowed is a number of seconds"):
            await running.stop(grace)
        assert running.ladder.sent is None
        await running.stop(0)

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, None])
def test_async_with_stops_the_whole_family_when_its_body_fails(program, launcher, ended, error):
    # without a session of its own a daemon is found by any launcher
    daemon = " ".join(
        program("out", "ready", "stall") if launcher is launch.portable else program("setsid", "out", "ready", "stall")
    )
    script = f"({daemon} &); {'exit 0' if ended else 'sleep 600'}"

    async def body(families):
        async with await started("sh", "-c", script, launcher=launcher) as running:
            families.append(running.family)
            if ended:
                assert await running.wait() == 0
            assert running.family.alive()
            if error:
                raise error
            if not ended:
                running.kill()

    async def main():
        families = []
        with pytest.raises(error) if error else contextlib.nullcontext():
            await body(families)
        [family] = families
        assert bool(family.alive()) is (error is None), "what a program has left is no failure"
        family.send_signal(signal.SIGKILL)
        while family.is_alive():
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_rung_that_cannot_be_sent_is_passed_over_with_a_word(program, monkeypatch, caplog):
    """As on Windows without a console, where CTRL_BREAK_EVENT ends in `[WinError 12] The access code is invalid`."""
    send = psutil.Process.send_signal

    def refuse(self, number):
        if number == signal.SIGINT:
            raise OSError(errno.EINVAL, "The access code is invalid")
        send(self, number)

    monkeypatch.setattr(psutil.Process, "send_signal", refuse)

    async def main():
        running = await started(*program("out", "ready", "stall"), launcher=launch.portable)
        with pytest.raises(OSError, match=r"SIGINT cannot be sent to .*The access code is invalid") as caught:
            running.interrupt()
        assert caught.value.errno == errno.EINVAL
        running.ladder.climb(INTERRUPT, "interrupt")
        assert (running.ladder.sent, running.ladder.reached) == (signal.SIGTERM, 1)
        await running.ladder.finished()
        assert (running.returncode, running.ladder.cause) == (-15, "interrupt")

    with caplog.at_level(logging.WARNING, "ipyproc"):
        asyncio.run(main())
    assert "SIGINT cannot be sent ([Errno 22] The access code is invalid), so SIGTERM is tried" in caplog.text


def test_waiting_for_the_end_looks_through_the_machine_rarely(program, monkeypatch):
    looks = []
    now = process_table.now
    monkeypatch.setattr(process_table, "now", lambda: (looks.append(time.monotonic()), now())[1])

    async def main():
        running = await started(*program(*STUBBORN), launcher=launch.portable)
        assert await running.stop(1) == -9
        assert len(looks) <= 5, "for SIGTERM; for SIGKILL until nothing new is there; and that nothing is left"
        running = await started(
            "sh", "-c", f"{' '.join(program(*STUBBORN))} & exec sleep 600", launcher=launch.portable
        )
        looks.clear()
        assert await running.stop(1) == -15
        assert len(looks) <= 6
        running = await started(*program("out", "ready", "stall"), launcher=launch.portable)
        looks.clear()
        for _ in range(100):
            assert running.family.measure()[2] == 1
        assert len(looks) <= 1
        await running.stop()

    asyncio.run(main())


def test_a_signal_to_the_program_goes_out_where_the_process_table_cannot_be_read(program, monkeypatch):
    def refuse(*_):
        raise FileNotFoundError("/proc")

    def hide(self, pid=None):
        raise psutil.NoSuchProcess(pid)

    async def main():
        running = await started(*program("ignore", "TERM", "out", "ready", "stall"), launcher=launch.portable)
        monkeypatch.setattr(process_table, "now", refuse)
        monkeypatch.setattr(psutil.Process, "__init__", hide)
        assert running.family.is_alive()
        assert await running.stop(0.2) == -9

    asyncio.run(main())


@pytest.mark.parametrize("row", ["child", "session"])
def test_a_stranger_with_a_pid_that_the_table_knew_is_not_taken_in(program, monkeypatch, row):
    async def main():
        stranger = await started(*program("out", "ready", "stall"), launcher=launch.portable)
        running = await started(*program("out", "ready", "stall"), launcher=launch.portable)
        stale = {running.pid: (1, running.pid), stranger.pid: (running.pid, 0) if row == "child" else (1, running.pid)}
        with monkeypatch.context() as patched:
            patched.setattr(process_table, "recent", lambda: stale)
            patched.setattr(process_table, "now", lambda: stale)
            assert running.family.measure()[2] == 1
            assert running.family.send_signal(signal.SIGTERM) == 1
        assert (await running.wait(), stranger.returncode) == (-15, None)
        assert not running.family.is_alive()
        await stranger.stop()

    asyncio.run(main())
