"""From a `Spec` to a `Process` that runs."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .. import launch
from ..failed_command import FailedCommand, failed_command
from ..launch.base import Launcher, RemoteLauncher
from ..output import phrases, storage
from ..output.log import Log
from ..program import script
from ..program.advice import not_started
from ..program.spec import Fd, Spec, found
from ..program.streams import Streams
from . import registry
from .process import Process

_LIMIT = 2**16  # bytes; the documented default of asyncio's `limit`
_logger = logging.getLogger("ipyproc")


async def start(
    spec: Spec, launcher: Launcher | None = None, *, make_log: Callable[[frozenset[int]], Log] = Log
) -> Process:
    """Start a program.

    Args:
        spec: what to start.
        launcher: what starts it; None: the best one here.
        make_log: makes the log for these streams (1: standard output, 2: standard error).

    Cancelling it while it starts ends the program.

    Raises:
        OSError: it cannot be started.
        ValueError: the launcher cannot do what the spec asks for.
    """
    launcher = await launch.choose(launcher)
    log = make_log(spec.logged) if spec.logged else None
    started = spec
    try:
        streams = Streams(_LIMIT, log, spec.logged)
        with contextlib.ExitStack() as files, contextlib.ExitStack() as if_it_fails:
            written: Path | None = None
            if spec.script is not None and not isinstance(launcher, RemoteLauncher):
                fd, written = storage.create_file(".sh")
                if_it_fails.callback(written.unlink, missing_ok=True)
                script.write(fd, spec.script)
                assert not isinstance(spec.args, str)
                started = replace(started, args=script.arguments(spec.args, spec.script, written.as_posix()))
            if spec.input is not None:
                # a file and not a pipe: it never blocks, whatever its size, and needs no task that feeds it
                file = files.enter_context(tempfile.TemporaryFile(dir=storage.directory()))
                file.write(spec.input)
                file.seek(0)
                started = replace(started, stdin=Fd(file.fileno()))
            try:
                program = await launcher.start(started, streams, log)
            except OSError as error:
                raise _worded(error, spec, is_here=not isinstance(launcher, RemoteLauncher)) from None
            if_it_fails.pop_all()
    except BaseException:
        if log:
            log.discard()
        raise
    program.args = spec.args
    process = Process(program, streams, grace=spec.grace)
    if spec.script is not None:
        _follow_script(process, spec, written)
    if spec.name:
        program.name = spec.name
    where = f" on {process.where}" if process.where else ""
    _logger.info("%s (pid %d%s): started", process.name, process.pid, where)
    process.add_done_callback(_log_end)
    registry.add(process)
    return process


def _follow_script(started: Process, spec: Spec, file: Path | None) -> None:
    """At its end, find out which command of the script failed, and remove the script's file."""
    text = spec.script
    assert text is not None
    started.name = script.title(text)
    name = spec.name if spec.name != started.name else ""
    if file and not spec.keep:  # with `keep`, bash may not have read it yet when this process ends
        storage.remove_with(started, file)

    def find(ended: Process) -> FailedCommand | None:
        note = script.note(file) if file else ended.program.note
        if file:
            with contextlib.suppress(OSError):  # it is already gone, or no longer a file
                file.unlink()
        failed = failed_command(note, text)
        return failed and replace(failed, script=name)

    started.find_failed_command = find
    started.add_done_callback(lambda ended: ended.failed_command)


def _worded(error: OSError, spec: Spec, *, is_here: bool) -> OSError:
    """The same error in clearer words."""
    words = [spec.args] if isinstance(spec.args, str) else spec.args
    is_program = is_here and not isinstance(spec.args, str) and error.filename == words[0]  # and not a directory
    program = found(words[0], spec.cwd, spec.env) if is_program else None
    env = spec.env if spec.env is not None else os.environ if is_here else {}
    number = (
        error.errno if is_here or error.errno != errno.EAGAIN else 0
    )  # the limits of another machine are not known here
    if text := not_started(number or 0, program, spec.args, env):
        most = 80 if isinstance(spec.args, str) else 4096  # a line for the shell is not a path
        return OSError(error.errno, text, f"{words[0]:.{most}}")  # formatted, as a slice would show what is masked
    if error.filename == words[0]:
        error.filename = words[0]  # the caller's own object, which may be masked
    return error


def _log_end(ended: Process) -> None:
    how = "was lost" if ended.lost else phrases.describe(ended.returncode)
    _logger.info("%s (pid %d): %s after %.3f s", ended.name, ended.pid, how, ended.duration)
