"""Programs as a notebook wants them: in a session of their own, into a log, checked before they start.

`start` differs from the two asyncio factories on purpose: the program gets its own session, so that a kernel
interrupt meant for one cell does not hit the program of another; default signal dispositions (a kernel ignores
SIGINT between two cells, and a program inherits what is ignored); no standard input unless some is given, so that
it never waits for a person who is not there.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import launch, log, process, registry, status, storage
from .errors import ProcessExitError
from .screen import inert_line

LAST_STDERR_LINES = 10


class CompletedProcess(subprocess.CompletedProcess[str]):
    """A program that has ended: `args`, `returncode`, `stdout` and `stderr` as of `subprocess.CompletedProcess`.

    `stdout` and `stderr` are text, decoded from the log when they are asked for (UTF-8, bad bytes become U+FFFD).

    Attributes:
        name: what to call it, for people: the command, unless a name was given.
        duration: seconds from start to end.
        log: the output on disk.
    """

    def __init__(self, ended: process.Process) -> None:
        assert ended.log is not None
        assert ended.returncode is not None
        self.args = ended.args
        self.name = ended.name
        self.returncode = ended.returncode
        self.duration = ended.duration
        self.log = ended.log

    def __repr__(self) -> str:
        took = status.duration_words(self.duration)
        return f"<CompletedProcess ({self.name}) {status.describe(self.returncode)} after {took}>"

    @property
    def stdout(self) -> str:  # type: ignore[override]  # the base class sets an attribute
        """All of standard output."""
        return self.log.reader(log.STDOUT_FD).text

    @property
    def stderr(self) -> str:  # type: ignore[override]
        """All of standard error."""
        return self.log.reader(log.STDERR_FD).text

    def check_returncode(self) -> None:
        """Raise `exit_error()` if the status is not 0."""
        if self.returncode:
            raise self.exit_error()

    def exit_error(self) -> ProcessExitError:
        """The error that says how it ended, with the last lines of standard error."""
        return ProcessExitError(self.returncode, self.name, stderr=self.last_stderr())

    def last_stderr(self, lines: int = LAST_STDERR_LINES) -> str:
        """The last lines of standard error, as a terminal would leave them; a note says if there is more."""
        shown = self.log.tail(lines, log.STDERR_FD).rstrip()
        if self.log.lines_of[log.STDERR_FD] <= lines:
            return shown
        self.log.keep()
        return f"... (the end of stderr; full log: {inert_line(str(self.log.path))})\n{shown}"


async def start(
    *args: str | os.PathLike[str],
    stdin: Any = process.DEVNULL,
    input: bytes | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    keep: bool = False,
    make_log: Callable[[], log.Log] = log.Log,
) -> process.Process:
    """Start a program in its own session, its output in a log.

    Args:
        args: the program and its arguments; no shell takes part.
        stdin: as in `create_subprocess_exec`; the default is an empty input.
        input: bytes for its standard input, instead of `stdin`.
        cwd: the directory to start in; None: that of this process.
        env: the whole environment; None: that of this process.
        keep: it outlives this process; only where programs are supervised (Linux).
        make_log: makes the log, when all else is checked.

    Raises:
        OSError, ValueError: it cannot be started; the message names the program, the directory or the argument.
    """
    words = [os.fspath(word) for word in args]
    _check_text(words, env)
    _check_directory(cwd)
    _check_program(words[0], cwd, env)
    with contextlib.ExitStack() as files:
        if input is not None:
            # a file and not a pipe: no size blocks, and there is no task that feeds it
            stdin = files.enter_context(tempfile.TemporaryFile(dir=storage.directory(), buffering=0))
            stdin.write(input)
            stdin.seek(0)
        files.enter_context(_default_signals())
        try:
            started = await process.start_exec(
                launch.best(),
                *words,
                stdin=stdin,
                stdout=process.LOG,
                stderr=process.LOG,
                cwd=cwd,
                env=env,
                log=make_log(),
                keep=keep,
                **_own_session(),
            )
        except OSError as error:
            if error.errno == errno.E2BIG:
                size = sum(len(os.fsencode(word)) + 1 for word in words)
                raise OSError(
                    errno.E2BIG, f"the arguments are too long for the operating system ({size} bytes)", words[0]
                ) from None
            if error.errno == errno.ENOEXEC:
                raise OSError(errno.ENOEXEC, "not a program: no #! line and no known format", words[0]) from None
            if error.filename == words[0]:
                error.filename = words[0]  # the caller's own object, which may show itself in another way
            raise
    registry.add(started)
    return started


def _own_session() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


@contextlib.contextmanager
def _default_signals() -> Iterator[None]:
    """While a program is started, no signal is *ignored* here: what is ignored would stay ignored in the program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)  # the same for us; a handler becomes the default in the program
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _check_text(words: Sequence[str], env: Mapping[str, str] | None) -> None:
    for number, word in enumerate(words):
        if "\0" in word:
            which = f"argument {number}" if number else "the program's name"
            raise ValueError(f"{which} ({word!r:.80}) holds a NUL character; no program can get that as an argument")
    for name, value in (env or {}).items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"the environment variable {name!r} cannot be set: NUL, or '=' in its name, or no name")


def _check_directory(cwd: str | os.PathLike[str] | None) -> None:
    if cwd is None or os.path.isdir(cwd):
        return
    if os.path.exists(cwd):
        raise NotADirectoryError(errno.ENOTDIR, "cwd is not a directory", os.fspath(cwd))
    raise FileNotFoundError(errno.ENOENT, "cwd: no such directory", os.fspath(cwd))


def _check_program(program: str, cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None) -> None:
    """A better worded error than the operating system's, where it is plain that the program cannot be started."""
    if not program:
        raise FileNotFoundError(errno.ENOENT, "the program's name is empty", program)
    path = (os.environ if env is None else env).get("PATH", os.defpath)
    if os.path.dirname(program):
        full = os.path.join(cwd or "", program)
        if not os.path.exists(full):
            raise FileNotFoundError(errno.ENOENT, "no such program", program)
        if os.path.isdir(full):
            raise IsADirectoryError(errno.EISDIR, "this is a directory, not a program", program)
        if sys.platform != "win32" and not os.access(full, os.X_OK):
            raise PermissionError(errno.EACCES, "not executable (chmod +x makes it so)", program)
    elif shutil.which(program, path=path) is None:
        near = difflib.get_close_matches(program, _programs(path), 1, 0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise FileNotFoundError(errno.ENOENT, f"no such program in PATH{hint}", program)


def _programs(path: str) -> list[str]:
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(os.listdir(folder or "."))
    return sorted(names)
