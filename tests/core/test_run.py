"""`run`: the keywords of `subprocess.run`, awaited or not; nothing is left of it when it fails or is cancelled."""

import asyncio
import contextlib
import datetime
import fractions
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import psutil
import pytest

import ipyproc
from ipyproc._core import host
from ipyproc.testing import programs

pytestmark = pytest.mark.usefixtures("nothing_left")


async def running():
    """The one program that runs and has written something."""
    while not (found := ipyproc.processes()) or not found[0].log.bytes:
        await asyncio.sleep(0.005)
    return found[0]


async def test_failure_is_an_error_unless_told(program):
    with pytest.raises(subprocess.CalledProcessError):
        await ipyproc.run(*program("exit", 3))
    assert (await ipyproc.run(*program("exit", 3), check=False)).returncode == 3


async def test_timeout_stops_it():
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        await ipyproc.run("sh", "-c", "echo partial; exec sleep 60", timeout=1)
    assert 1 <= time.monotonic() - began < 10
    assert caught.value.stdout == "partial"
    assert (await ipyproc.run("true", timeout=fractions.Fraction(60))).timed_out is False


async def test_cancelling_stops_it_and_waits_for_its_end(program):
    work = asyncio.create_task(ipyproc.run(*program("out", "ready", "stall")))
    process = await running()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert process.returncode == -signal.SIGTERM and process.family.alive() == set()


async def test_cancelling_again_climbs_the_ladder(program):
    work = asyncio.create_task(ipyproc.run(*program("ignore", "TERM", "out", "ready", "stall")))
    process = await running()
    work.cancel()
    await asyncio.wait([work], timeout=0.1)
    assert not work.done()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert process.returncode == -signal.SIGKILL


async def test_timeouts_of_asyncio(program):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ipyproc.run(*program("stall"))
    assert ipyproc.processes() == []


async def test_it_is_a_coroutine_for_all_that_takes_one(program):
    first, second = await asyncio.gather(ipyproc.run("echo", "1"), ipyproc.run("echo", "2"))
    assert first.lines + second.lines == ["1", "2"]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ipyproc.run("echo", "3"))
    assert task.result().lines == ["3"]
    with pytest.raises(RuntimeError, match="reuse already awaited"):
        await (again := ipyproc.run("true")) and await again


async def test_repr_says_what_to_do():
    work = ipyproc.run("ls", "a b")
    assert repr(work) == "<Run (ls 'a b') not started: await it, or call .result()>"
    work.close()
    assert repr(work) == "<Run (ls 'a b') was started, or is part of a pipe>"


def test_what_nobody_awaits_is_warned_of():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ipyproc.run("true")
    assert [str(each.message) for each in caught] == ["coroutine 'ipyproc.run' was never awaited"]


def test_result_in_plain_code(program):
    assert ipyproc.run(*program("out", "hello")).result().stdout == "hello\n"
    with pytest.raises(ipyproc.ProcessExitError) as caught:
        ipyproc.run(*program("exit", 1)).result()
    assert caught.value.__context__ is None and len(caught.traceback) == 2, "its traceback tells of nothing else"


def test_result_is_for_once():
    work = ipyproc.run("true")
    work.result()
    with pytest.raises(RuntimeError, match=r"<Run \(true\) was started, or is part of a pipe>: it runs once"):
        work.result()


def test_result_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(ipyproc.run("echo", "x").result().stdout))
    thread.start()
    thread.join()
    assert found == ["x\n"]


def test_result_leaves_the_loop_of_the_main_thread_alone():
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    try:
        ipyproc.run("true").result()
        assert asyncio.get_event_loop_policy().get_event_loop() is own
    finally:
        asyncio.set_event_loop(None)
        own.close()


async def test_result_in_a_loop_that_runs_is_refused_outside_of_a_notebook():
    with pytest.raises(RuntimeError, match="write `await` instead of"):
        ipyproc.run("true").result()


@pytest.mark.skipif(sys.platform != "linux", reason="supervisors are for Linux")
def test_what_it_leaves_running_ends_with_its_own_loop():
    done = ipyproc.run("setsid sleep 600 >/dev/null 2>&1 & echo $!", shell=True).result()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(10)


def test_ctrl_c_in_a_script(program):
    code = f"import ipyproc; ipyproc.run(*{program('out', 'ready', 'stall')!r}, stdout=1).result()"
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert script.stdout.readline() == b"ready\n"
    children = psutil.Process(script.pid).children(recursive=True)
    script.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in script.communicate(timeout=30)[1]
    assert psutil.wait_procs(children, timeout=10)[1] == []


async def test_a_descendant_that_holds_the_output_holds_nobody_up(program, tmp_path):
    done = await ipyproc.run(*program("out", "a", "fork", "wait", tmp_path / "go", "out", "late"))
    with pytest.warns(RuntimeWarning, match="a process that it left behind holds its output open") as told:
        assert done.stdout == "a\n" and not done.log.ended
    assert told[0].filename == __file__
    (tmp_path / "go").touch()
    await done.log.finished()
    assert done.stdout == "a\nlate\n"


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
async def test_what_a_process_substitution_writes_is_waited_for():
    done = await ipyproc.run("bash", "-c", "exec > >(sleep 0.6; cat); echo all")
    assert done.stdout == "all\n"


async def test_a_lost_program_is_an_error(program):
    if sys.platform != "linux":
        pytest.skip("shims are for Linux")
    work = asyncio.create_task(ipyproc.run(*program("out", "last", "stall"), check=False))
    process = await running()
    psutil.Process(process.family.held.shim).kill()
    with pytest.raises(ipyproc.ProcessLost) as caught:
        await work
    assert (caught.value.returncode, caught.value.stdout, caught.value.cmd) == (None, "last", process.args)


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"timeout": -1}, ValueError, "timeout=-1: allowed is a number of seconds, 0 or more, or None"),
        ({"timeout": float("nan")}, ValueError, "timeout=nan"),
        ({"timeout": "5"}, TypeError, "timeout='5': allowed is a number of seconds, or None"),
        ({"timeout": datetime.timedelta(seconds=5)}, TypeError, "timeout=datetime.timedelta(seconds=5): allowed is"),
        ({"stdin": ipyproc.PIPE}, ValueError, "run() sends only input=..."),
        ({"encoding": "utf-9"}, LookupError, "encoding='utf-9'"),
        ({"encoding": "rot13"}, LookupError, "is not a text encoding"),
        ({"encoding": 5}, TypeError, "encoding=5: allowed is a name"),
        ({"errors": "ignroe"}, LookupError, "ignroe"),
        ({"text": False, "encoding": "utf-8"}, ValueError, "text=False: encoding='utf-8'"),
        ({"chekc": True}, TypeError, "run() takes no keyword 'chekc'; did you mean check?"),
    ],
)
def test_bad_keywords_are_errors_at_once(keywords, error, words):
    with pytest.raises(error) as caught:
        ipyproc.run("true", **keywords)
    assert words in str(caught.value)


async def test_keywords_that_say_what_is_so_anyway(program):
    done = await ipyproc.run(
        *program("cat", "err", "e"),
        input="in",
        capture_output=True,
        stdout=ipyproc.PIPE,
        stderr=ipyproc.STDOUT,
        universal_newlines=True,
        start_new_session=True,
        close_fds=True,
    )
    assert (done.stdout, done.stderr) == ("ine\n", None)


async def test_no_output_is_lost_at_the_end(program):
    for _ in range(20):
        assert (await ipyproc.run(*program("lines", 20_000))).stdout.endswith("line 19999\n")


@pytest.mark.parametrize("how", ["timeout", "interrupt"])
async def test_what_was_being_stopped_when_it_was_lost_is_not_run_again(how, monkeypatch):
    async def breaks(program):
        asked = asyncio.Event()
        program.on_signal(signal.SIGINT, asked.set)
        program.on_signal(signal.SIGTERM, asked.set)
        ready.set()
        await asked.wait()
        raise ipyproc.ProcessLost("the machine is gone")

    interrupts, ready = [], asyncio.Event()

    class Here(host.Host):
        def interruptible(self, what, stop):
            interrupts.append(stop)
            return contextlib.nullcontext()

    monkeypatch.setattr(host, "_find", Here)
    with programs({"sim": breaks}) as started:
        work = asyncio.ensure_future(
            ipyproc.run("sim", on="far", retry_lost=2, timeout=0.05 if how == "timeout" else None)
        )
        await ready.wait()
        if how == "interrupt":
            interrupts[0]()
        with pytest.raises(ipyproc.ProcessLost, match="the machine is gone"):
            await asyncio.wait_for(work, 10)
    assert len(started) == 1
