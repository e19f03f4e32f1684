"""The log is complete, byte-exact, told apart by stream, bounded on disk, and any part of it is found at once."""

import asyncio
import errno
import gc
import os
import random
import re
import shutil
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipyproc._core.output import log, storage
from ipyproc._core.output import writer as log_writer

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.pure]

CHUNKS = st.sampled_from(
    [b"", b"a", b"\n", b"\n\n", b"line\n", b"two\nlines", b"\xff\0\r\n", b"x" * 70_000, b"y\n" * 40_000]
)
WRITES = st.lists(st.tuples(st.sampled_from([1, 2]), CHUNKS), max_size=12)
STREAMS = [{1}, {2}, {1, 2}]


def made_of(writes):
    made = log.Log()
    for stream, data in writes:
        made.write(stream, data)
    return made


def joined(pieces, streams=(1, 2)):
    return b"".join(data for stream, data in pieces if stream in streams)


def end(made):
    made.end(1)
    made.end(2)
    return made


@pytest.fixture
def filled():
    """A log with many runs of both streams, and what was written to each."""
    rng = random.Random(7)
    written = [(rng.choice((1, 2)), bytes([65 + n % 26]) * rng.choice((1, 3, 200)) + b"\n") for n in range(2000)]
    return end(made_of(written)), written


# --- what was written is there -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(WRITES, st.integers(-200_000, 200_000), st.integers(0, 200_000))
def test_everything_is_there_in_order_and_told_apart(writes, start, size):
    made = made_of(writes)
    whole = joined(writes)
    assert made.path.read_bytes() == joined(made.pieces()) == whole and made.bytes == len(whole)
    for stream in (1, 2):
        assert joined(made.pieces(streams={stream})) == joined(writes, {stream})
        assert made.bytes_of[stream] == made.size({stream}) == len(joined(writes, {stream}))
        assert made.lines_of[stream] == made.line_count({stream}) == joined(writes, {stream}).count(b"\n")
    first = start if start >= 0 else max(0, len(whole) + start)
    assert made.read(start, size) == whole[first : first + size]
    for offset, stream, data in made.spans(start, size):
        assert 0 < len(data) <= 1 << 16 and whole[offset : offset + len(data)] == data
        assert made.read(offset, len(data), stream) == data
    end(made)
    assert made.ended and joined(made.pieces()) == whole, "it is read when it has ended as well"


@settings(max_examples=60, deadline=None)
@given(WRITES)
def test_where_a_line_is_and_how_many_are_before_an_offset(writes):
    made = end(made_of(writes))
    for streams in STREAMS:
        ends, offset = [0], 0  # where each line of these streams ends
        for stream, data in writes:
            ends += [offset + found.end() for found in re.finditer(b"\n", data) if stream in streams]
            offset += len(data)
        for line in {*range(5), *range(0, len(ends), 19_997), *range(max(0, len(ends) - 5), len(ends))} & {
            *range(len(ends))
        }:
            assert made.offset_of(line, streams) == ends[line]
            assert made.lines_before(ends[line], streams) == line
            assert made.lines_before(max(0, ends[line] - 1), streams) == max(0, line - 1)
        assert made.offset_of(len(ends), streams) == made.bytes, "a line that has not ended goes to the end"


def test_lines_of_a_mebibyte_are_found():
    made = made_of([(1, b"x" * (1 << 20) + b"\n") for _ in range(5)] + [(2, b"y")])
    assert [made.offset_of(line) for line in range(7)] == [line * ((1 << 20) + 1) for line in range(6)] + [made.bytes]
    assert [made.lines_before(made.offset_of(line)) for line in range(6)] == [0, 1, 2, 3, 4, 5]
    end(made)


def test_the_buffer_may_be_larger_than_what_was_read():
    made = log.Log(frozenset({1}))
    made.write(1, bytearray(b"abc\ndef\n"), 5)
    assert made.read() == b"abc\nd" and made.lines == 1
    made.end(1)


def test_a_short_log_of_one_stream_is_one_file():
    made = made_of([(1, b"a\n"), (1, b"b\n")])
    assert not made._index_path.exists() and len(made._fds) == 1
    made.write(2, b"c\n")
    assert made._index_path.exists()
    end(made)


@pytest.mark.parametrize(("lines", "stream", "expected"), [
    (2, None, "b\n20%"), (1, 2, "20%"), (5, 1, "a\nb"), (0, None, ""), (9, None, "a\nb\n20%"),
])  # fmt: skip
def test_tail_is_what_a_terminal_would_show(lines, stream, expected):
    made = end(made_of([(1, b"a\n\x1b[31mb\x1b[0m\r\n"), (2, b"10%\r20%")]))
    assert made.tail(lines, stream) == expected


@pytest.mark.parametrize("stream", [0, 3, "stdout"])
def test_a_stream_that_there_is_not(stream):
    made = end(made_of([(1, b"a\n")]))
    for use in (made.read, made.tail, made.reader):
        with pytest.raises(ValueError, match=r"stream=.*: allowed are 1 \(stdout\), 2 \(stderr\) and None"):
            use(stream=stream)


def test_tail_of_much_output():
    made = end(
        made_of([(1, b"".join(b"%06d%s\n" % (n, b"x" * 600) for n in range(n, n + 50))) for n in range(0, 500, 50)])
    )
    assert [line[:6] for line in made.tail(99).splitlines()] == [f"{n:06}" for n in range(401, 500)]


def test_text_of_a_stream():
    made = end(made_of([(1, b"10%\r"), (2, b"no\r\n"), (1, b"20%\nd\xc3"), (1, b"\xa9")]))
    assert (made.text(1), made.text(2)) == ("20%\ndé", "no\n")


# --- readers -----------------------------------------------------------------------------------------------------


def test_reader_reads_lines_and_pieces(filled):
    made, written = filled

    async def main():
        lines = [line async for line in made.reader(2)]
        assert lines == [data for stream, data in written if stream == 2]
        assert [line async for line in made] == [data for _, data in written]
        reader, parts = made.reader(1), []
        assert not reader.at_eof()
        while part := await reader.read(77):
            parts.append(part)
        assert b"".join(parts) == joined(written, {1})
        assert reader.at_eof() and await reader.read() == await reader.readline() == b""
        assert reader.text.encode() == joined(written, {1})

    asyncio.run(main())


def test_reader_waits_for_what_comes():
    async def main():
        made = log.Log()
        reader, consumed = made.reader(1), made.reader(1)
        consumed.consume()
        reading = asyncio.ensure_future(reader.readline())
        ending = asyncio.ensure_future(consumed.read())
        made.write(2, b"other\n")
        made.write(1, b"one ")
        await asyncio.sleep(0)
        assert not reading.done()
        made.write(1, b"line\nmore")
        assert await reading == b"one line\n"
        assert await reader.read(100) == b"more"
        assert await reader.read(0) == b""
        made.end(1)
        assert not ending.done()
        made.end(2)
        assert await ending == b"" and consumed.at_eof()

    asyncio.run(main())


def test_reader_of_what_comes_from_now_on():
    async def main():
        made = made_of([(1, b"before\n"), (2, b"x\n")])
        new = asyncio.ensure_future(anext(aiter(made.reader(start=made.bytes))))
        await asyncio.sleep(0)
        made.write(1, b"after\n")
        assert await new == b"after\n"
        end(made)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["lines", "pieces", "all"])
def test_to_read_much_leaves_turns_to_others(how):
    async def main():
        turns = 0

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(others())
        reader = made.reader()
        if how == "lines":
            size = sum([len(line) async for line in reader])
        elif how == "pieces":
            size = 0
            while data := await reader.read(1 << 20):
                size += len(data)
        else:
            size = len(await reader.read())
        task.cancel()
        return size, turns

    made = end(made_of([(1, b"line\n" * 40_000)] * 20))
    size, turns = asyncio.run(main())
    assert size == 4_000_000 and turns > 50


def test_a_waiter_that_was_cancelled_is_forgotten():
    async def main():
        made = log.Log()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.finished(), 0.01)
        assert not made._waiters
        end(made)
        await made.finished()

    asyncio.run(main())


# --- the limit ---------------------------------------------------------------------------------------------------

LINE = b"%07d" + b"." * 92 + b"\n"  # 100 bytes


def flood(made, lines=200_000, at_a_time=500):
    for first in range(0, lines, at_a_time):
        made.write(1 + first // at_a_time % 2, b"".join(LINE % number for number in range(first, first + at_a_time)))
    return made


def test_a_limit_keeps_the_first_and_the_last_half():
    made = flood(log.Log(limit=4_000_000), 100_000)
    gap = made.gap
    assert made.bytes == 10_000_000 and made.lines == 100_000
    assert made.dropped == gap[1] - gap[0] > 5_500_000
    assert 1_900_000 < gap[0] <= 2_000_000 and 1_900_000 < made.bytes - gap[1] < 2_400_000
    assert made.path.stat().st_size == made.bytes and made.path.stat().st_blocks * 512 < 4_500_000
    kept = joined(made.pieces())
    assert len(kept) == made.bytes - made.dropped and kept.startswith(LINE % 0) and kept.endswith(LINE % 99_999)
    assert all(
        made.read(offset, 100) == LINE % (offset // 100) for offset in (0, gap[0] - 100, gap[1], made.bytes - 100)
    )
    for streams in STREAMS:
        behind = made.lines_before(gap[1], streams)
        assert made.offset_of(behind, streams) == gap[1], "a line in the gap goes on where the log does"
        assert made.offset_of(made.lines_before(gap[0], streams) + 5, streams) == gap[1]
        last = made.line_count(streams)
        assert made.lines_before(made.offset_of(last - 7, streams), streams) == last - 7
    assert made.offset_of(99_000) == 9_900_000

    async def main():
        assert b"".join([line async for line in made]) == kept
        assert await made.reader(start=gap[0] + 5).read(100) == LINE % (gap[1] // 100)

    end(made)
    asyncio.run(main())


def test_the_gap_grows_with_the_log():
    made = log.Log(limit=2_000_000)
    gaps = [flood(made, 10_000).gap for _ in range(6)]
    starts, stops = [start for start, _ in gaps], [stop for _, stop in gaps]
    assert gaps[:2] == [(0, 0)] * 2 and set(starts[2:]) == {1_000_000}
    assert stops[2:] == sorted(set(stops[2:])) and made.bytes - 1_200_000 < stops[-1] <= made.bytes - 1_000_000
    assert made.path.stat().st_blocks * 512 < 2_500_000
    end(made)


@pytest.mark.parametrize("free", [0, 1])
def test_a_log_has_a_limit_on_a_full_disk_too(free, monkeypatch):
    monkeypatch.setattr(storage, "free_bytes", lambda: free)
    made = flood(log.Log(), 50_000)
    assert made.dropped > 3_000_000 and made.path.stat().st_blocks * 512 < 1_300_000
    assert made.read(0, 100) == LINE % 0 and made.read(-100) == LINE % 49_999
    end(made)


def test_where_a_file_can_have_no_hole_the_log_ends_at_its_limit(monkeypatch):
    monkeypatch.setattr(log_writer, "punch", lambda *_: False)
    made = flood(log.Log(limit=1_000_000), 20_000)
    assert 1_000_000 < made.bytes < 1_200_000 and made.bytes + made.dropped == 2_000_000 and made.gap == (0, 0)
    assert joined(made.pieces()) == b"".join(LINE % number for number in range(made.bytes // 100))
    end(made)


# --- a file of the user's ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("append", [False, True])
def test_a_file_of_ones_own_is_truncated_or_appended_to_and_stays(tmp_path, append):
    path = tmp_path / "own"
    path.write_bytes(b"before\n" * 3)
    made = log.Log(file=path, append=append, limit=10)
    for stream, data in [(1, b"one\n"), (2, b"two\n"), (1, b"three\n" * 30_000)]:
        made.write(stream, data)
    assert made.path == path and made.offset_of(1) == 4 and made.lines_before(8) == 2 and made.dropped == 0
    assert made.read(0, 4) == b"one\n" and made.read(4, 4, 2) == b"two\n" and made.tail(1) == "three"
    before = b"before\n" * 3 if append else b""
    assert path.read_bytes() == before + b"one\ntwo\n" + b"three\n" * 30_000
    end(made)
    del made
    gc.collect()
    assert path.exists()


def test_a_file_of_ones_own_stays_when_the_program_does_not_start(tmp_path):
    log.Log(file=tmp_path / "own").discard()
    assert (tmp_path / "own").exists()


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/null", tmp_path / "none" / "file"):
        with pytest.raises(OSError):
            log.Log(file=path)


def test_a_file_that_another_log_writes_to_is_refused_and_not_truncated(tmp_path):
    first = log.Log(file=tmp_path / "own")
    first.write(1, b"mine")
    with pytest.raises(OSError, match="another log"):
        log.Log(file=tmp_path / "own")
    assert (tmp_path / "own").read_bytes() == b"mine"
    end(first)
    end(log.Log(file=tmp_path / "own"))
    assert (tmp_path / "own").read_bytes() == b""


def test_a_file_of_ones_own_is_free_again_if_there_is_no_place_for_the_index(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_directory", None)
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(tmp_path / "none"))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            log.Log(file=tmp_path / "own")
    assert not (tmp_path / "own").exists()
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(tmp_path))
    end(log.Log(file=tmp_path / "own"))


def test_what_the_writer_has_not_told_of_one_stream_is_of_that_stream():
    for streams in ({2}, {1}):
        made = log.Log(frozenset(streams))
        fd, _ = made.hand_over()
        os.write(fd, b"one\ntwo\n")
        made.lose()
        (stream,) = streams
        assert (made.read(stream=stream), made.bytes_of[stream], made.lines_of[stream]) == (b"one\ntwo\n", 8, 2)


# --- what can go wrong -------------------------------------------------------------------------------------------


def full(fd):
    """Let this descriptor write to a full disk from now on."""
    device = os.open("/dev/full", os.O_WRONLY)
    os.dup2(device, fd)
    os.close(device)


def test_a_full_disk_is_warned_of_once_and_counted():
    made = log.Log(frozenset({1}))
    made.write(1, b"good")
    full(made._fds[0])
    with pytest.warns(RuntimeWarning, match="output is being lost"):
        made.write(1, b"lost")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.write(1, b"lost too")
    assert (made.bytes, made.dropped, made.bytes_of[1]) == (4, 12, 4)
    made.end(1)


def test_a_disk_that_is_full_for_the_index_only_mixes_no_streams_up(monkeypatch):
    made, write = made_of([(1, b"one\n"), (2, b"two\n")]), os.write

    def no_room(fd, data):
        if fd == made._fds[1]:
            raise OSError(errno.ENOSPC, "no room")
        return write(fd, data)

    monkeypatch.setattr(os, "write", no_room)
    with pytest.warns(RuntimeWarning, match="no room"):
        made.write(1, b"lost\n")
    made.write(2, b"TWO\n")
    made.write(1, b"lost\n")
    monkeypatch.undo()
    made.write(1, b"three\n")
    assert joined(made.pieces(), {1}) == b"one\nthree\n" and joined(made.pieces(), {2}) == b"two\nTWO\n"
    assert made.dropped == 10
    end(made)


def test_a_first_record_that_had_no_room_is_written_later(monkeypatch):
    made = made_of([(1, b"one\n")])
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.warns(RuntimeWarning, match="No space"):
        made.write(2, b"lost\n")
    monkeypatch.undo()
    made.write(2, b"two\n")
    assert [*made.pieces()] == [(1, b"one\n"), (2, b"two\n")] and made.lines_before(8, {2}) == 1
    end(made)


@pytest.mark.parametrize("ended", [True, False])
def test_files_that_somebody_removes_or_cuts_are_no_error(filled, ended):
    made = filled[0] if ended else made_of(filled[1])
    reading = made.pieces(streams={1})
    next(reading)
    for spoil in (lambda path: os.truncate(path, 1000), lambda path: os.truncate(path, 0), os.unlink):
        for path in (made.path, made._index_path):
            spoil(path)
            [*made.pieces(), *reading]
            assert 0 <= made.offset_of(500, {2}) <= made.bytes and made.lines_before(5000, {1}) >= 0
            made.tail(), made.joined(-50), made.last_bytes(50, 1)
    if not ended:
        made.write(1, b"more\n")
        end(made)


def values(made):
    """All that is a value, and not for showing."""

    async def read():
        return await made.reader(1).read()

    async def lines():
        return [line async for line in made.reader(1)]

    reader = made.reader(1)
    return [
        made.read,
        made.data,
        lambda: made.data({1}),
        lambda: made.text(1),
        lambda: reader.text,
        lambda: asyncio.run(read()),
        lambda: asyncio.run(lines()),
    ]


@pytest.mark.parametrize("how", ["removed", "cut", "exchanged"])
def test_a_value_of_what_somebody_has_removed_is_an_error(filled, how):
    made, _ = filled
    assert all(value() for value in values(made)) and made.missing() == ""
    if how == "cut":
        os.truncate(made.path, made.bytes - 70_000)
    elif how == "exchanged":
        other = made.path.with_suffix(".other")
        other.write_bytes(b"x" * made.bytes)
        other.replace(made.path)
    else:
        made.path.unlink()
    words = f"70 kB of the output are missing: somebody has truncated its log, {made.path}"
    if how != "cut":
        words = f"the output is gone: somebody has removed its log, {made.path}"
    for value in values(made):
        with pytest.raises(ValueError, match=re.escape(words)):
            value()
    assert len(made.joined()) == (made.bytes - 70_000 if how == "cut" else 0)
    made.path.unlink(missing_ok=True)


def test_a_value_whose_stream_nobody_can_tell_is_an_error(filled):
    made, written = filled
    made._index_path.unlink()
    with pytest.raises(ValueError, match="cannot be told apart: somebody has removed the index"):
        made.text(1)
    assert made.data() == joined(written)


def test_a_value_of_what_was_dropped_is_an_error(monkeypatch):
    made = flood(log.Log(limit=1_000_000), 40_000, 2000)
    end(made)
    for value in values(made)[1:-1]:  # what is read, and lines, go on behind what was dropped
        with pytest.raises(
            ValueError, match=r"MB of the output are missing: its log has reached its limit; the rest is in"
        ):
            value()
    made.path.unlink()
    made = made_of([(1, b"a" * 3000)])
    full(made._fds[0])
    with pytest.warns(RuntimeWarning, match="output is being lost"):
        made.write(2, b"lost")
    end(made)
    assert made.text(1) == "a" * 3000, "of this stream all is there"
    with pytest.raises(ValueError, match=r"4 B of the output are missing: No space left on device; the rest"):
        made.text(2)
    made.path.unlink()


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_directory_that_is_removed_while_a_program_writes_takes_nothing_along(at, tmp_path, monkeypatch):
    """Cleaners of /tmp do so, by age. What is written can be read as long as the log is there."""
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(tmp_path))
    monkeypatch.setattr(storage, "_directory", None)
    made = log.Log()
    for number, (stream, data) in enumerate([(1, b"one\n"), (2, b"two\n"), (1, b"x" * 100_000 + b"\n")]):
        if number == at:
            shutil.rmtree(made.path.parent)
        made.write(stream, data)
    if at == 3:
        shutil.rmtree(made.path.parent)
    end(made)
    assert made.ended and not made.path.exists() and made.failure == "" and made.dropped == 0
    assert made.data() == b"one\ntwo\n" + b"x" * 100_000 + b"\n"
    if at < 2:  # before there was an index
        with pytest.raises(ValueError, match="cannot be told apart"):
            made.text(1)
    else:
        assert made.text(2) == "two\n" and made.data({1}) == b"one\n" + b"x" * 100_000 + b"\n"
    storage._directory = None


def test_zeros_that_a_file_system_writes_as_a_hole_are_no_gap(monkeypatch):
    made = log.Log(frozenset({1}), limit=1 << 20)
    made.write(1, b"a\n")
    os.ftruncate(made._fds[0], 300_000)  # as ZFS does with what compresses to nothing
    made.bytes = made.bytes_of[1] = 300_000
    made.end(1)
    assert made.data() == b"a\n" + bytes(299_998)


# --- how long the files stay -------------------------------------------------------------------------------------


def test_the_files_go_with_the_last_reference(filled):
    made, _ = filled
    paths = made.path, made._index_path
    reader = made.reader(1)
    del made, filled
    gc.collect()
    assert [path.exists() for path in paths] == [True, True] and reader.text
    del reader


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("while_it_runs", [False, True])
def test_a_log_goes_with_its_last_reference_unless_kept(kept, while_it_runs):
    made = made_of([(1, b"a"), (2, b"b")])
    paths = made.path, made._index_path
    if not while_it_runs:
        end(made)
    if kept:
        made.keep()
        made.keep()
    if while_it_runs:
        end(made)
    assert (made.path in storage._kept) == kept
    del made
    gc.collect()
    assert [path.exists() for path in paths] == [kept, False]
    if kept:
        storage._kept.pop(paths[0])
        paths[0].unlink()


def test_a_log_of_a_program_that_did_not_start_goes_at_once():
    made = made_of([(1, b"a"), (2, b"b")])
    made.discard()
    assert not made.path.exists() and not made._index_path.exists() and made.ended


@pytest.mark.parametrize(
    ("writes", "moved_at"),
    [
        ([(1, b"a\n\x1b[31mb\x1b[K\r")], None),
        ([(1, b"a\n"), (1, b"b\x1b[A")], 2),
        ([(1, b"a\x1b"), (2, b"[A"), (1, b"[1;"), (2, b"x"), (1, b"3H")], 8),
        ([(1, b"a\x1b["), (1, b"m\n"), (1, b"A")], None),
        ([(1, b"\x1b]0;t\x07"), (2, b"\x1b7")], 6),
        ([(1, b"a\x1bP0"), (1, b";1"), (1, b"q#0~~\n")], 6),
        ([(1, b"\x1bP1;1|17/a\x1b\\"), (1, b"\x1b_Gm=1;QUJD\x1b\\")], None),
    ],
)  # fmt: skip
def test_the_first_sequence_that_may_change_other_lines_is_known(writes, moved_at):
    made = end(made_of(writes))
    assert made.moved_at == moved_at


def test_repr_is_a_sentence():
    made = log.Log(frozenset({1}))
    made.write(1, b"abc")
    assert repr(made) == f"<Log of 3 bytes, still growing, in {made.path}>"
    assert repr(made.reader(1)) == "<LogReader of stdout, 3 bytes so far>"
    assert repr(made.reader()) == "<LogReader of a log, 3 bytes so far>"
    made.end(1)
    assert "complete" in repr(made)
    made = log.Log(frozenset({1}))
    full(made._fds[0])
    with pytest.warns(RuntimeWarning):
        made.write(1, b"lost")
    made.end(1)
    assert repr(made) == f"<Log of 0 bytes, 4 B are missing, in {made.path}>"


def test_the_last_lines_of_a_stream_are_found_behind_any_amount_of_the_other():
    made = log.Log()
    made.write(2, b"why it failed\n")
    for _ in range(40):
        made.write(1, b"x" * 99_999 + b"\n")
    assert made.tail(10, stream=2) == "why it failed"
    assert made.tail(1, stream=1) == f"{'x' * 10_000} … 89999 more characters"


def test_to_read_one_stream_steps_over_the_other_at_once():
    made = log.Log()
    for _ in range(500):
        made.write(1, b"x" * (1 << 17))
    made.write(2, b"end\n")
    reader = made.reader(2)
    made.close()
    began = time.perf_counter()
    assert not reader.at_eof() and time.perf_counter() - began < 1


def test_bytes_of_a_stream_between_two_offsets():
    made = log.Log()
    for stream, data in ((1, b"abc"), (2, b"de"), (1, b"f")):
        made.write(stream, data)
    assert [made.size_between(1, 6, streams) for streams in ((1,), (2,), (1, 2))] == [3, 2, 5]
    assert made.size_between(4, 4, (2,)) == 0 == made.size_between(5, 2, (1,))
