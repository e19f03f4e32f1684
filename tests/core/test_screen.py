"""What a program wrote becomes lines, the same however it was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipyproc._core.screen import Filter, Screen, lines


def text(data: bytes) -> list[str]:
    return [line for _, line in lines([(1, data)])]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\r\n\r\nb\n", ["a", "", "b"]),
        (b"10%\r20%\r100%\n", ["100%"]),
        (b"long line\rshort\n", ["shortline"]),
        (b"|\b/\b-", ["-"]),
        (b"\ta\tb", ["\ta\tb"]),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b(By\x1b[2K", ["red xy"]),
        (b"\x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\", ["link"]),
        (b"nul\0 bell\a \x7f\xc2\x9b", ["nul bell "]),
        ("\u202eevil".encode(), ["evil"]),
        (b"bad \xff\xe2\x82", ["bad \ufffd\ufffd"]),
        ("€\n".encode(), ["€"]),
        (b"\x1b]unterminated\nnext", ["", "next"]),
        (b"end\x1b[", ["end"]),
    ],
)
def test_lines(data, expected):
    assert text(data) == expected


def test_each_stream_has_an_open_line_of_its_own():
    pieces = [(2, b"10%"), (1, b"a\n"), (2, b"\r20%"), (1, b"b\n"), (2, b"\r30%\n"), (1, b"c")]
    assert lines(pieces) == [(2, "30%"), (1, "a"), (1, "b"), (1, "c")]


SAMPLE = "ab\r\ncé€😀\x1b[1;31mx\x1b]0;t\x07y\x1b[0m\r12\b3\x1b(B\n\x1b]8;;http://x/\x1b\\z".encode()


def test_cut_at_every_offset():
    whole = lines([(1, SAMPLE)])
    for cut in range(len(SAMPLE)):
        assert lines([(1, SAMPLE[:cut]), (1, SAMPLE[cut:])]) == whole, cut
    assert lines([(1, bytes([byte])) for byte in SAMPLE]) == whole


@given(
    st.lists(
        st.sampled_from([b"\x1b", b"[", b"]", b"3", b";", b"m", b"\r", b"\n", b"\b", b"a", b"\xe2", b"\x82", b"\x07"])
    )
)
def test_any_cut_of_anything_gives_the_same_and_is_inert(parts):
    pieces = Screen()
    pieces.feed((1, part) for part in parts)
    result = pieces.finish()
    assert result == lines([(1, b"".join(parts))])
    assert not {chr(code) for code in range(32)} - {"\t"} & set("".join(line for _, line in result))


def test_filter_keeps_what_the_front_end_understands():
    stream = Filter()
    assert stream.feed(b"a\r") + stream.feed(b"\nb\rc\x1b[3") + stream.feed(b"1m", final=True) == "a\nb\rc"
