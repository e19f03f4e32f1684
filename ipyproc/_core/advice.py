"""What is known of the cause when a program fails, in one clause for people."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Iterable, Sequence

from .status import Usage, size_words

_KILLED, _BROKEN_PIPE = 9, 13  # the same numbers on every POSIX system
_OF_SHELL = 128  # what a shell adds to the signal that ended its last command
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # what every shell, and env, answers

_UNKNOWN = re.compile(  # zsh; bash, dash, ksh, busybox; env, and bash for a path
    r"command not found: (\S+)|([^\s:]+): (?:command )?not found(?!:)|([^\s:‘’'\"]+)[’'\"]?: No such file or directory"
)
_NO_INPUT = re.compile(
    r"\bEOF|end[- ]of[- ](?:file|input)|a terminal is required|not a (?:tty|terminal)", re.IGNORECASE
)
_NO_TERMINAL = re.compile(
    r"/dev/tty\b.*: (?:No such device|cannot open)|could not read (?:Username|Password) for|terminal prompts disabled"
    r"|a terminal is required|must have a (?:tty|terminal)",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\S.*[?:>\])] ?\Z")
_SURELY_QUESTION = re.compile(r"\S.*(?:\?|\[[yY]/[nN]\]|\([yY]/[nN]\)):? ?\Z")  # where nothing else says that it is one
NO_INPUT = "and there was no input for that"
READ_NO_MORE = "what read its output ended first"
_FOR_A_SHELL = re.compile(r"[*?]|\A~|\$\w|\$\{")
_MISSING = re.compile(r"^.*: No such file or directory$", re.MULTILINE)
_FAILURE = re.compile(
    r"(?:error|exception|fatal|fail(?:ed|s|ures?)|panic(?:ked)?|abort(?:ed)?|cannot|can't|can not|could not|unable|denied|refused"
    r"|not found|no such|invalid|illegal|unknown|unrecognized|undefined|missing|usage)s?\b",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\s*(?:\S+:\s*)*\w*warning\b", re.IGNORECASE)
_FORBIDDEN = re.compile(r"([^\s:‘’'\"]+)[’'\"]?: Permission denied")


def advice(
    returncode: int,
    stderr: str,
    usage: Usage | None = None,
    open_lines: Iterable[str] = (),
    args: str | bytes | Sequence[object] = (),
) -> str:
    """What may help, for a program that nobody stopped; empty: nothing is known.

    `stderr`: its last lines; `open_lines`: what it wrote last, where that is no whole line; `args`: the program and its
    arguments, or a line for a shell.
    """
    if (said_so := _NO_INPUT.search(stderr)) or not stderr.strip():  # `read` of a shell says nothing
        question = _QUESTION if said_so else _SURELY_QUESTION
        for line in filter(question.match, open_lines):
            return f"it asked {line!r:.200}, {NO_INPUT}"
    if _NO_TERMINAL.search(stderr):
        return "it wanted to ask on a terminal, and there is none here"
    for word in args if not isinstance(args, str | bytes) else ():
        if _FOR_A_SHELL.search(text := str(word)) and any(text in line for line in _MISSING.findall(stderr)):
            return f"{text!r:.200} was passed as it is, for no shell has expanded it"
    if returncode in (-_KILLED, _OF_SHELL + _KILLED):
        if usage and usage.peak_bytes is None:
            return "nobody stopped it from here, and it had little memory"
        peak = f"; its peak was {size_words(usage.peak_bytes)}" if usage and usage.peak_bytes else ""
        return f"probably out of memory (nobody stopped it from here{peak})"
    if returncode in (-_BROKEN_PIPE, _OF_SHELL + _BROKEN_PIPE):
        return READ_NO_MORE
    if returncode == _NOT_FOUND:
        found = _UNKNOWN.findall(stderr)
        return _not_found("".join(found[-1])) if found else "a command in it was not found"
    if returncode == _NOT_EXECUTABLE:
        found = _FORBIDDEN.findall(stderr)
        return f"{found[-1]} is not executable (chmod +x makes it so)" if found else "a command in it is not executable"
    return ""


def says_failure(text: str) -> bool:
    """Whether a line of this output tells of a failure, as far as words can say that; a warning does not."""
    return any(_FAILURE.search(line) and not _WARNING.match(line) for line in text.splitlines())


def near_program(name: str, path: str) -> str | None:
    """The program in this PATH whose name is nearest to one that is not there; None: there is nothing like it."""
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(os.listdir(folder or "."))
    near = difflib.get_close_matches(name, sorted(names), 1, 0.75)
    return near[0] if near else None


def _not_found(name: str) -> str:
    near = None if os.path.dirname(name) else near_program(name, os.environ.get("PATH", os.defpath))
    return f"{name} was not found" + (f"; did you mean {near}?" if near else "")
