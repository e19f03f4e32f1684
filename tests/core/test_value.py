"""A value is what a terminal would leave of the output, and all of it."""

import re
import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipyproc._core.output import screen, value

from ..hostile import HEAVY, OUTPUTS

pytestmark = pytest.mark.pure

BAR = b"10%\r20%\r100%\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ""),
        (b"a\tb\n\nc\n", "a\tb\n\nc\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\r\r\nb\r\x1b[0m\n", "a\nb\n"),
        (b"10%\r100%\ndone", "100%\ndone"),
        (b"a\n10%\r100%", "a\n100%"),
        (b"long line\rshort\n", "shortline\n"),
        (b"abcdefg\rABCD\r12\n", "12CDefg\n"),
        (b"10%\r   \rdone\n", "done\n"),
        (b"10%\r   \r\nnext", "\nnext"),
        (b"10%\x1b[2K\rdone\n", "done\n"),
        (b"N\bNA\bAM\bME\bE\n", "NAME\n"),
        (b"one\ntwo\x1b[A\rONE\n\n", "ONE\ntwo\n"),
        (b"\x1b[31mred\x1b[0m\n", "red\n"),
        (b"\x1b[31mred\x1b[0m\x1b[K\n", "red\n"),
        ("é€\xff\n".encode(), "é€\xff\n"),
        (b"\xff\n", "\ufffd\n"),
        (b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\\n", "link\n"),
        (b"a\x1b]1337;File=inline=1:" + b"QUJD" * 5000 + b"\x07b\n", "ab\n"),
        (b"a\x1b_Gf=100;" + b"QUJD" * 5000 + b"\x1b\\b\n", "ab\n"),
        (b"a\x1bP0;1q" + b"~~@@-\n" * 5000 + b"\x1b\\b\n", "ab\n"),
        (b"a\x1bPq\nb\n", "a\nb\n"),
    ],
)
def test_text(data, expected):
    assert value.text(data) == expected


KEPT = "\0\x01\a\v\f\x0e\x1a\x1c\x1d\x1e\x1f\x7f\x80\x9b\u2028\u202e\ufeff"


@pytest.mark.parametrize("data", [f"a{KEPT}b\n", f"{KEPT}\n" * 3, f"a\n{KEPT}"])
def test_control_characters_stay(data):
    assert value.text(data.encode()) == data
    for also in (BAR, b"\x1b[1mbold\x1b[0m\n", b"1\n2\x1b[A\r3\n\n"):  # whatever else there is
        left = value.text(also)
        assert value.text(also + data.encode()) == left + data
        assert value.text(data.encode() + b"\n" + also) == f"{data}\n{left}"


@given(st.text(st.characters(exclude_characters="\r\b\x1b", exclude_categories=["Cs"])))
@example("\x1f\n \n")
def test_text_without_return_backspace_and_escape_is_itself(text):
    assert value.text(text.encode()) == text
    assert value.text(BAR + text.encode()) == f"100%\n{text}", "behind a bar as well"
    assert value.text(b"1\n2\x1b[A\r3\n\n" + text.encode()) in (f"3\n2\n{text}", f"3\n2\n{text}".rstrip(" "))


@pytest.mark.parametrize("size", [9_999, 10_000, 10_001, 20_000, 300_000])
@pytest.mark.parametrize("before", [b"", BAR, b"\x1b[1mbold\x1b[0m\n", b"1\n2\x1b[A\r3\n\n"])
def test_a_line_is_whole_however_long_it_is(size, before):
    line = b"0123456789" * (size // 10) + b"x" * (size % 10)
    assert value.text(before + line + b"\nend") == value.text(before) + line.decode() + "\nend"
    again = b"A" * (size - 5)
    assert value.text(before + line + b"\r" + again) == value.text(before) + (again + line[-5:]).decode()
    assert value.text(before + line + b"\x1b[2K\r" + again) == value.text(before) + again.decode()
    assert value.text(before + line + b"\b\b\bABC") == value.text(before) + line.decode()[:-3] + "ABC"
    assert value.text(line + b"\n\x1b[A" + again) == (again + line[-5:]).decode()


ALPHABET = [b"a", b"bc", b"\n", b"\n", b"\r", b"\r\n", b"\b", b"\x1b[A", b"\x1b[2K", b"\x1b[K", b"\x1b[C", b"\x1b[3G"]
ALPHABET += [
    b"\x1b[31m",
    b"\x1b[2B",
    b"\x1b[P",
    b"\x1b[2@",
    b"\x1b[J",
    b"\x1b[2;2H",
    b"\x1b7",
    b"\x1b8",
    b"\x1b]0;t\x07",
]


@given(st.lists(st.sampled_from(ALPHABET)))
def test_it_is_what_the_screen_shows(parts):
    """But for blanks at the end of what was wiped or is open."""
    data = b"".join(parts)
    shown = [row.plain.rstrip(" ") for row in screen.rows([(1, data)])]
    found = [line.rstrip(" ") for line in value.text(data).removesuffix("\n").split("\n")]
    assert "\n".join(found).rstrip("\n") == "\n".join(shown).rstrip("\n")


def test_what_moves_reach_is_looked_at_and_no_more():
    """A move far down, behind text that is not gone through again."""
    lines = [f"line {number} {'x' * 50}" for number in range(20_000)]
    text = "".join(f"{line}\n" for line in lines)
    assert len(text) > 4 * value._PIECE
    assert value.text(text.encode() + b"\x1b[2AX\n\n" + text.encode()) == (
        text.replace(f"{lines[-2]}\n{lines[-1]}\n", f"X{lines[-2][1:]}\n{lines[-1]}\n") + text
    )


def test_text_of_much_output_is_that_of_its_rows():
    data = b"".join(b"%d\r\x1b[A\x1b[2K%d\n\n" % (number, -number) for number in range(40_000))
    expected = [row.plain for row in screen.rows([(1, data)])]
    assert len(data) > 3 * value._PIECE and value.text(data) == "".join(f"{line}\n" for line in expected)


def test_no_hostile_output_takes_long():
    for name, data in {**OUTPUTS, **{f"heavy: {name}": data for name, data in HEAVY.items()}}.items():
        started = time.process_time()
        text = value.text(data)
        assert time.process_time() - started < 0.5, name
        assert not re.search(r"[\r\b\x1b]", text)


@pytest.mark.parametrize(
    "data",
    {
        "a long line, its start again and again": b"x" * 500_000 + b"\rX" * 250_000,
        "a long line, back and forth": b"x" * 500_000 + b"\b\bab" * 100_000,
        "a long line, inserted into": b"x" * 500_000 + b"\x1b[1G\x1b[@" * 60_000,
        "a long line, deleted from": b"x" * 500_000 + b"\x1b[1G\x1b[P" * 60_000,
        "a long line, erased from the start": b"x" * 500_000 + b"\x1b[1K" * 100_000,
        "bars": b"\rx\x1b[K" * 150_000,
        "strings without end": b"\x1b]" * 500_000,
        "sixels without end": b"\x1bPq" * 300_000,
        "up and down": b"\n\n\x1b[2A" * 150_000,
    }.items(),
    ids=lambda item: item[0],
)
def test_a_megabyte_of_anything_takes_seconds_at_most(data):
    started = time.process_time()
    value.text(data[1])
    assert time.process_time() - started < 3


def test_memory_is_that_of_the_text():
    data = (b"0123456789" * 10 + b"\n") * 100_000 + BAR
    tracemalloc.start()
    value.text(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(data)
