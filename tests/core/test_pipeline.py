"""`run(...).pipe(...)`: programs joined by pipes of the operating system, each with an end of its own."""

import asyncio
import os
import resource
import select
import signal
import sys

import psutil
import pytest

import ipyproc
from ipyproc._core.launch import client, held_program

pytestmark = pytest.mark.usefixtures("nothing_left")


async def test_all_are_reported(program):
    done = await ipyproc.run("seq", "5").pipe("tail", "-n", "2").pipe(*program("cat", "err", "e"), name="last")
    assert (done.stdout, done.stderr, done.returncode) == ("4\n5\n", "e\n", 0)
    assert [each.returncode for each in done.processes] == [0, 0, 0]
    assert repr(done).startswith("<CompletedPipeline (seq 5 | tail -n 2 | last) exited with status 0 after ")
    assert done.args[0] == ("seq", "5") and isinstance(done, ipyproc.CompletedProcess)


async def test_the_rightmost_failure_counts(program):
    command = ipyproc.run(*program("out", "x", "err", "e2", "exit", 2), name="first", check=False)
    done = await command.pipe(*program("cat", "exit", 3), check=False).pipe("cat")
    assert (done.returncode, [each.returncode for each in done.processes]) == (3, [2, 3, 0])
    assert done.stdout == "x\n" and done.error().returncode == 3
    with pytest.raises(ipyproc.ProcessExitError) as caught:
        await ipyproc.run(*program("err", "why", "exit", 2), name="first").pipe("cat")
    assert str(caught.value) == "`first` exited with status 2\nwhy"


async def test_each_has_its_own_check(program):
    done = await ipyproc.run("grep", "x", input="abc", check=False).pipe("wc", "-l")
    assert (done.returncode, done.stdout.strip()) == (1, "0")
    with pytest.raises(ipyproc.ProcessExitError, match="exited with status 4"):
        await ipyproc.run(*program("exit", 4)).pipe(*program("exit", 5), check=False)


async def test_the_error_of_one_tells_of_the_others(program):
    """The last one often fails for what the first one did not give."""
    with pytest.raises(ipyproc.ProcessExitError, match=r"^`last` exited with status 1") as caught:
        await (
            ipyproc.run(*program("err", "no such file", "exit", 2), name="first")
            .pipe("cat")
            .pipe(*program("exit", 1), name="last")
        )
    assert caught.value.__notes__ == ["In the same pipe: `first` exited with status 2: no such file"]


async def test_who_reads_no_more_is_named_as_the_cause():
    with pytest.raises(ipyproc.ProcessExitError, match="SIGPIPE: what read its output ended first; check=False for it"):
        await ipyproc.run("yes").pipe("head", "-n", "1")
    assert (await ipyproc.run("yes", check=False).pipe("head", "-n", "1")).stdout == "y\n"


async def test_no_data_goes_through_python():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    done = await ipyproc.run("head", "-c", "500000000", "/dev/zero").pipe("wc", "-c")
    assert done.stdout.strip() == "500000000"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.2
    assert done.processes[0].stdout is None and done.processes[0].log.bytes == 0


async def test_what_was_made_by_run_can_be_joined():
    words = ipyproc.run("tr", "a", "b").pipe("tr", "b", "c")
    assert (await ipyproc.run("echo", "a").pipe(words)).lines == ["c"]
    with pytest.raises(TypeError, match="arguments and keywords are for a command"):
        ipyproc.run("echo", "a").pipe(ipyproc.run("cat"), "-n")
    for first, then in ((words, "cat"), (ipyproc.run("echo", "a"), words)):
        with pytest.raises(RuntimeError, match="it runs once; make another one"):
            first.pipe(then)
        first.close()


async def test_stderr_may_go_through_the_pipe(program):
    assert (await ipyproc.run(*program("err", "e"), stderr=ipyproc.STDOUT).pipe("cat")).stdout == "e\n"


async def test_the_first_can_have_input(program):
    assert (await ipyproc.run("cat", input="b\na\n").pipe("sort")).lines == ["a", "b"]


async def test_a_timeout_stops_all(program):
    with pytest.raises(ipyproc.ProcessTimeout) as caught:
        await ipyproc.run(*program("stall"), timeout=60).pipe(*program("out", "x", "stall"), timeout=0.3)
    assert caught.value.timeout == 0.3 and ipyproc.processes() == []


async def test_cancelling_stops_all(program):
    work = asyncio.create_task(ipyproc.run(*program("stall")).pipe(*program("stall")))
    while len(found := ipyproc.processes()) < 2:
        await asyncio.sleep(0.005)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [each.returncode for each in found] == [-15, -15]


async def test_one_that_is_not_there_starts_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        await ipyproc.run("touch", tmp_path / "file").pipe("nosuchprogram")
    assert not (tmp_path / "file").exists()


async def test_one_that_cannot_start_stops_those_that_have(program, tmp_path):
    (tmp_path / "data").write_bytes(b"\x7fnothing")
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(OSError, match="not a program"):
        await ipyproc.run(*program("stall")).pipe(tmp_path / "data")
    assert ipyproc.processes() == []


def test_input_in_the_middle_is_refused():
    for wrong in ({"input": "x"}, {"stdin": 0}):
        with pytest.raises(ValueError, match="`cat` is in a pipe, so it can have no stdin"):
            ipyproc.run("true").pipe("cat", **wrong)
    with pytest.raises(ValueError, match="`true` is in a pipe, so it can have no stdout"):
        ipyproc.run("true", stdout=ipyproc.DEVNULL).pipe("cat")


def test_result_in_plain_code():
    assert ipyproc.run("echo", "x").pipe("cat").result().stdout == "x\n"


async def test_no_end_of_a_pipe_is_held_by_another_program(program):
    """Else `cat` would wait for the end of its input as long as the third program runs."""
    long = asyncio.create_task(ipyproc.run(*program("stall")))
    assert (await asyncio.wait_for(ipyproc.run("echo", "x").pipe("cat"), 30)).stdout == "x\n"
    long.cancel()
    await asyncio.wait([long])


async def test_usage_is_that_of_all(monkeypatch):
    usage = ipyproc.Usage(1.0, 0.5, 100)
    monkeypatch.setattr(ipyproc.Process, "usage", usage, raising=False)
    done = await ipyproc.run("true").pipe("true")
    assert done.usage == ipyproc.Usage(2.0, 1.0, 100) and os.fspath(done.log.path)


@pytest.mark.skipif(sys.platform != "linux", reason="shims hold programs on Linux only")
async def test_a_program_that_is_lost_while_it_starts_is_started_again_with_those_before_it(program, monkeypatch):
    begun = []
    begin = held_program.HeldProgram.start

    async def begin_or_kill_the_second(self, request, fds):
        begun.append(self)
        if len(begun) == 2:
            for shim in psutil.Process(client.supervisor_pid()).children():
                if shim.pid != begun[0].shim:
                    shim.send_signal(signal.SIGKILL)
            # until it has hung up: a new shim fails to start a program once, and that child has the socket for a moment
            select.select([self._socket], [], [])
        return await begin(self, request, fds)

    monkeypatch.setattr(held_program.HeldProgram, "start", begin_or_kill_the_second)
    with pytest.raises(ipyproc.ProcessLost, match="the shim was killed"):
        await ipyproc.run(*program("stall")).pipe("cat")
    begun.clear()
    # more than a pipe holds: it lives as long as nobody reads, and so does its shim
    done = await ipyproc.run("seq", "100000", retry_lost=1).pipe("tail", "-n", "1")
    assert (done.lines, [each.returncode for each in done.processes], len(begun)) == (["100000"], [0, 0], 4)
