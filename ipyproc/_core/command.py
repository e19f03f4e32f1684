"""What to start, checked: a program and its arguments, or one line for the shell, and what it starts with.

A program of ours differs on purpose from one of the two asyncio factories: it gets its own session, so that a kernel
interrupt meant for one cell does not hit the program of another; default signal dispositions (a kernel ignores
SIGINT between two cells, and a program inherits what is ignored); no standard input unless some is given, so that
it never waits for a person who is not there; and the launcher that promises most.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import errno
import inspect
import logging
import numbers
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import launch, log, process, registry, script, status, storage
from .advice import near_program, not_started
from .encoding import ENCODING, encode
from .failed_command import FailedCommand, failed_command
from .screen import inert_line

Word = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""What a command consists of."""

_ALWAYS_SO = ("capture_output", "close_fds", "restore_signals", "start_new_session")  # True is what we do anyway
_FOR_A_SHELL = re.compile(r"[\s|&;<>()$`*?]")
_logger = logging.getLogger("ipyproc")


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. Made by `of`, which checks all that can be checked without a look at the file system.

    Attributes:
        args: the program and its arguments; or a string, for the shell.
        stdin, stdout, stderr: as in `create_subprocess_exec`.
        input: bytes for standard input, instead of `stdin`.
        cwd: the directory to start in; None: that of this process.
        env: the whole environment; None: that of this process.
        name: what to call it, for people, as one line on which nothing acts; empty: the command itself.
        on: the launcher of another machine; None: here. There `env` is added to what that machine gives its programs,
            and what can be started there, it alone knows.
        script: a text that the shell in `args` is to run, see `script`; None: there is none.
    """

    args: tuple[str, ...] | str
    stdin: Any = process.DEVNULL
    input: bytes | None = None
    stdout: Any = process.LOG
    stderr: Any = process.LOG
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    name: str = ""
    on: launch.RemoteLauncher | None = None
    script: str | None = None

    @classmethod
    def of(
        cls,
        cmd: Word | Sequence[Word],
        args: Sequence[Word] = (),
        *,
        shell: bool = False,
        stdin: Any = process.DEVNULL,
        input: str | bytes | bytearray | memoryview | None = None,
        stdout: Any = process.LOG,
        stderr: Any = process.LOG,
        cwd: str | bytes | os.PathLike[Any] | None = None,
        env: Mapping[Any, Any] | None = None,
        name: str | None = None,
        on: Any = None,
        script: str | None = None,
        encoding: str = ENCODING,
        errors: str = "strict",
    ) -> Command:
        """Check it.

        Raises:
            TypeError, ValueError: the message names the argument, its value, and what is allowed.
        """
        # None is what subprocess.run has for "not given"
        if input is not None and stdin not in (None, process.DEVNULL):
            raise ValueError(f"stdin={stdin!r} and input: only one of them can be the standard input")
        for which, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            _check_stream(which, stream)
        if not isinstance(name, str | None):
            raise TypeError(f"name={name!r}: allowed is a string")
        return cls(
            words(cmd, args, shell=shell),
            stdin,
            _bytes(input, encoding, errors),
            stdout,
            stderr,
            None if cwd is None else _text("cwd", cwd),
            None if env is None else _environment(env),
            name or "",
            None if on is None else launch.named(on),
            script,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", inert_line(self.name))

    def __str__(self) -> str:
        return self.name or status.command_line(self.args)

    def check(self) -> None:
        """Look whether it can be started.

        Raises:
            OSError: there is no such directory or program, or it is not executable.
        """
        if self.on:
            return
        _check_directory(self.cwd)
        if not isinstance(self.args, str):
            is_alone = len(self.args) == 1 and self.script is None
            _check_program(self.args[0], self.cwd, self.env, is_alone=is_alone)

    async def start(
        self,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        make_log: Callable[[], log.Log] | None = None,
        keep: bool = False,
    ) -> process.Process:
        """Start it.

        Args:
            stdin, stdout: descriptors of pipes, instead of its own.
            make_log: makes the log, if that is no ordinary one.
            keep: it outlives this process; only where programs are supervised (Linux).

        Cancelling it while it starts ends the program.

        Raises:
            OSError: it cannot be started.
        """
        popen = {
            "stdin": self.stdin if stdin is None else stdin,
            "stdout": self.stdout if stdout is None else stdout,
            "stderr": self.stderr,
            "cwd": self.cwd,
            "env": self.env,
            "keep": keep,
            **_own_session(),
        }
        if self.on and self.script is not None:
            popen["script"] = self.script
        launcher = self.on or await launch.best()
        if launcher is launch.portable:
            popen["default_signals"] = True  # elsewhere they are so always: the program is no child of this process
        if make_log:
            popen["log"] = make_log()
        with contextlib.ExitStack() as files, contextlib.ExitStack() as if_it_fails:
            args, written = self.args, None
            if self.script is not None and not self.on:
                fd, written = storage.create_file(".sh")
                if_it_fails.callback(written.unlink)
                script.write(fd, self.script)
                args = script.arguments(args, self.script, written.as_posix())
            if self.input is not None:
                # a file and not a pipe: no size blocks, and there is no task that feeds it
                file = files.enter_context(tempfile.TemporaryFile(dir=storage.directory()))
                file.write(self.input)
                file.seek(0)
                popen["stdin"] = file
            try:
                if isinstance(args, str):
                    started = await process.start_shell(launcher, args, **popen)
                else:
                    started = await process.start_exec(launcher, *args, **popen)
            except OSError as error:
                raise self._worded(error) from None
            if_it_fails.pop_all()
        if self.script is not None:
            self._follow_script(started, written, keep=keep)
        if self.name:
            started.name = self.name
        where = f" on {started.where}" if started.where else ""
        _logger.info("%s (pid %d%s): started", started.name, started.pid, where)
        started.add_done_callback(_log_end)
        registry.add(started)
        return started

    def _follow_script(self, started: process.Process, file: Path | None, *, keep: bool) -> None:
        """When it has ended, it can be told which command of it has failed, and its file is removed."""
        text = self.script
        assert text is not None
        started.args, started.name = self.args, script.title(text)
        name = self.name if self.name != started.name else ""
        if file and not keep:  # else bash may not have read it yet when this process ends
            storage.remove_with(started, file)

        def find(ended: process.Process) -> FailedCommand | None:
            note = script.note(file) if file else ended.note
            if file:
                with contextlib.suppress(OSError):  # it is gone already, or no file any more
                    file.unlink()
            failed = failed_command(note, text)
            return failed and replace(failed, script=name)

        started.find_failed_command = find
        started.add_done_callback(lambda ended: ended.failed_command)

    def _worded(self, error: OSError) -> OSError:
        """The same error, better worded."""
        if self.cwd and error.filename == self.cwd:
            return error
        words = [self.args] if isinstance(self.args, str) else self.args
        program = None if self.on or isinstance(self.args, str) else _found(words[0], self.cwd, self.env)
        if text := not_started(error.errno or 0, program, self.args, os.environ if self.env is None else self.env):
            return OSError(error.errno, text, f"{words[0]:.80}")  # as it shows itself: a slice shows all it has
        if error.filename == words[0]:
            error.filename = words[0]  # the caller's own object, which may show itself in another way
        return error


def words(cmd: Any, args: Sequence[Any] = (), *, shell: bool = False) -> tuple[str, ...] | str:
    """The words of a command, or the line for the shell, checked.

    Raises:
        TypeError, ValueError: it is none.
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


def refuse(keywords: Mapping[str, Any], known: Callable[..., Any], instead: Mapping[str, str]) -> None:
    """Raise a clear error for keywords that the function `known` does not take; `instead`: what to do for some."""
    if not keywords:
        return  # to look at signatures takes longer than all else here
    function, of_popen = known.__name__, inspect.signature(subprocess.Popen).parameters
    for name, value in keywords.items():
        if name in _ALWAYS_SO:
            if value:
                continue
        elif name in of_popen and value == of_popen[name].default:
            continue  # it asks for nothing
        if name in instead:
            raise TypeError(f"{function}() takes no keyword {name!r}: {instead[name]}")
        if name in of_popen or name in _ALWAYS_SO:
            raise ValueError(f"{function}() cannot honour {name}={value!r}; create_subprocess_exec() may take it")
        of_known = inspect.signature(known).parameters.values()
        own = [each.name for each in of_known if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        near = difflib.get_close_matches(name, own, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; allowed are {', '.join(own)}"
        raise TypeError(f"{function}() takes no keyword {name!r}{hint}")


def seconds(name: str, value: Any) -> float | None:
    """The value of an argument that is a span of time; None is one, without an end.

    Raises:
        TypeError, ValueError: it is none.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):  # numpy's numbers are real ones
        raise TypeError(f"{name}={value!r}: allowed is a number of seconds, or None")
    span = float(value)
    if not span >= 0:
        raise ValueError(f"{name}={value!r}: allowed is a number of seconds from 0 on, or None")
    return span


def count(name: str, value: Any, least: int) -> int:
    """The value of an argument that is a whole number from `least` on.

    Raises:
        TypeError, ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r}: allowed is a whole number from {least} on")
    if value < least:
        raise ValueError(f"{name}={value!r}: allowed is a whole number from {least} on")
    return int(value)


def check_encoding(encoding: Any, errors: Any) -> None:
    """Raise a clear error if there is no such encoding of texts, or no such way to treat errors.

    Raises:
        TypeError, LookupError: as the functions of `codecs` do.
    """
    for name, value in (("encoding", encoding), ("errors", errors)):
        if not isinstance(value, str):
            raise TypeError(f"{name}={value!r}: allowed is a name, as of bytes.decode()")
    try:
        "".encode(encoding)
        codecs.lookup_error(errors)
    except LookupError as error:
        raise LookupError(f"encoding={encoding!r}, errors={errors!r}: {error}") from None


def _text(which: str, word: Any) -> str:
    try:
        text = os.fsdecode(word)
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


def _environment(env: Any) -> dict[str, str]:
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


def _bytes(input: Any, encoding: str, errors: str) -> bytes | None:
    if input is None:
        return None
    if isinstance(input, str):
        return input.encode(encoding, errors)
    try:
        return bytes(memoryview(input))
    except TypeError:
        raise TypeError(f"input is {input!r:.80}: allowed are a string and bytes") from None


def _check_stream(which: str, stream: Any) -> None:
    if isinstance(stream, str | os.PathLike):
        mode = "rb" if which == "stdin" else "wb"
        raise TypeError(
            f"{which}={stream!r}: allowed is an open file, not its name: open({os.fspath(stream)!r}, {mode!r})"
        )
    if stream == process.STDOUT and which != "stderr":
        raise ValueError(f"{which}=STDOUT: only stderr can go where stdout goes")
    if isinstance(stream, bool) or not (stream is None or isinstance(stream, int) or hasattr(stream, "fileno")):
        raise TypeError(f"{which}={stream!r}: allowed are None, a file, a descriptor, and the constants of ipyproc")


def _check_directory(cwd: str | None) -> None:
    if cwd is None or os.path.isdir(cwd):
        return
    if os.path.exists(cwd):
        raise NotADirectoryError(errno.ENOTDIR, "cwd is not a directory", cwd)
    raise FileNotFoundError(errno.ENOENT, "cwd: no such directory", cwd)


def _check_program(program: str, cwd: str | None, env: Mapping[str, str] | None, *, is_alone: bool) -> None:
    """A better worded error than the operating system's, where it is plain that the program cannot be started."""
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


def _found(program: str, cwd: str | None, env: Mapping[str, str] | None) -> str | None:
    """The path of a program; None: it is not there."""
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


def _own_session() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _log_end(ended: process.Process) -> None:
    how = "was lost" if ended.lost else status.describe(ended.returncode)
    _logger.info("%s (pid %d): %s after %.3f s", ended.name, ended.pid, how, ended.duration)
