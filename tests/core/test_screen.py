"""What a program wrote becomes the rows that a terminal would leave, however it was cut, and nothing in them acts."""

import gc
import io
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipyproc._core.output import phrases, screen, value
from ipyproc._core.output.screen import LONGEST, WINDOW, Screen, rows

from ..hostile import HEAVY, OUTPUTS

pytestmark = pytest.mark.pure

settings.register_profile("core", deadline=None, print_blob=True)
settings.load_profile("core")

CANONICAL = re.compile(r"\x1b\[0(?:;[123479])*(?:;(?:3[0-7]|9[0-7]|38;5;\d+|38;2(?:;\d+){3}))?"
                       r"(?:;(?:4[0-7]|10[0-7]|48;5;\d+|48;2(?:;\d+){3}))?m")  # fmt: skip


def plain(data: bytes) -> list[str]:
    return [row.plain for row in rows([(1, data)])]


def ansi(data: bytes) -> str:
    return "\n".join(row.ansi for row in rows([(1, data)])).replace("\x1b", "^")


def seen(pieces) -> list[tuple[int, str]]:
    return [(row.stream, row.ansi) for row in rows(pieces)]


# --- each control ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a\r\n\r\nb\n", ["a", "", "b"]),
        (b"10%\r20%\r100%\n", ["100%"]),
        (b"long line\rshort\n", ["shortline"]),
        (b"|\b/\b-", ["-"]),
        (b"\b\bab\b\b\b\bc", ["cb"]),
        (b"\ta\tb", ["\ta\tb"]),
        ("€\n".encode(), ["€"]),
        (b"bad \xff\xe2\x82", ["bad \ufffd\ufffd"]),
    ],
)
def test_lines(data, expected):
    assert plain(data) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("A", "abc|defX|ghi"),
        ("2A", "abcX|def|ghi"),
        ("99A", "abcX|def|ghi"),
        ("F", "abc|Xef|ghi"),
        ("B", "abc|def|ghi|   X"),
        ("2E", "abc|def|ghi||X"),
        ("3C", "abc|def|ghi   X"),
        ("2D", "abc|def|gXi"),
        ("99D", "abc|def|Xhi"),
        ("2G", "abc|def|gXi"),
        ("G", "abc|def|Xhi"),
        ("2`", "abc|def|gXi"),
        ("H", "Xbc|def|ghi"),
        ("2;2H", "abc|dXf|ghi"),
        ("2f", "abc|Xef|ghi"),
        ("d", "abcX|def|ghi"),
        ("2;2H\x1b[J", "abc|dX"),
        ("2;2H\x1b[1J", "| Xf|ghi"),
        ("2;2H\x1b[2J", "| X"),
        ("2;2H\x1b[3J", "abc|dXf|ghi"),
        ("2D\x1b[K", "abc|def|gX"),
        ("2D\x1b[1K", "abc|def| Xi"),
        ("2D\x1b[2K", "abc|def| X"),
        ("2D\x1b[P", "abc|def|gX"),
        ("3D\x1b[2P", "abc|def|X"),
        ("2D\x1b[2@", "abc|def|gX hi"),
        ("3D\x1b[2X", "abc|def|X i"),
        ("2d\x1b[L", "abc|X|def|ghi"),
        ("d\x1b[2L", "X||abc|def|ghi"),
        ("2d\x1b[M", "abc|Xhi"),
        ("d\x1b[9M", "X"),
        ("2d\x1b[S", "abc|def|ghiX"),
        ("S\x1b[H", "abc|Xef|ghi"),
        ("s\x1b[HY\x1b[u", "Ybc|def|ghiX"),
    ],
)
def test_cursor_erase_insert_and_delete(keys, expected):
    assert "|".join(plain(b"abc\ndef\nghi\x1b[%bX" % keys.encode())) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\x1b7\nb\x1b8c", "ac|b"),
        (b"\x1b[31ma\x1b7\x1b[0m\nb\x1b8c", "^[0;31mac^[0m|b"),
        (b"a\x1b8b", "ab"),
        (b"ab\x1bDc", "ab|  c"),
        (b"ab\x1bEc", "ab|c"),
        (b"ab\ncd\x1bMe", "abe|cd"),
        (b"\x1b[31ma\x1bcb", "^[0;31ma^[0mb"),
        (b"\x1b[1;3rA\nB\nC\nD\nE\n\x1b[24;1Hstatus", "A|B|C|D|E|" + "|" * 21 + "status"),
    ],
)
def test_escapes(data, expected):
    assert ansi(data).replace("\n", "|") == expected


def test_a_scroll_region_keeps_what_is_below_it():
    # as apt's progress bar: all lines scroll above the last row
    data = b"\x1b[1;23r\x1b[24;1H[ 10%]\x1b[1;1H" + b"".join(b"line %d\n" % n for n in range(40))
    assert plain(data + b"\x1b[r\x1b[24;1H\x1b[K") == [f"line {n}" for n in range(40)] + [""]
    assert plain(data)[40:] == ["", "[ 10%]"]


def test_clearing_the_screen_and_drawing_again_keeps_what_scrolled_out():
    # as `watch` and `clear` do; the rows above the terminal's 24 stay
    lines = b"".join(b"%d\n" % n for n in range(40))
    frame = b"\x1b[H\x1b[2J\x1b[3Jframe\x1b[5;1Hlast"
    assert plain(lines + frame + frame) == [*map(str, range(17)), "frame", "", "", "", "last"]


@pytest.mark.parametrize(
    ("sgr", "expected"),
    [
        ("", ""),
        ("0", ""),
        ("1", "1"),
        ("1;2;3;4;7;9", "1;2;3;4;7;9"),
        ("9;7;1", "1;7;9"),
        ("1;2;22", ""),
        ("3;23", ""),
        ("4;24", ""),
        ("21", "4"),
        ("4:3", "4"),
        ("4:0", ""),
        ("4;4:0", ""),
        ("7;27", ""),
        ("9;29", ""),
        ("31;0", ""),
        ("31;;1", "1"),
        ("1;31;42", "1;31;42"),
        ("97;107", "97;107"),
        ("31;39;41;49", ""),
        ("38;5;196", "38;5;196"),
        ("38:5:196", "38;5;196"),
        ("48;2;1;2;3", "48;2;1;2;3"),
        ("48:2:1:2:3", "48;2;1;2;3"),
        ("48:2::1:2:3", "48;2;1;2;3"),
        ("38;5;1;1", "1;38;5;1"),
        ("48", ""),  # stops nbconvert
        ("48;5", ""),
        ("38;5;256", ""),
        ("38;2;1;2;300", ""),
        ("38;7;1", "1;7"),
        ("5;6;8;10;53;99", ""),
        ("1;99999999999999999999", "1"),
    ],
)
def test_styles(sgr, expected):
    assert ansi(b"\x1b[%bmx" % sgr.encode()) == (f"^[0;{expected}mx^[0m" if expected else "x")


CODES = st.one_of(
    st.sampled_from([0, 1, 3, 4, 7, 9, 22, 23, 24, 27, 29, *range(30, 38), 39, *range(40, 48), 49]).map(str),
    st.sampled_from([*range(90, 98), *range(100, 108)]).map(str),
    st.tuples(st.sampled_from([38, 48]), st.integers(0, 255)).map(lambda found: "{};5;{}".format(*found)),
    st.tuples(st.sampled_from([38, 48]), *[st.integers(0, 255) | st.sampled_from([38, 48, 5, 2, 0])] * 3).map(
        lambda found: "{};2;{};{};{}".format(*found)
    ),
)
SGR = st.one_of(st.just(""), st.lists(CODES, max_size=5).map(";".join)).map(lambda codes: f"\x1b[{codes}m")


def looks(text):
    """Each character of one line as pyte shows it."""
    pyte = pytest.importorskip("pyte")
    terminal = pyte.Screen(200, 1)
    pyte.Stream(terminal).feed(text)
    return [terminal.buffer[0][column] for column in range(200)]


@settings(max_examples=400)
@given(st.lists(st.tuples(SGR, st.text("ab ", max_size=3)), max_size=30))
def test_styles_are_those_that_pyte_shows(parts):
    data = "".join(sgr + text for sgr, text in parts) + "x"
    assert looks(rows([(1, data.encode())])[0].ansi) == looks(data)


def test_no_colour_is_taken_for_another_or_left_behind():
    every = [f"5;{number}" for number in range(256)]
    every += [
        f"2;{red};{green};{blue}" for red in range(0, 256, 3) for green, blue in ((0, 7), (1, 7), (48, 5), (5, 38))
    ]
    for layer in (38, 48):
        for before, after in zip(every, [*every[1:], every[0]], strict=True):
            line = f"\x1b[{layer};{before}mA\x1b[{layer};{after}mB\x1b[{layer + 1}mC"
            assert ansi(line.encode()) == f"^[0;{layer};{before}mA^[0;{layer};{after}mB^[0mC"


def test_the_longest_style_is_read_back_whole():
    style = "1;2;3;4;7;9;38;2;10;20;30;48;2;40;50;60"
    once = ansi(f"\x1b[{style}mx".encode())
    assert once == f"^[0;{style}mx^[0m" and ansi(once.replace("^", "\x1b").encode()) == once


def test_styles_stand_where_they_were_written():
    assert ansi(b"\x1b[31mred \x1b[1mbold\x1b[0m plain\x1b[32m") == "^[0;31mred ^[0;1;31mbold^[0m plain"
    assert ansi(b"\x1b[31mabcdef\x1b[0m\rX\x1b[3CY") == "X^[0;31mbcd^[0mY^[0;31mf^[0m"
    assert ansi(b"\x1b[31mab\x1b[0mcd\r\x1b[2@") == "  ^[0;31mab^[0mcd"
    assert ansi(b"\x1b[31mab\x1b[32mcd\r\x1b[P") == "^[0;31mb^[0;32mcd^[0m"
    assert ansi(b"\x1b[31ma\nb") == "^[0;31ma^[0m\n^[0;31mb^[0m"


# --- what leaves no trace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "inert",
    [
        b"\x1b]0;title\x07",
        b"\x1b]8;;http://a/\x1b\\",
        b"\x1bPq#0;2;0;0;0\x1b\\",
        b"\x1b_apc\x1b\\",
        b"\x1b^pm\x1b\\",
        b"\x1bXsos\x1b\\",
        b"\x1b]u\xc2\x9c",
        b"\x1b[6n",
        b"\x1b[c",
        b"\x1b[>c",
        b"\x1b[?1049h",
        b"\x1b[?25l",
        b"\x1b[?7;9K",
        b"\x1b[1000000b",
        b"\x1b[2 q",
        b"\x1b[!p",
        b"\x1b[9999999999999999999999t",
        b"\x1b[" + b"1;" * 1500 + b"n",
        b"\x1b(B",
        b"\x1b#8",
        b"\x1b=",
        b"\x1bZ",
        b"\0\a\v\f\x0e\x0f\x18\x1a\x1c\x7f",
        b"".join(chr(code).encode() for code in range(0x80, 0xA0)),
    ],
)
def test_everything_else_leaves_no_trace(inert):
    assert plain(b"a" + inert + b"b") == ["ab"]
    assert screen.inert((b"a" + inert + b"b").decode()) == "ab"


@pytest.mark.parametrize("start", [b"\x1b]0;t", b"\x1bP", b"\x1b_Gm=1;", b"\x1b[3", b"\x1b", b"\x1b("])
def test_what_is_not_terminated_ends_with_its_line(start):
    assert plain(b"a" + start + b"\nb") == ["a", "b"]
    assert plain(b"a" + start) == ["a"]


IMAGES = {
    "iTerm2": b"\x1b]1337;File=inline=1;size=%d:%s\x07",
    "kitty": b"\x1b_Gf=100,a=T,s=%d;%s\x1b\\",
    "sixels": b"\x1bP0;1;%dq%s\x1b\\",
    "sixels, C1": b"\x1bP0;1;%dq%s\xc2\x9c",
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("size", [4000, 100_000])
def test_an_image_is_passed_over_whole_and_counted(image, size):
    data = b"a" + image % (1, b"QUJD" * (size // 4)) + b"b\nc"
    count = f" … {len(data.decode()) - 5} more characters" if size > 4096 else ""
    first, second = plain(data)
    assert (re.sub(r"\d+", "", first), second) == (re.sub(r"\d+", "", f"ab{count}"), "c")
    if count:
        assert 0 <= size - int(re.findall(r"\d+", first)[0]) + 40 < 60
    for cut in (1, 2, 3, 4, 9, 5000, len(data) - 6, len(data) - 5, len(data) - 4):
        assert seen([(1, data[:cut]), (2, b"\x1b]0;t"), (1, data[cut:])]) == seen([(1, data)])


def test_sixels_go_over_line_ends_and_no_other_string_does():
    lines = b"\n".join([b"#0;2;0;0;0~~@@vv$-"] * 1000)
    assert plain(b"\x1bPq" + lines + b"\x1b\\b\n")[0].startswith("b … 190")
    assert plain(b"\x1bPq" + lines[:40] + b"\x1b[1mb\n") == ["b"], "another sequence ends them"
    assert plain(b"\x1b]0;a\nb\x07") == ["", "b"]


def test_a_string_without_an_end_is_passed_over_up_to_a_length(monkeypatch):
    monkeypatch.setattr(screen, "_LONGEST_STRING", 10_000)
    data = b"\x1bPq" + b"x" * 17_997 + b"\n" + b"b"
    first, second = (text for _, text in seen((1, data[at : at + 4000]) for at in range(0, len(data), 4000)))
    assert first.startswith("x" * 6000 + " … 11") and second == "b"


def test_bidi_controls_are_named():
    assert plain("a\u202eb\u2066".encode()) == ["a<U+202E>b<U+2066>"]
    assert ansi("\x1b[1m\u200f".encode()) == "^[0;1m<U+200F>^[0m"
    assert screen.inert("\u202d\r\n\u061c") == "<U+202D>\n<U+061C>"


def test_one_line():
    assert screen.inert_line("a\x1b]0;t\x07\nb\u2028c\r\nd\u202e\udcff") == "a ⏎ b ⏎ c ⏎ d<U+202E>?"
    assert phrases.command_line(["a\x1b[2J", "b\nc"]) == "'a' 'b ⏎ c'"
    assert phrases.command_line([b"ls", Path("/a b"), b"\xff", 5]) == "ls '/a b' '?' 5"
    assert phrases.command_line(b"ls \xc3\xa9") == "ls é"


def test_long_rows_are_cut_and_what_is_beyond_is_counted():
    data = b"x" * LONGEST + b"yz"
    assert plain(data) == ["x" * LONGEST + " … 2 more characters"]
    assert plain(data + b"\r" + data) == plain(data), "a line that is written again is not longer"
    assert plain(data + b"\x1b[31mab\x1b[0m\b\b\b\bX") == ["x" * LONGEST + " … 4 more characters"]
    assert plain(data + b"\x1b[2K\rshort") == ["short"]
    assert plain(data + b"\r\x1b[3Cab\x1b[K") == ["xxxab"]


# --- streams and open rows ---------------------------------------------------------------------------------------


def test_each_stream_has_a_cursor_of_its_own():
    pieces = [(2, b"10%"), (1, b"a\n"), (2, b"\r20%"), (1, b"b\n"), (2, b"\r30%\n"), (1, b"c")]
    assert seen(pieces) == [(1, "a"), (1, "b"), (2, "30%"), (1, "c")]
    bars = [(2, b"one\ntwo"), (1, b"out\n"), (2, b"\x1b[A\rONE"), (1, b"more\n"), (2, b"\x1b[B\r\x1b[KTWO\n")]
    assert seen(bars) == [(1, "out"), (1, "more"), (2, "ONE"), (2, "TWO")]
    assert seen([(1, b"\xe2\x1b[3"), (2, b"\x821m"), (1, b"1mx")]) == [(1, "\ufffd\x1b[0;31mx\x1b[0m"), (2, "\ufffd1m")]


MOVES = [
    b"\x1b[A",
    b"\x1b[3A",
    b"\x1b[B",
    b"\x1b[2F",
    b"\x1b[H",
    b"\x1b[J",
    b"\x1b[2J",
    b"\x1b[L",
    b"\x1b[2M",
    b"\x1b[S",
]
MOVES += [b"\x1b7", b"\x1b8", b"\x1bM", b"\x1b[2;5r", b"\x1b[r", b"\x1b[5;3H", b"x\n", b"\n" * 30, b"\n" * 120, b"yy\r"]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(MOVES))))
def test_rows_above_a_cursor_have_ended_and_those_from_it_on_stand_below(pieces):
    made = Screen()
    for piece in pieces:
        made.feed([piece])
        for cursor in made._cursors.values():
            ended = {id(row) for row in made.rows}
            own = [id(row) for row in made.rows if row.stream == cursor.stream]
            above = [id(row) for row in cursor.rows[: cursor.at]]
            assert own[len(own) - len(above) :] == above
            assert not ended & {id(row) for row in cursor.rows[cursor.at :]}
            assert len(cursor.rows) < WINDOW + 30
        assert made.all[: len(made.rows)] == made.rows and made.all[len(made.rows) :] == made.open


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(MOVES), st.booleans())))
def test_rows_that_were_settled_are_those_that_nothing_changes(pieces):
    at_once, in_steps, settled = Screen(), Screen(), []
    for stream, data, settle in pieces:
        at_once.feed([(stream, data)])
        in_steps.feed([(stream, data)])
        if settle:
            settled += [(row, row.ansi) for row in in_steps.settle()]
    expected = [(row.stream, row.ansi) for row in at_once.finish()]
    assert [(row.stream, row.ansi) for row in [row for row, _ in settled] + in_steps.finish()] == expected
    assert all(row.ansi == before for row, before in settled)


# --- however it is cut -------------------------------------------------------------------------------------------

SAMPLE = (
    "ab\r\ncé€😀\x1b[1;38:2::1:2:3mx\x1b]0;t\x07y\x1b[0m\r12\b3\x1b(B\n\x1b]8;;http://x/\x1b\\z\x1b[10C\n"
    "\x1b[2Aup\x1b7\x1b[2;3Hq\x1b8\x1bM\x1b[J\x1bPdcs\x1b\\\x1b[1;5r\n\n\n\x1b[L\x1b[2 q\x1b[M\x1b[3@\x1b[9999b\u202e"
).encode()

FRAGMENTS = [*b"\x1b[];:?0123789mABCDEFGHJKLMPSTXcdfru@`a \\\x07\r\n\b\t\0P", *"€é\x9b\x9c".encode(), 0xFF]
FRAGMENTS = [bytes([byte]) for byte in FRAGMENTS] + [
    b"\x1b[",
    b"\x1b]",
    b"\x1b[3A",
    b"\x1b[10C",
    b"38;5;",
    b"\r\n",
    b"text",
]


def test_cut_at_every_offset_it_is_the_same():
    whole = seen([(1, SAMPLE)])
    for cut in range(len(SAMPLE)):
        assert seen([(1, SAMPLE[:cut]), (1, SAMPLE[cut:])]) == whole, cut
    assert seen([(1, bytes([byte])) for byte in SAMPLE]) == whole


@pytest.mark.parametrize(
    "long", [b"\x1b]" + b"x" * 9000, b"\x1b[" + b"1" * 9000 + b"m", b"\x1b[" + b" " * 9000, b"\x1b" + b" " * 900]
)
def test_cut_within_a_sequence_without_an_end_it_is_the_same(long):
    whole = seen([(1, long + b"end")])
    for size in (1, 1000, 4096, 5000):
        assert seen([(1, (long + b"end")[at : at + size]) for at in range(0, len(long) + 3, size)]) == whole


@settings(max_examples=400)
@given(st.lists(st.sampled_from(FRAGMENTS)), st.randoms(use_true_random=False))
@example([b"\x1b[10C", b"\n"], None)
def test_any_cut_of_anything_is_the_same_and_nothing_in_it_acts(parts, random):
    data = b"".join(parts)
    whole = rows([(1, data)])
    found = [(row.stream, row.ansi) for row in whole]
    assert seen((1, part) for part in parts) == found
    if random:
        cut = random.randint(0, len(data))
        assert seen([(1, data[:cut]), (1, data[cut:])]) == found
    for row in whole:
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", row.plain)
        assert CANONICAL.sub("", row.ansi.replace("\x1b[0m", "")) == row.plain
        assert [again.ansi for again in rows([(1, row.ansi.encode() + b"\n")])] == [row.ansi], "ansi is canonical"
    assert not re.search(r"[\r\b\x1b]", value.text(data))


HOSTILE = {
    "insert rows": b"\x1b[9999L",
    "insert rows at the top": b"\x1b[H\x1b[9999L\n",
    "delete rows": b"\x1b[9999M\n",
    "scroll": b"\x1b[9999S",
    "down": b"\x1b[9999B",
    "down and up": b"\x1b[9999B\x1b[9999A",
    "insert": b"x\x1b[9999@",
    "delete": b"\x1b[9999@x\x1b[9999P",
    "far right": b"\x1b[9999Cx\r",
    "save": b"\x1b7\x1b8",
    "save far up": b"\x1b7\n\x1b8\n",
    "erase": b"\n\x1b[2J",
    "region": b"\x1b[1;3r\n\n\n\n",
    "home": b"\n\x1b[H",
    "sequences without an end": b"\x1b[",
    "strings without an end": b"\x1b]",
    "string after string": b"\x1b]" + b"x" * 50,
    "numbers": b"\x1b[" + b"1;" * 1000,
    "escapes": b"\x1b",
    "spaces": b"\x1b" + b" " * 70,
    "styles": b"\x1b[31ma\x1b[32mb",
    "bars": b"a\b",
}


@pytest.fixture
def own_objects():
    """What the other tests have loaded takes the garbage collector no time here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("own_objects")
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_makes_us_work_long(name):
    data = b"\n" * 10_000 + b"\x1b[31ma\x1b[32mb" * 1000 + b"\r"  # many rows, and one of many styles
    data += HOSTILE[name] * ((60_000 - len(data)) // len(HOSTILE[name]))
    started = time.process_time()
    rows([(1, data)])
    assert time.process_time() - started < 0.6


@pytest.mark.usefixtures("own_objects")
def test_no_hostile_output_takes_long():
    for name, data in {**OUTPUTS, **{f"heavy: {name}": data for name, data in HEAVY.items()}}.items():
        started = time.process_time()
        rows([(1, data)])
        assert time.process_time() - started < 0.2, name


# --- a second opinion --------------------------------------------------------------------------------------------

NUMBER = st.sampled_from(["", "0", "1", "2", "3", "5"])
SUPPORTED = st.one_of(
    st.sampled_from(
        [b"a", b"bc", b"def", b"\n", b"\n\n", b"\r", b"\b", b"\x1bE", b"\x1bD", b"\x1b[31m", b"\x1b[r\x1b[H"]
    ),
    st.tuples(NUMBER, st.sampled_from("BCDEGdXP@LM")).map(lambda found: "\x1b[{}{}".format(*found).encode()),
    st.tuples(st.sampled_from(["", "0", "1", "2"]), st.sampled_from("JK")).map(
        lambda found: "\x1b[{}{}".format(*found).encode()
    ),
    st.tuples(st.integers(0, 24), st.integers(0, 20)).map(lambda found: b"\x1b[%d;%dH" % found),
    st.integers(2, 23).map(lambda bottom: b"\x1b[1;%dr" % bottom),
    st.just(b"\x1b7x\r\x1b[2Cy\x1b8"),
)


@settings(max_examples=200)
@given(st.integers(0, 40), st.lists(SUPPORTED, max_size=20))
def test_what_is_visible_is_what_pyte_shows(lines, parts):
    """By design ours has no wrap (so no narrow terminal here), and A, F and ESC M reach above the 24 rows (left out).

    A saved position is a row here and a place on the screen there: nothing scrolls between saving and restoring.
    """
    pyte = pytest.importorskip("pyte")

    class Terminal(pyte.Screen):
        def delete_lines(self, count=None):
            [self.buffer[line] for line in range(24)]  # pyte 0.8.2 moves no line up that was never written
            super().delete_lines(count)

        def cursor_down(self, count=None):
            margins = self.margins
            if margins and self.cursor.y > margins.bottom:
                self.margins = None  # pyte 0.8.2 goes up to the region from below it
            super().cursor_down(count)
            self.margins = margins

        def ensure_vbounds(self, use_margins=None):
            super().ensure_vbounds()  # what was saved below the region is restored there

    data = b"".join(b"line %d\n" % number for number in range(lines)) + b"".join(parts)
    terminal = Terminal(140, 24)
    terminal.set_mode(pyte.modes.LNM)  # a line feed goes to the start of the next line
    pyte.ByteStream(terminal).feed(data)
    shown = [line.rstrip() for line in terminal.display]
    made = Screen()
    made.feed([(1, data)])
    cursor = made._cursors.get(1)
    found = [row.plain.rstrip() for row in cursor.rows[made._top(cursor) :]] if cursor else []
    assert found + [""] * (24 - len(found)) == shown


# --- real programs -----------------------------------------------------------------------------------------------


class Recorder(io.StringIO):
    """A terminal, for all that the library can tell."""

    def isatty(self):
        return True


def test_nested_bars_of_tqdm_leave_their_last_state():
    from tqdm import tqdm

    tape = Recorder()
    options = {"file": tape, "ncols": 40, "mininterval": 0, "miniters": 1, "bar_format": "{desc}: {n_fmt}/{total_fmt}"}
    for outer in tqdm(range(3), desc="outer", **options):
        for _ in tqdm(range(20), desc=f"inner {outer}", position=1, leave=False, **options):
            pass
        tqdm.write(f"done {outer}", file=tape)
    print("after", file=tape)
    assert [line.rstrip() for line in plain(tape.getvalue().encode())] == [
        "done 0", "done 1", "done 2", "outer: 3/3", "after",
    ]  # fmt: skip


def test_bars_of_rich_leave_their_last_state():
    console = pytest.importorskip("rich.console")
    progress = pytest.importorskip("rich.progress")
    tape = Recorder()
    screen_of_rich = console.Console(file=tape, force_terminal=True, width=60, height=20, color_system="256")
    columns = progress.TextColumn("{task.description}"), progress.BarColumn(10), progress.MofNCompleteColumn()
    with progress.Progress(*columns, console=screen_of_rich, auto_refresh=False) as bars:
        first, second = bars.add_task("first", total=10), bars.add_task("second", total=5)
        for number in range(10):
            bars.advance(first)
            bars.advance(second, 0.5)
            if number == 4:
                bars.print("half")
            bars.refresh()
    print("after", file=tape)
    assert plain(tape.getvalue().encode()) == [
        "half", "first  ━━━━━━━━━━ 10/10", "second ━━━━━━━━━━ 5/5  ", "after",
    ]  # fmt: skip


def test_the_bar_of_pip_leaves_one_line():
    bars = pytest.importorskip("pip._internal.cli.progress_bars")
    console = pytest.importorskip("pip._vendor.rich.console")
    tape = Recorder()
    progress = pytest.importorskip("pip._vendor.rich.progress")
    terminal = console.Console(file=tape, force_terminal=True, width=60, color_system="256")
    columns = progress.TextColumn("   "), progress.BarColumn(10), bars.DownloadColumn()
    with progress.Progress(*columns, console=terminal, auto_refresh=False) as bar:
        task = bar.add_task("", total=1000)
        for _ in range(10):
            bar.advance(task, 100)
            bar.refresh()
    print("Installed", file=tape)
    assert [line.split() for line in plain(tape.getvalue().encode())] == [
        ["━━━━━━━━━━", "1.0/1.0", "kB"],
        ["Installed"],
    ]


def test_a_row_says_what_it_is():
    assert repr(rows([(2, b"\x1b[1mx")])[0]) == "<Row of stream 2: 'x'>"
