"""Whatever a program writes, what is done with it is done in turns, and a turn is a bounded amount of work: counted, not timed."""

import asyncio
import functools
import itertools
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ipyproc
from ipyproc._core.output import log, turns
from ipyproc._core.output.rows import Rows, ends
from ipyproc._core.output.screen import Screen
from ipyproc._jupyter.views import transcript

from ..campaigns.gaps import FRAGMENTS, OWN
from ..hostile import HEAVY

pytestmark = pytest.mark.pure

MOST = 30_000
"""Lines of our code that one turn may run through, some milliseconds; before there were turns it was a million and more."""
SIZE = 30_000  # bytes; as much as is needed for more than one step of everything


class Counter:
    """Counts the lines of our code that run."""

    def __init__(self):
        self.lines = 0

    def __enter__(self):
        self.before, _ = sys.gettrace(), sys.settrace(self.enter)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def enter(self, frame, event, _):
        return self.count if "ipyproc" in frame.f_code.co_filename else None

    def count(self, frame, event, _):
        self.lines += event == "line"
        return self.count


def most_work(work):
    """The work of the greatest turn, and what all of them have made."""
    most = 0
    while True:
        with Counter() as counted:
            try:
                next(work)
            except StopIteration as end:
                return max(most, counted.lines), end.value
        most = max(most, counted.lines)


def log_of(writes):
    made = log.Log()
    for stream, data in writes:
        made.write(stream, data)
    made.end(1)
    made.end(2)
    return made


def check(writes):
    """All that is done in turns with an output, each turn bounded."""
    most, _ = most_work(Screen().feed_in_turns(writes))
    assert most < MOST
    made = log_of(writes)
    rows = Rows(made, log.BOTH)
    most, _ = most_work(rows.take_in())
    assert most < MOST, "taken in"
    for first in {0, rows.total // 2, max(0, rows.total - 100)}:
        most, found = most_work(rows.read_in_turns(first, 200))
        assert most < MOST and (found or not rows.total), "read"
    most, _ = most_work(rows.find("xy", case=False))
    assert most < MOST, "found"
    most, _ = most_work(transcript.text_bundle(rows))
    assert most < 3 * MOST, "drawn: a whole row, and at the end the HTML of it all"
    with Counter() as counted:
        made.tail(10)
    assert counted.lines < 6 * MOST, "the last lines, for an error: in one go"
    made.discard()


@pytest.mark.parametrize("name", [*OWN, *HEAVY])
def test_nothing_that_is_hard_to_show_is_much_work_in_a_turn(name):
    data = {**HEAVY, **OWN}[name]
    start = 250_000 if name.endswith("9,000 styles") else 0  # where the styles are there already
    check([(1, data[:start] + data[start : start + SIZE])])


UNITS = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map(b"".join)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 2]), UNITS), min_size=1, max_size=6), st.booleans())
@example([(1, b"\x1b[24;9999Hx\x1b[J"), (2, b"\x1b[24S")], True)
@example([(1, b"x"), (2, b"\n")], True)
def test_no_output_is_much_work_in_a_turn(units, alternates):
    whole = sum(len(data) for _, data in units)
    if alternates:
        check(list(units) * (SIZE // 4 // whole + 1))
    else:
        check([(stream, data * (SIZE // len(units) // len(data) + 1)) for stream, data in units])


def test_the_work_for_an_insert_is_the_same_however_many_styles_are_behind_it():
    def work(styles):
        screen = Screen()
        screen.feed([(1, OWN["inserts before 9,000 styles"][: 22 * styles])])
        with Counter() as counted:
            screen.feed([(1, b"\x1b[1G\x1b[@" * 100)])
        return counted.lines

    assert work(5000) < 1.1 * work(50)


def test_an_output_of_half_a_megabyte_is_taken_in_while_others_have_their_turns():
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.ensure_future(tick())
        made = log_of([(1, OWN["inserts before 9,000 styles"][:500_000])])
        rows = Rows(made, log.BOTH)
        began = time.process_time()
        await turns.in_turns(rows.take_in())
        shown = await turns.in_turns(ends(rows, lambda row: len(row.ansi), 1000, 1000, 100))
        took = time.process_time() - began
        ticking.cancel()
        made.discard()
        return ticks, took, shown

    ticks, took, shown = asyncio.run(main())
    assert shown and ticks >= took / turns.SLICE / 4, "slices of a few milliseconds, and others between them"


@pytest.mark.parametrize("how", [turns.done, lambda work: asyncio.run(turns.in_turns(work))])
def test_all_of_the_work_is_done(how):
    def work(pieces):
        for _ in range(pieces):
            yield
        return pieces

    assert [how(work(pieces)) for pieces in (0, 1, 1000)] == [0, 1, 1000]


def test_work_that_is_too_much_is_given_up():
    ended = []

    def work(pieces):
        try:
            for _ in range(pieces):
                yield
            return pieces
        finally:
            ended.append(pieces)

    assert [turns.within(work(pieces), 3) for pieces in (0, 2, 3, 100)] == [0, 2, None, None]
    assert ended == [0, 2, 3, 100], "what it has open is closed"


def test_work_goes_on_with_the_next_slice(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(turns.time, "perf_counter", functools.partial(lambda: next(clock) * turns.SLICE / 3))

    def work():
        for _ in range(7):
            yield
        return "made"

    begun = work()
    found = [turns.advance(begun) for _ in range(4)]
    assert found[-1] == "made" and found[:-1] == [None] * 3


def test_the_picture_of_a_result_does_not_wait_for_what_is_too_much(monkeypatch):
    done = ipyproc.run("sh", "-c", "printf 'first\\n'; printf 'a\\b%.0s' $(seq 60000)").result()
    assert "rewritten too often" in transcript.picture(done)
    assert done.log.path.exists(), "its path was told"
    done.log.path.unlink()
    done = ipyproc.run("sh", "-c", "for n in $(seq 3000); do printf '\\r%d%%' $n; done; echo; echo end").result()
    html = transcript.picture(done)
    assert "3000%" in html and "end" in html


def test_moves_are_shown_near_their_end_where_they_are_much():
    script = "echo start; for n in $(seq 20000); do printf 'bar %d\\nrest\\r\\033[A\\r' $n; done; printf '\\n\\nend\\n'"
    done = ipyproc.run("sh", "-c", script).result()
    html = transcript.picture(done)
    assert (
        "start" in html and "bar 20000" in html and "end" in html and "more were written here than can be shown" in html
    )
