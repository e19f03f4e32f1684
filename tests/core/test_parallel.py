"""`parallel`: so many at once, results in order or as they come, one policy for failures, nothing left behind."""

import asyncio
import contextlib
import gc
import os
import signal
import time
import tracemalloc
import warnings
import weakref

import psutil
import pytest

import ipyproc
from ipyproc._core import host
from ipyproc._core.launch import names
from ipyproc._core.output import storage
from ipyproc._core.program import ladder
from ipyproc.testing import programs

pytestmark = pytest.mark.usefixtures("nothing_left")
played = pytest.mark.usefixtures("played")


def states(batch):
    return [job.state for job in batch.jobs]


async def running(count):
    """Wait until so many programs run and have written something."""
    while sum(each.log.bytes > 0 for each in ipyproc.processes()) < count:
        await asyncio.sleep(0.005)
    return ipyproc.processes()


@played
async def test_results_in_the_order_of_the_commands(program):
    commands = [program("sleep", delay, "out", n) for n, delay in enumerate([0.03, 0.01, 0])]
    done = await ipyproc.parallel(commands, jobs=3)
    assert [each.stdout for each in done] == ["0\n", "1\n", "2\n"]
    assert [each.args for each in done] == commands


@played
async def test_as_completed(program):
    commands = [(str(n), program("sleep", delay)) for n, delay in enumerate([0.06, 0.03, 0])]
    batch = ipyproc.parallel(commands, jobs=3)
    assert [each.name async for each in batch] == ["2", "1", "0"]
    assert [job.result for job in batch.jobs] == [None, None, None]  # none is kept


@played
async def test_it_runs_once(program):
    async def results(batch):
        return [each.stdout async for each in batch]

    batch = ipyproc.parallel([program("out", 1), program("out", 2)], jobs=1)
    both = await asyncio.gather(results(batch), results(batch), return_exceptions=True)
    assert both[0] == ["1\n", "2\n"] and "it runs once; make another one" in str(both[1])
    for again in (results(batch), batch):
        with pytest.raises(RuntimeError):
            await again
    batch = ipyproc.parallel([program()])
    await batch
    with pytest.raises(RuntimeError, match="1 done>: it runs once; make another one"):
        await results(batch)


@played
async def test_no_more_than_jobs_at_once(program):
    most = 0

    def look(job):
        nonlocal most
        most = max(most, len(ipyproc.processes()))

    await ipyproc.parallel([program("sleep", 0.01)] * 8, jobs=3, on_change=look)
    assert most == 3


@played
async def test_as_many_as_there_are_cpus(program):
    batch = ipyproc.parallel([program("out", "x", "stall")] * 9)
    work = asyncio.ensure_future(batch)
    await running(len(os.sched_getaffinity(0)))
    assert states(batch).count("running") == len(os.sched_getaffinity(0))
    work.cancel()
    await asyncio.wait([work])


@pytest.mark.parametrize("shell", [True, False])
async def test_commands_of_all_kinds(shell):
    if shell:
        commands = ["echo $((1+1))", ("named", "exit 0")]
    else:
        commands = [["echo", "2"], ("named", ["true"]), ("echo", "two"), "true", b"true"]
    done = await ipyproc.parallel(iter(commands), shell=shell)
    assert done[0].stdout == "2\n" and done[1].name == "named"
    assert shell or done[2].stdout == "two\n"
    assert await ipyproc.parallel([]) == []
    by_name = await ipyproc.parallel(
        {"a": "echo 1" if shell else ["echo", "1"], "b": "true"}, shell=shell, capture_output=True
    )
    assert [(each.name, each.stdout) for each in by_name] == [("a", "1\n"), ("b", "")]


async def test_keywords_of_run_count_for_each(tmp_path):
    done = await ipyproc.parallel([["sh", "-c", "pwd; echo $A"]] * 2, cwd=tmp_path, env={"A": "b"}, text=False)
    assert [each.stdout for each in done] == [f"{tmp_path}\nb\n".encode()] * 2


class TestFailure:
    """What a failure means for the others, and for the one who waits."""

    @played
    async def test_stop_starts_no_more_and_lets_those_that_run_finish(self, program):
        batch = ipyproc.parallel(
            [program("sleep", 0.05, "out", "whole"), program("err", "why", "exit", 3), program(), program()], jobs=2
        )
        with pytest.raises(ipyproc.ProcessExitError) as caught:
            await batch
        assert caught.value.stderr == "why"
        assert caught.value.__notes__ == ["1 of 4 failed; 2 not started."]
        assert states(batch) == ["done", "failed", "waiting", "waiting"]
        assert batch.jobs[0].result.stdout == "whole\n"

    @played
    async def test_finish_runs_all(self, program):
        batch = ipyproc.parallel([program("exit", n) for n in (0, 3, 0, 4)], jobs=1, on_failure="finish")
        with pytest.raises(ipyproc.ProcessExitError, match="exited with status 3") as caught:
            await batch
        assert states(batch) == ["done", "failed", "done", "failed"]
        assert caught.value.__notes__ == [
            "2 of 4 failed.",
            f"`{batch.jobs[1].name}` exited with status 3",
            f"`{batch.jobs[3].name}` exited with status 4",
        ]

    @played
    async def test_without_check_the_results_tell(self, program):
        commands = [program("exit", n) for n in (0, 3, 0)]
        done = await ipyproc.parallel(commands, jobs=1, on_failure="finish", check=False)
        assert [(each.returncode, each.failed) for each in done] == [(0, False), (3, True), (0, False)]
        done = await ipyproc.parallel(commands, jobs=1, check=False)
        assert [each.returncode for each in done] == [0, 3, None]
        assert repr(done[2]) == f"<CompletedProcess ({done[2].name}) was not run>" and done[2].stdout is None
        with pytest.raises(ipyproc.ProcessError, match="was not run"):
            done[2].check_returncode()

    @played
    async def test_as_completed_raises_at_the_end(self, program):
        results = aiter(ipyproc.parallel([program("exit", 1), program()], jobs=1, on_failure="finish"))
        assert [(await anext(results)).returncode for _ in range(2)] == [1, 0]
        with pytest.raises(ipyproc.ProcessExitError):
            await anext(results)

    @played
    async def test_timeout_of_each(self, program):
        batch = ipyproc.parallel([program("stall"), program()], timeout=0.05, on_failure="finish")
        with pytest.raises(ipyproc.ProcessTimeout):
            await batch
        assert batch.jobs[0].result.timed_out and states(batch) == ["failed", "done"]

    @played
    async def test_retries(self, program):
        codes = iter([1, 1, 0])

        async def flaky(_):
            return next(codes)

        with programs({"flaky": flaky}):
            batch = ipyproc.parallel([["flaky"]], retries=2)
            assert (await batch)[0].returncode == 0 and batch.jobs[0].attempts == 3
        batch = ipyproc.parallel([program("exit", 1)], retries=2, check=False)
        assert (await batch)[0].returncode == 1 and batch.jobs[0].attempts == 3

    @played
    async def test_one_that_somebody_stops_is_not_tried_again(self, program):
        batch = ipyproc.parallel([program("out", "x", "stall")], retries=5)
        work = asyncio.ensure_future(batch)
        await (await running(1))[0].stop()
        with pytest.raises(ipyproc.ProcessStopped):
            await work
        assert batch.jobs[0].attempts == 1

    async def test_one_that_cannot_start_is_a_failure(self, tmp_path):
        (tmp_path / "data").write_bytes(b"\x7fnothing")
        (tmp_path / "data").chmod(0o755)
        done = await ipyproc.parallel([[tmp_path / "data"], ["true"]], on_failure="finish", check=False)
        assert done[0].returncode is None and "could not be started" in repr(done[0]) and done[1].returncode == 0
        with pytest.raises(OSError, match="not a program"):
            await ipyproc.parallel([[tmp_path / "data"], ["true"]], on_failure="finish")

    async def test_a_program_that_is_not_there_starts_none(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nosuchprogram"):
            await ipyproc.parallel([["touch", tmp_path / "file"], ["nosuchprogram"]])
        assert os.listdir(tmp_path) == []


class TestStop:
    """All end: by `stop`, by cancellation, by leaving the loop."""

    async def test_stop(self, program):
        batch = ipyproc.parallel([program("out", n, "stall") for n in range(5)], jobs=2)
        work = asyncio.ensure_future(batch)
        processes = await running(2)
        await batch.stop()
        assert [each.returncode for each in processes] == [-signal.SIGTERM] * 2
        with pytest.raises(ipyproc.ProcessStopped) as caught:
            await work
        assert caught.value.__notes__ == ["2 of 5 failed; 3 not started."]

    @played
    async def test_stop_before_the_start(self, program):
        batch = ipyproc.parallel([program()])
        await batch.stop()
        with pytest.raises(ipyproc.ProcessError, match="was not run"):
            await batch

    async def test_stop_reaches_one_that_is_just_being_started(self, program):
        batch = ipyproc.parallel([program("stall")])
        work = asyncio.ensure_future(batch)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not ipyproc.processes()
        await asyncio.wait_for(batch.stop(), 30)
        with pytest.raises(ipyproc.ProcessError):
            await work

    async def test_cancelling(self, program):
        work = asyncio.ensure_future(ipyproc.parallel([program("out", "x", "stall")] * 4, jobs=2))
        processes = await running(2)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert [each.returncode for each in processes] == [-signal.SIGTERM] * 2 and ipyproc.processes() == []

    async def test_cancelling_again_climbs_the_ladder(self, program):
        work = asyncio.ensure_future(ipyproc.parallel([program("ignore", "TERM", "out", "x", "stall")] * 2, jobs=2))
        processes = await running(2)
        work.cancel()
        await asyncio.wait([work], timeout=0.2)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert [each.returncode for each in processes] == [-signal.SIGKILL] * 2

    async def test_leaving_the_loop(self, program):
        async for done in ipyproc.parallel([program(), program("out", "x", "stall")], jobs=2):
            assert done.returncode == 0
            processes = await running(1)
            break
        gc.collect()
        await asyncio.wait_for(processes[0].wait(), 10)

    @played
    async def test_leaving_the_loop_after_the_end(self, program):
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        batch = ipyproc.parallel([program("exit", 1)])
        results = aiter(batch)
        assert (await anext(results)).returncode == 1
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        await results.aclose()
        await asyncio.sleep(0)  # now nobody holds the task any more
        gc.collect()
        assert errors == []

    @played
    @pytest.mark.parametrize("how", ["cancel", "leave", "error"])
    async def test_nothing_is_said_to_run_afterwards(self, program, how):
        def changed(job):
            if how == "error" and job.number == 1:
                raise ZeroDivisionError

        commands = [program("out", "x", "stall"), program("out", "x", "stall") if how == "cancel" else program()]
        batch = ipyproc.parallel(commands, jobs=2, on_change=changed)
        if how == "leave":
            results = aiter(batch)
            await anext(results)
            await running(1)
            await results.aclose()
        else:
            work = asyncio.ensure_future(batch)
            if how == "cancel":
                await running(2)
                work.cancel()
            with pytest.raises(asyncio.CancelledError if how == "cancel" else ZeroDivisionError):
                await work
        assert states(batch)[0] == "failed" and "running" not in states(batch)
        assert batch.jobs[0].outcome == "was ended by SIGTERM" and batch.jobs[0].process is None

    @played
    def test_after_its_end(self, program):
        batch = ipyproc.parallel([program()])
        batch.result()
        asyncio.run(batch.stop())  # on another event loop, as that of the batch is closed
        assert states(batch) == ["done"]

    @pytest.mark.parametrize("stop", ["stop", "interrupt"])
    async def test_while_it_waits_for_the_other_machine(self, program, stop, monkeypatch):
        ended = []

        class Far:
            name = "far"

            async def start(self, *_):
                raise AssertionError

            async def slots(self):
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(True)

            async def aclose(self):
                pass

        halts = []

        class Here(host.Host):
            def interruptible(self, what, halt):
                halts.append(halt)
                return contextlib.nullcontext()

        monkeypatch.setattr(host, "_find", Here)
        batch = ipyproc.parallel([program(), program()], on=Far())
        work = asyncio.ensure_future(batch)
        while not batch._pool._waiting:
            await asyncio.sleep(0)
        if stop == "stop":
            await batch.stop()
        else:
            halts[0]()
        with pytest.raises(ipyproc.ProcessError, match="was not run"):
            await asyncio.wait_for(work, 10)
        assert ended == [True] and states(batch) == ["waiting"] * 2

    async def test_one_that_was_lost_and_waits_for_another_place(self, program):
        class Far:
            name = "far"
            starts = 0

            async def start(self, *_):
                self.starts += 1
                if self.starts == 1:
                    raise ipyproc.ProcessLost("gone")
                await asyncio.Event().wait()

            async def slots(self):
                return 1

            async def aclose(self):
                pass

        far = Far()
        batch = ipyproc.parallel([program()], on=far, retry_lost=1)
        work = asyncio.ensure_future(batch)
        while far.starts < 2:
            await asyncio.sleep(0)
        assert states(batch) == ["waiting"] and batch.jobs[0].outcome == "was lost"
        await batch.stop()
        with pytest.raises(ipyproc.ProcessLost, match="gone"):
            await work
        assert states(batch) == ["failed"]

    @played
    async def test_an_error_of_the_callback(self, program):
        def fail(job):
            if job.number == 1:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await ipyproc.parallel([program("stall"), program("stall")], jobs=2, on_change=fail)
        assert ipyproc.processes() == []


@played
async def test_progress(program):
    seen = []

    def note(job):
        seen.append((job.number, job.state, job.attempts, job.process is not None, job.result is not None))

    batch = ipyproc.parallel([program("exit", 1), program()], jobs=1, retries=1, on_failure="finish", on_change=note)
    assert repr(batch) == "<Parallel of 2 commands, not started: await it, or call .result()>"
    with contextlib.suppress(ipyproc.ProcessExitError):
        await batch
    assert seen == [
        (0, "running", 1, True, False),
        (0, "running", 2, True, False),
        (0, "failed", 2, False, True),
        (1, "running", 1, True, False),
        (1, "done", 1, False, True),
    ]
    assert repr(batch) == "<Parallel of 2 commands: 1 failed, 1 done>"
    assert repr(batch.jobs[1]) == f"<Job 1 ({batch.jobs[1].name}) done: exited with status 0>"


async def test_little_output_is_held_in_memory_and_much_in_a_log(program):
    before = set(os.listdir(storage.directory()))
    little, much = await ipyproc.parallel([program("out", "a", "sleep", 0.1, "err", "b"), program("lines", 1000)])
    assert little.log is None and (little.stdout, little.stderr, little.all) == ("a\n", "b\n", "a\nb\n")
    assert much.log.ended and much.stdout.endswith("line 999\n")
    assert set(os.listdir(much.log.path.parent)) - before == {much.log.path.name}


def test_nothing_of_those_that_have_ended_is_held(program):
    async def main():
        processes = weakref.WeakSet()
        batch = ipyproc.parallel([program()] * 20, on_change=lambda job: job.process and processes.add(job.process))
        results = await batch
        gc.collect()
        while len(os.listdir("/proc/self/fd")) > before + 4:
            await asyncio.sleep(0.005)  # some shims wait for another program; none says at once that nothing is left
        return len(results), len(processes)

    async def few():
        await ipyproc.parallel([program()])
        return len(os.listdir("/proc/self/fd"))

    with asyncio.Runner() as runner:
        before = runner.run(few())
        assert runner.run(main()) == (20, 0)


@pytest.mark.parametrize("work", [lambda: ipyproc.run("true"), lambda: ipyproc.parallel([["true"]])])
def test_result_leaves_no_connection_to_another_machine(work, monkeypatch):
    closed = []

    class Far:
        async def aclose(self):
            closed.append(asyncio.get_running_loop())

    monkeypatch.setattr(names, "_used", [Far()])
    work().result()
    assert len(closed) == 1


@played
def test_in_plain_code(program):
    assert [done.returncode for done in ipyproc.parallel([program()] * 2).result()] == [0, 0]


def test_what_nobody_awaits_is_warned_of():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ipyproc.parallel([["true"]])
    assert [str(each.message) for each in caught] == ["coroutine 'ipyproc.parallel' was never awaited"]


@pytest.mark.parametrize(
    ("commands", "keywords", "error", "words"),
    [
        ([["true"]], {"jobs": 0}, ValueError, "jobs=0: allowed is a whole number, 1 or more"),
        ([["true"]], {"jobs": "4"}, TypeError, "jobs='4': allowed is a whole number, 1 or more"),
        ([["true"]], {"jobs": True}, TypeError, "jobs=True"),
        ([["true"]], {"retries": -1}, ValueError, "retries=-1: allowed is a whole number, 0 or more"),
        (
            [["true"]],
            {"on_failure": "finsh"},
            ValueError,
            "on_failure='finsh': allowed are 'stop' (start no more) and 'finish' (run all); did you mean 'finish'?",
        ),
        ([["true"]], {"on_failure": "STOP"}, ValueError, "did you mean 'stop'?"),
        ([["true"]], {"resume": True}, TypeError, "resume=True: allowed is the path of a file, the job log"),
        ([["true"]], {"on_change": 5}, TypeError, "on_change=5: allowed is a function of a Job"),
        ([["true"]], {"max_workers": 2}, TypeError, "takes no keyword 'max_workers': did you mean jobs?"),
        ([["true"]], {"n_jobs": 2}, TypeError, "takes no keyword 'n_jobs'; did you mean jobs?"),
        ([["true"]], {"retry": 2}, TypeError, "takes no keyword 'retry': did you mean retries?"),
        ([["true"]], {"stderr": ipyproc.STDOUT}, TypeError, "each result has `stdout`, `stderr`, and both in order"),
        (None, {}, TypeError, "commands=None: allowed is a list of commands"),
        ([asyncio.Future(loop=asyncio.new_event_loop())], {}, TypeError, "give the command, parallel() runs it"),
        ([["true"]], {"timeout": "5"}, TypeError, "timeout='5': allowed is a number of seconds, or None"),
        (
            [["true"]],
            {"input": "x"},
            TypeError,
            "parallel() takes no keyword 'input': each command gets an empty input",
        ),
        (
            [["true"]],
            {"on_failur": "stop"},
            TypeError,
            "parallel() takes no keyword 'on_failur'; did you mean on_failure?",
        ),
        ([["true"], 5], {}, TypeError, "command 1, counted from 0, is 5: the program's name is 5: allowed are strings"),
        ([["true"], ["ls", 5]], {}, TypeError, "command 1, counted from 0, is ['ls', 5]: argument 1 is 5"),
        ({"a": asyncio.Future(loop=asyncio.new_event_loop())}, {}, TypeError, "give the command, parallel() runs it"),
        ({5: ["true"]}, {}, TypeError, "command 0, counted from 0, is ['true']: its name is 5: allowed is a string"),
        ([[]], {}, ValueError, "command 0, counted from 0, is []: the command is an empty list"),
        ([["ls", "-l"]], {"shell": True}, TypeError, "is ['ls', '-l']: shell=True takes one string"),
        ("ls -l", {}, TypeError, "commands='ls -l': this is one command; give a list of commands"),
    ],
)
def test_bad_input_is_one_clear_error_at_once(commands, keywords, error, words):
    with pytest.raises(error) as caught:
        ipyproc.parallel(commands, **keywords)
    assert words in str(caught.value)


async def test_one_command_in_the_place_of_many():
    with pytest.raises(FileNotFoundError) as caught:
        await ipyproc.parallel(["ls", "-l"])
    assert caught.value.__notes__ == ["These are 2 commands; one with its arguments is a list in the list."]


async def test_a_command_line_for_no_shell():
    with pytest.raises(FileNotFoundError, match="write 'ls', '-l', or shell=True"):
        await ipyproc.parallel(["ls -l"])


async def test_the_loop_stays_alive(program):
    ticks = []

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    await ipyproc.parallel([program("sleep", 0.2)] * 4, jobs=4)
    ticking.cancel()
    assert len(ticks) > 10


def test_a_result_takes_little_memory():
    async def main():
        await ipyproc.parallel([["true"]] * 10)
        gc.collect()
        tracemalloc.start()
        results = await ipyproc.parallel([["echo", "x"]] * 100)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return taken / len(results)

    assert asyncio.run(main()) < 2500


async def test_how_each_ended_is_known_in_words(program):
    commands = [program("out", "x"), program("err", "a", "err", "why", "exit", 3), ["sh", "-c", "kill -9 $$"]]
    batch = ipyproc.parallel(commands, on_failure="finish", check=False)
    results = await batch
    assert [job.outcome for job in batch.jobs] == [
        "exited with status 0",
        "exited with status 3: why",
        "was ended by SIGKILL",
    ]
    assert results[1].tail() == "a\nwhy" and results[1].tail(1, 2) == "why"


@played
async def test_where_it_is_shown_how_far_it_has_come(program, monkeypatch):
    shown = []

    class Watched(host.Host):
        @contextlib.asynccontextmanager
        async def progress(self, batch):
            shown.append(len(batch.jobs))
            assert batch.duration > 0
            batch.watchers.add(lambda: any(job.process for job in batch.jobs) and batch.halt_at(ladder.TERMINATE))
            yield
            shown.append("over" if batch.is_over else "not over")

    monkeypatch.setattr(host, "current", Watched)
    with pytest.raises(ipyproc.ProcessStopped):
        await ipyproc.parallel([program("stall")] * 5, jobs=2)
    assert shown == [5, "over"]
    await ipyproc.parallel([program()], progress=False)
    assert shown == [5, "over"]


def test_what_commands_leave_running_is_stopped_with_the_event_loop_of_result(tmp_path):
    leaving = ["sh", "-c", f"setsid sleep 600 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"]
    ipyproc.parallel([leaving], progress=False).result()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "pid").read_text())).wait(10)  # killed, and perhaps not reaped yet
