"""The job log: what has run is in it, and what succeeded is not run again."""

import asyncio
import datetime
import errno
import json
import signal

import pytest

import ipyproc
from ipyproc._core.batch import joblog
from ipyproc.testing import programs

pytestmark = [pytest.mark.usefixtures("nothing_left", "played"), pytest.mark.pure]


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_one_line_for_each_attempt(program, tmp_path):
    path = tmp_path / "jobs.jsonl"
    commands = [("good", program()), program("exit", 3)]
    await ipyproc.parallel(commands, jobs=1, retries=1, resume=path, check=False)
    first, *others = records(path)
    assert first.keys() == {"number", "name", "args", "attempt", "state", "exit", "start", "end", "duration"}
    assert (first["number"], first["name"], first["args"]) == (0, "good", list(program()))
    assert (first["attempt"], first["state"], first["exit"]) == (1, "done", 0)
    start, end = (datetime.datetime.fromisoformat(first[key]) for key in ("start", "end"))
    assert abs((end - start).total_seconds() - first["duration"]) < 0.05
    assert abs((datetime.datetime.now(datetime.UTC) - end).total_seconds()) < 60
    assert [(each["attempt"], each["state"], each["exit"]) for each in others] == [(1, "failed", 3), (2, "failed", 3)]


async def test_what_succeeded_is_skipped(tmp_path):
    path, ran, seen = tmp_path / "jobs.jsonl", [], []
    commands = [f"step {n}" for n in range(4)]

    async def step(program):
        ran.append(program.args[-1])
        return int(ran == ["step 0", "step 1"])

    with programs({"sh": step}):
        with pytest.raises(ipyproc.ProcessExitError):
            await ipyproc.parallel(commands, jobs=1, shell=True, resume=path)
        assert ran == commands[:2]
        batch = ipyproc.parallel(
            commands, jobs=1, shell=True, resume=str(path), on_change=lambda job: seen.append((job.number, job.state))
        )
        done = await batch
        assert ran == [*commands[:2], *commands[1:]]
        assert [job.state for job in batch.jobs] == ["skipped", "done", "done", "done"] and seen[0] == (0, "skipped")
        assert [each.returncode for each in done] == [0, 0, 0, 0]
        assert (done[0].earlier, done[0].stdout, done[1].stdout) == (True, None, "")
        for ask in (lambda: done[0].lines, lambda: done[0].all, done[0].json, done[0].df):
            with pytest.raises(ValueError, match="succeeded in an earlier run, and its output is not here"):
                ask()
        assert repr(done[0]).endswith("s, in an earlier run>") and done[0].duration > 0
        batch = ipyproc.parallel(commands, shell=True, resume=path)
        assert [each.earlier async for each in batch] == [True] * 4
        assert len(records(path)) == 5


async def test_one_that_was_stopped_by_its_timeout_has_not_succeeded(tmp_path):
    path = tmp_path / "jobs.jsonl"

    async def graceful(program):
        asked = asyncio.Event()
        program.on_signal(signal.SIGTERM, asked.set)
        await asked.wait()

    with programs({"graceful": graceful}):
        await ipyproc.parallel([["graceful"]], timeout=0.05, resume=path, check=False)
    assert [(each["state"], each["exit"]) for each in records(path)] == [("failed", 0)]


async def test_a_cancelled_attempt_is_run_again(program, tmp_path):
    path = tmp_path / "jobs.jsonl"
    commands = [program(), program("stall")]
    work = asyncio.ensure_future(ipyproc.parallel(commands, jobs=1, resume=path))
    while not path.exists() or not path.stat().st_size:
        await asyncio.sleep(0.005)
    work.cancel()
    await asyncio.wait([work])
    assert [each["number"] for each in records(path)] == [0]


async def test_a_line_that_a_crash_has_cut_is_removed(program, tmp_path):
    path = tmp_path / "jobs.jsonl"
    commands = [program(), program()]
    await ipyproc.parallel(commands, jobs=1, resume=path)
    whole = path.read_bytes()
    for cut in (1, 15, 60):
        path.write_bytes(whole[:-cut])
        batch = ipyproc.parallel(commands, resume=path)
        await batch
        assert [job.state for job in batch.jobs] == ["skipped", "done"]
        assert len(records(path)) == 2


async def test_the_log_of_other_commands(tmp_path):
    path = tmp_path / "jobs.jsonl"
    await ipyproc.parallel([["echo", "a"], ["echo", "b"]], jobs=1, resume=path)
    for commands, here in (
        ([["echo", "a"], ["echo", "c"]], "line 2, command 1 is ['echo', 'b'], and here it is ('echo', 'c')"),
        ([["echo", "a"]], "line 2, command 1 is ['echo', 'b'], and here there are 1 commands"),
    ):
        with pytest.raises(ValueError) as caught:
            await ipyproc.parallel(commands, resume=path)
        assert "this is the job log of other commands" in str(caught.value) and here in str(caught.value)
    with pytest.raises(ValueError, match="the job log of other commands"):
        await ipyproc.parallel(["echo a", "echo b"], shell=True, resume=path)
    await ipyproc.parallel([["echo", "a"], ["echo", "b"], ["echo", "c"]], resume=path)  # longer: what ran is the same
    assert len(records(path)) == 3


async def test_no_command_is_said_to_run_when_the_job_log_cannot_be_written(program, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(joblog.JobLog, "write", full)
    batch = ipyproc.parallel([program(), program("stall")], jobs=2, resume=tmp_path / "jobs.jsonl")
    with pytest.raises(OSError, match="No space left"):
        await batch
    assert [job.state for job in batch.jobs] == ["done", "failed"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"a,b\n1,2\n", b"\x00\xff", b"{}\n", b"no line end", b"[1]\n"),
        b'{"number": 0, "args": ["true"], "state": "done", "duration": null}\n',
    ],
)
async def test_what_is_no_job_log_stays_as_it_is(tmp_path, content):
    path = tmp_path / "data"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="this is not a job log; its line 1 is b"):
        await ipyproc.parallel([["true"]], resume=path)
    assert path.read_bytes() == content


async def test_a_job_log_that_cannot_be_written(tmp_path):
    for path, error in ((tmp_path / "none" / "x", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            await ipyproc.parallel([["true"]], resume=path)


async def test_two_at_once_are_refused(program, tmp_path):
    path = tmp_path / "jobs.jsonl"
    work = asyncio.ensure_future(ipyproc.parallel([program("stall")], resume=path))
    while not ipyproc.processes():
        await asyncio.sleep(0.005)
    with pytest.raises(OSError, match="another log is being written to it"):
        await ipyproc.parallel([program("stall")], resume=path)
    work.cancel()
    await asyncio.wait([work])


async def test_words_that_are_no_text(tmp_path):
    path = tmp_path / "jobs.jsonl"
    for state in ("done", "skipped"):
        batch = ipyproc.parallel([[b"echo", b"\xff"]], resume=path)
        await batch
        assert batch.jobs[0].state == state
