"""Nothing of a program outlives the process that started it, whoever is killed; and its end is exact."""

import asyncio
import contextlib
import errno
import gc
import json
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

import ipyproc
from ipyproc import PIPE, ProcessLost
from ipyproc._core import launch
from ipyproc._core.batch import run
from ipyproc._core.output import log as ipyproc_log
from ipyproc._core.program import family

if sys.platform != "linux":
    pytest.skip("supervisors are for Linux", allow_module_level=True)

from ipyproc._core import protocol
from ipyproc._core.launch import client, supervised
from ipyproc._core.launch.held import mark, shim

from ..campaigns import kills
from ..hostile_family import KERNEL, marked, script_of
from ..other_version import changed_copy
from ..starting import start_exec

pytestmark = pytest.mark.usefixtures("nothing_left")
GONE_WITHIN = 5.0  # seconds, on a loaded machine; what was measured is printed


@pytest.fixture
def kernel(program):
    """A process with a family; gives (kernel, supervisor, shim, marker)."""

    def start(*, stubborn=False, fork=False):
        markers.append(marker := f"family-{secrets.token_hex(8)}")
        script = script_of(" ".join(program()), marker, stubborn=stubborn)
        kernel = subprocess.Popen(
            [sys.executable, "-c", KERNEL, script, marker, *["fork"] * fork],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        started.append(kernel)
        supervisor, shim = json.loads(kernel.stdout.readline())
        assert len(marked(marker)) == 6
        return kernel, supervisor, shim, marker

    started, markers = [], []
    yield start
    for kernel in started:
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
    for each in psutil.process_iter(["cmdline"]):
        if set(markers) & set(each.info["cmdline"] or []):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def expect_gone(marker, what):
    """Wait until all of the family is gone."""
    began = time.monotonic()
    while left := marked(marker):
        assert time.monotonic() - began < GONE_WITHIN, f"{what}: left are {[each.cmdline() for each in left]}"
        psutil.wait_procs(left, timeout=0.02)
    print(f"{what}: gone after {(time.monotonic() - began) * 1000:.0f} ms")


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV], ids=str)
def test_a_kernel_that_is_killed_leaves_nothing(kernel, number, stubborn):
    victim, _, _, marker = kernel(stubborn=stubborn)
    victim.send_signal(number)
    expect_gone(marker, f"{number!s}, {stubborn=}")


@pytest.mark.parametrize("stopped", ["supervisor", "shim"])
def test_a_guard_that_is_stopped_does_not_matter(kernel, stopped):
    victim, supervisor, shim, marker = kernel()
    guards = [psutil.Process(pid) for pid in (supervisor, shim)]
    os.kill(supervisor if stopped == "supervisor" else shim, signal.SIGSTOP)
    victim.kill()
    expect_gone(marker, f"{stopped} stopped, kernel killed")
    expect_over(*guards)


@pytest.mark.parametrize("killed", ["supervisor", "shim"])
def test_a_guard_that_is_killed_takes_the_family_with_it(kernel, killed):
    _, supervisor, shim, marker = kernel()
    os.kill(supervisor if killed == "supervisor" else shim, signal.SIGKILL)
    expect_gone(marker, f"{killed} killed")


@pytest.mark.parametrize("killed", ["supervisor", "shim"])
def test_kernel_and_guard_killed_at_once(kernel, killed):
    victim, supervisor, shim, marker = kernel()
    os.kill(supervisor if killed == "supervisor" else shim, signal.SIGKILL)
    victim.kill()
    expect_gone(marker, f"kernel and {killed} killed")


@pytest.mark.parametrize("stubborn", [False, True])
def test_supervisor_and_shim_killed_in_the_same_moment(kernel, stubborn):
    _, *guards, marker = kernel(stubborn=stubborn)
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: neither sees the other die
        for guard in guards:
            os.kill(guard, number)
    expect_gone(marker, "supervisor and shim killed")


def test_a_mark_reaches_nobody_else(program):
    async def main():
        one, other = [await run.start(*program("fork", "setsid", "fork", "out", "ready", "stall")) for _ in range(2)]
        for each in (one, other):
            await each.log.changed(0)  # the daemon speaks
            while len(each.family.alive()) != 1:  # and is alone
                await asyncio.sleep(0.01)
        marks = [each.family.held.mark for each in (one, other)]
        assert marks[0] != marks[1]
        assert mark.kill(marks[0][0]) == 2, "the daemon, and the shim, which has the mark too"
        while one.family.held.has_family:
            await asyncio.sleep(0)
        assert len(other.family.alive()) == 1
        assert mark.kill(resource.RLIM_INFINITY) == 0, "no mark"
        await other.stop(0)

    asyncio.run(main())


def test_the_programs_of_another_kernel_live_and_a_forked_worker_holds_nothing_up(kernel):
    victim, *_, marker = kernel(fork=True)
    *_, others = kernel()
    victim.kill()
    expect_gone(marker, "kernel with a forked worker killed")
    assert len(marked(others)) == 6


def test_a_guard_that_is_stopped_holds_no_stop_up(program):
    async def main():
        for ignored in ((), ("ignore", "TERM")):
            started = await run.start(*program(*ignored, "out", "ready", "stall"))
            await started.log.changed(0)
            os.kill(started.family.held.shim, signal.SIGSTOP)
            assert await asyncio.wait_for(started.stop(grace=0.1), 20) == (-9 if ignored else -15)
        assert await (await run.start(*program("exit", 4))).wait() == 4

    asyncio.run(main())


def test_a_program_that_has_stopped_itself_is_woken_to_end():
    async def main():
        started = await run.start("sh", "-c", "trap 'exit 3' TERM; kill -STOP $$; sleep 60")
        while psutil.Process(started.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.01)
        assert await started.stop(grace=60) == 3

    asyncio.run(main())


OLDER = """
import os, runpy, signal
del os.pidfd_open, signal.pidfd_send_signal
runpy.run_path({!r}, run_name="__main__")
"""


def test_a_python_that_was_built_for_an_older_linux(program, tmp_path, monkeypatch):
    """As conda's and uv's are: it knows no pidfds."""
    (tmp_path / "supervise.py").write_text(OLDER.format(client.script[0]))
    client.close()
    monkeypatch.setattr(client, "script", (str(tmp_path / "supervise.py"), ()))

    async def main():
        assert await (await run.start(*program("exit", 4))).wait() == 4
        started = await run.start(*program("fork", "setsid", "fork", "out", "ready", "stall"))
        assert started.launcher == "supervised"
        while len(started.family.alive()) != 1:  # the daemon, alone
            await asyncio.sleep(0.01)
        [daemon] = started.family.alive()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for guard in (client.supervisor_pid(), started.family.held.shim):
                os.kill(guard, number)
        await started.family.gone()
        expect_over(daemon)
        other = await run.start(*program("stall"))
        os.kill(client.supervisor_pid(), signal.SIGKILL)
        assert await other.wait() == -9  # its shim has seen that, at its next look

    try:
        asyncio.run(main())
    finally:
        client.close()


STORM = """
f() { [ $1 = 0 ] && exec sleep 600; f $(($1 - 1)) & f $(($1 - 1)) & wait; }
trap '' INT TERM; echo ready; f 7
"""


def test_a_family_that_forks_all_the_time_is_killed():
    async def main():
        for count in (0, 200):
            started = await run.start("sh", "-c", STORM)
            await started.log.changed(0)
            while len(started.family.alive()) < count:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            assert await started.stop(grace=0) == -9 and not started.family.alive()
            print(f"fork storm, from {count} on: gone after {time.monotonic() - began:.2f} s")

    asyncio.run(main())


def test_no_descriptor_left_to_have_is_a_clean_error(program):
    async def main():
        await (await run.start("true")).wait()
        limits, errors = resource.getrlimit(resource.RLIMIT_NOFILE), 0
        for free in (0, 1, 2, 3, 4, 6, 9, 0, 0):
            before, held = held_by_us(), []
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, before)) + 9, limits[1]))
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for fd in [held.pop() for _ in range(min(free, len(held)))]:
                os.close(fd)
            try:
                await (await run.start("true")).wait()
            except OSError as error:
                errors += error.errno in (errno.EMFILE, errno.EAGAIN)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                for fd in held:
                    os.close(fd)
            await asyncio.sleep(0)
            assert len(held_by_us()) <= len(before) + 1, "the socket of one more shim that waits"
        assert 2 < errors < 9
        assert await (await run.start(*program("exit", 4))).wait() == 4

    asyncio.run(main())


@contextlib.contextmanager
def all_descriptors_used():
    """This process can open nothing more."""
    limits, held = resource.getrlimit(resource.RLIMIT_NOFILE), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, held_by_us())) + 9, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in held:
            os.close(fd)


def test_a_program_is_lost_too_when_no_descriptor_is_left(program):
    async def main():
        started = await run.start(*program("out", "a", "err", "b", "stall"))
        while started.log.bytes < 4:
            await started.log.changed(started.log.bytes)
        there = psutil.Process(started.pid)
        with all_descriptors_used():
            os.kill(started.family.held.shim, signal.SIGKILL)
            with pytest.raises(ProcessLost, match="its shim was killed"):
                await asyncio.wait_for(started.wait(), 20)
        assert started.log.ended and started.log.read() == b"a\nb\n" and started.log.lines_of == {1: 1, 2: 1}
        expect_over(there)
        assert started.family.held._supervisor._held == 0

    asyncio.run(main())


def test_cancelled_while_its_pipes_are_connected_it_leaves_none_of_them(program):
    async def main():
        loop = asyncio.get_running_loop()
        await (await run.start("true")).wait()
        connect, known = loop.connect_read_pipe, {*loop._selector.get_map()}

        def cancel(*args):
            starting.cancel()
            return connect(*args)

        loop.connect_read_pipe = cancel
        starting = asyncio.create_task(run.start(*program("stall"), stdin=PIPE, stdout=PIPE, stderr=PIPE))
        with pytest.raises(asyncio.CancelledError):
            await starting
        del loop.connect_read_pipe
        assert {*loop._selector.get_map()} <= known

    asyncio.run(main())


def test_given_up_before_all_was_sent_it_leaves_nothing_in_the_loop(program):
    large = {**os.environ, **{f"X{n}": "x" * 100_000 for n in range(12)}}  # more than a socket takes at once

    async def main():
        loop = asyncio.get_running_loop()
        known = {*loop._selector.get_map()}
        supervisor, sock, _ = await client.take()
        supervisor.give_back(sock, is_ready=True)
        for child in psutil.Process(supervisor.process).children():
            child.suspend()
        try:
            async with asyncio.timeout(0.1):
                await run.start(*program(), env=large)
        except TimeoutError:
            return {*loop._selector.get_map()} - known
        pytest.fail("it has started")

    assert asyncio.run(main()) == set()


def held_by_us():
    gc.collect()
    return sorted(os.listdir("/proc/self/fd"))


def test_kernels_killed_while_they_start_leave_nothing():
    """With those above and those of `test_lifetime` thirty kernels, all with six roles."""
    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(kills.kill_one, ["while it starts"] * 12)]
    print("were there:", *(there for there, _, _ in done))
    assert [left for _, left, _ in done] == [0] * 12


def test_every_start_and_end_is_as_for_the_portable_launcher(program, tmp_path):
    (tmp_path / "no-format").write_bytes(b"\0\1")
    (tmp_path / "no-format").chmod(0o700)

    async def main():
        codes = [await (await run.start(*program("exit", code))).wait() for code in (0, 7)]
        killed = await run.start("sh", "-c", "kill -SEGV $$")
        codes.append(await killed.wait())
        assert codes == [0, 7, -11] and killed.launcher == "supervised"
        for launcher in (supervised, launch.portable):
            for words, keywords, error, name in (
                (("/nosuch/program",), {}, FileNotFoundError, "/nosuch/program"),
                (("nosuchprogram",), {}, FileNotFoundError, "nosuchprogram"),
                (("/etc/passwd",), {}, PermissionError, "/etc/passwd"),
                (("true",), {"cwd": "/nosuch"}, FileNotFoundError, "/nosuch"),
                (("true", "x" * 200_000), {}, OSError, "true"),
                ((str(tmp_path / "no-format"),), {}, OSError, str(tmp_path / "no-format")),
            ):
                with pytest.raises(error) as caught:
                    await start_exec(launcher, *words, **keywords)
                assert caught.value.filename == name, launcher
        echo = await start_exec(supervised, "cat", stdin=PIPE, stdout=PIPE)
        assert await echo.communicate(b"x" * 300_000) == (b"x" * 300_000, None)

    asyncio.run(main())


def test_the_end_is_known_while_a_descendant_lives_and_the_family_can_be_stopped(program):
    async def main():
        words = " ".join(program())
        started = await run.start("sh", "-c", f"{words} setsid stall & {words} fork setsid fork stall; exit 3")
        assert await asyncio.wait_for(started.wait(), 5) == 3
        while len(started.family.alive()) < 2:
            await asyncio.sleep(0)
        assert await started.stop(grace=0.2) == 3 and not started.family.alive()

    asyncio.run(main())


def test_the_program_sees_three_descriptors_default_signals_its_session_umask_and_limits(program, tmp_path):
    async def main():
        code = (
            "import json, os, resource, signal, sys; print(json.dumps([sorted(map(int, os.listdir('/proc/self/fd')))[:3],\
 [s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN and s.name not in ('SIGPIPE', 'SIGXFSZ')],\
 len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), os.getsid(0) == os.getpid(), os.umask(0), os.getcwd(),\
 resource.getrlimit(resource.RLIMIT_NOFILE)[0], len(os.listdir('/proc/self/fd'))]))"
        )
        before = os.umask(0o027)
        try:
            started = await run.start(sys.executable, "-I", "-c", code, cwd=tmp_path)
        finally:
            os.umask(before)
        await started.wait()
        fds, ignored, blocked, leads, umask, cwd, files, count = json.loads(started.log.read())
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert (fds, ignored, blocked, leads, umask, cwd, files) == (
            [0, 1, 2],
            [],
            0,
            True,
            0o027,
            str(tmp_path),
            limit,
        )
        assert count == 4  # and the one that lists them

    asyncio.run(main())


@pytest.mark.parametrize("killed", ["supervisor", "shim"])
def test_after_a_guard_was_killed_the_process_is_over_and_the_next_one_starts(program, killed):
    async def main():
        lost = await run.start(*program("stall"))
        os.kill(client.supervisor_pid() if killed == "supervisor" else lost.family.held.shim, signal.SIGKILL)
        if killed == "shim":
            depths = set()
            for _ in range(3):
                with pytest.raises(ProcessLost, match="was lost") as caught:
                    await lost.wait()
                depths.add(len(caught.traceback))
            assert len(depths) == 1, "the error does not grow with those who wait"
            assert lost.returncode is None and "was lost" in repr(lost)
        else:
            assert await lost.wait() == -9  # its shim has seen that
        assert lost.is_over
        with pytest.raises(ProcessLookupError):
            lost.terminate()
        assert await (await run.start(*program("exit", 4))).wait() == 4

    asyncio.run(main())


def test_many_at_once_and_nothing_is_left(program):
    async def main():
        running = await asyncio.gather(*(run.start(*program("stall")) for _ in range(30)))
        shims = [psutil.Process(each.family.held.shim) for each in running]
        each_costs = sum(shim.memory_full_info().uss for shim in shims) / len(shims) / 2**20
        print(f"a live program costs {each_costs:.2f} MiB")
        assert each_costs < 2.5
        began = time.monotonic()
        assert set(await asyncio.gather(*(each.stop(grace=0) for each in running))) == {-9}
        print(f"30 programs ended in {time.monotonic() - began:.2f} s")
        before = psutil.Process(client.supervisor_pid()).num_fds(), len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            assert await (await run.start(*program("exit", 0))).wait() == 0
        await asyncio.sleep(0)
        after = psutil.Process(client.supervisor_pid()).num_fds(), len(os.listdir("/proc/self/fd"))
        assert after[0] <= before[0] and after[1] <= before[1] + 2

    asyncio.run(main())


def test_without_a_supervisor_the_portable_launcher_does_it(monkeypatch, program):
    monkeypatch.setattr(client, "script", ("nosuch.py", ()))
    monkeypatch.setattr(client, "_refused", client._refused)  # as before, for the next test
    tried = []
    made = client.Supervisor
    monkeypatch.setattr(client, "Supervisor", lambda *args: (tried.append(1), made(*args))[1])

    async def main():
        for _ in range(3):
            started = await run.start(*program("exit", 5))
            assert (await started.wait(), started.launcher) == (5, "portable")

    asyncio.run(main())
    assert len(tried) == 2, "it is not tried again at each start"


@pytest.mark.parametrize("executable", [None, ""])
def test_where_no_python_is_known_the_portable_launcher_does_it(monkeypatch, executable):
    async def main():
        started = await ipyproc.start("true")
        return await started.wait(), started.launcher

    monkeypatch.setattr(sys, "executable", executable)
    assert asyncio.run(main()) == (0, "portable")


def test_a_supervisor_that_ends_before_it_is_asked_is_reaped(monkeypatch, program):
    made = []

    class EndsFirst(subprocess.Popen):
        def __init__(self, *args, **keywords):
            super().__init__(*args, **keywords)
            made.append(self)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr(client, "script", ("nosuch.py", ()))
    monkeypatch.setattr(client, "_refused", client._refused)
    client.close()
    monkeypatch.setattr(subprocess, "Popen", EndsFirst)
    assert asyncio.run(client.is_ready()) is False
    assert [each.returncode is not None for each in made] == [True, True]


def test_figures_are_those_of_daemons_too_and_of_what_has_just_begun():
    async def main():
        script = "setsid sleep 600 >/dev/null 2>&1 & echo ready; sleep 600"
        async with asyncio.timeout(20):
            started = await run.start("sh", "-c", script)
            await started.stdout.readline()
            while started.family.measure()[2] < 3:  # the shell, its sleep and the daemon
                await asyncio.sleep(0)
            # of all that is there nothing is missing, though the machine was looked through a moment ago
            assert started.family.measure()[2] == len(started.family.alive())
            await started.stop(0)

    asyncio.run(main())


def test_a_kernel_that_is_busy_holds_no_program_up(program):
    async def main():
        started = await run.start(*program("lines", "2000000", "out", "end"))
        child = psutil.Process(started.pid)
        child.wait(60)  # blocks the event loop: nobody reads here
        assert started.log.bytes < 20_000_000 and started.returncode is None
        assert await started.wait() == 0
        await started.log.finished()
        assert started.log.lines == 2_000_001 and started.log.tail(2) == "line 1999999\nend"
        assert started.log.bytes == started.log.path.stat().st_size == len(started.log.read())

    asyncio.run(main())


def test_what_a_shim_wrote_is_not_lost_with_it(program):
    async def main():
        words = " ".join(program())
        started = await run.start("sh", "-c", f"{words} lines 300000; {words} err why; {words} out last stall")
        while not started.log.tail(1).startswith("last"):
            await started.log.changed(started.log.bytes)
        log = started.log
        expected = log.bytes, dict(log.bytes_of), dict(log.lines_of), log.marks
        log.unpack([0] * 7 + [None, [1, 2], 0, 1, "", 0, 0, None, False])  # as if the kernel had heard nothing
        os.kill(started.family.held.shim, signal.SIGKILL)
        with pytest.raises(ProcessLost):
            await started.wait()
        assert (log.bytes, log.bytes_of, log.lines_of, log.marks) == expected and log.ended
        assert log.read(stream=2) == b"why\n"

    asyncio.run(main())


def test_a_full_socket_holds_nothing_up_and_the_last_word_counts(program, tmp_path):
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)  # the least: full after some words
    ours.settimeout(60)
    child = os.fork()
    if not child:
        ours.close()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        shim.main(theirs, os.getppid())
    theirs.close()
    with ours, open(tmp_path / "log", "ab") as log, open(os.devnull, "rb") as null:
        start = protocol.Start(
            args=program("drip", "200", "out", "end"),
            cwd="/",
            here=None,
            env={},
            umask=0o22,
            limits=[],
            mark=(mark.KIND, mark.new()),
            keep=None,
            stdio=[0, "log", "log"],
            log=protocol.LogFile(1, [1, 2], 0, str(tmp_path / "index"), 0),
        )
        socket.send_fds(ours, [protocol.TO_SHIM.encode(start)], [null.fileno(), log.fileno()])
        while not (tmp_path / "log").read_bytes().endswith(b"end\n"):
            time.sleep(0.01)  # nobody reads what the shim says
        told = b""
        while b'"Gone"' not in told:
            told += ours.recv(65536)
    messages = [protocol.FROM_SHIM.decode(line) for line in told.splitlines()]
    logs = [message.state for message in messages if isinstance(message, protocol.Logged)]
    assert len(logs) < 100, "the others had no room"
    assert logs[-1][0] == (tmp_path / "log").stat().st_size == 200 * 1000 + 4
    assert list(map(type, messages[-3:])) == [protocol.Logged, protocol.Exited, protocol.Gone]
    assert messages[-2].returncode == 0
    assert os.waitpid(child, 0) == (child, 0)


def test_a_shim_is_used_again_and_nothing_of_the_program_before_is_left(program, tmp_path):
    async def main():
        words = program("out", "one", "wait", tmp_path / "go", "exit", "3")
        first = await run.start(*words, cwd=tmp_path, env={"A": "B"})
        shim, before = first.family.held.shim, len(os.listdir(f"/proc/{first.family.held.shim}/fd"))
        (tmp_path / "go").touch()
        assert await first.wait() == 3
        while first.family.held.has_family:
            await asyncio.sleep(0)
        with pytest.raises(FileNotFoundError):
            await start_exec(supervised, "/nosuch", stdout=ipyproc.LOG, stderr=ipyproc.LOG)
        second = await run.start(*program("env", "A", "out", "two", "stall"))
        assert second.family.held.shim == shim, "the one that was used last is warm"
        first.family.held.send_signal(signal.SIGKILL, family=True, kill_in=0)
        while second.log.lines < 2:
            await second.log.changed(second.log.bytes)
        assert second.log.read() == b"None\ntwo\n" and first.log.read() == b"one\n"
        assert len(os.listdir(f"/proc/{shim}/fd")) <= before
        assert os.readlink(f"/proc/{second.pid}/cwd") == os.getcwd()
        assert await second.stop() == -15

    asyncio.run(main())


def test_what_a_shim_cannot_do_is_an_error_of_the_start_and_it_lives_on(program):
    async def main():
        first = await run.start(*program("exit", "0"))
        shim = first.family.held.shim
        await first.wait()
        while first.family.held.has_family:
            await asyncio.sleep(0)
        before = os.listdir(f"/proc/{shim}/fd")
        for word, said in (("\0", "null byte"), ("\ud800", "surrogates not allowed")):
            with pytest.raises(OSError, match=said) as caught:
                await start_exec(supervised, "true", word, stdout=ipyproc.LOG, stderr=ipyproc.LOG)
            assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, "true")
        assert os.listdir(f"/proc/{shim}/fd") == before
        second = await run.start(*program("exit", 4))
        assert second.family.held.shim == shim and await second.wait() == 4

    asyncio.run(main())


def test_a_signal_that_comes_late_reaches_nobody(program):
    async def main():
        first = await run.start(*program("exit", "0"))
        held, sock = first.family.held, first.family.held._socket
        assert await first.wait() == 0
        while held.has_family:
            await asyncio.sleep(0)
        sock.send(protocol.TO_SHIM.encode(protocol.Signal(9, True, 0.01)))  # crossed `Gone` on its way
        second = await run.start(*program("out", "alive", "stall"))
        assert second.family.held.shim == held.shim
        await second.log.changed(0)
        await asyncio.wait([asyncio.ensure_future(second.exited())], timeout=0.2)
        assert second.returncode is None
        await second.stop()

    asyncio.run(main())


CHOOSE_PID = """
import subprocess

def take_pid(pid):
    for _ in range(20):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))
        taken = subprocess.Popen(["sleep", "600"])
        if taken.pid == pid:
            return taken
        taken.kill()
        taken.wait()  # somebody was quicker: a spare shim is being forked
    return None
"""
REUSE = """
import asyncio, contextlib
from ipyproc._core import launch
from ipyproc._core.launch import supervised
from tests.starting import start_exec

async def main():
    for launcher in (supervised, launch.portable):
        stranger = None
        while not stranger:  # a shim that has got the pid keeps it
            ended = await start_exec(launcher, "true", start_new_session=True)
            await ended.wait()
            stranger = take_pid(ended.pid)
        try:
            for send in (ended.kill, lambda: ended.send_signal(9, family=True), lambda: ended.family.send_signal(9)):
                with contextlib.suppress(ProcessLookupError):
                    send()
            await ended.stop(0)
            await asyncio.to_thread(subprocess.run, ["true"])
            assert stranger.poll() is None, launcher
        finally:
            stranger.kill()
            stranger.wait()

asyncio.run(main())
"""


TAKE_OVER = """
import os, sys, time
me = os.getpid()
if os.fork():
    os._exit(7)
os.setsid()
try:
    while True:
        os.kill(me, 0)  # up to the moment when its shim has heard that it has ended
        time.sleep(0.001)
except ProcessLookupError:
    pass
for _ in range(20):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(me - 1))
    if not (child := os.fork()):
        if os.getpid() == me:
            while os.getppid() != shim: time.sleep(0.001)
            os.write(1, b"taken")
        os._exit(5)
    if child == me:
        os._exit(0)
    os.waitpid(child, 0)
"""
SECOND_EXIT = """
import asyncio, sys
import ipyproc
from ipyproc._core.launch import supervised
from tests.starting import start_exec

async def main(code):
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    for _ in range(20):
        words = sys.executable, "-c", "import os; shim = os.getppid()" + code
        ended = await start_exec(supervised, *words, stdout=ipyproc.LOG, stderr=ipyproc.LOG)
        assert await ended.wait() == 7
        await ended.family.gone()
        assert (ended.returncode, errors) == (7, [])
        if ended.log.read() == b"taken":
            return
    raise AssertionError("no descendant has got the pid of the program")

asyncio.run(main(sys.argv[1]))
"""


def test_a_descendant_that_gets_the_pid_of_the_program_is_no_second_end_of_it():
    run_in_pid_namespace(SECOND_EXIT, TAKE_OVER)


def run_in_pid_namespace(code, *args):
    """Run Python code where it may choose the next pid; skips the test where it may not."""
    if os.geteuid() != 0:
        pytest.skip("only root may choose the next pid, in a namespace of its own")
    words = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", code, *args)
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=120)
    if done.returncode and done.stderr.startswith("unshare:"):
        pytest.skip("this sandbox has no namespaces")
    assert done.returncode == 0, done.stderr


def test_who_gets_the_pid_of_a_program_that_has_ended_gets_no_signal():
    run_in_pid_namespace(CHOOSE_PID + REUSE)


def test_who_gets_the_pid_of_a_program_that_has_ended_is_none_of_its_family():
    async def main():
        started = await run.start("sh", "-c", "sleep 600 & exit 3")
        assert await started.wait() == 3
        [left] = started.family.alive()
        started.family.pid = os.getpid()  # as if it had been given to this process
        assert [each.pid for each in started.family.survivors()] == [left.pid]
        await started.stop(0)

    asyncio.run(main())


def test_when_its_loop_is_closed_a_program_can_be_killed_and_nothing_hangs(program):
    started = asyncio.run(run.start(*program("stall")))
    there = psutil.Process(started.pid)
    for call in (started.stop, started.wait):
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            asyncio.run(call())
    started.kill()
    expect_over(there)
    with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031  -- as of asyncio's own
        del started, call
        gc.collect()


def test_a_spare_shim_that_was_killed_is_replaced(program):
    async def main():
        assert await (await run.start(*program("exit", "0"))).wait() == 0
        shims = psutil.Process(client.supervisor_pid()).children()
        for each in shims:
            each.kill()
        psutil.wait_procs(shims)
        assert await (await run.start(*program("exit", "5"))).wait() == 5

    asyncio.run(main())


def test_a_supervisor_that_can_make_no_shim_ends_nothing(program):
    async def main():
        assert await (await run.start(*program("exit", "0"))).wait() == 0
        running = [await run.start(*program("out", "ready", "stall")) for _ in range(8)]  # more than wait
        supervisor = psutil.Process(client.supervisor_pid())
        limits = supervisor.rlimit(psutil.RLIMIT_NOFILE)
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, limits[1]))
        others = [await run.start(*program("exit", "0")) for _ in range(8)]
        assert {each.launcher for each in others} == {"supervised", "portable"}
        supervisor.rlimit(psutil.RLIMIT_NOFILE, limits)
        assert [await each.wait() for each in others] == [0] * 8
        last = await run.start(*program("exit", "0"))
        assert await last.wait() == 0 and last.launcher == "supervised"
        assert all(each.returncode is None for each in running)
        await asyncio.gather(*(each.stop(0) for each in running))

    asyncio.run(main())


def test_a_supervisor_that_does_not_answer_is_left_alone_with_what_it_holds(program, monkeypatch):
    async def main():
        first = await run.start(*program("out", "ready", "stall"))
        stopped = client._supervisor
        monkeypatch.setattr(
            stopped._process, "send_signal", lambda *_: None
        )  # a debugger holds it: SIGCONT does nothing
        os.kill(stopped.process, signal.SIGSTOP)
        gaps, running = asyncio.create_task(longest_gap()), []
        with monkeypatch.context() as patch:
            patch.setattr(client, "_PATIENCE", 1.0)
            while client._supervisor is stopped:
                running.append(await run.start(*program("out", "ready", "stall")))
        running += await asyncio.gather(*(run.start(*program("out", "ready", "stall")) for _ in range(4)))
        gaps.cancel()
        assert await gaps < 0.7, "the event loop waits for no supervisor"
        assert {each.launcher for each in running} == {"supervised"} and first.returncode is None
        assert await first.stop() == -15
        await asyncio.gather(*(each.stop(0) for each in running))
        os.kill(stopped.process, signal.SIGCONT)
        stopped.wait(20)  # it holds nothing any more
        assert stopped.is_gone

    asyncio.run(main())


def test_a_supervisor_that_somebody_has_stopped_goes_on_when_it_is_needed(program):
    async def main():
        first = await run.start(*program("out", "ready", "stall"))
        before = client.supervisor_pid()
        os.kill(before, signal.SIGSTOP)
        gaps = asyncio.create_task(longest_gap())
        running = [await run.start(*program("out", "ready", "stall")) for _ in range(4)]  # more than wait
        gaps.cancel()
        assert await gaps < 0.7 and client.supervisor_pid() == before
        assert {each.launcher for each in running} == {"supervised"}
        os.kill(before, signal.SIGSTOP)
        there = psutil.Process(before)
        began = time.monotonic()
        launch.close()
        assert time.monotonic() - began < 2.5 and not there.is_running()
        for each in (first, *running):
            with contextlib.suppress(ProcessLost):  # or -9: as it was heard
                assert await each.wait() == -9

    asyncio.run(main())


async def longest_gap():
    """The longest time, in seconds, that the event loop was busy without a break, up to its cancellation."""
    longest, seen = 0.0, time.monotonic()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.01)
            longest, seen = max(longest, time.monotonic() - seen), time.monotonic()
    return longest


THREADS = """
import subprocess, sys, threading, time
def fork():
    subprocess.Popen([sys.executable, "-c", "import signal; print('child', flush=True); signal.pause()"])
    time.sleep(3600)
threading.Thread(target=fork, daemon=True).start()
time.sleep(3600)
"""


def test_what_a_thread_has_forked_belongs_to_the_family(program):
    async def main():
        started = await run.start(sys.executable, "-c", THREADS)
        await started.log.changed(0)
        members = started.family.alive()
        assert len(members) == 2 and started.family.send_signal(signal.SIGTERM) == 2
        await started.wait()
        assert psutil.wait_procs(members, timeout=10)[1] == []

    asyncio.run(main())


def test_a_kill_comes_in_time_although_the_kernel_is_busy(program):
    async def main():
        started = await run.start(*program("ignore", "TERM", "out", "ready", "stall"))
        await started.log.changed(0)
        started.family.send_signal(signal.SIGTERM, kill_in=0.2)
        began = time.monotonic()
        psutil.Process(started.pid).wait(20)  # the event loop does not run
        assert 0.15 < time.monotonic() - began < 10
        assert await started.wait() == -9

    asyncio.run(main())


KEEPER = """
import asyncio, json, os, sys
import ipyproc
from ipyproc._core.output import log
from ipyproc._core.launch import client, supervised
from tests.starting import start_exec

async def main(path, *words):
    output = log.Log(file=path)
    kept = await start_exec(
        supervised, *words, stdin=ipyproc.DEVNULL, stdout=ipyproc.LOG, stderr=ipyproc.LOG, log=output, keep=True
    )
    await output.changed(0)
    print(json.dumps([kept.pid, client.supervisor_pid(), kept.family.held.shim]), flush=True)
    if sys.stdin.readline() == "end\\n":
        return
    os.kill(os.getpid(), 9)

asyncio.run(main(*sys.argv[1:]))
"""


def expect_over(*processes):
    """Wait until none of them runs; a zombie that nobody reaps does not."""
    end = time.monotonic() + GONE_WITHIN
    while left := [each for each in processes if family.runs(each)]:
        assert time.monotonic() < end, left
        psutil.wait_procs(left, timeout=0.01)


@pytest.mark.parametrize("how", ["end", "kill", "supervisor"])
def test_a_program_that_is_to_be_kept_outlives_all_but_its_own_end(program, tmp_path, how):
    path, pipe = tmp_path / "log", subprocess.PIPE
    words = [*program("out", "begun", "wait", str(tmp_path / "go"), "out", "ended")]
    kernel = subprocess.Popen([sys.executable, "-c", KEEPER, path, *words], stdin=pipe, stdout=pipe)
    kept, supervisor, shim = map(psutil.Process, json.loads(kernel.stdout.readline()))
    if how == "supervisor":
        supervisor.kill()
    kernel.communicate(b"end\n" if how == "end" else b"kill\n")
    expect_over(supervisor)
    assert family.runs(kept) and shim.name() == "ipyproc-kept" and path.read_text() == "begun\n"
    (tmp_path / "go").touch()
    expect_over(kept, shim)
    assert path.read_text() == "begun\nended\n"


AT_ONCE = """
import asyncio, os, sys
import ipyproc
from ipyproc._core.launch import supervised
from tests.starting import start_exec

async def main(*words):
    null = {"stdin": ipyproc.DEVNULL, "stdout": ipyproc.DEVNULL, "stderr": ipyproc.DEVNULL}
    kept = await start_exec(supervised, *words, **null, keep=True)
    print(kept.pid, kept.family.held._supervisor.process, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_program_is_kept_although_its_kernel_ends_as_soon_as_it_has_started(program, tmp_path):
    told = """self._connection.send(Started(program.pid, os.getpid(), time.monotonic()))
        self._connection.flush()
"""
    slow = "        time.sleep(1)  # the kernel and the supervisor are faster\n"
    copy = changed_copy(tmp_path, "_core/launch/held/shim.py", told, told + slow)
    path = os.pathsep.join([str(copy.parent), os.getcwd()])
    words = [sys.executable, "-c", AT_ONCE, *program("wait", str(tmp_path / "go"))]
    done = subprocess.run(words, stdout=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    kept, supervisor = map(int, done.stdout.split())
    if psutil.pid_exists(supervisor):
        expect_over(psutil.Process(supervisor))
    assert psutil.pid_exists(kept) and family.runs(psutil.Process(kept))
    (tmp_path / "go").touch()
    expect_over(psutil.Process(kept))


def test_a_reader_that_is_behind_takes_no_hole_for_output():
    async def main():
        output = ipyproc_log.Log(limit=2_000_000)
        started = await start_exec(
            supervised, "sh", "-c", "yes 'a line' | head -c 1500000; read x; yes 'a line' | head -c 20000000",
            stdin=PIPE, stdout=ipyproc.LOG, log=output,
        )  # fmt: skip
        while output.bytes < 1_500_000:
            await output.changed(output.bytes)
        started.stdin.write(b"\n")
        await started.stdin.drain()
        psutil.Process(started.pid).wait(20)  # we are behind: that there is a gap now, nobody has told us
        assert output.bytes == 1_500_000 and output.gap == (0, 0)
        known = output.read()
        assert b"\0" not in known and 700_000 < len(known) < 1_500_000
        await started.wait()
        await output.finished()
        assert output.gap[0] and output.dropped + len(output.read()) == output.bytes

    asyncio.run(main())


def guards(started):
    """The pids of the supervisor, of the shim of this process and of the one that waits for the next."""
    supervisor = psutil.Process(client.supervisor_pid())
    shims = [child.pid for child in supervisor.children()]
    assert started.family.held.shim in shims
    return [supervisor.pid, *shims]


def test_guards_load_nothing_that_lies_about(program, tmp_path, monkeypatch):
    for name in ("json", "os", "re", "socket", "subprocess", "ctypes", "select", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'PWNED')!r}, 'w')\nraise SystemExit('{name}')\n")
    home = tmp_path / "home"
    (home / ".local").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("PYTHONPATH", tmp_path),
        ("PYTHONHOME", home),
        ("PYTHONSTARTUP", tmp_path / "os.py"),
        ("HOME", home),
    ):
        monkeypatch.setenv(name, str(value))

    async def main():
        launch.close()
        try:
            started = await run.start("pwd", env={"PATH": os.environ["PATH"]})
            assert (await started.wait(), started.launcher) == (0, "supervised")
            assert started.log.read() == f"{tmp_path}\n".encode()
        finally:
            launch.close()  # the next test needs one without this environment

    asyncio.run(main())
    assert not (tmp_path / "PWNED").exists()


def held(pid):
    """The descriptors of a process by their kinds, but for the standard streams."""
    standard = ["/dev/null", *(os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2))]
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return sorted(link.partition("[")[0] for link in found if link not in standard)


def test_guards_hold_no_descriptors_but_their_own_and_show_no_arguments(program, tmp_path):
    async def main():
        with open(tmp_path / "secret", "w") as secret:
            os.set_inheritable(secret.fileno(), True)
            launch.close()
            started = await run.start(*program("out", "canary", "stall"), env={"CANARY": "canary"})
            while len(guards(started)) < 4:
                await asyncio.sleep(0)  # the shim for the next program is being forked
            for pid in guards(started):
                # its socket, its loop, its watch of the kernel (and of the supervisor), what wakes it when a child has ended
                expected = ["anon_inode:"] * (2 + (pid != client.supervisor_pid())) + ["pipe:", "pipe:", "socket:"]
                if pid == started.family.held.shim:  # and the two pipes of its program, and the log
                    expected += ["pipe:", "pipe:", str(started.log.path)]
                end = time.monotonic() + 60
                while held(pid) != sorted(expected) and time.monotonic() < end:
                    await asyncio.sleep(0)  # it is just beginning
                assert held(pid) == sorted(expected), pid
                assert "canary" not in psutil.Process(pid).cmdline() and len(psutil.Process(pid).cmdline()) == 7
            await started.stop(0)

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
def test_what_was_written_last_is_last_in_the_log(program, launcher):
    async def main():
        for count in (1, 100, 20_000) * 10:
            words = [*program("lines", count, "err", "end")]
            started = await start_exec(launcher, *words, stdout=ipyproc.LOG, stderr=ipyproc.LOG)
            await started.wait()
            await started.log.finished()
            assert started.log.read().endswith(f"line {count - 1}\nend\n".encode()), (launcher, count)

    asyncio.run(main())
