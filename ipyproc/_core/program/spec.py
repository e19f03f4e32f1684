"""What to start, checked: a program and its arguments, or one line for the shell, and everything it starts with.

A `Spec` is frozen: here or on another machine, now or later, it starts the same program. That program differs on purpose
from one that the two asyncio factories start: it gets its own session, so that a kernel interrupt meant for one cell does
not hit the program of another; default signal dispositions (a kernel ignores SIGINT between two cells, and a program
inherits what is ignored); and no standard input unless some is given, so that it never waits for a person who is not
there.
"""

from __future__ import annotations

import enum
import errno
import numbers
import os
import re
import shlex
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from ..output import phrases
from ..output.encoding import ENCODING, encode
from ..output.log import LOG
from ..output.screen import inert_line
from .advice import near_program

Word = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""One word of a command."""

GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL; as in execa, trio and processx."""

_FOR_A_SHELL = re.compile(r"[\s|&;<>()$`*?]")


class Target(enum.Enum):
    """Where a stream of a program goes to, or comes from, unless that is an `Fd`."""

    LOG = enum.auto()
    PIPE = enum.auto()
    NULL = enum.auto()
    INHERIT = enum.auto()
    """The same stream of this process."""
    STDOUT = enum.auto()
    """For standard error: wherever standard output goes."""


@dataclass(frozen=True, slots=True)
class Fd:
    """A descriptor of this process; `file`: the object that owns it, kept here so that it stays open."""

    number: int
    file: object = None


Stream = Target | Fd
_TARGETS = {LOG: Target.LOG, PIPE: Target.PIPE, DEVNULL: Target.NULL, STDOUT: Target.STDOUT}


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start. Made by `of`, which checks everything that takes no look at the file system.

    Attributes:
        args: the program and its arguments; or a string, for the shell.
        stdin, stdout, stderr: where each stream comes from or goes to.
        input: bytes for standard input, instead of `stdin`.
        cwd: the directory to start in; None: that of this process, or the default one of another machine.
        env: environment variables; None: those of this process. On another machine they are added to its own.
        name: its display name, one line without control characters and escape sequences; empty: the command itself.
        script: a text that the shell in `args` is to run, see `script`; None: there is none.
        grace: seconds between SIGTERM and SIGKILL when it is stopped.
        keep: whether it outlives this process; only where programs are supervised (Linux).
    """

    args: tuple[str, ...] | str
    stdin: Stream = Target.NULL
    input: bytes | None = None
    stdout: Stream = Target.LOG
    stderr: Stream = Target.LOG
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    name: str = ""
    script: str | None = None
    grace: float = GRACE
    keep: bool = False

    @classmethod
    def of(
        cls,
        cmd: Word | Sequence[Word],
        args: Sequence[Word] = (),
        *,
        shell: bool = False,
        stdin: int | IO[bytes] | None = DEVNULL,
        input: str | bytes | bytearray | memoryview | None = None,
        stdout: int | IO[bytes] | None = LOG,
        stderr: int | IO[bytes] | None = LOG,
        cwd: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        name: str | None = None,
        script: str | None = None,
        grace: float = GRACE,
        keep: bool = False,
        encoding: str = ENCODING,
        errors: str = "strict",
    ) -> Spec:
        """Check the arguments, and make a `Spec` of them.

        Raises:
            TypeError, ValueError: the message names the argument, its value, and what is allowed.
        """
        # subprocess.run says None for "not given"
        if input is not None and stdin not in (None, DEVNULL):
            raise ValueError(f"stdin={stdin!r} and input: only one of them can be the standard input")
        if not isinstance(name, str | None):
            raise TypeError(f"name={name!r}: allowed is a string")
        return cls(
            args=words(cmd, args, shell=shell),
            stdin=_stream("stdin", stdin),
            input=_bytes(input, encoding, errors),
            stdout=_stream("stdout", stdout),
            stderr=_stream("stderr", stderr),
            cwd=None if cwd is None else _text("cwd", cwd),
            env=None if env is None else _environment(env),
            name=name or "",
            script=script,
            grace=grace,
            keep=keep,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", inert_line(self.name))

    def __str__(self) -> str:
        return self.name or phrases.command_line(self.args)

    @property
    def logged(self) -> frozenset[int]:
        """The streams that go to the log: 1 is standard output, 2 standard error."""
        return frozenset(n for n, stream in ((1, self.stdout), (2, self.stderr)) if stream is Target.LOG)

    def check(self) -> None:
        """Check that it can be started on this machine.

        Raises:
            OSError: there is no such directory or program, or it is not executable.
        """
        _check_directory(self.cwd)
        if not isinstance(self.args, str):
            is_alone = len(self.args) == 1 and self.script is None
            _check_program(self.args[0], self.cwd, self.env, is_alone=is_alone)


def words(cmd: object, args: Sequence[object] = (), *, shell: bool = False) -> tuple[str, ...] | str:
    """The words of a command, or the line for the shell, checked.

    Raises:
        TypeError, ValueError: it is neither.
    """
    if shell:
        if args or not isinstance(cmd, str | bytes):
            raise TypeError("shell=True takes one string, the line for the shell, and nothing more")
        line = _text("the line for the shell", cmd)
        if not line.strip():
            raise ValueError("the line for the shell is empty")
        return line
    if isinstance(cmd, list | tuple):
        if args:
            raise TypeError("the command is a list, so it has all the arguments; write it as one list, or without any")
        if not cmd:
            raise ValueError("the command is an empty list")
        cmd, *args = cmd
    return (_text("the program's name", cmd), *(_text(f"argument {n}", word) for n, word in enumerate(args, 1)))


def _text(which: str, word: object) -> str:
    try:
        text = os.fsdecode(word)  # type: ignore[arg-type]
    except TypeError:
        hint = ""
        if isinstance(word, numbers.Number):
            hint = f"; write str({word})"
        elif isinstance(word, Iterable):
            hint = "; a program and its arguments are one list"
        raise TypeError(f"{which} is {word!r:.80}: allowed are strings, bytes and paths{hint}") from None
    if "\0" in text:
        raise ValueError(f"{which} ({text!r:.80}) holds a NUL character; no program can get that as an argument")
    try:
        encode(text)
    except ValueError as error:
        raise ValueError(f"{which} ({text!r:.80}) is no text that a program can get: {error}") from None
    return text


def _environment(env: object) -> dict[str, str]:
    if not isinstance(env, Mapping):
        raise TypeError(
            f"env is {env!r:.80}: allowed is a mapping of names to values, such as {{**os.environ, 'A': 'b'}}"
        )
    found = {_text("the name of an environment variable", name): value for name, value in env.items()}
    for name, value in found.items():
        if not name or "=" in name:
            raise ValueError(f"the environment variable {name!r} cannot be set: '=' in its name, or no name")
        found[name] = _text(f"the environment variable {name!r}", value)
    return found


def _bytes(input: object, encoding: str, errors: str) -> bytes | None:
    if input is None:
        return None
    if isinstance(input, str):
        return input.encode(encoding, errors)
    try:
        return bytes(memoryview(input))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"input is {input!r:.80}: allowed are a string and bytes") from None


def _stream(which: str, stream: object) -> Stream:
    if isinstance(stream, str | os.PathLike):
        mode = "rb" if which == "stdin" else "wb"
        raise TypeError(
            f"{which}={stream!r}: allowed is an open file, not its name: open({os.fspath(stream)!r}, {mode!r})"
        )
    if stream == LOG and which == "stdin":
        raise ValueError("stdin=LOG: only stdout and stderr can go to the log")
    if stream == STDOUT and which != "stderr":
        raise ValueError(f"{which}=STDOUT: only stderr can go where stdout goes")
    if stream is None:
        return Target.INHERIT
    if isinstance(stream, int) and not isinstance(stream, bool):
        return _TARGETS.get(stream) or Fd(stream)
    if hasattr(stream, "fileno"):
        return Fd(stream.fileno(), stream)
    raise TypeError(f"{which}={stream!r}: allowed are None, a file, a descriptor, and the constants of ipyproc")


def _check_directory(cwd: str | None) -> None:
    if cwd is None or os.path.isdir(cwd):
        return
    if os.path.exists(cwd):
        raise NotADirectoryError(errno.ENOTDIR, "cwd is not a directory", cwd)
    raise FileNotFoundError(errno.ENOENT, "cwd: no such directory", cwd)


def _check_program(program: str, cwd: str | None, env: Mapping[str, str] | None, *, is_alone: bool) -> None:
    """Raise a clearer error than the operating system's where the program surely cannot be started."""
    if not program:
        raise FileNotFoundError(errno.ENOENT, "the program's name is empty", program)
    path = (os.environ if env is None else env).get("PATH", os.defpath)
    if os.path.dirname(program):
        full = os.path.join(cwd or "", program)
        if not os.path.exists(full):
            raise FileNotFoundError(errno.ENOENT, f"no such program{_as_words(program, is_alone)}", program)
        if os.path.isdir(full):
            raise IsADirectoryError(errno.EISDIR, "this is a directory, not a program", program)
        if sys.platform != "win32" and not os.access(full, os.X_OK):
            raise PermissionError(errno.EACCES, "not executable (chmod +x makes it so)", program)
    elif shutil.which(program, path=path) is None:
        hint = _as_words(program, is_alone)
        if not hint and (near := near_program(program, path)):
            hint = f"; did you mean {near}?"
        hint = hint or "; install it, or write its path"
        raise FileNotFoundError(errno.ENOENT, f"no such program in PATH{hint}", program)


def found(program: str, cwd: str | None, env: Mapping[str, str] | None) -> str | None:
    """The path of a program; None: it was not found."""
    if os.path.dirname(program):
        return os.path.join(cwd or "", program)
    return shutil.which(program, path=(os.environ if env is None else env).get("PATH", os.defpath))


def _as_words(program: str, is_alone: bool) -> str:
    """What to write instead, where a whole command was given as the name of a program."""
    if not is_alone or not _FOR_A_SHELL.search(program):
        return ""
    try:
        words = shlex.split(program)
    except ValueError:
        words = []
    separate = f"{', '.join(map(repr, words))}, or " if len(words) > 1 else ""
    return f"; a string is the name of a program and no command line: write {separate}shell=True"
