"""The ended commands that a batch keeps for views: bounded, those that failed longest, and each with its output."""

import gc

import pytest

import ipyproc
from ipyproc._core.batch import ended
from ipyproc._core.output import storage

pytestmark = pytest.mark.pure

BIG = "head -c 5000 /dev/zero | tr '\\0' x"  # in a log, and not in memory


def batch(*lines, jobs=1, **others):
    made = ipyproc.parallel(list(lines), jobs, shell=True, check=False, on_failure="finish", progress=False, **others)
    made.batch.ended.most = ended.MOST
    return made


async def test_each_has_its_output_whether_it_is_in_memory_or_in_a_log():
    commands = batch("echo out; echo err >&2; exit 3", BIG)
    small, big = await commands
    kept = commands.batch.ended
    assert list(kept) == [0, 1] and (small.log, big.log is not None) == (None, True)
    assert (kept.get(0).last_line, kept.get(1).last_line) == ("err", "x" * 5000)
    process = kept.get(0).logged
    assert (process.log.ended, list(process.log.pieces()), process.returncode) == (
        True,
        [(1, b"out\n"), (2, b"err\n")],
        3,
    )
    assert kept.get(0).logged.log is process.log, "written once"
    assert small.log is None and small.stdout == "out\n", "the result is as it was"
    assert kept.get(1).logged.log is big.log
    assert kept.get(2) is None


async def test_nothing_is_kept_unless_a_view_wants_it():
    commands = ipyproc.parallel(["true"] * 3, progress=False)
    await commands
    assert len(commands.batch.ended) == 0


async def test_what_succeeded_makes_room_first():
    commands = batch(*["true", "exit 1", "true", "exit 1", "true", "exit 1"])
    commands.batch.ended.most = 3
    await commands
    assert list(commands.batch.ended) == [1, 3, 5]
    commands = batch(*["exit 1"] * 4)
    commands.batch.ended.most = 3
    await commands
    assert list(commands.batch.ended) == [1, 2, 3]


async def test_the_logs_are_bounded_in_bytes_and_go_with_them(monkeypatch):
    monkeypatch.setattr(ended, "MOST_BYTES", 12_000)
    gc.collect()
    before = len([*storage.directory().glob("*.log")])
    commands = batch(*[BIG] * 5)
    async for _ in commands:
        pass
    assert list(commands.batch.ended) == [3, 4] and commands.batch.ended.bytes == 10_000
    gc.collect()
    assert len([*storage.directory().glob("*.log")]) == before + 2
    del commands, _
    gc.collect()
    assert len([*storage.directory().glob("*.log")]) == before


async def test_only_the_last_attempt_is_kept(tmp_path):
    commands = batch(f"echo x >> {tmp_path}/n; cat {tmp_path}/n; [ $(wc -l < {tmp_path}/n) = 2 ]", retries=3)
    await commands
    assert list(commands.batch.ended) == [0] and commands.batch.ended.get(0).result.stdout == "x\nx\n"


async def test_what_could_not_be_started_has_no_output(tmp_path):
    gone = tmp_path / "gone"
    gone.write_text("#!/bin/sh\n")
    gone.chmod(0o755)
    commands = ipyproc.parallel([["rm", str(gone)], [str(gone)]], 1, on_failure="finish", progress=False, check=False)
    commands.batch.ended.most = 5
    _, failed = await commands
    assert failed.outcome == "could not be started" and list(commands.batch.ended) == [0]
