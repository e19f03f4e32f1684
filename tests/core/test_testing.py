"""Fake programs: played as their scripts say, met as real ones are, and nothing of them is left."""

import asyncio
import contextlib
import contextvars
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref

import psutil
import pytest
import uvloop

import ipyproc
from ipyproc import testing
from ipyproc.testing import FakeProgram, Script, programs

from ..played import PLAYED

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.pure]

uvloop.new_event_loop().close()  # uvloop keeps a few descriptors of its own from its first loop on


def run(main):
    return asyncio.run(asyncio.wait_for(main, 20))


async def forever(program):
    await asyncio.Event().wait()


async def cat(program):
    while data := await program.stdin.read(1 << 16):
        await program.stdout.write(data)


# --- as plain data ---------------------------------------------------------------------------------------------------


def test_a_script_writes_takes_its_time_and_ends():
    with programs({"sox": Script(stdout="ü\n", stderr=b"\xff", returncode=3, duration=0.05)}) as started:
        done = ipyproc.run("sox", "a.wav", check=False).result()
    assert (done.stdout, done.stderr, done.returncode) == ("ü\n", "�", 3)
    assert done.duration >= 0.05 and done.usage is None
    assert [each.args for each in started] == [("sox", "a.wav")] and started[0].returncode == 3


def test_no_process_is_started(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "killpg", refuse)

    async def main():
        process = await ipyproc.start("no-such-tool")
        with pytest.raises(psutil.NoSuchProcess):
            psutil.Process(process.pid)
        process.send_signal(signal.SIGUSR1)
        return process.launcher, await process.wait()

    with programs({"no-such-tool": forever}):
        assert run(main()) == ("fake", -signal.SIGUSR1)


def test_a_pid_is_that_of_no_process():
    with programs({"a": Script()}) as started:
        ipyproc.run("a").result()
        ipyproc.run("a").result()
    assert len({each.pid for each in started}) == 2
    for each in started:
        with pytest.raises(ProcessLookupError):
            os.kill(each.pid, 0)


def test_an_error_is_that_of_a_real_program():
    with (
        programs({"sox": Script(stdout="1\n", stderr="sox: no such file\n", returncode=2)}),
        pytest.raises(ipyproc.ProcessExitError) as found,
    ):
        ipyproc.run("sox", "a.wav").result()
    error = found.value
    assert (error.returncode, error.stderr, error.cmd) == (2, "sox: no such file", ("sox", "a.wav"))
    assert str(error).startswith("`sox a.wav` exited with status 2")


def test_an_end_by_a_signal():
    with programs({"sox": Script(returncode=-11)}), pytest.raises(ipyproc.ProcessExitError, match="SIGSEGV"):
        ipyproc.run("sox").result()


def test_lost():
    with programs({"sox": Script(stdout="half", lost=True)}) as started, pytest.raises(ipyproc.ProcessLost) as found:
        ipyproc.run("sox").result()
    assert "was lost, as its script says" in str(found.value) and started[0].returncode is None
    assert repr(started[0]).endswith("(sox) was lost>")


def test_lost_while_it_starts_is_tried_again():
    tries = []

    def play(program):
        tries.append(program.args)
        return ipyproc.ProcessLost("the machine is gone") if len(tries) == 1 else Script(stdout="ok")

    with programs(play) as started:
        assert ipyproc.run("sox", retry_lost=1).result().stdout == "ok"
    assert len(tries) == 2 and len(started) == 1


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no such program", "sox"), PermissionError("no")])
def test_what_cannot_be_started(error):
    async def main():
        await ipyproc.start("sox")

    with programs({"sox": error}) as started, pytest.raises(type(error)):
        run(main())
    assert not started and not ipyproc.processes()


@pytest.mark.parametrize(
    ("keywords", "error", "told"),
    [
        ({"stdout": 3}, TypeError, "stdout=3: allowed are"),
        ({"returncode": 256}, ValueError, "returncode=256: allowed are 0 to 255"),
        ({"returncode": -500}, ValueError, "returncode=-500"),
        ({"returncode": True}, TypeError, "returncode=True"),
        ({"duration": -1}, ValueError, "duration=-1"),
        ({"duration": None}, TypeError, "duration=None"),
    ],
)
def test_a_wrong_script_is_told_of(keywords, error, told):
    with pytest.raises(error, match=told):
        Script(**keywords)


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ({"sox": "out"}, r"'sox' is 'out': allowed are a Script.*; write Script\(stdout='out'\)"),
        ({"sox": None}, "'sox' is None"),
        ({3: Script()}, "3 is no name of a program"),
        (None, "scripts=None: allowed are"),
        (Script(), "this is what one program does; give a mapping"),
        (forever, "this is what one program does; give a mapping"),
    ],
)
def test_wrong_scripts_are_told_of_before_anything_starts(scripts, told):
    with pytest.raises(TypeError, match=told), programs(scripts):
        raise AssertionError("it has begun")


# --- which program ---------------------------------------------------------------------------------------------------


def test_a_program_without_a_script_is_told_of_with_the_nearest():
    with pytest.raises(LookupError) as found, programs({"sox": Script(), "ffmpeg": Script()}):
        ipyproc.run("soxi", "a.wav").result()
    told = str(found.value)
    assert told == (
        "no script for the program 'soxi' (`soxi a.wav`): did you mean 'sox'? There are scripts for 'sox', 'ffmpeg'"
    )
    assert not getattr(found.value, "__notes__", None)


def test_code_that_handles_every_error_does_not_hide_one_without_a_script():
    def careless():
        with programs({}), contextlib.suppress(Exception):
            ipyproc.run("sox").result()

    with pytest.raises(LookupError, match="no script for the program 'sox'"):
        careless()


def test_by_name_or_by_path():
    with programs({"sox": Script(stdout="name"), "/opt/sox": Script(stdout="path")}):
        assert ipyproc.run("/usr/bin/sox").result().stdout == "name"
        assert ipyproc.run("/opt/sox").result().stdout == "path"


def test_a_line_for_the_shell():
    with programs({"sh": Script()}) as started:
        ipyproc.run("a | b", shell=True).result()
    assert started[0].args == ("/bin/sh", "-c", "a | b") and started[0].name == "sh"


def test_repr_says_how_it_is():
    seen = []

    async def sox(program):
        seen.append(repr(program))
        raise ipyproc.ProcessLost("gone")

    def choose(program):
        seen.append(repr(program))
        return sox

    with programs(choose) as started, pytest.raises(ipyproc.ProcessLost):
        ipyproc.run("sox").result()
    assert [each.partition(") ")[2] for each in (*seen, repr(started[0]))] == ["was not started>", "runs>", "was lost>"]


def test_a_function_chooses_by_all_that_is_known():
    def play(program):
        if "--version" in program.args:
            return Script(stdout="sox 14.4.2\n")
        if program.cwd:
            raise PermissionError(errno.EACCES, "not here")
        return Script(returncode=1)

    with programs(play):
        assert ipyproc.run("sox", "--version").result().stdout == "sox 14.4.2\n"
        assert ipyproc.run("sox", check=False).result().returncode == 1
        with pytest.raises(PermissionError):
            ipyproc.run("sox", cwd="/data").result()


def test_a_function_that_gives_no_script_is_told_of():
    with pytest.raises(TypeError, match="the script of 'sox' is None"), programs(lambda program: None):
        ipyproc.run("sox").result()


def test_what_a_test_can_see():
    with programs({"sox": Script()}) as started:
        ipyproc.run("sox", "x", cwd="/data", env={"A": "b"}, input="text", name="the sound").result()
    [program] = started
    assert isinstance(program, FakeProgram)
    assert (program.args, program.cwd, program.env, program.input) == (("sox", "x"), "/data", {"A": "b"}, b"text")
    assert program.on is None and program.script is None and not program.is_running
    assert repr(program) == f"<FakeProgram {program.pid} (sox x) exited with status 0>"


# --- as a function ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_input_is_read(size):
    with programs({"cat": cat}):
        assert ipyproc.run("cat", input=b"x" * size, text=False).result().stdout == b"x" * size


def test_no_input_is_empty():
    with programs({"cat": cat}):
        assert ipyproc.run("cat").result().stdout == ""


def test_a_file_is_input_and_output(tmp_path):
    (tmp_path / "in").write_bytes(b"line\n" * 100_000)
    with programs({"cat": cat}), (tmp_path / "in").open("rb") as file, (tmp_path / "out").open("wb") as out:
        ipyproc.run("cat", stdin=file, stdout=out).result()
    assert (tmp_path / "out").read_bytes() == b"line\n" * 100_000


def test_a_file_that_is_not_read_is_left_alone(tmp_path):
    (tmp_path / "in").write_bytes(b"line\n")
    with programs({"true": Script()}), (tmp_path / "in").open("rb") as file:
        ipyproc.run("true", stdin=file).result()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


def test_of_a_large_file_no_more_is_read_than_needed(tmp_path):
    (tmp_path / "in").write_bytes(b"x" * 2_000_000)

    async def main():
        seen, ready = [], asyncio.Event()

        async def first(program):
            seen.append(await program.stdin.readexactly(1))
            for _ in range(100):
                await asyncio.sleep(0)
            ready.set()
            await forever(program)

        with programs({"first": first}), (tmp_path / "in").open("rb") as file:
            process = await ipyproc.start("first", stdin=file)
            await ready.wait()
            await process.stop()
            return seen, os.lseek(file.fileno(), 0, os.SEEK_CUR)

    seen, read = run(main())
    assert seen == [b"x"] and 0 < read <= 300_000


def test_nothing_goes_on_when_it_was_killed():
    async def main():
        tasks, ended = asyncio.all_tasks(), asyncio.Event()

        async def reads(program):
            try:
                await program.stdin.read()
            finally:
                ended.set()

        read, write = os.pipe()
        with programs({"reads": reads}):
            process = await ipyproc.start("reads", stdin=read)
            for _ in range(10):
                await asyncio.sleep(0)
            process.kill()
            await process.wait()
            await ended.wait()
        os.close(read), os.close(write)
        while asyncio.all_tasks() != tasks:
            await asyncio.sleep(0)

    run(main())


def test_a_full_pipe_to_another_one_holds_it_up_and_not_the_event_loop():
    async def main():
        held, done = asyncio.Event(), []

        async def writes(program):
            for _ in range(50):
                await program.stdout.write(b"x" * 9_999)
                done.append(9_999)

        async def reads(program):
            await held.wait()
            await program.stdout.write(str(len(await program.stdin.read())))

        with programs({"writes": writes, "reads": reads}):
            work = asyncio.ensure_future(ipyproc.run("writes").pipe("reads"))
            before = -1
            while len(done) == 0 or before != len(done):
                before = len(done)
                for _ in range(50):
                    await asyncio.sleep(0)
            assert sum(done) < 200_000
            held.set()
            return (await work).stdout

    assert run(main()) == "499950"


def test_a_conversation_by_pipes():
    async def calculator(program):
        await program.stderr.write("? ")
        async for line in program.stdin:
            await program.stdout.write(f"{2 * int(line)}\n")
        return 4

    async def main():
        process = await ipyproc.start("calculator", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE, stderr=ipyproc.PIPE)
        answers = []
        for number in (3, 21):
            process.stdin.write(f"{number}\n".encode())
            await process.stdin.drain()
            answers.append(await process.stdout.readline())
        process.stdin.close()
        await process.stdin.wait_closed()
        assert await process.stdout.read() == b"" and await process.stderr.read() == b"? "
        return answers, await process.wait()

    with programs({"calculator": calculator}):
        assert run(main()) == ([b"6\n", b"42\n"], 4)


def test_communicate():
    async def main():
        data = os.urandom(1 << 20)
        process = await ipyproc.start("cat", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE, stderr=ipyproc.DEVNULL)
        assert await process.communicate(data) == (data, None)
        deaf = await ipyproc.start("true", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
        assert await deaf.communicate(data) == (b"", None), "that nobody has read it is no error"
        return process.returncode, deaf.returncode

    with programs({"cat": cat, "true": Script()}):
        assert run(main()) == (0, 0)


def test_a_pipe_that_nobody_reads_holds_it_up_and_a_log_does_not():
    sizes = []

    async def flood(program):
        for _ in range(100):
            await program.stdout.write(b"x" * 10_000)
            sizes.append(10_000)

    async def main():
        process = await ipyproc.start("flood", stdout=ipyproc.PIPE)
        for _ in range(500):
            await asyncio.sleep(0)
        assert 0 < sum(sizes) <= 300_000 and process.returncode is None
        assert len(await process.stdout.read()) == 1_000_000
        assert await process.wait() == 0
        process = await ipyproc.start("flood")
        assert await process.wait() == 0
        assert process.log.bytes == 1_000_000

    with programs({"flood": flood}):
        run(main())


def test_who_writes_to_it_waits_until_it_reads():
    async def main():
        read, goes_on = asyncio.Event(), asyncio.Event()

        async def slow(program):
            await goes_on.wait()
            assert len(await program.stdin.readexactly(1_000_000)) == 1_000_000
            read.set()

        with programs({"slow": slow}):
            process = await ipyproc.start("slow", stdin=ipyproc.PIPE)
            process.stdin.write(b"x" * 1_000_000)
            draining = asyncio.ensure_future(process.stdin.drain())
            await asyncio.sleep(0)
            assert not draining.done()
            goes_on.set()
            await draining
            await read.wait()
            return await process.wait()

    assert run(main()) == 0


def test_who_waits_to_write_is_told_of_the_end():
    async def main():
        process = await ipyproc.start("deaf", stdin=ipyproc.PIPE)
        process.stdin.write(b"x" * 1_000_000)
        draining = asyncio.ensure_future(process.stdin.drain())
        await asyncio.sleep(0)
        process.kill()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await draining

    with programs({"deaf": forever}):
        run(main())


def test_programs_in_a_pipe(tmp_path):
    async def yes(program):
        while True:
            await program.stdout.write(b"y\n" * 50_000)

    async def head(program):
        for _ in range(2):
            await program.stdout.write(await program.stdin.readline())

    async def count(program):
        await program.stdout.write(f"{len((await program.stdin.read()).splitlines())}\n")

    scripts = {
        "yes": yes,
        "head": head,
        "count": count,
        "seq": Script(stdout="".join(f"{n}\n" for n in range(100_000))),
    }
    with programs(scripts):
        assert ipyproc.run("seq").pipe("count").result().lines == ["100000"]
        done = ipyproc.run("yes", check=False).pipe("head").pipe("count").result()
    assert done.lines == ["2"]
    assert [each.returncode for each in done.processes] == [-signal.SIGPIPE, 0, 0]


def test_on_uvloop(tmp_path):
    (tmp_path / "in").write_bytes(b"x" * 300_000)

    async def main():
        with (tmp_path / "in").open("rb") as file:
            done = await ipyproc.run("cat", stdin=file).pipe("cat").pipe("cat")
        process = await ipyproc.start("cat", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
        return len(done.stdout), await process.communicate(b"text")

    with programs({"cat": cat}), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == (300_000, (b"text", None))


def test_standard_error_goes_where_standard_output_goes():
    async def both(program):
        await program.stdout.write("out\n")
        program.stdout.close()
        program.stdout.close()
        await program.stderr.write("err\n")
        with pytest.raises(BrokenPipeError):
            await program.stdout.write("more")

    with programs({"both": both}):
        done = ipyproc.run("both", stderr=ipyproc.STDOUT).result()
        assert (done.stdout, done.stderr) == ("out\nerr\n", None)


def test_a_stream_can_end_before_the_program():
    async def main():
        goes_on = asyncio.Event()

        async def daemon(program):
            await program.stdout.write("ready\n")
            program.stdout.close()
            await goes_on.wait()

        with programs({"daemon": daemon}):
            process = await ipyproc.start("daemon", stdout=ipyproc.PIPE, stderr=ipyproc.PIPE)
            assert await process.stdout.read() == b"ready\n" and process.returncode is None
            logged = await ipyproc.start("daemon")
            assert [line async for line in logged.lines(1)] == ["ready"] and logged.returncode is None
            goes_on.set()
            return await process.wait(), await logged.wait()

    assert run(main()) == (0, 0)


def test_inherited_streams(capfd):
    with programs({"echo": Script(stdout="out", stderr="err")}):
        ipyproc.run("echo", stdout=None, stderr=None).result()
    assert capfd.readouterr() == ("out", "err")


def test_a_descriptor_that_is_closed_is_an_error_as_of_a_start():
    with programs({"echo": Script()}) as started, pytest.raises(OSError, match="Bad file"):
        ipyproc.run("echo", stdout=123_456).result()
    assert not started


def test_an_error_in_a_script_is_seen_in_the_output_and_raised():
    async def wrong(program):
        raise AssertionError(program.args)

    def test():
        with programs({"sox": wrong}):
            results.append(ipyproc.run("sox", "x", check=False).result())

    results = []
    with pytest.raises(AssertionError) as found:
        test()
    [done] = results
    assert done.returncode == 1 and "in wrong" in done.stderr and done.stderr.endswith("AssertionError: ('sox', 'x')\n")
    assert found.traceback[-1].name == "wrong"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_error_in_a_script_whose_traceback_cannot_be_written():
    async def wrong(program):
        raise KeyError("a")

    with pytest.raises(KeyError), programs({"sox": wrong}) as started, open("/dev/full", "wb") as full:
        ipyproc.run("sox", stderr=full, check=False).result()
    assert started[0].returncode == 1


def test_an_error_of_the_test_tells_of_those_in_scripts():
    async def wrong(program):
        raise KeyError("a")

    with pytest.raises(ipyproc.ProcessExitError) as found, programs({"sox": wrong}):
        ipyproc.run("sox").result()
    assert "In the script of a fake program: KeyError('a')" in found.value.__notes__


def test_all_errors_of_scripts_are_told():
    async def wrong(program):
        raise KeyError(program.args[1])

    with pytest.raises(KeyError, match="a") as found, programs({"sox": wrong}):
        ipyproc.parallel([["sox", "a"], ["sox", "b"]], jobs=1, check=False, on_failure="finish").result()
    assert found.value.__notes__ == ["In the script of another fake program: KeyError('b')"]


@pytest.mark.parametrize(
    ("play", "error", "told"),
    [
        (lambda program: 0, TypeError, "the script of 'sox' gave 0: allowed is an async function"),
        (lambda program: asyncio.sleep(0, 1000), ValueError, "returncode=1000"),
        (lambda program: asyncio.sleep(0, "0"), TypeError, "returncode='0'"),
    ],
)
def test_a_function_that_is_none_is_told_of(play, error, told):
    with pytest.raises(error, match=told), programs({"sox": play}):
        assert ipyproc.run("sox", check=False).result().returncode == 1


@pytest.mark.parametrize(("code", "returncode"), [(None, 0), (3, 3), ("told", 1), (True, 1), (-1, 255), (300, 44)])
def test_a_script_ends_as_a_python_program_does(code, returncode):
    async def leave(program):
        sys.exit(code)

    with programs({"leave": leave}):
        assert ipyproc.run("leave", check=False).result().returncode == returncode


def test_a_fake_program_starts_others():
    async def make(program):
        await ipyproc.run("cc")
        return 3

    with programs({"make": make, "cc": Script()}) as started:
        assert ipyproc.run("make", check=False).result().returncode == 3
    assert [each.name for each in started] == ["make", "cc"]


# --- signals and stopping --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(number):
    async def main():
        process = await ipyproc.start("server")
        process.send_signal(number)
        with pytest.raises(ProcessLookupError):
            process.send_signal(number)
        return await process.wait()

    with programs({"server": forever}):
        assert run(main()) == -number


@pytest.mark.parametrize("number", [0, signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT])
def test_a_signal_that_ends_nothing(number):
    async def main():
        process = await ipyproc.start("server")
        process.send_signal(number)
        assert process.returncode is None
        return await process.stop()

    with programs({"server": forever}):
        assert run(main()) == -signal.SIGTERM


async def graceful(program):
    asked = asyncio.Event()
    program.on_signal(signal.SIGTERM, asked.set)
    await program.stdout.write("ready\n")
    await asked.wait()
    await program.stdout.write("saved\n")
    return 7


async def stubborn(program):
    for number in (signal.SIGINT, signal.SIGTERM):
        program.on_signal(number, lambda: None)
    await program.stdout.write("ready\n")
    await asyncio.Event().wait()


def test_a_signal_is_handled():
    async def main():
        async with await ipyproc.start("server") as process:
            async for _ in process:
                process.terminate()
        return process.returncode, process.log.read()

    with programs({"server": graceful}):
        assert run(main()) == (7, b"ready\nsaved\n")


def test_the_ladder_climbs_up_to_sigkill():
    async def main():
        process = await ipyproc.start("server")
        await process.stdout.readline()
        code = await process.stop(0.05)
        return code, process.ladder.sent, process.ladder.cause

    with programs({"server": stubborn}):
        assert run(main()) == (-signal.SIGKILL, signal.SIGKILL, "stop")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, 12345])
def test_what_cannot_be_handled(number):
    async def wrong(program):
        program.on_signal(number, lambda: None)

    with pytest.raises(ValueError, match="allowed are signals other than SIGKILL"), programs({"sox": wrong}):
        ipyproc.run("sox", check=False).result()


def test_an_error_in_a_handler_belongs_to_the_test_and_not_to_the_sender():
    async def main():
        process = await ipyproc.start("server")
        await asyncio.sleep(0)
        process.terminate()
        return await process.wait()

    async def wrong(program):
        program.on_signal(signal.SIGTERM, lambda: 1 / 0)
        await forever(program)

    with pytest.raises(ZeroDivisionError), programs({"server": wrong}):
        assert run(main()) == 1


def test_a_timeout():
    with programs({"slow": Script(stdout="begun\n", duration=600)}), pytest.raises(ipyproc.ProcessTimeout) as found:
        ipyproc.run("slow", timeout=0.1).result()
    assert found.value.timeout == 0.1 and found.value.stdout == "begun"


def test_cancelling_a_run_ends_it():
    async def main():
        running = asyncio.ensure_future(ipyproc.run("server"))
        while not ipyproc.processes():
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with programs({"server": forever}) as started:
        run(main())
    assert started[0].returncode == -signal.SIGTERM


def test_paused_it_writes_nothing_and_keeps_signals_for_later():
    async def main():
        process = await ipyproc.start("clock", stdin=ipyproc.PIPE)
        process.stdin.write(b"1\n")
        assert await process.stdout.readline() == b"1\n"
        process.pause()
        process.send_signal(signal.SIGUSR1)
        process.stdin.write(b"2\n")
        for _ in range(20):
            await asyncio.sleep(0)
        assert process.family.measure() == (0.0, 0, 1, True)
        assert (process.log.read(), process.returncode, seen) == (b"1\n", None, [])
        process.resume()
        assert await process.stdout.readline() == b"2\n" and seen == ["USR1"]
        assert process.family.measure() == (0.0, 0, 1, False)
        process.pause()
        code = await process.stop()
        assert process.family.measure()[2] == 0
        return code

    seen = []

    async def clock(program):
        program.on_signal(signal.SIGUSR1, lambda: seen.append("USR1"))
        await cat(program)

    with programs({"clock": clock}):
        assert run(main()) == -signal.SIGTERM, "to stop it wakes it up"


def test_paused_it_does_not_end():
    async def main():
        process = await ipyproc.start("sox")
        process.pause()
        process.pause()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (process.returncode, started[0].is_paused) == (None, True)
        process.resume()  # once is enough
        assert started[0].is_paused is False
        return await process.wait()

    with programs({"sox": Script(returncode=3)}) as started:
        assert run(main()) == 3


def test_its_family_is_itself_alone():
    async def main():
        process = await ipyproc.start("server")
        family = process.family
        assert family.is_alive() and family.alive() == set() and family.left() == 0
        assert not family.may_be_left({family.pid}) and repr(family).endswith("0 alive>")
        assert await process.stop() == -signal.SIGTERM
        assert not family.is_alive() and family.survivors() == [] and family.send_signal(signal.SIGKILL) == 0

    with programs({"server": forever}):
        run(main())


# --- all that starts programs ----------------------------------------------------------------------------------------


def test_many_at_once():
    running, most = set(), []

    async def work(program):
        running.add(program)
        most.append(len(running))
        for _ in range(3):
            await asyncio.sleep(0)
        running.discard(program)
        await program.stdout.write(program.args[1])
        return int(program.args[1] == "3")

    with programs({"work": work}) as started:
        commands = [["work", str(n)] for n in range(8)]
        results = ipyproc.parallel(commands, jobs=3, check=False, retries=1).result()
    assert [each.stdout for each in results] == [str(n) for n in range(8)]
    assert [each.returncode for each in results] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert max(most) == 3 and [each.args[1] for each in started].count("3") == 2


@pytest.mark.parametrize("on", ["ssh://me@nowhere.invalid", "box that nobody knows", object()])
def test_on_another_machine(on):
    async def main():
        process = await ipyproc.start("sox", on=on, cwd="/there", env={"A": "b"})
        return process.where, process.launcher, await process.wait()

    with programs({"sox": Script(stdout="there")}) as started:
        where, launcher, code = run(main())
        assert (where, launcher, code) == (on if isinstance(on, str) else "object", "fake", 0)
        assert ipyproc.run("sox", on=on).result().stdout == "there"
        assert [each.stdout for each in ipyproc.parallel([["sox"]] * 3, on=on).result()] == ["there"] * 3
    assert [each.on for each in started] == [on] * 5 and started[0].env == {"A": "b"}


def test_the_machine_is_lost_and_another_one_does_it():
    tries = []

    async def sim(program):
        tries.append(program.on)
        if len(tries) == 1:
            raise ipyproc.ProcessLost("the machine is gone")

    with programs({"sim": sim}):
        assert ipyproc.run("sim", on="dask", retry_lost=1).result().returncode == 0
    assert tries == ["dask", "dask"]


def test_a_launcher_that_was_chosen_before_is_not_used():
    work = ipyproc.run("sox", on=_Refuses())
    with programs({"sox": Script(stdout="played")}) as started:
        assert work.result().stdout == "played"
    assert started[0].on.name == "real"


class _Refuses:
    name = "real"

    async def start(self, *_):
        raise AssertionError("it was used")

    async def slots(self):
        raise AssertionError("it was used")

    async def aclose(self):
        pass


def test_the_two_factories():
    async def main():
        process = await ipyproc.create_subprocess_exec("cat", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
        assert await process.communicate(b"text") == (b"text", None)
        process = await ipyproc.create_subprocess_shell("a | b", stdout=ipyproc.LOG, cwd="/data", umask=0)
        return await process.wait(), process.log.read()

    with programs({"cat": cat, "sh": Script(stdout="by a shell")}) as started:
        assert run(main()) == (0, b"by a shell")
    assert started[1].args == ("/bin/sh", "-c", "a | b") and started[1].cwd == "/data"


# --- where it holds --------------------------------------------------------------------------------------------------


def test_outside_programs_are_real():
    command = (sys.executable, "-I", "-S", "-c", "print('real')")
    with programs({os.path.basename(sys.executable): Script(stdout="fake")}):
        assert ipyproc.run(*command).result().stdout == "fake"
    assert ipyproc.run(*command).result().stdout == "real\n"


def test_outside_programs_are_looked_for():
    with programs({"no-such-tool": Script()}):
        ipyproc.run("no-such-tool").result()
    with pytest.raises(FileNotFoundError):
        ipyproc.run("no-such-tool").result()
    with pytest.raises(ValueError, match="box that nobody knows"):
        ipyproc.run("no-such-tool", on="box that nobody knows")


def test_the_inner_one_counts():
    with programs({"a": Script(stdout="outer"), "b": Script()}) as outer:
        with programs({"a": Script(stdout="inner")}):
            assert ipyproc.run("a").result().stdout == "inner"
        with pytest.raises(LookupError, match="'b'"), programs({"a": Script()}):
            ipyproc.run("b").result()
        assert ipyproc.run("a").result().stdout == "outer"
    assert len(outer) == 1


def test_two_at_once_do_not_mix():
    async def of(name, ready, other):
        with programs({"a": Script(stdout=name, duration=0.01)}) as started:
            ready.set()
            await other.wait()
            outputs = [(await ipyproc.run("a")).stdout for _ in range(3)]
            return outputs, len(started)

    async def main():
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(of("one", *events), of("two", *events[::-1]))

    assert run(main()) == [(["one"] * 3, 3), (["two"] * 3, 3)]


def test_threads():
    def fake():
        return ipyproc.run("no-such-tool").result().stdout

    async def main():
        return await asyncio.to_thread(fake)

    def other():
        try:
            fake()
        except FileNotFoundError:
            seen.append("real")

    seen = []
    with programs({"no-such-tool": Script(stdout="fake")}):
        assert run(main()) == "fake"
        thread = threading.Thread(target=contextvars.Context().run, args=(other,))
        thread.start()
        thread.join()
    assert seen == ["real"]


def test_as_a_decorator():
    @programs({"no-such-tool": Script(stdout="fake")})
    def test():
        return ipyproc.run("no-such-tool").result().stdout

    assert test() == test() == "fake"


def test_at_its_end_what_runs_is_killed():
    async def main():
        with programs({"server": forever}) as started:
            process = await ipyproc.start("server", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
        assert started[0].returncode == -signal.SIGKILL
        assert await process.communicate() == (b"", None)
        return await process.wait()

    assert run(main()) == -signal.SIGKILL


def test_at_its_end_what_runs_in_another_thread_is_killed():
    runs, ended = threading.Event(), []

    async def main():
        process = await ipyproc.start("server")
        runs.set()
        ended.append(await process.wait())

    with programs({"server": forever}):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(asyncio.run, main()))
        thread.start()
        assert runs.wait(20)
    thread.join(20)
    assert ended == [-signal.SIGKILL]


def test_the_end_of_the_event_loop_ends_it(tmp_path):
    async def main():
        with (tmp_path / "out").open("wb") as out:
            await ipyproc.start("server", stdout=out)

    with programs({"server": forever}) as started:
        run(main())
        asyncio.run(main())  # before its first step
        assert [each.returncode for each in started] == [-signal.SIGKILL] * 2


def test_a_loop_that_is_closed_before_leaves_no_descriptor(tmp_path):
    async def main():
        with (tmp_path / "out").open("wb") as out:
            await ipyproc.start("server", stdout=out)

    with programs({"server": forever}) as started:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.set_exception_handler(lambda *_: None)
        loop.close()
        assert started[0].is_running
    started[0]._task._log_destroy_pending = False  # asyncio's word on a loop that is closed too soon


def test_what_starts_after_its_end_is_an_error():
    async def late(goes_on):
        await goes_on.wait()
        return await ipyproc.run("a")

    async def main():
        goes_on = asyncio.Event()
        with programs({"a": Script()}):
            task = asyncio.ensure_future(late(goes_on))
            await asyncio.sleep(0)
        goes_on.set()
        with pytest.raises(RuntimeError, match="after the end of the `with"):
            await task

    run(main())


def test_it_ends_in_another_context():
    """As a fixture of some test frameworks does."""
    scope = programs({"a": Script()})
    inner = contextvars.copy_context()
    inner.run(scope.__enter__)
    inner.run(lambda: ipyproc.run("a").result())
    scope.__exit__(None, None, None)
    assert not ipyproc.processes()


def test_nothing_is_held():
    async def main():
        process = await ipyproc.start("a")
        await process.wait()
        path = process.log.path
        ended = weakref.ref(process.log)
        families.append(process.family)
        del process
        gc.collect()
        return ended(), path.exists()

    families = []
    with programs({"a": Script(stdout="x" * 100_000)}) as started:
        assert run(main()) == (None, False), "a log goes with its process, and not with the list of what was started"
    assert len(started) == 1


def test_names_are_sorted_and_there():
    assert testing.__all__ == sorted(testing.__all__) and all(hasattr(testing, name) for name in testing.__all__)
    assert ipyproc.testing is testing


def test_it_needs_the_standard_library_alone():
    code = (
        "import ipyproc, sys; print('ipyproc.testing' in sys.modules, hasattr(ipyproc, 'testing'))\n"
        "from ipyproc.testing import Script, programs\n"
        "with programs({'a': Script(stdout='x')}): print(ipyproc.run('a').result().stdout)\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - {*sys.stdlib_module_names})"
    )
    first, second, names = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert (first, second) == ("False True", "x")
    assert "ipyproc" in names.split() and not {"psutil", "IPython", "ipywidgets"} & {*names.split()}


# --- as a real one ---------------------------------------------------------------------------------------------------

WORDS = [
    ("out", "a", "err", "b", "exit", 3),
    ("raw", "00ff0a0d", "raw", ""),
    ("lines", 5000),
    ("cat", "err", "read"),
    ("env", "A"),
    ("close",),
    ("ignore", "TERM", "out", "ready", "stall"),
    ("out", "ready", "stall"),
]


@pytest.mark.parametrize("streams", ["logged", "piped", "joined"])
@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_a_fake_program_is_met_as_a_real_one(program, words, streams):
    async def met():
        pipes = {"stdout": ipyproc.PIPE, "stderr": ipyproc.PIPE, "stdin": ipyproc.PIPE}
        keywords = {"logged": {"input": "text\n"}, "piped": pipes, "joined": {"stderr": ipyproc.STDOUT, "input": b"x"}}
        process = await ipyproc.start(*program(*words), env={"A": "ä"}, **keywords[streams])
        if "stall" in words:
            assert await process.stdout.readline() == b"ready\n"
            # not `ladder.sent`: on a busy machine the SIGKILL of the shim is sooner than that of the ladder
            code, output = await process.stop(0.05), process.ladder.cause
        else:
            output = await process.communicate(b"sent" if streams == "piped" else None)
            code = await process.wait()
        if process.log:
            await process.log.finished()
            output = output, process.log.read(stream=1), process.log.read(stream=2), process.log.lines
        with pytest.raises(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        return code, output, process.lost, process.family.is_alive(), repr(process).partition(" (")[2]

    real = run(met())
    with programs(PLAYED):
        assert run(met()) == real


def test_its_standard_input_is_closed_as_that_of_a_real_one(program):
    async def written(stdin):
        try:
            stdin.write(b"more")
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            return type(error)

    async def met():
        found = []
        for close in ("close", "write_eof", "kill"):
            process = await ipyproc.start(*program("cat", "out", "read", "stall"), stdin=ipyproc.PIPE)
            process.stdin.write(b"text\n")
            if close == "kill":
                process.kill()
                await process.wait()
            else:
                getattr(process.stdin, close)()
                found += [await process.stdout.readline(), await process.stdout.readline()]
            await process.stdin.wait_closed()  # else it runs on
            found += [process.returncode is None, process.stdin.is_closing(), await written(process.stdin)]
            if close != "kill":
                process.kill()
            found.append(await process.wait())
        return found

    real = run(met())
    with programs(PLAYED):
        assert run(met()) == real
