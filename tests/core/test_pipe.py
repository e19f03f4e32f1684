"""The pipe to the log: complete, the loop stays alive, an error is said once, and no descriptor is left."""

import asyncio
import gc
import os
import subprocess
import warnings

import pytest
import uvloop

from ipyproc._core.output.log import Log
from ipyproc._core.output.pipe import LogPipe

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request):
    return asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop


uvloop.new_event_loop().close()  # uvloop keeps a few descriptors of its own from its first loop on


def run(main, loop_factory=asyncio.new_event_loop):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def started(command, log, stream=1):
    """A program that writes to the log, connected on the running loop."""
    pipe = LogPipe(log, stream, asyncio.get_running_loop())
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe.write_end)
    pipe.connect()
    return process, pipe


def test_no_pipe_to_have_is_one_error(monkeypatch):
    def none():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", none)
    with pytest.raises(OSError, match="Too many"):
        LogPipe(Log(frozenset({1})), 1, None)


def test_a_flood_is_complete_and_the_loop_stays_alive(loop_factory):
    size, gaps = 50 << 20, []

    async def tick():
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)

    async def main():
        log = Log(frozenset({1}))
        ticker = asyncio.ensure_future(tick())
        process, _ = started(["sh", "-c", f"yes 'a line of a program that floods' | head -c {size}"], log)
        await log.finished()
        ticker.cancel()
        assert process.wait() == 0 and log.bytes == log.bytes_of[1] == size
        line, whole = b"a line of a program that floods\n", b"".join(data for _, data in log.pieces())
        assert whole == (line * (size // len(line) + 1))[:size] and log.lines == size // len(line)

    run(main(), loop_factory)
    assert len(gaps) > 20 and sorted(gaps)[len(gaps) // 2] < 0.05


def test_both_streams_come_to_their_end_apart(loop_factory):
    async def main():
        log = Log()
        out, err = (LogPipe(log, stream, asyncio.get_running_loop()) for stream in (1, 2))
        command = ["sh", "-c", "echo out; echo err >&2; exec 1>&-; read x; echo late >&2"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out.write_end, stderr=err.write_end)
        out.connect(), err.connect()
        assert repr(err) == "<LogPipe of stream 2, open>"
        assert await log.reader(1).read() == b"out\n"
        assert log.is_open(2) and repr(out) == "<LogPipe of stream 1, closed>"
        process.communicate(b"\n")
        assert await log.reader(2).read() == b"err\nlate\n" and log.ended

    run(main(), loop_factory)


@pytest.mark.parametrize("error", [ValueError("no"), OSError("no")])
def test_an_error_of_the_log_is_said_once_and_does_not_spin(loop_factory, monkeypatch, error):
    async def main():
        log, calls = Log(frozenset({1})), []

        def write(*_):
            calls.append(1)
            raise error

        monkeypatch.setattr(log, "write", write)
        process, pipe = started(["sh", "-c", "echo a; sleep 0.1; echo b"], log)
        await asyncio.wait_for(log.finished(), 10)
        assert len(calls) == 1 and not pipe._fds and log.ended
        process.wait()

    with pytest.warns(RuntimeWarning, match="reading output has failed") as found:
        run(main(), loop_factory)
    assert len(found) == 1


def test_an_error_is_not_raised_where_warnings_are_errors(loop_factory, monkeypatch):
    async def main():
        errors, log = [], Log(frozenset({1}))
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
        monkeypatch.setattr(log, "write", lambda *_: 1 / 0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            process, _ = started(["echo", "a"], log)
            await asyncio.wait_for(log.finished(), 10)
        process.wait()
        return errors

    (error,) = run(main(), loop_factory)
    assert isinstance(error, RuntimeWarning), "the loop is told, once"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_ends_no_program_where_warnings_are_errors(loop_factory):
    async def main():
        errors, log = [], Log(frozenset({1}))
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, log._fds[0])
        os.close(full)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            process, _ = started(["sh", "-c", "echo a; sleep 0.1; echo b"], log)
            await asyncio.wait_for(log.finished(), 10)
        assert (process.wait(), log.bytes, log.dropped) == (0, 0, 4)
        return errors

    (error,) = run(main(), loop_factory)
    assert isinstance(error, RuntimeWarning) and "output is being lost" in str(error), "the loop is told, once"


def test_an_error_of_a_watcher_ends_no_program(loop_factory):
    async def main():
        errors, log = [], Log(frozenset({1}))
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

        def once():
            log.watchers.discard(once)
            raise ZeroDivisionError

        log.watchers.add(once)
        process, _ = started(["sh", "-c", "echo a; sleep 0.1; echo b"], log)
        await asyncio.wait_for(log.finished(), 10)
        assert (process.wait(), log.read()) == (0, b"a\nb\n")
        return errors

    assert [type(error) for error in run(main(), loop_factory)] == [ZeroDivisionError]


def test_descriptors_are_closed_at_the_end():
    async def main():
        log = Log(frozenset({1}))
        before = descriptors()
        process, _ = started(["echo", "a"], log)
        assert descriptors() == before + 1
        await log.finished()
        process.wait()
        return descriptors() - before

    assert run(main()) == -1, "that of the log as well"


def test_descriptors_are_closed_when_the_program_does_not_start():
    async def main():
        log = Log(frozenset({1}))
        before = descriptors()
        pipe = LogPipe(log, 1, asyncio.get_running_loop())
        assert descriptors() == before + 2
        pipe.close()
        pipe.close()
        assert descriptors() == before
        log.discard()

    run(main())


def test_descriptors_are_closed_when_the_loop_ends_first(loop_factory):
    before = descriptors()

    async def main():
        process, _ = started(["sh", "-c", "echo a; read x < /dev/zero"], Log(frozenset({1})))
        return process

    process = run(main(), loop_factory)
    process.kill()
    process.wait()
    assert descriptors() == before


def test_a_program_is_not_held_up_by_a_pipe_that_is_full():
    async def main():
        log = Log(frozenset({1}))
        process, _ = started(["head", "-c", str(200_000), "/dev/zero"], log)
        assert process.wait(10) == 0, "nobody has read yet"
        await log.finished()
        return log.bytes

    assert run(main()) == 200_000
