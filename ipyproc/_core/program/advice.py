"""The likely cause when a program fails or cannot be started, as one clause for people."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..output.phrases import size_words
from ..program.usage import Usage

_KILLED, _BROKEN_PIPE = 9, 13  # the same numbers on every POSIX system
_OF_SHELL = 128  # what a shell adds to the signal that ended its last command
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # the status that every shell, and env, gives

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
_CRLF = "its lines end with CR LF, as on Windows (dos2unix fixes that)"
_CARRIAGE_RETURN = re.compile(r"([^\s:‘'\"$]*)\\(?:r|015)[’'\"]*: (?:command not found|No such file)")  # bash; env
_MOST_INTERPRETERS = 5  # each a script that the next one runs; Linux follows no more
_PAGES_OF_STRING = 32  # pages of memory: the limit of Linux for one argument, or for one variable with its name
_LONGEST_FIRST_LINE = 256  # bytes; Linux reads no more of a #! line
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
    """What may help with a program that failed and was not stopped; empty: nothing is known.

    `stderr`: its last lines; `open_lines`: of each stream, the last line if it has no end; `args`: the program and its
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
            return f"{text!r:.200} was passed as it is: no shell has expanded it"
    if returncode in (-_KILLED, _OF_SHELL + _KILLED):
        if usage and usage.peak_bytes is None:
            return "nobody stopped it from here, and it used little memory"
        peak = f"; its peak was {size_words(usage.peak_bytes)}" if usage and usage.peak_bytes else ""
        return f"probably out of memory (nobody stopped it from here{peak})"
    if returncode in (-_BROKEN_PIPE, _OF_SHELL + _BROKEN_PIPE):
        return READ_NO_MORE
    if returncode == _NOT_FOUND:
        if match := _CARRIAGE_RETURN.search(stderr):
            return f"a script asks for {match[1] or 'a command'} with a carriage return after it: {_CRLF}"
        found = _UNKNOWN.findall(stderr)
        return _not_found("".join(found[-1])) if found else "a command in it was not found"
    if returncode == _NOT_EXECUTABLE:
        found = _FORBIDDEN.findall(stderr)
        return f"{found[-1]} is not executable (chmod +x makes it so)" if found else "a command in it is not executable"
    return ""


def says_failure(text: str) -> bool:
    """Whether a line of this output reports a failure, as far as its words tell; a warning does not count."""
    return any(_FAILURE.search(line) and not _WARNING.match(line) for line in text.splitlines())


def not_started(error: int, program: str | None, args: str | Sequence[str], env: Mapping[str, str]) -> str:
    """Why a program could not be started, if more is known than the operating system says; empty: nothing more is.

    `error`: the errno; `program`: its path, if it is on this machine; `args`, `env`: what it was to be started with.
    """
    if error == errno.E2BIG:
        return _too_long(args, env)
    if error == errno.ENOEXEC:
        return "not a program: no #! line and no known format"
    if error == errno.EAGAIN:
        return no_more_processes()
    if error in (errno.ENOENT, errno.EACCES) and program and os.access(program, os.X_OK):
        return _cannot_be_loaded(program)
    return ""


def near_program(name: str, path: str) -> str | None:
    """The program in this PATH whose name is most like one that was not found; None: none is."""
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(os.listdir(folder or "."))
    near = difflib.get_close_matches(name, sorted(names), 1, 0.75)
    return near[0] if near else None


def no_more_processes() -> str:
    """Why no process can be started now (EAGAIN), as far as that is known, and what to do."""
    limits = []
    if sys.platform != "win32":
        import resource  # late: POSIX only

        most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if most != resource.RLIM_INFINITY:
            limits.append(f"this user may have {most:,} processes and threads (ulimit -u, RLIMIT_NPROC)")
    for folder in _cgroups():
        with contextlib.suppress(OSError, ValueError):  # it has no such limit
            most, there = (int((folder / f"pids.{name}").read_text()) for name in ("max", "current"))
            if there >= most:
                limits.append(f"this container may have {most:,}, and has {there:,} (pids.max of its cgroup)")
    known = f": {', and '.join(limits)}" if limits else ""
    return f"no more processes can be started{known}; end some, or raise the limit"


def _cgroups() -> Iterator[Path]:
    """The folders of the cgroups whose limits hold for this process, the innermost first; Linux only, see cgroups(7)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds or "pids" in kinds.split(","):
                top = Path("/sys/fs/cgroup") / ("pids" if kinds else "")
                inner = top / path.lstrip("/")
                yield from (each for each in (inner, *inner.parents) if each.is_relative_to(top))


def _not_found(name: str) -> str:
    near = None if os.path.dirname(name) else near_program(name, os.environ.get("PATH", os.defpath))
    return f"{name} was not found" + (f"; did you mean {near}?" if near else "")


def _cannot_be_loaded(program: str) -> str:
    """Why a program that is there and is executable cannot be loaded; empty: not known."""
    first = b""
    for _ in range(_MOST_INTERPRETERS):
        with contextlib.suppress(OSError), open(program, "rb") as file:
            first = file.read(_LONGEST_FIRST_LINE).partition(b"\n")[0]
        if not first.startswith(b"#!") or not (line := first[2:].strip(b" \t")):
            break
        program = os.fsdecode(re.split(rb"[ \t]", line)[0])
        said = f"its #! line names the interpreter {program!r}, which is"
        if not os.path.exists(program):
            if program.endswith("\r"):
                return f"{said} not there: {_CRLF}"
            found = shutil.which(os.path.basename(program))
            return f"{said} not there" + (f"; there is {found}" if found else "")
        if os.path.isdir(program):
            return f"{said} a directory"
        if not os.access(program, os.X_OK):
            return f"{said} not executable"
    if first.startswith(b"\x7fELF"):
        return "it is there, but not the loader that it names: it was made for another system or C library"
    return ""


def _too_long(args: str | Sequence[str], env: Mapping[str, str]) -> str:
    words = (
        {"the line for the shell": args} if isinstance(args, str) else {f"argument {n}": w for n, w in enumerate(args)}
    )
    of_words = {what: len(os.fsencode(word)) + 1 for what, word in words.items()}
    of_variables = {name: len(os.fsencode(name)) + len(os.fsencode(value)) + 2 for name, value in env.items()}
    sizes = of_words | {f"the environment variable {name}": size for name, size in of_variables.items()}
    what = max(sizes, key=lambda each: sizes[each])
    if sys.platform == "linux" and sizes[what] > (limit := _PAGES_OF_STRING * os.sysconf("SC_PAGE_SIZE")):
        return (
            f"{what} is too long: {sizes[what]:,} bytes, and the operating system takes {limit:,} for one; a file or "
            "standard input can hold more"
        )
    return (
        f"the arguments ({sum(of_words.values()):,} bytes) and the environment variables ({sum(of_variables.values()):,} "
        "bytes) together are too long for the operating system"
    )
