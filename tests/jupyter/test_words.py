"""The words of a line: split as in a shell, expressions of Python evaluated, what only a shell could mean refused."""

import contextlib
import os
import pathlib
import shlex

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from ipyproc._jupyter.line import interpolation
from ipyproc._jupyter.line.options import parse
from ipyproc._jupyter.line.words import split

pytestmark = pytest.mark.pure

NAMES = {
    "os": os,
    "base": "/my base",
    "n": 1,
    "d": {"k": "v w", "}": "brace"},
    "files": ["a b", "c"],
    "path": pathlib.Path("/p/q.txt"),
    "numpy": numpy,
    "key": "s3cret",
}


def words(line):
    return list(parse(f"tool {line}", NAMES).command[1:])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{os.path.join(base, 'x')}", ["/my base/x"]),
        ('{os.path.join(base, "x y")} z', ["/my base/x y", "z"]),
        ("{n+1} {n + 1} {n!r:>3} {n:03} a{n}b", ["2", "2", "  1", "001", "a1b"]),
        ('{d["k"]} "{d["k"]}" "{d[\'k\']}" \'{d["k"]}\' x={d["k"]}', ["v w"] * 4 + ["x=v w"]),
        ("{d['}']}/{path.stem}{path.suffix}", ["brace/q.txt"]),
        ("{path.parent} {path.with_suffix('.gz').name}", ["/p", "q.gz"]),
        ("{files} {files[0]} {len(files)} {files[::-1]}", ["a b", "c", "a b", "2", "c", "a b"]),
        ("{[f.upper() for f in files if f != base]}", ["A B", "C"]),
        ("{[f for base in files for f in base.split()]}", ["a", "b", "c"]),
        ("{sorted(files, key=lambda f: -len(f))} {','.join(files)}", ["a b", "c", "a b,c"]),
        ("{n if files else key} {(n, n)} {n != 2} {not n}", ["1", "1", "1", "True", "False"]),
        (
            "{numpy.array(5)} {numpy.float64(2.5)} {numpy.array([1, 2])} {numpy.int8(3):03}",
            ["5", "2.5", "1", "2", "003"],
        ),
        (
            "{numpy.array('a b')} {numpy.array(path)} {numpy.datetime64('2026-12-01')}",
            ["a b", "/p/q.txt", "2026-12-01"],
        ),
        ("{{n}} {{os.path.join(base, 'x')}} {{{n}}}", ["{n}", "{os.path.join(base, 'x')}", "{{n}}"]),
        ("--{n}", ["--1"]),
    ],
)
def test_an_expression_in_braces_is_evaluated(line, expected):
    assert words(line) == expected


@pytest.mark.parametrize(
    "word",
    [
        *(
            "{}",
            "{a,b}",
            "{n,n}",
            "{1..3}",
            "{2}",
            "a{2,3}",
            "{a..c}",
            "{print $1}",
            "{s+=$1} END {print s}",
            "{x=1}",
            "{n++}",
        ),
        *(
            '{"a": 1}',
            '{"a": {"b": [1, 2]}, "c": "d"}',
            "{'a': 1}",
            '{"n"}',
            "{ n }",
            "{ ls; }",
            "{\nn}",
            "{n\n}",
            "{n +\n1}",
        ),
        *(
            "${n}",
            "${n:-x}",
            "{{.Names}}",
            "{{range .n}}",
            "{{json .}}",
            "{{ n }}",
            "{.n}",
            "{n",
            "n}",
            "{(}",
            "{'}",
            "{n!}",
            "{n!x}",
        ),
        *(
            "HEAD@{1}",
            "stash@{0}",
            "{n;}",
            "{if n}",
            "{return n}",
            "{*n}",
            "{n:{n2",
            "{$n}",
            "{n!r",
            r"{n:\{}",
            "{for(i=0;i<n;i++)}",
        ),
    ],
)
def test_other_braces_are_left_alone(word):
    assert interpolation.one(word, NAMES) == word
    assert words(shlex.quote(word)) == [word]
    assert interpolation.body(f"x {word} y", NAMES, quote=True) == f"x {word} y"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{nosuch}", "{nosuch}: the name 'nosuch' is not defined. As plain text it is written {{nosuch}}."),
        ("{nosuch.x + n}", "{nosuch.x + n}: the name 'nosuch' is not defined. As plain"),
        ("{len(file)}", "{len(file)}: the name 'file' is not defined. did you mean files? As plain"),
        ("{print}", "{print}: the name 'print' is not defined. As plain"),
        ("{d[k]}", "{d[k]}: the name 'k' is not defined. As plain"),
        ("{[y for x in files]}", "{[y for x in files]}: the name 'y' is not defined"),
        ("{1 / (n - 1)}", "{1 / (n - 1)}: ZeroDivisionError: division by zero"),
        ("{d['x']}", "{d['x']}: KeyError: 'x'"),
        ("{int(base)}", "{int(base)}: ValueError: invalid literal"),
        ("{await n}", "{await n}: nothing can be awaited here; put the value into a variable first"),
        ("{len}", "{len}: the name 'len' is not defined"),
        ("{os.getcwd}", "{os.getcwd} is of type builtin_function_or_method, which has no text"),
        ("x{files}", "{files} is a list"),
        ("{numpy.array([[1]])}", "{numpy.array([[1]])} holds a list within a list"),
        ("{numpy.array(None)}", "{numpy.array(None)} is None"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told(line, error):
    with pytest.raises(UsageError) as caught:
        words(line)
    assert str(caught.value).startswith(error)


def test_it_is_evaluated_once():
    calls = []
    names = {"f": lambda: calls.append(1) or ["-x", "b"], "g": lambda: calls.append(1) or "c"}
    assert parse("{g()} {f()} a{g()}", names).command == ("c", "-x", "b", "ac") and len(calls) == 3
    assert interpolation.body("{f()} {g()}", names, quote=True) == "-x b c" and len(calls) == 5


def test_a_value_is_not_looked_at_for_braces():
    assert parse("tool {x} {y}", {"x": "{y}", "y": "${x}; ~ > | *"}).command == ("tool", "{y}", "${x}; ~ > | *")


def test_an_error_tells_nothing_of_a_secret():
    for line in ("--secret key tool {int(key)}", "--secret key,d tool {d[key]}", "--env A={int(key)} tool"):
        with pytest.raises(UsageError) as caught:
            parse(line, NAMES)
        assert "s3cret" not in str(caught.value) and str(caught.value).endswith((": ValueError", ": KeyError"))
    line = parse("--secret key tool {key.upper()} {[key]}", NAMES)
    assert line.command == ("tool", "S3CRET", "s3cret") and "s3cret" not in repr(line).lower()


@pytest.mark.parametrize(
    "line",
    [
        *(
            "x >out.txt",
            "x > out.txt",
            "x >>log",
            "x 2>/dev/null",
            "x 2>&1",
            "x &>all",
            "x >&2",
            "x <in.txt",
            "x <<<y",
            "x 2>",
        ),
        *(
            "a; b",
            "a ; b",
            "a b;",
            "a ;b",
            "a | b",
            "a |b",
            "a| b",
            "a||b",
            "a&&b",
            "a && b",
            "x & y",
            "sleep 10&",
            "ls|wc",
            "ls>out",
        ),
        *(
            "echo $HOME",
            "echo ${HOME}",
            "echo a$HOME/b",
            "echo $(date)",
            "echo `date`",
            "$HOME/bin/x",
            "x # y",
            "diff <(a) b",
        ),
        *(
            "--env PATH=/opt/x/bin:$PATH env",
            "--cwd $HOME ls",
            "--log >file ls",
            "--out x --env A=`date` env",
            "x ${y:-z}",
        ),
    ],
)
def test_what_only_a_shell_could_mean_is_refused(line):
    with pytest.raises(UsageError, match=r"is for a shell, and there is none here(: | |$)"):
        parse(line, {})


def test_the_error_says_what_to_write():
    with pytest.raises(UsageError) as caught:
        parse("--env PATH=/opt/x/bin:$PATH env", {})
    said = str(caught.value)
    assert said.startswith("$PATH is for a shell, and there is none here: its value is {os.environ['PATH']}")
    value = said.split("its value is ")[1].split("}")[0] + "}"
    assert parse(f"--env PATH=/opt/x/bin:{value} env", {"os": os}).options.env == {
        "PATH": f"/opt/x/bin:{os.environ['PATH']}"
    }
    with pytest.raises(UsageError) as caught:
        parse("echo x >out.txt", {})
    assert str(caught.value) == (
        ">out.txt is for a shell, and there is none here: write the line below %%aproc; as an argument, quote it"
    )


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            """x '>out' "2>&1" 'a; b' '$HOME' "$HOME" '`x`' '|' '#'""",
            ("x", ">out", "2>&1", "a; b", "$HOME", "$HOME", "`x`", "|", "#"),
        ),
        (r"find . -exec rm {} \; -name *.txt \$x", ("find", ".", "-exec", "rm", "{}", ";", "-name", "*.txt", "$x")),
        ("pip install numpy>=1.20 a<2", ("pip", "install", "numpy>=1.20", "a<2")),
        ("test 3 >=2 <=4", ("test", "3", ">=2", "<=4")),
        ("printf <%s> <b>", ("printf", "<%s>", "<b>")),
        ("grep ^a|b$ -> a=>b x$ $1", ("grep", "^a|b$", "->", "a=>b", "x$", "$1")),
        ("curl http://h/?a=1&b=2;c#d", ("curl", "http://h/?a=1&b=2;c#d")),
        ("ls [ab]? 'it''s' a\\ b \"\\$\" ''", ("ls", "[ab]?", "its", "a b", "\\$", "")),
        ("--log '>>f' --env A='$B' x", ("x",)),
    ],
)
def test_what_is_quoted_or_has_another_meaning_passes(line, command):
    assert parse(line, {}).command == command


def test_a_tilde_in_front_is_a_home(monkeypatch):
    monkeypatch.setenv("HOME", "/ho me")
    assert parse("~/bin/tool ~ ~/x ~/'a b' {x} a~ '~' \\~ \"~/x\" ~nosuchuser/x -f~/x", {"x": "~/y"}).command == (
        *(
            "/ho me/bin/tool",
            "/ho me",
            "/ho me/x",
            "/ho me/a b",
            "~/y",
            "a~",
            "~",
            "~",
            "~/x",
            "~nosuchuser/x",
            "-f~/x",
        ),
    )
    env = parse("--env A=~/x --env B=~/a:b:~ --env C='~' --env D=a~ --env E={x} tool", {"x": "~"}).options.env
    assert dict(env) == {"A": "/ho me/x", "B": "/ho me/a:b:/ho me", "C": "~", "D": "a~", "E": "~"}
    with pytest.raises(UsageError, match="~/x: ~ is a directory of this machine"):
        parse("--on box tool ~/x", {})
    assert parse("--on box tool '~/x'", {}).command == ("tool", "~/x")


@given(st.text(st.one_of(st.sampled_from("'\"\\ \t\na$~"), st.characters(exclude_characters="{")), max_size=30))
def test_words_are_those_of_shlex(line):
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        expected = list(lexer)
    except ValueError:
        with pytest.raises(UsageError, match="cannot split"):
            split(line)
    else:
        found = split(line)
        assert [word.text for word in found] == expected
        assert all(len(word.text) == len(word.bare) for word in found)
        assert all(bare in (character, "\0") for word in found for character, bare in zip(*word, strict=True))


@given(st.text(st.sampled_from("{}'\"\\ nd[]():!.$,+\n"), max_size=40))
def test_any_braces_are_read_or_refused(line):
    names = {"n": 1, "d": {"n": "x"}}
    for read in (lambda: parse(line, names).command, lambda: interpolation.body(line, names, quote=True)):
        with contextlib.suppress(UsageError):
            read()
    for field in interpolation.fields(line):
        assert line[field.start : field.end].strip("{") and interpolation.field_at(line, field.start) == field


def test_many_braces_take_their_time_and_no_more():
    text = "{a[" * 20_000 + "\n" + "{" * 50_000 + '{"a": [' * 10_000
    assert interpolation.body(text, {"a": 1}, quote=True) == text
