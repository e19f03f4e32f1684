"""The line of `%%aproc` and `%aproc`: its options, checked, and the words of the program that follow them.

The options of ipyproc come first. The first word that is no option, or `--`, ends them: what follows belongs to the
program, which may have an `--out` of its own. Options cannot be abbreviated. One table, `OPTIONS`, holds them all; the
parser, the help and the completion are made from it.
"""

from __future__ import annotations

import builtins
import difflib
import importlib.util
import keyword
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.core.error import UsageError

from ..._core.launch import launchers, ssh_hosts
from . import interpolation
from .formats import FORMATS
from .masked import Masked
from .words import Word, refuse_shell, split


@dataclass(frozen=True)
class Options:
    """The options of a line; None stands for the default of `%config AProcMagics`."""

    out: str | None = None
    err: str | None = None
    proc: str | None = None
    bg: bool = False
    raise_error: bool | None = None
    timeout: float | None = None  # seconds
    grace: float | None = None  # seconds
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()  # names of Python variables
    stdin: str | None = None  # a file name, "ask" or "none"
    keep: bool = False
    variables: tuple[str, ...] = ()  # names of Python variables that become environment variables
    format: str | None = None
    ok_codes: frozenset[int] = frozenset((0,))
    each: str | None = None  # the name of a variable
    jobs: int | None = None
    venv: str | None = None
    conda: str | None = None
    on: Any = None  # a name; later the launcher that it stands for
    retry_lost: int = 0  # how often a lost program is run again
    log: str | None = None  # a file name, after ">>" to append
    expand: bool = False
    strict: bool | None = None
    shell: str | None = None
    tee: bool = False
    plain: bool | None = None
    quiet: bool = False
    notify: float | None = None  # seconds that the program must run to be worth a notification
    name: str | None = None


@dataclass(frozen=True)
class Line:
    """A parsed line: the options, and the program with its arguments (none: the cell's body is a script).

    `words` are those of the line, without their quotes, before any `{expression}` was replaced.
    """

    options: Options
    command: tuple[str, ...]
    warning: str = ""
    words: tuple[str, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Option:
    """One option: how it is written, which field of `Options` it sets, what it means."""

    flags: tuple[str, ...]
    sets: str
    help: str
    metavar: str = ""  # empty: the option takes no value
    read: Callable[[str, str], Any] = lambda flag, value: value
    constant: Any = True  # what an option without a value sets
    may_follow: str = ""  # for an optional value: the pattern by which the next word is taken for it

    @property
    def usage(self) -> str:
        """`--out NAME, -o NAME`."""
        metavar = f"[{self.metavar}]" if self.may_follow else self.metavar
        return ", ".join(f"{flag} {metavar}".rstrip() for flag in self.flags)


def read_duration(flag: str, text: str) -> float:
    """Read a duration such as `90`, `1.5`, `30s`, `5m`, `2h` or `1d`: seconds, more than 0."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", text)
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise UsageError(f"{flag}: {text!r} is not a duration; write seconds (90) or a number with s, m, h or d (5m)")
    return seconds


def _read_name(flag: str, text: str) -> str:
    if not text.isidentifier():
        raise UsageError(f"{flag}: {text!r} is not the name of a Python variable")
    return text


def _read_target(flag: str, text: str) -> str:
    """Read the name of a variable that may be assigned to."""
    name = _read_name(flag, text)
    if keyword.iskeyword(name):
        raise UsageError(f"{flag}: {name} is a keyword of Python, and no name of a variable")
    if hasattr(builtins, name) or name.startswith("__") or name in _OF_IPYTHON:
        raise UsageError(f"{flag}: {name} has a meaning in Python or IPython, and would lose it; choose another name")
    return name


def _read_variable(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[^\s=\0]+", name):
        raise UsageError(f"{flag}: {text!r} is not NAME=VALUE")
    return name, Masked(value)


def _read_names(flag: str, text: str) -> list[str]:
    return [_read_name(flag, name.strip()) for name in text.split(",")]


def _read_format(flag: str, text: str) -> str:
    if text not in FORMATS:
        near = difflib.get_close_matches(text.lower(), FORMATS, 1, 0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{flag}: {text!r} is none of {', '.join(FORMATS)}{hint}")
    return text


def _read_count(flag: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,17}", text):
        raise UsageError(f"{flag}: {text!r} is no whole number from 1 on")
    return int(text)


def _read_codes(flag: str, text: str) -> frozenset[int]:
    codes = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,3}", code) and int(code) < 256 for code in codes):
        raise UsageError(f"{flag}: {text!r} is no list of exit codes; write numbers from 0 to 255, as in 1,2")
    return frozenset((0, *map(int, codes)))


def _read_log(flag: str, text: str) -> str:
    if not text.removeprefix(">>").strip():
        raise UsageError(f"{flag}: {text!r} names no file")
    return text


OPTIONS = (
    Option(
        ("--out", "-o"),
        "out",
        "put standard output as text into this variable, not into the cell",
        "NAME",
        _read_target,
    ),
    Option(
        ("--format",),
        "format",
        "what --out puts there: text (the default), lines (a list), json (a value) or csv (a DataFrame)",
        "|".join(FORMATS),
        _read_format,
    ),
    Option(("--err",), "err", "the same for standard error", "NAME", _read_target),
    Option(("--tee",), "tee", "with --out or --err: show it in the cell as well"),
    Option(("--proc",), "proc", "put the Process into this variable, at once", "NAME", _read_target),
    Option(("--bg",), "bg", "do not wait: the cell ends at once, the program goes on, its output stays in this cell"),
    Option(
        ("--no-raise-error",),
        "raise_error",
        "no error when the program fails, is stopped or interrupted",
        constant=False,
    ),
    Option(
        ("--ok-code",),
        "ok_codes",
        "other exit codes than 0 that are no failure, as 1 of grep and diff",
        "CODES",
        _read_codes,
    ),
    Option(
        ("--timeout",), "timeout", "stop the program after this time: seconds, or 90s, 5m, 2h, 1d", "DUR", read_duration
    ),
    Option(
        ("--grace",), "grace", "time between SIGTERM and SIGKILL when it is stopped (default 5)", "DUR", read_duration
    ),
    Option(("--cwd",), "cwd", "directory to start in", "DIR"),
    Option(("--env",), "env", "set an environment variable; may be given several times", "K=V", _read_variable),
    Option(
        ("--secret",),
        "secret",
        "names of Python variables whose {name} is shown as *** in card, notebook and errors, while the program gets "
        "the value; other users can see arguments with ps, but not --env; may be given several times",
        "NAME,...",
        _read_names,
    ),
    Option(
        ("-i",),
        "variables",
        "pass Python variables as environment variables: a list as words that bash reads, a DataFrame as the path of a "
        "CSV file, without its index",
        "NAMES",
        _read_names,
    ),
    Option(
        ("--each",),
        "each",
        "run the script for each item of this Python list; {item} in the body is the item, quoted",
        "NAME",
        _read_name,
    ),
    Option(("--jobs",), "jobs", "with --each: how many run at once (default: one for each CPU)", "N", _read_count),
    Option(("--venv",), "venv", "run in this virtual environment", "DIR"),
    Option(("--conda",), "conda", "run in this conda environment", "NAME"),
    Option(
        ("--on",),
        "on",
        "run on another machine: ssh://[USER@]HOST[:PORT], a Host of ~/.ssh/config, dask, the address of a Dask scheduler, "
        "a variable that holds a Dask Client or cluster, or a name in ipyproc.launchers; of the environment --env and -i "
        "go there, and --cwd is a directory there",
        "NAME",
    ),
    Option(
        ("--retry-lost",),
        "retry_lost",
        "with --on: run it again, N times at most, when it was lost with its machine; it may have done its work",
        "N",
        _read_count,
    ),
    Option(
        ("--stdin",),
        "stdin",
        "standard input: a file, ask (the card has a row to type in) or none (the default)",
        "FILE|ask|none",
    ),
    Option(
        ("--log",),
        "log",
        "write the log (all output, byte by byte) to this file; '>>FILE' appends to it",
        "FILE",
        _read_log,
    ),
    Option(("--keep",), "keep", "the program outlives the kernel, and so does its log; Linux only"),
    Option(("--expand",), "expand", "replace {name} in the body too (in a script each value is quoted as one word)"),
    Option(("--no-strict",), "strict", "run the script without -e -o pipefail", constant=False),
    Option(("--shell",), "shell", "the shell that runs the script (default bash)", "PATH"),
    Option(("--plain",), "plain", "no card: plain text output, as headless"),
    Option(("--quiet", "-q"), "quiet", "show nothing while it runs and when it succeeds"),
    Option(
        ("--notify",),
        "notify",
        "a notification of the browser, and the title of the tab, tell of the end, also of a failure, if it ran longer "
        "than this (default: than 0.2 s, up to which there is no card)",
        "DUR",
        read_duration,
        constant=0.0,
        may_follow=r"\.?\d[\d.]*[smhd]?",
    ),
    Option(("--name",), "name", "a label to show instead of the command", "LABEL"),
)
FLAGS: Mapping[str, Option] = {flag: option for option in OPTIONS for flag in option.flags}


def parse(line: str, names: interpolation.Names) -> Line:
    """Read a line; each `{expression}` is replaced by its value after the words are split.

    Raises:
        UsageError: an option is unknown, lacks its value or has a wrong one; a quote is not closed; a name is undefined; a
            word needs a shell.
    """
    words = split(line)
    texts = tuple(word.text for word in words)
    given = list(_pop_options(words))
    if words[:1] and words[0].text == "--":
        del words[0]
    refuse_shell(words, [word for _, _, word in given if word])
    values: dict[str, Any] = {"env": {}, "secret": frozenset()}
    for flag, option, word in given:  # --secret first, because the others are read by it
        if option.sets == "secret" and word:
            values["secret"] |= frozenset(option.read(flag, word.text))
    secret = values["secret"]
    for flag, option, word in given:
        if not option.metavar or word is None:
            values[option.sets] = option.constant
        elif option.sets == "env":
            text = interpolation.one(_variable_with_homes(word).text, names, secret=names)  # all is secret
            values["env"].update([option.read(flag, text)])
        elif option.sets != "secret":
            value = interpolation.one(word.text, names, secret)
            if isinstance(value, Masked) and option.sets != "name":
                raise UsageError(f"{flag}: a secret can be an argument, in --env or, with --expand, in the body")
            read = option.read(flag, value)
            values[option.sets] = (*values.get(option.sets, ()), *read) if option.sets == "variables" else read
    options = Options(**values)
    _check(options, has_program=bool(words))
    if options.on and (far := next((word for word in words if word.with_home() != word), None)):
        raise UsageError(f"{far.text}: ~ is a directory of this machine; write the whole path there, or quote it")
    words = [word.with_home() for word in words]
    found = [interpolation.many(word.text, names, secret) for word in words]
    command = tuple(word for each, _ in found for word in each)
    return Line(options, command, _warning([word.text for word in words], found), texts)


def _variable_with_homes(word: Word) -> Word:
    """`NAME=VALUE` with each `~` in the value replaced by a home directory."""
    name, equals, value = word.partition("=")
    value = value.with_homes()
    return Word(name.text + equals + value.text, name.bare + equals + value.bare)


def _pop_options(words: list[Word]) -> Iterator[tuple[str, Option, Word | None]]:
    """Yield (flag, option, value) for each option at the front, and remove its words from the list."""
    while words and words[0].text.startswith("-") and words[0].text not in ("-", "--"):
        first, equals, value = words.pop(0).partition("=")
        flag, word = first.text, value if equals else None
        option = FLAGS.get(flag)
        if option is None:
            raise UsageError(_unknown(flag))
        if not option.metavar and word:
            raise UsageError(f"{flag} takes no value, but got {word.text!r}")
        if option.may_follow and not equals:
            word = words.pop(0) if words and re.fullmatch(option.may_follow, words[0].text) else None
        elif option.metavar and not equals:
            if not words or words[0].text in FLAGS or words[0].text == "--":
                raise UsageError(f"{flag} needs a value: {option.usage}")
            word = words.pop(0)
        yield flag, option, word


def _warning(words: list[str], found: list[tuple[list[str], bool]]) -> str:
    """A warning if the value of the first argument looks like an option, though it was not written as one; else empty."""
    if len(words) < 2 or words[1].startswith("-"):
        return ""
    (first, *_), is_list = found[1] if found[1][0] else ([""], True)
    if is_list or not first.startswith("-"):
        return ""
    return f"%aproc: {words[1]} is {first!r}, which looks like an option; if it is none, write -- before it"


def describe() -> str:
    """The options as the help of the magics shows them."""
    rows = []
    for option in OPTIONS:
        text = textwrap.wrap(option.help, 72)
        rows += [f"    {option.usage}", *(f"        {row}" for row in text)]
    return "\n".join(rows)


def complete(shell: Any, event: Any) -> list[str]:
    """IPython's completer of `%aproc` and `%%aproc` lines: the options, up to the first word of the program."""
    *before, last = event.text_until_cursor.split()[1:] + ([""] if event.text_until_cursor[-1:].isspace() else [])
    words = iter(before)
    option: Option | None = None
    for word in words:
        value_of, option = option, FLAGS.get(word.partition("=")[0])
        if option is None:
            if value_of and value_of.may_follow and re.fullmatch(value_of.may_follow, word):
                continue
            return []  # the program's own words: IPython completes file names
        if option.metavar and not option.may_follow and "=" not in word and next(words, None) is None:
            variables = getattr(shell, "user_ns", ())
            values = {
                "stdin": ["ask", "none"],
                "format": FORMATS,
                "secret": variables,
                "variables": variables,
                "each": variables,
                "on": [*launchers, "dask", *ssh_hosts(), *variables] if option.sets == "on" else (),
            }.get(option.sets, ())
            return [value for value in values if value.startswith(last) and not value.startswith("_")]
    return [flag for flag in FLAGS if flag.startswith(last)] if not last or last.startswith("-") else []


def _unknown(flag: str) -> str:
    if flag in ("--help", "-h"):
        return "%aproc? shows the help"
    near = difflib.get_close_matches(flag, FLAGS, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"there are {' '.join(sorted(FLAGS))}"
    return f"unknown option {flag}; {hint} (an option of the program goes after its name)"


_NOT_WITH_ON = {
    "keep": "a program on another machine ends with the connection to it",
    "venv": "the environment is on this machine; name its python in the cell, or use --shell",
    "conda": "the environment is on this machine; write conda run -n NAME in the cell",
}
_NOT_WITH_EACH = ("bg", "err", "proc", "tee", "log", "keep", "ok_codes", "stdin", "notify", "name")
_OF_IPYTHON = ("In", "Out", "_", "_ih", "_oh", "_dh", "get_ipython", "display", "exit", "quit")


def _check(options: Options, *, has_program: bool) -> None:
    if options.each and has_program:
        raise UsageError("--each goes with a script: a %%aproc cell that names no program")
    if options.format == "csv" and importlib.util.find_spec("pandas") is None:
        raise UsageError("--format csv makes a DataFrame, which needs pandas; it is not installed (pip install pandas)")
    if options.format and (not options.out or options.bg):
        raise UsageError("--format goes with --out NAME, and not with --bg: there the variable is a reader")
    if options.jobs and not options.each:
        raise UsageError("--jobs goes with --each NAME")
    if options.each and (
        wrong := [name for name in _NOT_WITH_EACH if getattr(options, name) != getattr(Options, name)]
    ):
        flag = next(option.flags[0] for option in OPTIONS if option.sets == wrong[0])
        raise UsageError(
            f"{flag} cannot go with --each, which runs many programs; --out gives a list, one value for each"
        )
    if options.retry_lost and not options.on:
        raise UsageError("--retry-lost goes with --on NAME: a program of this machine is lost with its kernel only")
    if options.on and (wrong := [name for name in _NOT_WITH_ON if getattr(options, name) != getattr(Options, name)]):
        flag = next(option.flags[0] for option in OPTIONS if option.sets == wrong[0])
        raise UsageError(f"{flag} cannot go with --on: {_NOT_WITH_ON[wrong[0]]}")
    if options.retry_lost and options.bg:
        raise UsageError("--retry-lost cannot go with --bg: nobody waits for the program, to run it again")
    if options.venv and options.conda:
        raise UsageError("--venv and --conda: a program can be in one environment only")
    if options.tee and not (options.out or options.err):
        raise UsageError("--tee goes with --out NAME or --err NAME")
    taken = [name for name in (options.out, options.err, options.proc) if name]
    if len(set(taken)) < len(taken):
        raise UsageError(f"--out, --err and --proc need different names, not {', '.join(taken)}")
