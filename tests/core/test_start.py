"""`start`: a Process that is awaited, left, iterated, paused; and `processes`, which knows those that run."""

import asyncio
import errno
import gc
import platform
import signal
import sys
import weakref

import psutil
import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._core.output.log import Log
from ipyproc._core.process.start import start
from ipyproc._core.program.spec import Spec

pytestmark = pytest.mark.usefixtures("nothing_left")

CLONE = {"x86_64": 56, "aarch64": 220}  # the number of the system call


async def test_awaited_it_gives_the_return_code(program):
    process = await ipyproc.start(*program("exit", 3))
    assert await process == await process.wait() == 3


async def test_lines_as_they_come(program):
    seen = []
    async with await ipyproc.start(
        *program("out", "a", "sleep", 0.1, "err", "b", "sleep", 0.1, "raw", "ff0d0a", "cat"), stdin=ipyproc.PIPE
    ) as process:
        async for line in process:
            seen.append(line)
            if len(seen) == 3:
                process.stdin.close()  # the program has not ended: the lines came meanwhile
    assert seen == ["a", "b", "�"] and process.returncode == 0
    assert [line async for line in process.lines(2)] == ["b"]
    assert process.tail() == "a\nb\n�" and process.tail(1) == "�" and process.tail(5, 2) == "b"


async def test_lines_need_a_log(program):
    process = await ipyproc.start(*program(), stdout=ipyproc.DEVNULL, stderr=ipyproc.DEVNULL)
    with pytest.raises(ValueError, match=r"lines\(\): the output of <Process .* does not go to a log"):
        _ = [line async for line in process]
    with pytest.raises(ValueError, match=r"tail\(\): the output of"):
        process.tail()
    await process
    process = await ipyproc.start(*program())
    with pytest.raises(ValueError, match=r"stream=3: allowed are 1 \(stdout\), 2 \(stderr\) and None"):
        process.tail(stream=3)
    await process


async def test_leaving_the_block_waits(program):
    async with await ipyproc.start(*program("cat"), stdin=ipyproc.PIPE, stdout=ipyproc.PIPE) as process:
        process.stdin.write(b"x")
    assert process.returncode == 0


async def test_leaving_the_block_empties_pipes_that_nobody_reads(program):
    async with await ipyproc.start(*program("lines", 300_000), stdout=ipyproc.PIPE) as process:
        await process.stdout.readline()
    assert process.returncode == 0


async def test_an_error_in_the_block_stops_the_family(program):
    with pytest.raises(ZeroDivisionError):
        async with await ipyproc.start("sh", "-c", "sleep 600 & sleep 600") as process:
            1 / 0  # noqa: B018
    assert process.returncode == -signal.SIGTERM and process.family.alive() == set()


@pytest.mark.parametrize("inside", [True, False])
async def test_a_cancelled_block_stops_the_family(program, inside):
    started = []

    async def work():
        async with await ipyproc.start(*program("stall")) as process:
            started.append(process)
            if inside:
                await asyncio.sleep(600)

    task = asyncio.create_task(work())
    while not started:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert started[0].returncode == -signal.SIGTERM


async def test_interrupt_reaches_the_family(program):
    # the inner one says so itself: between fork and exec a child of dash swallows a SIGINT
    process = await ipyproc.start("sh", "-c", "sh -c 'echo ready; exec sleep 600'; echo not here")
    await process.stdout.readline()
    process.interrupt()
    assert await process.wait() == -signal.SIGINT
    await process.log.finished()
    assert process.family.alive() == set() and process.tail() == "ready"
    with pytest.raises(ProcessLookupError):
        process.interrupt()


async def test_pause_and_resume_the_family(program):
    process = await ipyproc.start("sh", "-c", "while true; do echo x; sleep 0.01; done")
    await process.stdout.readline()
    process.pause()
    while not all(_is_stopped(member) for member in process.family.alive()):  # a child may just have ended
        await asyncio.sleep(0.005)
    written = await _quiet(process.log)
    process.resume()
    await process.log.changed(written + 2)
    process.pause()
    assert await process.stop() == -signal.SIGTERM  # stopping wakes it up
    for call in (process.pause, process.resume):
        with pytest.raises(ProcessLookupError):
            call()


@pytest.mark.skipif(platform.machine() not in CLONE, reason="the number of clone(2) is not known here")
async def test_a_program_that_waits_for_a_stopped_child_to_become_another_program_is_paused():
    """SIGSTOP may come while a shell is just starting a command: its state is not `stopped` then, but nothing of it runs."""
    code = f"""
import ctypes, os, signal
clone_vfork = 0x4000
if not ctypes.CDLL(None).syscall({CLONE.get(platform.machine())}, clone_vfork | signal.SIGCHLD, 0, 0, 0, 0):
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
print('on', flush=True)
signal.pause()
"""
    process = await ipyproc.start(sys.executable, "-c", code)
    while not process.family.measure()[3]:
        await asyncio.sleep(0.01)
    process.resume()
    await process.stdout.readline()
    assert not process.family.measure()[3]
    await process.stop()


async def _quiet(log):
    """Its bytes, once nothing has come for 0.2 s: what was in the pipe before may still come. Endless while somebody writes."""
    while True:
        written = log.bytes
        try:
            await asyncio.wait_for(log.changed(written + 1), 0.2)
        except TimeoutError:
            return written


def _is_stopped(member):
    try:  # disk-sleep: a shell whose child was stopped before its exec; vfork(2) holds the shell as long
        return member.status() in (psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP)
    except psutil.NoSuchProcess:
        return False


async def test_pipes_and_the_shell(program):
    process = await ipyproc.start("cat; echo $0", shell=True, stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
    assert await process.communicate(b"in\n") == (b"in\n/bin/sh\n", None)
    assert process.args == "cat; echo $0" and process.stderr is not None
    process = await ipyproc.start(["cat"], input="text")
    await process
    assert process.tail() == "text"


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"timeout": 5}, "start() takes no keyword 'timeout': use `async with asyncio.timeout(...)`"),
        ({"text": True}, "start() takes no keyword 'text': streams are bytes; `process.lines()` is text"),
        ({"check": True}, "start() takes no keyword 'check': look at `process.returncode`"),
    ],
)
async def test_keywords_of_run_that_make_no_sense(keywords, words):
    with pytest.raises(TypeError) as caught:
        await ipyproc.start("true", **keywords)
    assert str(caught.value) == words


async def test_without_a_launcher_there_is_no_log(monkeypatch):
    async def best():
        raise OSError(errno.EMFILE, "too many open files")

    logs = []
    monkeypatch.setattr(launch, "best", best)
    with pytest.raises(OSError, match="too many open files"):
        await start(Spec.of("true"), make_log=lambda streams: logs.append(Log(streams)) or logs[0])
    assert [log for log in logs if log.path.exists()] == []


class TestProcesses:
    """Which programs run."""

    async def test_in_the_order_of_their_start(self, program):
        assert ipyproc.processes() == []
        first, second = await ipyproc.start(*program("stall")), await ipyproc.start(*program("stall"))
        work = asyncio.create_task(ipyproc.run(*program("stall")))
        while len(ipyproc.processes()) < 3:
            await asyncio.sleep(0.005)
        assert ipyproc.processes()[:2] == [first, second]
        await first.stop()
        assert ipyproc.processes()[0] is second and len(ipyproc.processes()) == 2
        work.cancel()
        await asyncio.wait([work])
        await second.stop()
        assert ipyproc.processes() == []

    async def test_one_that_nobody_has_kept(self, program):
        await ipyproc.start(*program("stall"))
        gc.collect()
        (process,) = ipyproc.processes()
        await process.stop()

    async def test_one_that_has_ended_is_let_go(self, program):
        process = await ipyproc.start(*program())
        await process
        await asyncio.sleep(0)
        known = weakref.ref(process)
        del process
        gc.collect()
        assert known() is None
