"""The log is complete, private, told apart by stream, and read in bounded pieces."""

import asyncio
import gc
import os
import random
import stat
import warnings

import pytest

from ipyproc._core import log

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def filled():
    """A log with many runs of both streams, and what was written to each."""
    made, rng = log.Log(log.BOTH), random.Random(7)
    written = []
    for number in range(2000):
        stream, data = rng.choice((1, 2)), bytes([65 + number % 26]) * rng.choice((1, 3, 200)) + b"\n"
        made.write(stream, data)
        written.append((stream, data))
    made.end(1)
    made.end(2)
    return made, written


def joined(pieces, *streams):
    return b"".join(data for stream, data in pieces if stream in streams)


def test_everything_in_order_and_apart(filled):
    made, written = filled
    assert made.path.read_bytes() == joined(written, 1, 2) == joined(made.pieces(), 1, 2)
    for stream in (1, 2):
        assert joined(made.pieces(), stream) == joined(written, stream) == joined(made.pieces(streams={stream}), 1, 2)
        assert made.bytes_of[stream] == len(joined(written, stream))
    assert made.lines == 2000 and made.ended and made.dropped == 0


def test_any_part_can_be_read(filled):
    made, written = filled
    whole = joined(written, 1, 2)
    for start in (0, 1, 77, len(whole) // 2, len(whole) - 1, len(whole) + 5):
        for size in (0, 1, 50, 10_000):
            assert made.read(start, size) == whole[start : start + size]
    assert made.read(-9) == whole[-9:]
    for offset, _, data in made.spans(100, 5000):
        assert whole[offset : offset + len(data)] == data


@pytest.mark.parametrize("streams", [{1}, {2}, {1, 2}])
@pytest.mark.parametrize("size", [1, 300, 20_000, 10**7])
def test_head_and_tail_of_streams(filled, streams, size):
    made, written = filled
    expected = joined(written, *streams)
    assert joined(made.head(size, streams), 1, 2) == expected[:size]
    assert joined(made.tail(size, streams), 1, 2) == expected[-size:]


def test_reader_reads_lines_and_pieces(filled):
    made, written = filled

    async def main():
        lines = [line async for line in made.reader(2)]
        assert lines == [data for stream, data in written if stream == 2]
        reader, parts = made.reader(1), []
        assert not reader.at_eof()
        while part := await reader.read(77):
            parts.append(part)
        assert b"".join(parts) == joined(written, 1)
        assert reader.at_eof() and await reader.read() == await reader.readline() == b""
        assert reader.text.encode() == joined(written, 1)

    asyncio.run(main())


def test_reader_waits_for_what_comes():
    async def main():
        made = log.Log(log.BOTH)
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


def test_files_are_private_whatever_the_umask():
    before = os.umask(0)
    try:
        made = log.Log(log.BOTH)
        made.write(1, b"x")
        made.write(2, b"y")
    finally:
        os.umask(before)
    folder = made.path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600] * len(list(folder.iterdir()))
    made.close()


def test_names_cannot_be_guessed_and_links_are_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(log.secrets, "token_hex", lambda _: "known")
    (log.directory() / "known.log").symlink_to(victim)
    with pytest.raises(FileExistsError):
        log.Log(log.BOTH)
    assert victim.read_text() == "precious"
    (log.directory() / "known.log").unlink()


def test_a_log_goes_with_its_last_reference_unless_kept():
    gone, kept = log.Log(frozenset({1})), log.Log(frozenset({1}))
    paths = gone.path, kept.path
    kept.keep()
    gone.close()
    kept.close()
    del gone, kept
    gc.collect()
    assert [path.exists() for path in paths] == [False, True]
    paths[1].unlink()


def test_a_full_disk_is_warned_of_once_and_counted():
    made = log.Log(frozenset({1}))
    made.write(1, b"good")
    os.dup2(full := os.open("/dev/full", os.O_WRONLY), made._fds[0])
    os.close(full)
    with pytest.warns(RuntimeWarning, match="output is being lost"):
        made.write(1, b"lost")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.write(1, b"lost too")
    assert (made.bytes, made.dropped) == (4, 12)
    made.end(1)


def test_repr_is_a_sentence():
    made = log.Log(frozenset({1}))
    made.write(1, b"abc")
    assert repr(made) == f"<Log of 3 bytes, still growing, in {made.path}>"
    assert repr(made.reader(1)) == "<LogReader of stdout, 3 bytes so far>"
    made.end(1)
    assert "complete" in repr(made)
