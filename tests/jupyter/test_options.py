"""The line: options first, the program's own left alone, values interpolated after the split, errors that help."""

import contextlib
import copy
import os
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from ipyproc._jupyter.line import interpolation
from ipyproc._jupyter.line.masked import Masked
from ipyproc._jupyter.line.options import FLAGS, OPTIONS, Options, complete, describe, parse

from ..hostile import VALUES

pytestmark = pytest.mark.pure


def test_options_end_at_the_first_plain_word():
    line = parse("--out a -q tool --out b -q --timeout 5", {})
    assert line.options == Options(out="a", quiet=True)
    assert line.command == ("tool", "--out", "b", "-q", "--timeout", "5")


def test_two_dashes_end_the_options():
    assert parse("--bg -- --out x", {}).command == ("--out", "x")
    assert parse("-- tool", {}).options == Options()
    assert parse("- x", {}).command == ("-", "x")


def test_every_option():
    line = parse(
        "--out a --err b --proc c --bg --no-raise-error --timeout 5m --grace 1.5 --cwd /tmp --env A=1 --env B=x=y "
        "--stdin none --expand --no-strict --shell sh --tee --plain --quiet --name 'a label' --log f --secret 'x, y' "
        "--secret=z --notify",
        {},
    )
    assert line.command == ()
    assert line.options == Options(
        out="a",
        err="b",
        proc="c",
        bg=True,
        raise_error=False,
        timeout=300.0,
        grace=1.5,
        cwd="/tmp",
        env={"A": "1", "B": "x=y"},
        stdin="none",
        expand=True,
        strict=False,
        shell="sh",
        tee=True,
        plain=True,
        quiet=True,
        name="a label",
        log="f",
        secret=frozenset("xyz"),
        notify=0.0,
    )
    assert {option.sets for option in OPTIONS} == set(Options.__dataclass_fields__)
    assert parse("--out=a --timeout=1h -o b", {}).options == Options(out="b", timeout=3600.0)


@pytest.mark.parametrize(
    ("line", "notify", "command"),
    [
        ("--notify make", 0.0, ("make",)),
        ("--notify 5m make", 300.0, ("make",)),
        ("--notify=1.5 make", 1.5, ("make",)),
        ("--notify -- 5m make", 0.0, ("5m", "make")),
        ("--notify 7z x", 0.0, ("7z", "x")),
        ("--notify --bg make", 0.0, ("make",)),
        ("--notify", 0.0, ()),
    ],
)
def test_an_optional_value(line, notify, command):
    parsed = parse(line, {})
    assert (parsed.options.notify, parsed.command) == (notify, command)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--otu x", "unknown option --otu; did you mean --out?"),
        ("--ou x", "unknown option --ou; did you mean --out?"),
        ("--xyzzy", "unknown option --xyzzy; there are --bg --conda --cwd"),
        ("-x", "unknown option -x"),
        ("--out", "--out needs a value: --out NAME, -o NAME"),
        ("--out --err", "--out needs a value"),
        ("--out 1a ls", "--out: '1a' is not the name of a Python variable"),
        ("--bg=yes", "--bg takes no value, but got 'yes'"),
        ("--timeout 5x ls", "--timeout: '5x' is not a duration; write seconds (90) or a number with s, m, h or d (5m)"),
        ("--timeout 0 ls", "--timeout: '0' is not a duration"),
        ("--timeout -5 ls", "--timeout: '-5' is not a duration"),
        ("--timeout nan ls", "is not a duration"),
        ("--notify 0 ls", "--notify: '0' is not a duration"),
        ("--notify= ls", "--notify: '' is not a duration"),
        ("--notify --each x", "--notify cannot go with --each"),
        ("--grace '' ls", "--grace: '' is not a duration"),
        ("--env A ls", "--env: 'A' is not NAME=VALUE"),
        ("--env =A ls", "--env: '=A' is not NAME=VALUE"),
        ("--tee ls", "--tee goes with --out NAME or --err NAME"),
        ("--out a --err a ls", "need different names"),
        ("ls 'open", "cannot split"),
        ("{nosuch}", "the name 'nosuch' is not defined"),
        ("--cwd {fils} ls", "did you mean {files}?"),
        ("a{files}", "{files} is a list (list)"),
        ("{files[9]}", "{files[9]}: IndexError"),
        ("{files.nope}", "{files.nope}: AttributeError"),
        ("{none}", "{none} is None"),
        ("{mapping}", "{mapping} is a mapping"),
        ("{number:zz}", "{number:zz}: "),
        ("--secret a-b ls", "--secret: 'a-b' is not the name of a Python variable"),
        ("--secret {number} ls", "--secret: '{number}' is not the name of a Python variable"),
        ("--secret number --log {number} ls", "--log: a secret can be an argument, in --env or, with --expand"),
        ("--secret number --cwd /{number} ls", "--cwd: a secret can be"),
        ("--env {number} ls", "--env: '***' is not NAME=VALUE"),
    ],
)
def test_bad_input_is_one_clear_error(line, words):
    names = {"files": ["a"], "none": None, "mapping": {}, "number": 3}
    with pytest.raises(UsageError) as caught:
        parse(line, names)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [*VALUES.values(), "--out=stolen"], ids=[*VALUES, "our option"])
def test_a_value_is_always_one_argument(value):
    names = {"x": value}
    assert parse("tool {x} --a={x} '{x}' {x[0]}", names).command == ("tool", value, f"--a={value}", value, value[0])
    assert parse("{x}", names) == parse("-- {x}", names)
    assert parse("{x}", names).options == Options()


def test_values():
    from pathlib import Path

    names = {
        "many": ["a b", 1, Path("/p")],
        "one": 2.5,
        "path": Path("/x y"),
        "raw": b"by",
        "none": [],
        "d": {"k": "v"},
    }
    assert parse("t {many} {one} {path} {raw} {none} {d['k']} {one:.2f} {one!r}", names).command == (
        *("t", "a b", "1", "/p", "2.5", "/x y", "by", "v", "2.50", "2.5"),
    )
    assert parse("--cwd {path} --env X={one} t", names).options == Options(cwd="/x y", env={"X": "2.5"})


def test_a_secret_is_itself_for_the_program_and_stars_for_people():
    names = {"key": "s3cr 't", "both": {"a": "s3cret"}, "many": ["s3cret", 7], "open": "plain"}
    line = parse(
        "--secret key,both --name 'with {key}' --secret many --env K={open} tool {key} --k={key!r:>12} {both['a']} {many} {open} {{key}}",
        names,
    )
    assert line.command == ("tool", "s3cr 't", """--k=   "s3cr 't\"""", "s3cret", "s3cret", "7", "plain", "{key}")
    assert [str(word) for word in line.command] == ["tool", "***", "--k=***", "***", "***", "***", "plain", "{key}"]
    assert line.options.env == {"K": "plain"} and str(line.options.name) == "with ***"
    assert "s3cr" not in repr(line) and repr(line.options.env) == "{'K': '***'}"
    body = interpolation.body("echo {key}{key} {many} {open}", names, {"key", "many"}, quote=True)
    assert body + "" == """echo 's3cr '"'"'t''s3cr '"'"'t' s3cret 7 plain""" and str(body) == "echo ****** *** plain"


def test_masked_text():
    masked = Masked("s3cret")
    assert masked == "s3cret" and masked.encode() == b"s3cret" and os.fsencode(masked) == b"s3cret"
    assert (str(masked), repr(masked), f"{masked} {masked!r} {masked:>5}") == ("***", "'***'", "*** '***'   ***")
    assert "s3cret" not in str(FileNotFoundError(2, "no such program", masked))
    again = copy.copy(Masked(masked, "s***"))
    assert again + "" == "s3cret" and str(again) == "s***"
    assert parse("tool {again}", {"again": again}).command[1] == "s3cret"


@pytest.mark.parametrize(
    ("line", "warns"),
    [
        ("rm {x}", True),
        ("rm {x}.txt", True),
        ("rm -- {x}", False),
        ("rm -f {x}", False),
        ("rm a {x}", False),
        ("rm -{x}", False),
        ("rm {flags}", False),
        ("rm {plain}", False),
        ("{x}", False),
    ],
)
def test_a_value_that_looks_like_an_option_is_told_of(line, warns):
    names = {"x": "-rf", "flags": ["-r", "-f"], "plain": "file"}
    told = parse(line, names).warning
    assert bool(told) == warns
    if warns:
        assert (
            told.startswith(f"%aproc: {line.split()[1]} is '-rf")
            and "***" in parse(f"--secret x {line}", names).warning
        )


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused(line):
    with contextlib.suppress(UsageError):
        assert isinstance(parse(line, {}).command, tuple)


def test_body():
    names = {"x": "a; b", "l": ["1 2", "3"]}
    assert interpolation.body("echo {x} {l} {{x}} ${y}", names, quote=True) == "echo 'a; b' '1 2' 3 {x} ${y}"
    assert interpolation.body("print('{x}')", names, quote=False) == "print('a; b')"


class Event:
    def __init__(self, text):
        self.text_until_cursor = text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%aproc --ti", ["--timeout"]),
        ("%%aproc --bg --n", ["--no-raise-error", "--no-strict", "--notify", "--name"]),
        ("%aproc --stdin ", ["ask", "none"]),
        ("%aproc --notify 5m --o", ["--out", "--ok-code", "--on"]),
        ("%aproc --notify ls --o", []),
        ("%aproc --secret tok", []),
        ("%aproc --cwd ", []),
        ("%aproc ls --o", []),
        ("%aproc --out x --o", ["--out", "--ok-code", "--on"]),
        ("%aproc --format j", ["json"]),
        ("%aproc ", list(FLAGS)),
    ],
)
def test_completion(text, expected):
    assert complete(None, Event(text)) == expected


def test_completion_of_the_names_of_variables():
    shell = types.SimpleNamespace(user_ns={"token": 1, "_token": 1, "other": 1})
    assert complete(shell, Event("%aproc --secret to")) == ["token"]


def test_help_holds_every_option():
    text = describe()
    assert all(option.usage in text and option.help.split()[0] in text for option in OPTIONS)
