"""A program on another machine is a program like any other."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time

import pytest

import ipyproc
from ipyproc import DEVNULL, LOG, PIPE, STDOUT, ProcessExitError, ProcessStopped, ProcessTimeout
from ipyproc._core.launch import named
from ipyproc._core.process.start import start
from ipyproc._core.program.spec import Spec
from ipyproc._jupyter.views.figures import Figures

from ..hostile_family import marked, script_of

pytestmark = pytest.mark.timeout(60)


async def until_gone(marker):
    while marked(marker):  # the timeout of the test is its bound
        await asyncio.sleep(0.01)


async def test_output_status_and_place(on, program):
    done = await ipyproc.run(*program("out", "one", "err", "two", "lines", 3, "exit", 3), on=on, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "one\nline 0\nline 1\nline 2\n", "two\n")
    assert done.usage.user + done.usage.system > 0 and 0 < done.duration < 30
    big = await ipyproc.run(sys.executable, "-c", "x = b'1' * 80_000_000", on=on)
    assert 80_000_000 < big.usage.peak_bytes < 200_000_000
    with pytest.raises(ProcessExitError, match="status 3\nlast words"):
        await ipyproc.run(*program("err", "last words", "exit", 3), on=on)


async def test_the_end_is_stamped_there_however_busy_we_are(on, program):
    process = await ipyproc.start(*program("sleep", 0.1), on=on)
    time.sleep(2)
    await process.wait()
    assert 0.1 <= process.duration < 1.5


async def test_the_process_says_where_it_is(on, program):
    async with await ipyproc.start(*program("stall"), on=on) as process:
        assert socket.gethostname() in process.where or "127.0.0.1" in process.where
        assert f"{process.pid} on {process.where}" in repr(process)
        assert process.launcher == on.name
        assert os.path.exists(f"/proc/{process.pid}")  # the other machine is this one
        figures = Figures(process)
        figures.look()
        assert not figures.looked_at, "not 0 bytes, before it has answered"
        while not figures.memory:  # for a moment Linux counts none for a process that runs
            await asyncio.sleep(0.01)
            figures.look()
        assert figures.looked_at and figures.count == 1
        assert await process.stop() == -signal.SIGTERM
    assert not process.family.is_alive()


async def test_input(on, program):
    text = "x" * 3_000_000  # many times what may be on the way
    assert (await ipyproc.run(*program("cat"), input=text, on=on)).stdout == text
    assert (await ipyproc.run(*program("cat"), on=on)).stdout == ""
    with pytest.raises(ValueError, match=r"stdin=.*allowed are PIPE, DEVNULL and an ordinary file"):
        await ipyproc.run(*program("cat"), stdin=None, on=on)


async def test_a_program_that_ends_before_its_input(on, program):
    assert (await ipyproc.run(*program("out", "enough"), input="x" * 3_000_000, on=on)).stdout == "enough\n"


async def test_pipes(on, program):
    process = await ipyproc.start(*program("cat"), stdin=PIPE, stdout=PIPE, stderr=STDOUT, on=on)
    assert await process.communicate(b"ab" * 1_000_000) == (b"ab" * 1_000_000, None)
    process = await ipyproc.start(*program("err", "x", "out", "y"), stdout=PIPE, stderr=STDOUT, on=on)
    assert await process.stdout.read() == b"x\ny\n"
    assert await process.wait() == 0
    process = await ipyproc.start(*program("err", "x", "out", "y"), stdout=DEVNULL, stderr=LOG, on=on)
    assert await process.wait() == 0
    assert process.log.read() == b"x\n"


async def test_a_reader_that_does_not_read_holds_the_program(on):
    flood = "i = 0\nwhile True: i += 1; print('x' * 99999)"
    process = await ipyproc.start("python3", "-c", flood, stdout=PIPE, stderr=DEVNULL, on=on)
    first = await process.stdout.readexactly(10)
    sizes = []
    while len(sizes) < 20 or sizes[-1] != sizes[-20]:  # until no more comes
        sizes.append(len(process.stdout._buffer))
        await asyncio.sleep(0.02)
    assert first == b"x" * 10
    assert sizes[-1] < 1 << 20
    assert process.returncode is None
    process.kill()
    assert await process.wait() == -signal.SIGKILL  # though nobody has read


async def test_much_output_is_complete(on):
    done = await ipyproc.run("sh", "-c", "seq 300000; seq 300000 >&2", on=on)
    lines = "".join(f"{number}\n" for number in range(1, 300_001))
    assert done.stdout == lines
    assert done.stderr == lines


async def test_what_cannot_be_started(on, tmp_path):
    place = "127.0.0.1|" + socket.gethostname()
    with pytest.raises(FileNotFoundError, match=f"no such program on .*({place}).*nope-nope"):
        await ipyproc.run("nope-nope", on=on)
    with pytest.raises(FileNotFoundError, match=f"cwd: no such directory on .*({place}).*/nope"):
        await ipyproc.run("true", cwd="/nope", on=on)
    with pytest.raises(PermissionError):
        await ipyproc.run(str(tmp_path), on=on)
    with pytest.raises(ValueError, match="pipe"):
        ipyproc.run("true", on=on).pipe("cat")


async def test_what_is_too_long_for_the_operating_system(on):
    with pytest.raises(OSError, match="too long") as caught:
        await ipyproc.run("echo", "x" * 200_000, on=on)
    assert "cwd" not in str(caught.value)
    process = await start(Spec.of("sh", script="true " + "x" * 200_000), named(on))  # as a file it is not
    assert await process.wait() == 0


async def test_environment_and_directory(on, monkeypatch, program, tmp_path):
    monkeypatch.setenv("IPYPROC_TEST_LOCAL", "secret")
    done = await ipyproc.run(*program("env", "IPYPROC_TEST_LOCAL", "env", "X", "env", "PATH"), env={"X": "ä b"}, on=on)
    local, given, path = done.lines
    assert given == "ä b"
    assert path != "None"
    assert local == "None"
    assert (await ipyproc.run("pwd", cwd=tmp_path, on=on)).stdout == f"{tmp_path}\n"
    assert (await ipyproc.run("echo $X", shell=True, env={"X": "1"}, on=on)).stdout == "1\n"


@pytest.mark.parametrize("stubborn", [False, True])
async def test_stop_ends_all_of_a_family(on, program, stubborn):
    marker = f"family-{secrets.token_hex(8)}"
    process = await ipyproc.start("sh", "-c", script_of(" ".join(program()), marker, stubborn=stubborn), on=on)
    while process.log.tail(100).count(marker) < 6:
        await process.log.changed(process.log.bytes)
    assert len(marked(marker)) == 6
    assert await process.stop(grace=0.2) == (-signal.SIGKILL if stubborn else -signal.SIGTERM)
    await until_gone(marker)


async def test_signals_interrupts_and_timeouts(on, program):
    process = await ipyproc.start(*program("out", "ready", "stall"), on=on)
    async for _ in process:
        break
    process.send_signal(signal.SIGUSR1)
    assert await process.wait() == -signal.SIGUSR1
    with pytest.raises(ProcessLookupError):
        process.kill()
    with pytest.raises(ProcessTimeout, match="ready"):
        await ipyproc.run("sh", "-c", "echo ready; exec sleep 60", timeout=2, on=on)
    task = asyncio.ensure_future(ipyproc.run(*program("stall"), on=on))
    while not ipyproc.processes():
        await asyncio.sleep(0.01)
    [process] = ipyproc.processes()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode == -signal.SIGTERM
    process = await ipyproc.start(*program("stall"), on=on)
    process.interrupt()
    await process.wait()
    assert process.returncode in (-signal.SIGINT, 1)  # Python's own way with an interrupt, if it came early
    process = await ipyproc.start(*program("stall"), on=on)
    await process.stop()
    with pytest.raises(ProcessStopped, match="was stopped"):
        ipyproc.CompletedProcess.of(process).check_returncode()


async def test_the_earlier_of_two_deadlines_holds_there_too(on, program):
    process = await ipyproc.start(*program("ignore", "TERM", "out", "ready", "stall"), on=on)
    async for _ in process:
        break
    began = time.monotonic()
    assert await asyncio.gather(process.stop(60), process.stop(0.3)) == [-signal.SIGKILL, -signal.SIGKILL]
    assert time.monotonic() - began < 30


async def test_closing_the_connection_ends_all_and_that_is_no_exit(on, program):
    marker = f"family-{secrets.token_hex(8)}"
    process = await ipyproc.start("sh", "-c", script_of(" ".join(program()), marker, stubborn=True), on=on)
    while process.log.tail(100).count(marker) < 6:
        await process.log.changed(process.log.bytes)
    await on.aclose()
    with pytest.raises(ipyproc.ProcessLost, match=r"127\.0\.0\.1"):
        await process.wait()
    assert process.returncode is None
    assert process.log.ended
    await until_gone(marker)
    assert (await ipyproc.run(*program("out", "again"), on=on)).stdout == "again\n"  # it connects anew


async def test_many_at_once(on, program):
    started = []
    work = ipyproc.parallel(
        [[*program("out", number)] for number in range(12)], on=on, on_change=lambda job: started.append(job.process)
    )
    results = await work
    assert [done.stdout for done in results] == [f"{number}\n" for number in range(12)]
    assert all(process.where for process in started if process)


async def test_a_failure_starts_no_more(on, program):
    commands = [[*program("exit", 3)], *([*program("sleep", 0.5)] for _ in range(20))]
    jobs = 2 if on.name == "ssh" else None  # else as many as there are CPUs; a cluster has two slots
    work = ipyproc.parallel(commands, jobs, on=on, check=False)
    results = await work
    assert results[0].returncode == 3
    assert sum(done.returncode is None for done in results) >= 10
