"""`Process` keeps asyncio's rules, and adds LOG, an exact exit and signals to a family."""

import asyncio
import signal
import sys
import threading
import time

import pytest
import uvloop

import ipyproc

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request):
    return asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop


uvloop.new_event_loop().close()  # uvloop keeps a few descriptors of its own from its first loop on


def run(main, loop_factory=asyncio.new_event_loop):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def test_process_is_asyncios(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(*program())
        assert isinstance(process, asyncio.subprocess.Process)
        assert type(process) is ipyproc.Process
        assert process.stdin is process.stdout is process.stderr is process.log is None
        return await process.wait()

    assert run(main()) == 0


def test_both_streams_into_the_log_in_order(program, loop_factory):
    async def main():
        process = await ipyproc.create_subprocess_exec(
            *program("out", "a", "sleep", 0.1, "err", "b", "sleep", 0.1, "out", "c", "exit", 3),
            stdout=ipyproc.LOG,
            stderr=ipyproc.LOG,
        )
        assert await process.stdout.read() == b"a\nc\n"
        assert await process.wait() == process.returncode == 3
        assert await process.stderr.readline() == b"b\n"
        assert process.log.read() == b"a\nb\nc\n"
        assert process.stdout.at_eof() and process.stderr.at_eof() and process.log.ended

    run(main(), loop_factory)


def test_log_of_stderr_beside_a_pipe(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(
            *program("cat", "err", "e"), stdin=ipyproc.PIPE, stdout=ipyproc.PIPE, stderr=ipyproc.LOG
        )
        assert await process.communicate(b"in") == (b"in", None)
        assert process.log.read() == b"e\n"

    run(main())


def test_stderr_into_stdout_into_the_log(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(
            *program("out", "a", "err", "b"), stdout=ipyproc.LOG, stderr=ipyproc.STDOUT
        )
        assert await process.communicate() == (None, None)
        assert process.stderr is None and await process.stdout.read() == b"a\nb\n"

    run(main())


def test_a_log_that_nobody_reads_never_blocks_the_program(program, loop_factory):
    async def main():
        process = await ipyproc.create_subprocess_exec(*program("lines", 300_000), stdout=ipyproc.LOG)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        await process.log.changed(1 << 60)
        assert process.log.lines == 300_000
        assert process.log.read(-12) == b"line 299999\n"

    run(main(), loop_factory)


def test_exit_is_known_while_a_grandchild_holds_the_output(program, loop_factory):
    async def main():
        process = await ipyproc.create_subprocess_exec(
            *program("fork", "sleep", 2, "out", "late"), stdout=ipyproc.LOG, start_new_session=True
        )
        started = time.monotonic()
        assert await process.wait() == 0
        assert time.monotonic() - started < 1.8
        assert not process.log.ended
        assert await process.stdout.read() == b"late\n"

    run(main(), loop_factory)


def test_wait_does_not_hang_for_unread_output(program):
    # asyncio's own wait() hangs here on Python 3.11 to 3.13 (python/cpython#119710)
    async def main():
        process = await ipyproc.create_subprocess_exec(*program("lines", 300_000), stdout=ipyproc.PIPE)
        await process.stdout.readline()
        process.kill()
        code = await asyncio.wait_for(process.wait(), 30)
        await process.stdout.read()
        return code

    assert run(main()) == -signal.SIGKILL


def test_a_reader_ends_with_its_own_stream(program):
    async def main():
        process = await ipyproc.create_subprocess_shell(
            "echo hi; exec 1>&-; read x", stdin=ipyproc.PIPE, stdout=ipyproc.LOG, stderr=ipyproc.LOG
        )
        assert await process.stdout.read() == b"hi\n"
        assert process.stdout.at_eof() and not process.stderr.at_eof()
        assert await process.communicate() == (None, None)
        return process.stderr.at_eof()

    assert run(main()) is True


def test_duration_is_never_negative():
    async def main():
        for _ in range(30):
            process = await ipyproc.create_subprocess_exec("true")
            await process.wait()
            assert process.duration > 0

    run(main())


def test_signals_after_the_end_are_refused(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(*program())
        await process.wait()
        for call in (process.terminate, process.kill, lambda: process.send_signal(signal.SIGINT)):
            with pytest.raises(ProcessLookupError, match="exited with status 0"):
                call()

    run(main())


def test_unknown_signals_are_refused(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(*program("stall"))
        with pytest.raises(ValueError, match="999 is not a signal"):
            process.send_signal(999)
        with pytest.raises(TypeError, match=r"did you mean signal\.SIGTERM\?"):
            process.send_signal("SIGTRM")
        process.send_signal(0)
        process.kill()
        assert await process.wait() == -9
        assert repr(process).endswith("was ended by SIGKILL>")

    run(main())


@pytest.mark.parametrize("option", ["text", "universal_newlines", "encoding", "errors", "bufsize"])
def test_output_is_bytes_only(program, option):
    value = {"encoding": "utf-8", "errors": "strict", "bufsize": 1}.get(option, True)

    async def main():
        with pytest.raises(ValueError):
            await ipyproc.create_subprocess_exec(*program(), stdout=ipyproc.LOG, **{option: value})
        with pytest.raises(ValueError):
            await ipyproc.create_subprocess_shell("true", **{option: value})

    run(main())


def test_log_is_no_input(program):
    async def main():
        with pytest.raises(ValueError, match="stdin=LOG"):
            await ipyproc.create_subprocess_exec(*program(), stdin=ipyproc.LOG)

    run(main())


def test_a_program_that_cannot_start_leaves_nothing(tmp_path):
    async def main():
        with pytest.raises(FileNotFoundError):
            await ipyproc.create_subprocess_exec(str(tmp_path / "none"), stdout=ipyproc.LOG)

    run(main())


def test_the_loop_of_another_thread(program):
    codes = []

    async def main():
        process = await ipyproc.create_subprocess_shell("exit 7")
        codes.append(await process.wait())

    thread = threading.Thread(target=run, args=(main(),))
    thread.start()
    thread.join()
    assert codes == [7]


def test_another_loop_is_refused(program):
    async def start():
        return await ipyproc.create_subprocess_exec(*program("sleep", 0.2))

    with asyncio.Runner() as runner:
        process = runner.run(start())
        with pytest.raises(RuntimeError, match="belongs to another event loop"), asyncio.Runner() as other:
            other.run(process.wait())
        assert runner.run(process.wait()) == 0


def test_cancelled_wait_leaves_the_program_running(program):
    async def main():
        process = await ipyproc.create_subprocess_exec(*program("stall"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.05)
        assert process.returncode is None
        process.terminate()
        return await asyncio.gather(process.wait(), process.wait())

    assert run(main()) == [-15, -15]


def test_repr_is_a_sentence():
    async def main():
        process = await ipyproc.create_subprocess_shell("exit 3")
        running = repr(process)
        await process.wait()
        return process.pid, running, repr(process)

    pid, running, ended = run(main())
    assert running == f"<Process {pid} (exit 3) is running>"
    assert ended == f"<Process {pid} (exit 3) exited with status 3>"


def test_drop_in_defaults_no_session_of_its_own(program):
    import os

    async def main():
        process = await ipyproc.create_subprocess_exec(*program("stall"))
        session = os.getsid(process.pid)
        process.kill()
        await process.wait()
        return session

    assert run(main()) == __import__("os").getsid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX sessions")
class TestStop:
    """`stop` ends the whole family, by the ladder."""

    def test_terminates(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(*program("out", "ready", "stall"), stdout=ipyproc.LOG)
            await process.stdout.readline()
            return await process.stop(), process.ladder.sent

        assert run(main()) == (-15, signal.SIGTERM)

    def test_kills_what_ignores_sigterm(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(
                *program("ignore", "TERM", "out", "ready", "stall"), stdout=ipyproc.LOG
            )
            await process.stdout.readline()
            return await process.stop(0.1), process.ladder.sent

        assert run(main()) == (-9, signal.SIGKILL)

    def test_ends_children_and_those_in_a_session_of_their_own(self, program):
        async def main():
            script = "{0} out ready stall & {0} ignore TERM setsid out ready stall & {0} out ready stall & wait"
            process = await ipyproc.create_subprocess_shell(
                script.format(" ".join(program())), stdout=ipyproc.LOG, start_new_session=True
            )
            for _ in range(3):
                assert await process.stdout.readline() == b"ready\n"
            before = len(process.family.alive())
            await process.stop(0.1)
            return before, len(process.family.alive())

        before, after = run(main())
        assert before >= 3 and after == 0

    def test_wakes_a_stopped_program(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(*program("out", "ready", "stall"), stdout=ipyproc.LOG)
            await process.stdout.readline()
            process.send_signal(signal.SIGSTOP)
            return await process.stop(10)

        started = time.monotonic()
        assert run(main()) == -15
        assert time.monotonic() - started < 5

    def test_is_idempotent(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(*program("stall"))
            codes = await asyncio.gather(process.stop(), process.stop())
            return [*codes, await process.stop()]

        assert len(set(run(main()))) == 1

    def test_ends_what_the_program_has_left_behind(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(
                *program("fork", "out", "ready", "stall"), stdout=ipyproc.LOG, start_new_session=True
            )
            await process.stdout.readline()
            await process.wait()
            await process.stop()
            assert await process.stdout.read() == b""
            return process.family.alive()

        assert run(main()) == set()

    def test_twice_is_no_second_press(self, program):
        async def main():
            script = "trap 'sleep 0.3; exit 5' TERM; echo ready; while true; do sleep 0.01; done"
            process = await ipyproc.create_subprocess_shell(script, stdout=ipyproc.LOG, start_new_session=True)
            await process.stdout.readline()
            return await asyncio.gather(process.stop(10), process.stop(10)), process.ladder.sent

        assert run(main()) == ([5, 5], signal.SIGTERM)

    def test_another_loop_is_refused_and_breaks_nothing(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(*program("stall"))
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(process.stop()))
            return await process.stop()

        assert run(main()) == -15

    def test_many_children_at_once(self, program):
        async def main():
            process = await ipyproc.create_subprocess_shell(
                "for i in $(seq 150); do sleep 600 & done; echo ready; wait",
                stdout=ipyproc.LOG,
                start_new_session=True,
            )
            await process.stdout.readline()
            started = time.monotonic()
            assert len(process.family.alive()) >= 150
            took = time.monotonic() - started
            await process.stop()
            return took, len(process.family.alive())

        took, left = run(main())
        assert took < 2 and left == 0

    def test_finds_the_family_after_the_program_has_ended(self, program):
        async def main():
            process = await ipyproc.create_subprocess_exec(
                *program("fork", "out", "ready", "stall"), stdout=ipyproc.LOG, start_new_session=True
            )
            await process.stdout.readline()
            await process.wait()
            before = len(process.family.alive())
            process.family.send_signal(signal.SIGKILL)
            assert await process.stdout.read() == b""
            return before

        assert run(main()) == 1


async def test_an_event_loop_that_cannot_start_programs_is_told_with_what_to_do(monkeypatch):
    """As the one that ipykernel 6 has on Windows; asyncio raises it without a word."""

    async def subprocess_exec(*args, **popen):
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "subprocess_exec", subprocess_exec)
    with pytest.raises(NotImplementedError, match=r"cannot start programs.*ProactorEventLoop.*--upgrade ipykernel"):
        await ipyproc.create_subprocess_exec("true", stdout=ipyproc.LOG)
