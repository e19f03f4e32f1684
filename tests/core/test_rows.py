"""Any rows of a log at once, the same as if all of it had gone through a screen; however large it is."""

import os
import re
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipyproc._core.output import log
from ipyproc._core.output.rows import Rows, ends
from ipyproc._core.output.screen import LONGEST, WINDOW, Screen
from ipyproc._core.output.turns import done, within

pytestmark = pytest.mark.pure

BOTH = {1, 2}


def made_of(writes, **options):
    made = log.Log(**options)
    for stream, data in writes:
        made.write(stream, data)
    return made


def end(made):
    made.end(1)
    made.end(2)
    return made


def followed(made, streams=(1, 2)):
    rows = Rows(made, streams)
    while rows.follow():
        pass
    return rows


def rows_of(writes, streams=(1, 2)):
    return followed(end(made_of(writes)), streams)


def brute(writes, streams=(1, 2)):
    made = Screen()
    made.feed(write for write in writes if write[0] in streams)
    return shown(made.finish())


def shown(rows):
    return [(row.stream, row.ansi) for row in rows]


def numbered(count, text=b"line"):
    return [
        (1, b"".join(b"%b %d\n" % (text, n) for n in range(first, min(count, first + 5000))))
        for first in range(0, count, 5000)
    ]


# --- the same as if all had gone through a screen ----------------------------------------------------------------

LINES = [
    b"a\n",
    b"\n",
    b"10%\r20%\r\n",
    b"   \n",
    b"\x1b[31mred\x1b[0m\n",
    b"\xff\0\xe2\n",
    "€\u202e\n".encode(),
    b"x" * 300 + b"\n",
]
LINES += [b"line\n" * 400, b"y" * (LONGEST + 3) + b"\n"]
TAILS = [b"", b"open", b"10%\r20%"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(LINES)), max_size=40), st.sampled_from(TAILS), st.data()
)
def test_without_moves_any_window_is_that_of_a_screen(writes, tail, data):
    writes = [*writes, (2, tail)]
    for streams in ({1}, {2}, BOTH):
        rows, expected = rows_of(writes, streams), brute(writes, streams)
        assert rows.total == len(expected) and rows.ended == len(expected) - len(rows.open)
        first, count = data.draw(st.integers(0, rows.total)), data.draw(st.integers(0, rows.total))
        assert shown(rows.read(first, count)) == expected[first : first + count]
        assert shown(rows.read_all(0, rows.total)) == expected


MOVES = [
    b"\x1b[A",
    b"\x1b[3A\r",
    b"\x1b[B",
    b"\x1b[2J",
    b"\x1b[H",
    b"\x1b[2L",
    b"\x1b[M",
    b"\x1b7",
    b"\x1b8",
    b"\x1bM",
    b"\x1b[K",
]
STEPS = st.tuples(st.sampled_from([1, 2]), st.sampled_from([*LINES, *MOVES, *MOVES, b"bar\n", b"half", b"n\n" * 130]))
QUIET = [b"a\n", b"\n", b"10%\r20%\r\n", b"   \n", "€\u202e\n".encode(), b"y" * (LONGEST + 3) + b"\n", b"line\n" * 120]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(QUIET)), max_size=20), st.lists(STEPS, max_size=30))
def test_with_moves_they_are_those_of_a_screen_followed_in_steps_or_at_once(quiet, steps):
    writes = [*quiet, (1, b"first\n\x1b[Amoves\n"), *steps]
    expected = brute(writes)
    at_once = rows_of(writes)
    assert at_once.moves and shown(at_once.read_all(0, at_once.total)) == expected

    made, seen = log.Log(), {}
    rows = Rows(made, BOTH)
    for stream, data in writes:
        made.write(stream, data)
        moved = rows.moves and not seen
        while rows.follow():
            pass
        if not rows.moves:
            continue
        for number, row in enumerate(rows.read_all(max(seen, default=-1) + 1, rows.settled), max(seen, default=-1) + 1):
            seen[number] = row.stream, row.ansi
        assert not moved or rows.settled <= rows.ended
    end(made)
    done(rows.take_in())
    assert shown(rows.read_all(0, rows.total)) == expected
    assert [seen[number] for number in sorted(seen)] == expected[: len(seen)], "settled rows never change"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([*LINES, b"part"])), max_size=20))
def test_settled_rows_never_change(writes):
    made, seen = log.Log(), []
    rows = Rows(made, BOTH)
    for stream, data in writes:
        made.write(stream, data)
        rows.follow()
        seen += shown(rows.read_all(len(seen), rows.settled))
    end(made)
    assert shown(rows.read_all(0, len(seen))) == seen


def test_the_first_moves_unsettle_no_more_than_a_window():
    made = made_of(numbered(1000))
    rows = followed(made)
    assert rows.settled == 1000
    made.write(1, b"\x1b[9999AX")
    done(rows.take_in())
    assert rows.settled == 1000 - WINDOW and rows.total == 1000
    assert rows.read(901, 1)[0].plain == "Xine 901", "a window of rows, its own among them"
    end(made)


@pytest.mark.usefixtures("nothing_left")
def test_moves_in_much_output_are_found_when_nobody_has_followed():
    bars = [(1, b"one %d\ntwo %d\x1b[A\r" % (n, n)) for n in range(3000)]
    writes = [*numbered(20_000), *bars, (1, b"\x1b[2B\n"), *numbered(20_000, b"after")]
    rows, expected = rows_of(writes), brute(writes)
    assert rows.total == len(expected) > 40_000
    for first in (0, 19_950, 20_000, 20_001, 30_000, 40_000):
        assert shown(rows.read(first, 60)) == expected[first : first + 60]


# --- what is large -----------------------------------------------------------------------------------------------


def test_a_row_of_ten_million_is_there_at_once():
    block = b"".join(b"%07d\n" % n for n in range(10_000))
    made = log.Log()
    for start in range(0, 10_000_000, 100_000):
        made.write(1, block.replace(b"0", b"%d" % (start // 100_000 % 10), 1) * 10)
    rows = followed(made)
    assert rows.total == 10_000_000
    started = time.perf_counter()
    found = rows.read(5_000_000, 100)
    assert time.perf_counter() - started < 2
    assert [row.plain for row in found[1:]] == [f"{n:07}" for n in range(1, 100)]
    assert [row.plain for row in rows.read(9_999_999, 5)] == ["0009999"]
    end(made)


@pytest.mark.parametrize("last", [b"", b"\n"])
def test_one_line_of_100_mib(last):
    made = made_of([(1, b"begin ")] + [(1, b"x" * (1 << 20))] * 100 + [(1, last)])
    started = time.perf_counter()
    rows = followed(made)
    (row,) = rows.read_all(0, rows.total)
    assert time.perf_counter() - started < 5
    assert row.text == "begin " + "x" * (LONGEST - 6) and row.left_out == made.bytes - LONGEST - len(last)
    assert rows.total == 1 and rows.size(0, 1) == made.bytes
    end(made)


def test_of_a_line_that_is_written_anew_all_the_time_the_end_is_seen():
    rows = rows_of([(1, b"".join(b"\r%3d%%" % (n % 101) for n in range(100_000)) + b"\n"), (1, b"done\n")])
    assert [row.plain for row in rows.read_all(0, rows.total)] == [f"{99_999 % 101:3}%", "done"]


def test_long_lines_are_read_some_at_a_time():
    writes = [(1, b"%d " % n + b"x" * 400_000 + b"\n") for n in range(12)] + numbered(30_000)
    rows = rows_of(writes)
    assert 0 < len(rows.read(0, 12)) < 12
    assert [row.plain.split()[0] for row in rows.read_all(0, 12)] == [str(n) for n in range(12)]
    assert all(row.left_out for row in rows.read_all(0, 12))


def test_the_memory_of_much_output_is_that_of_little():
    program = """
        import psutil
        from ipyproc._core.output.log import Log
        from ipyproc._core.output.rows import Rows
        log, block = Log(), b"".join(b"%099d\\n" % n for n in range(10_000))
        rows, rss = Rows(log, {1, 2}), psutil.Process().memory_info
        log.write(1, block), rows.follow(), rows.read(0, 10)
        before = rss().rss
        for number in range(300):
            log.write(1 + number % 2, block)
            rows.follow(), rows.read(rows.total // 2, 10)
        log.write(1, b"\\x1b[Amoves\\n")
        for number in range(5):
            log.write(1, block)
            while rows.follow():
                pass
        assert log.bytes > 300_000_000 and rows.total == log.lines
        print(rss().rss - before)
    """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 16 * 2**20


# --- the limit of a log ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
def test_rows_in_the_gap_are_said_to_be_dropped():
    made = end(made_of(numbered(400_000), limit=1_000_000))
    rows = followed(made)
    gone, back = (made.lines_before(offset) for offset in made.gap)
    assert rows.total == 400_000 and gone < back
    assert [row.plain for row in rows.read(gone - 2, 2)] == [f"line {gone - 2}", f"line {gone - 1}"]
    for number in (gone, (gone + back) // 2, back - 1):
        assert "dropped to keep the limit" in rows.read(number, 1)[0].plain and rows.read(number, 1)[0].stream == 0
    assert [row.plain for row in rows.read(back + 1, 2)] == [f"line {back + 1}", f"line {back + 2}"]
    assert found(rows, f"line {back + 5}") == [back + 5]
    numbers = found(rows, "line 1000")
    assert numbers[0] == 1000 and all(n < gone or n > back for n in numbers)


def test_a_small_limit_keeps_the_numbers_of_rows():
    made = log.Log(limit=100_000)
    rows = Rows(made, BOTH)
    for write in numbered(100_000):
        made.write(*write)
        done(rows.take_in())
    while rows.follow():
        pass
    assert made.dropped and rows.total == 100_000 and rows.read(99_999, 1)[0].plain == "line 99999"
    end(made)


# --- find --------------------------------------------------------------------------------------------------------


def found(rows, text, *, case=False):
    return [number for number in rows.find(text, case=case) if number is not None]


@pytest.mark.parametrize("before", [[], numbered(20_000), [(1, b"\x1b[A")], [*numbered(300), (1, b"\x1b[A\x1b[B"), *numbered(20_000)]],
                         ids=["short", "long", "moved", "long and moved"])  # fmt: skip
@pytest.mark.parametrize(
    ("lines", "text", "case", "expected"),
    [
        (b"Needle\nneedle\nNEEDLE\n", "needle", False, [0, 1, 2]),
        (b"Needle\nneedle\nNEEDLE\n", "needle", True, [1]),
        ("Äpfel\näpfel\nStraße\n".encode(), "ÄPFEL", False, [0, 1]),
        ("Äpfel\näpfel\nStraße\n".encode(), "äpfel", True, [1]),
        ("Äpfel\näpfel\nStraße\n".encode(), "STRASSE", False, [2]),
        (b"needle\rhaystack\nneedle\r\n", "needle", True, [1]),
        ("Stra\u00dfe\n".encode(), "STRASSE", True, []),
        (b"nee\x1b[31mdle\x1b[0m\n", "needle", True, [0]),
        (b"ne\0edle\x1b]8;;http://needle.x/\x1b\\link\x1b]8;;\x1b\\\n", "needle", True, [0]),
        (b"\x1b]8;;http://needle.x/\x1b\\link\x1b]8;;\x1b\\\n", "needle", True, []),
        (b"a\nb needle", "needle", True, [1]),
        (b"a\n", "needle", True, []),
    ],
)  # fmt: skip
def test_find(before, lines, text, case, expected):
    rows = rows_of([*before, (1, lines), *(before if not lines.endswith(b"needle") else [])])
    first = len(brute(before))
    assert found(rows, text, case=case) == [first + number for number in expected]


@pytest.mark.parametrize("text", ["needle", "nädle"])
def test_find_across_the_blocks_that_are_read(text):
    for shift in range(10):
        filler = b"x" * 62 + b"\n"
        data = filler * 1000
        data += b"y" * (65_536 - len(data) - 5 + shift)
        rows = rows_of([(1, data + text.encode() + b" end\n" + filler * 3000)])
        assert found(rows, text.upper()) == [data.count(b"\n")]


def test_find_in_lines_of_two_streams_that_stand_in_each_other():
    rows = rows_of(
        [(1, b"need"), (2, b"other\n"), (1, b"le\n"), (2, b"nee"), (1, b"dle\n"), (2, b"dle\n"), (1, b"x\n" * 50_000)]
    )
    assert found(rows, "needle") == [1, 3] and found(rows, "x", case=True)[:1] == [4]
    assert [row.plain for row in rows.read(0, 4)] == ["other", "needle", "dle", "needle"]


def test_find_in_a_line_without_an_end_for_long():
    rows = rows_of([(1, b"needle" + b"x" * 300_000 + b" pin "), (1, b"x" * 300_000 + b"\nneedle\n"), *numbered(20_000)])
    assert found(rows, "needle") == [0, 1] and found(rows, "pin") == [0]


def test_find_gives_others_a_turn():
    rows = rows_of(numbered(100_000))
    turns = list(rows.find("line 99999", case=True))
    assert turns.count(None) >= rows.log.bytes // 70_000 and turns[-1] == 99_999


# --- the ends ----------------------------------------------------------------------------------------------------


def cost(row):
    return len(row.ansi.encode()) + 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000),
    st.integers(0, 4000),
    st.integers(0, 4000),
    st.integers(0, 500),
    st.integers(0, 100),
    st.booleans(),
)
def test_the_ends_of_the_output_are_within_their_bounds_and_their_note_is_exact(count, head, tail, lines, first, moves):
    writes = [*numbered(count), (1, b"\x1b[A\x1b[B" if moves else b"")]
    rows = rows_of(writes)
    first = min(first, rows.total)
    found = done(ends(rows, cost, head, tail, lines, first))
    notes = [number for number, row in enumerate(found) if row.stream == 0]
    whole = rows.read_all(first, rows.total)
    if not notes:
        assert shown(found) == shown(whole) and sum(map(cost, found)) <= head + tail and len(found) <= lines
        assert rows.log.path.exists()
        return
    assert sum(map(cost, whole)) > head + tail or len(whole) > lines
    (note,) = notes
    before, after = found[:note], found[note + 1 :]
    assert sum(map(cost, before)) <= head and sum(map(cost, after)) <= tail and len(before) + len(after) <= lines
    assert shown(before) == shown(whole[: len(before)]) and shown(after) == shown(whole[len(whole) - len(after) :])
    left = whole[len(before) : len(whole) - len(after)]
    words = f"{len(left):,} lines" if len(left) != 1 else "1 line"
    assert found[note].plain.startswith(f"... {words}, ") and found[note].plain.endswith(f"full log: {rows.log.path}")
    if not moves:
        assert rows.size(first + len(before), rows.total - len(after)) == sum(map(cost, left))
    rows.log.path.unlink()  # it is kept, for its path was told


def test_the_ends_say_that_lines_are_cut_and_what_is_not_in_the_log():
    rows = rows_of([(1, b"x" * (LONGEST + 1) + b"\n")])
    assert "not all of each line is shown" in done(ends(rows, cost, 10**6, 10**6, 100))[-1].plain
    rows.log.path.unlink()
    rows = followed(end(made_of(numbered(100_000), limit=300_000)))
    assert "are not in the log: its limit, or a full disk" in done(ends(rows, cost, 1000, 1000, 10))[-1].plain
    rows.log.path.unlink()


def test_repr_is_a_sentence():
    rows = rows_of([(1, b"a\nb")])
    assert repr(rows) == f"<2 Rows of {rows.log!r}>"


# --- a line of one stream that goes on behind much of the other ---------------------------------------------------


def test_a_row_has_its_beginning_however_far_before_it_lies():
    writes = [(2, b"part"), *numbered(20_000), (2, b" and end\n"), (1, b"x" * 200_000), (2, b"err\n"), (1, b"\n")]
    rows, expected = rows_of(writes), brute(writes)
    assert [shown(rows.read(number, 1)) for number in range(19_998, 20_003)] == [[row] for row in expected[19_998:]]
    assert expected[20_000] == (2, "part and end") and rows.read(20_002, 1)[0].left_out == 200_000 - LONGEST

    made, seen = log.Log(), []
    rows = Rows(made, BOTH)
    for stream, data in writes:
        made.write(stream, data)
        done(rows.take_in())
        seen += shown(rows.read_all(len(seen), rows.settled))
    assert seen == expected[: len(seen)], "settled rows never change"


def test_a_row_of_one_stream_is_complete_whatever_the_other_wrote_meanwhile():
    writes = [(2, b"10%\r"), *numbered(30_000), (2, b"20%\r"), *numbered(30_000), (2, b"\n")]
    assert shown(rows_of(writes, (2,)).read(0, 1)) == [(2, "20%")]


def test_long_rows_behind_moves_are_not_cut_where_a_read_ends():
    writes = [(1, b"first\n\x1b[A\n"), *((1, b"%04d%b\n" % (n, b"y" * 9000)) for n in range(400))]
    rows, expected = rows_of(writes), brute(writes)
    found = rows.read(5, 200)
    assert 0 < len(found) < 200 and shown(found) == expected[5 : 5 + len(found)]
    assert shown(rows.read_all(0, rows.total)) == expected


@pytest.mark.parametrize(
    "line",
    [b"\x1b[31ma\x1b[0m" * 400 + b"\n", (b"\x1b[31ma\x1b[0m" * 25_000)[:250_000] + b"\n", b"\r10%| x" * 500 + b"\n"],
)
def test_to_read_rows_is_little_work_however_long_they_are(line):
    rows = rows_of([(1, line * 10)] * 30)
    began = time.process_time()
    assert rows.read(100, 200)
    assert time.process_time() - began < 0.1
    began = time.process_time()
    assert done(ends(rows, lambda row: len(row.ansi.encode()), 20_000, 20_000, 100))
    assert time.process_time() - began < 0.5


def test_a_slice_of_moves_is_short():
    made = made_of(numbered(300))
    rows = followed(made)
    made.write(1, b"\x1b[9999A\x1b[9999B" * 10_000)
    slices = []
    more = True
    while more:
        began = time.process_time()
        more = rows.follow()
        slices.append(time.process_time() - began)
    assert max(slices) < 0.05


@pytest.mark.parametrize("size", [5_000, 100_000, 3_000_000])
def test_an_image_is_one_row_that_counts_what_is_left_out(size):
    made = log.Log(frozenset({1}))
    image = b"a\x1b]1337;File=inline=1:" + b"SECRET" * (size // 6) + b"\x07b\n"
    made.write(1, b"before\n" + image + b"after\n")
    made.end(1)
    rows = Rows(made, {1})
    while rows.follow():
        pass
    shown = [row.plain for row in rows.read(0, 1) + rows.read(1, 1) + rows.read(2, 1)]
    assert (shown[0], shown[2], rows.total) == ("before", "after", 3)
    text, count = re.fullmatch(r"(ab?) … (\d+) more characters", shown[1]).groups()
    assert text.startswith("a") and 0 <= len(image) - int(count) < 40
    if size <= 100_000:  # of a longer line, what is found in a part of it counts
        assert [number for number in rows.find("ECRETS", case=True) if number is not None] == []


def test_an_image_of_many_lines_is_one_row():
    made = log.Log(frozenset({1}))
    made.write(1, b"before\n")
    for part in (b"\x1bP0;1", b"q", *[b"#0;2;0;0;0~~@@vv$-\n"] * 500, b"\x1b", b"\\\nafter\n"):
        made.write(1, part)
    made.end(1)
    rows = Rows(made, {1})
    while rows.follow():
        pass
    shown = [row.plain for row in rows.read_all(0, rows.total)]
    assert (shown[0], shown[2:]) == ("before", ["after"]) and shown[1].startswith(" … 95")


@pytest.mark.parametrize("moves", [b"", b"\x1b[A"])
@pytest.mark.parametrize("left", [0, 500])
def test_rows_that_somebody_has_removed_are_told_of_and_awaited_by_nobody(moves, left):
    rows = rows_of([(1, moves), *numbered(3000)])
    log_of_rows = rows._settled or rows.log
    os.truncate(log_of_rows.path, left)
    assert "no longer in the log" in rows.read(1000, 50)[0].plain
    assert len(rows.read_all(0, rows.total)) == rows.total
    found = within(ends(rows, lambda row: len(row.text), 100_000, 100_000, 2500), 10_000)
    assert found is not None, "it does not end"
    found = [row.plain for row in found]
    assert not [row for row in found if "no longer" in row]
    assert re.search(r"^\.\.\. [\d,]+ lines, .* not shown", "\n".join(found), re.MULTILINE)
