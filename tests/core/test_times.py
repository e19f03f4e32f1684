"""When each part of the output came: known to a tenth of a second, bounded for any time, and never guessed."""

import asyncio
import errno
import os
import time

import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._core.output import log, storage, times, writer
from ipyproc._core.output.rows import Rows
from ipyproc._core.output.turns import done

pytestmark = pytest.mark.usefixtures("nothing_left")
BOTH = frozenset({1, 2})


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    clock = Clock()
    monkeypatch.setattr(times, "time", clock)
    monkeypatch.setattr(writer, "monotonic", clock.monotonic)
    return clock


class Clock:
    wall = 1000.0
    passed = 0.0

    @property
    def now(self):
        return self.wall

    @now.setter
    def now(self, wall):
        self.passed, self.wall = self.passed + abs(wall - self.wall), wall

    def time(self):
        return self.wall

    def monotonic(self):
        return self.passed


def written(clock, *pieces, **options):
    """A log of these (seconds since the last one, stream, bytes)."""
    made = log.Log(BOTH, **options)
    for seconds, stream, data in pieces:
        clock.now += seconds
        made.write(stream, data)
    return made


def end(made):
    made.end(1)
    made.end(2)
    return made


def rows_of(made, streams=BOTH):
    rows = Rows(made, streams)
    done(rows.take_in())
    return rows


def moments(rows):
    return [found and found.at for found in map(rows.moment, range(rows.total))]


def test_each_row_has_the_time_of_its_end(clock):
    made = written(
        clock,
        *((0, 1, b"one\nbegun"), (2, 2, b"err\n"), (3, 1, b" ended\n"), (0.05, 1, b"at once\n"), (60, 1, b"open")),
    )
    clock.now += 5
    assert moments(rows_of(made)) == [1000, 1002, 1005, 1005, 1065.05], "less than a step later is the same time"
    assert moments(rows_of(made, frozenset({1}))) == [1000, 1005, 1005, 1065.05]
    assert moments(rows_of(made, frozenset({2}))) == [1002]
    assert rows_of(made).moment(0).within == times.STEP
    assert rows_of(made).moment(-1) is rows_of(made).moment(5) is None, "there is no such row"
    end(made)
    assert moments(rows_of(made)) == [1000, 1002, 1005, 1005, 1065.05], "it can be read afterwards"


def test_the_row_of_a_time(clock):
    made = end(written(clock, (0, 1, b"one\n"), (2, 2, b"err\n"), (3, 1, b"two\nthree\n"), (60, 1, b"four")))
    rows = rows_of(made)
    found = {at: rows.row_at(at) for at in (0, 1000, 1001.9, 1002, 1004, 1005, 1064.9, 1065, 9999)}
    assert [*found.values()] == [0, 0, 0, 1, 1, 2, 2, 4, 4]
    assert rows_of(made, frozenset({1})).row_at(1004) == 1


def test_short_output_has_no_file_and_a_time_all_the_same(clock):
    made = end(written(clock, (0, 1, b"one\n"), (0.09, 1, b"two\n")))
    assert moments(rows_of(made)) == [1000, 1000] and not os.path.exists(made.times.path)


def test_nothing_came(clock):
    made = end(written(clock))
    assert made.times.at(0) is None and made.times.offset(1000) is None and rows_of(made).row_at(1000) is None


def test_the_file_is_removed_with_the_log(clock):
    made = end(written(clock, (0, 1, b"one\n"), (1, 1, b"two\n")))
    path = made.times.path
    assert os.path.exists(path) and os.stat(path).st_mode & 0o777 == 0o600
    del made
    assert not os.path.exists(path)
    made = written(clock, (0, 1, b"one\n"), (1, 1, b"two\n"))
    path = made.times.path
    made.discard()
    assert not os.path.exists(path)


def test_a_log_of_the_users_own_has_times_that_count_from_its_beginning(clock, tmp_path):
    (tmp_path / "log").write_bytes(b"before\n" * 100)
    made = end(written(clock, (0, 1, b"one\n"), (1, 1, b"two\n"), file=tmp_path / "log", append=True))
    assert moments(rows_of(made)) == [1000, 1001] and [*tmp_path.iterdir()] == [tmp_path / "log"]


def test_records_are_bounded_and_pauses_stay(clock, monkeypatch):
    monkeypatch.setattr(times, "MOST", 64)
    made, came = log.Log(BOTH), []
    for number in range(4000):
        clock.now += 100 if number == 1000 else 0.15
        came.append(clock.now)
        made.write(1, b"line %d\n" % number)
        if made.times.has_file:
            assert os.path.getsize(made.times.path) <= 16 * 64
    rows = rows_of(end(made))
    for number in range(4000):
        at, within = rows.moment(number)
        assert at <= came[number] < at + within, number
    assert within <= 64, "a tenth of the time that it wrote, at most"
    assert rows.moment(1000).at - rows.moment(999).at > 100 - within, "where there was a pause"
    assert not os.path.exists(made.times.path + ".new")


def test_a_clock_that_is_set_back(clock):
    made = end(written(clock, (0, 1, b"one\n"), (100, 1, b"two\n"), (-3600, 1, b"three\n"), (1, 1, b"four\n")))
    assert moments(rows_of(made)) == [1000, 1100, -2500, -2499]


def test_a_dropped_middle_has_no_times_and_the_rest_has(clock, monkeypatch):
    made = log.Log(BOTH, limit=1 << 20)
    for number in range(400):
        clock.now += 1
        made.write(1, b"%015d\n" % number * 1024)
    rows = rows_of(end(made))
    gone = [made.lines_before(offset, BOTH) for offset in made.gap]
    assert 0 < gone[0] < gone[1] < rows.total == 400 * 1024, "the file system has holes"
    for row in (0, gone[0] - 1, gone[1], rows.total - 1):
        assert rows.moment(row).at == 1001 + row // 1024
    assert rows.moment(gone[0]) is rows.moment(gone[1] - 1) is None


def test_what_is_no_line_of_the_log_has_no_time(clock):
    made = written(clock, *((1, 1, b"line %d\n" % number) for number in range(300)), (1, 1, b"\x1b[1Aabove\n"))
    rows = rows_of(end(made))
    assert rows.moment(0).at == 1001 and rows.row_at(1001) == 0
    assert rows.moment(rows.total - 1) is None and rows.row_at(clock.now) is None
    assert not [path for path in storage.directory().glob("*.times") if str(path) != made.times.path]


def test_a_full_disk_loses_the_times_and_nothing_else(clock, monkeypatch):
    made = written(clock, (0, 1, b"one\n"), (1, 1, b"two\n"))
    write = os.write

    def no_room(fd, data):
        if fd not in made._fds:
            raise OSError(errno.ENOSPC, "no room")
        return write(fd, data)

    monkeypatch.setattr(os, "write", no_room)
    clock.now += 1
    made.write(1, b"three\n")
    monkeypatch.setattr(os, "write", write)
    clock.now += 1
    made.write(1, b"four\n")
    assert moments(rows_of(made)) == [None] * 4, "the second line's time would be taken for that of the third"
    assert (end(made).read(), made.dropped, made.failure) == (b"one\ntwo\nthree\nfour\n", 0, "")
    assert not os.path.exists(made.times.path)


@pytest.mark.parametrize("spoil", [os.unlink, lambda path: os.truncate(path, 20), lambda path: os.truncate(path, 0)])
def test_what_somebody_has_removed_is_not_guessed(clock, spoil):
    made = written(clock, (0, 1, b"one\n"), (1, 1, b"two\n"))
    spoil(made.times.path)
    assert moments(rows_of(end(made))) == [None, None] and rows_of(made).row_at(1000) is None


PAUSES = ["sh", "-c", "echo one; read x; echo two; read x; echo three >&2"]


@pytest.mark.parametrize("launcher", ["best", "portable"])
async def test_the_times_of_a_real_program(launcher, monkeypatch):
    if launcher == "portable":  # the log is written here, and not by a shim
        monkeypatch.setattr(launch, "best", lambda: asyncio.sleep(0, launch.portable))
    came = []
    async with await ipyproc.start(*PAUSES, stdin=ipyproc.PIPE) as process:
        for count in (1, 2, 3):
            before = time.time()
            if count > 1:
                process.stdin.write(b"\n")
            while process.log.lines < count:
                await process.log.changed(process.log.bytes)
            came.append((before, time.time()))
            while time.time() - before < 2 * times.STEP:  # nothing but time makes a pause
                pass
        await process.wait()
    found = moments(rows_of(process.log))
    for at, (before, after) in zip(found, came, strict=True):
        assert before - times.STEP <= at <= after
    assert found[0] < found[1] < found[2]
