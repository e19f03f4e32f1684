"""Nothing of a program outlives the process that started it, whoever is killed; and its end is exact."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ipyproc import PIPE, ProcessLost
from ipyproc._core import launch, process, run

if sys.platform != "linux":
    pytest.skip("supervisors are for Linux", allow_module_level=True)

from ipyproc._core.launch import supervised

pytestmark = pytest.mark.usefixtures("nothing_left")
GONE_WITHIN = 5.0  # seconds, on a loaded machine; what was measured is printed

# the six hostile descendants of the fact sheet; each has the marker among its arguments
FAMILY = """
{program} out {marker} stall &
{program} ignore INT ignore TERM ignore HUP out {marker} stall &
{program} setsid out {marker} stall &
{program} fork setsid fork out {marker} close stall
env -i {program} fork setsid fork out {marker} close stall
exec {program} {stubborn} out {marker} stall
"""
KERNEL = """
import asyncio, json, os, sys
from ipyproc._core import run
from ipyproc._core.launch import supervised

async def main(script, marker):
    process = await run.start("sh", "-c", script)
    while process.log.tail(100).count(marker) < 6:
        await process.log.changed(process.log.bytes)
    print(json.dumps([supervised.supervisor_pid(), process.family._program.shim]), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""


def marked(marker):
    """The processes that have this among their arguments, but for the kernel and the shell that has the script."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        words = each.info["cmdline"] or []
        with contextlib.suppress(psutil.NoSuchProcess):
            if marker in words and "stall" in words and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


@pytest.fixture
def kernel(program):
    """A process with a family; gives (kernel, supervisor, shim, marker)."""
    marker = f"family-{secrets.token_hex(8)}"

    def start(*, stubborn=False):
        words = " ".join(program())
        script = FAMILY.format(program=words, marker=marker, stubborn="ignore INT ignore TERM" if stubborn else "")
        kernel = subprocess.Popen(
            [sys.executable, "-c", KERNEL, script, marker], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        started.append(kernel)
        supervisor, shim = json.loads(kernel.stdout.readline())
        assert len(marked(marker)) == 6
        return kernel, supervisor, shim, marker

    started = []
    yield start
    for kernel in started:
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
    for each in marked(marker):
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
    guard = supervisor if stopped == "supervisor" else shim
    os.kill(guard, signal.SIGSTOP)
    victim.kill()
    expect_gone(marker, f"{stopped} stopped, kernel killed")
    if psutil.pid_exists(guard):
        os.kill(guard, signal.SIGCONT)


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


def test_kernels_killed_while_they_start_leave_nothing(kernel, program):
    marker = f"moment-{secrets.token_hex(8)}"
    for number in range(10):
        words = [*program(), "out", marker, "stall"]
        code = "import asyncio, sys; from ipyproc._core import run\nasync def main():\n for _ in range(20): await run.start(*sys.argv[1:])\nasyncio.run(main())"
        victim = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            victim.wait(0.08 + number * 0.02)  # the moment is what differs
        victim.kill()
        victim.wait()
        expect_gone(marker, f"kernel killed while it starts programs, {number}")


def test_every_start_and_end_is_as_for_the_portable_launcher(program):
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
            ):
                with pytest.raises(error) as caught:
                    await process.start_exec(launcher, *words, **keywords)
                assert caught.value.filename == name, launcher
        echo = await process.start_exec(supervised, "cat", stdin=PIPE, stdout=PIPE)
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
        limit = __import__("resource").getrlimit(__import__("resource").RLIMIT_NOFILE)[0]
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
        os.kill(supervised.supervisor_pid() if killed == "supervisor" else lost.family._program.shim, signal.SIGKILL)
        if killed == "shim":
            with pytest.raises(ProcessLost, match="was lost"):
                await lost.wait()
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
        began = time.monotonic()
        assert set(await asyncio.gather(*(each.stop(grace=0) for each in running))) == {-9}
        print(f"30 programs ended in {time.monotonic() - began:.2f} s")
        before = psutil.Process(supervised.supervisor_pid()).num_fds(), len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            assert await (await run.start(*program("exit", 0))).wait() == 0
        await asyncio.sleep(0)
        after = psutil.Process(supervised.supervisor_pid()).num_fds(), len(os.listdir("/proc/self/fd"))
        assert after[0] <= before[0] and after[1] <= before[1] + 2

    asyncio.run(main())


def test_without_a_supervisor_the_portable_launcher_does_it(monkeypatch, program):
    monkeypatch.setattr(supervised, "_SCRIPT", supervised._SCRIPT.with_name("nosuch.py"))

    async def main():
        started = await run.start(*program("exit", 5))
        assert (await started.wait(), started.launcher) == (5, "portable")

    asyncio.run(main())


def guards(started):
    """The pids of the supervisor, of the shim of this process and of the one that waits for the next."""
    supervisor = psutil.Process(supervised.supervisor_pid())
    shims = [child.pid for child in supervisor.children()]
    assert started.family._program.shim in shims
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


def test_guards_hold_no_descriptors_but_their_own_and_show_no_arguments(program, tmp_path):
    async def main():
        with open(tmp_path / "secret", "w") as secret:
            os.set_inheritable(secret.fileno(), True)
            launch.close()
            started = await run.start(*program("out", "canary", "stall"), env={"CANARY": "canary"})
            for pid in guards(started):
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                standard = [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)]
                own = sorted(link.partition("[")[0] for link in links if link not in ("/dev/null", *standard))
                shim = pid != supervised.supervisor_pid()
                # its socket, its watch of the kernel (and of the supervisor), and what wakes it when a child has ended
                assert own == ["anon_inode:"] * (1 + shim) + ["pipe:", "pipe:", "socket:"], (links, shim)
                assert "canary" not in psutil.Process(pid).cmdline() and len(psutil.Process(pid).cmdline()) == 6
            await started.stop(0)

    asyncio.run(main())
