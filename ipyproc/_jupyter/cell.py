"""One run of a program for a cell: started, shown, waited for, its output handed over.

Foreground: the cell awaits it; a kernel interrupt climbs the stop ladder. Background: the cell goes on, a task of
the loop follows the program and keeps its view up to date.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from .._core import log, status, storage, value
from .._core.advice import NO_INPUT
from .._core.command import Command as Program
from .._core.completed import CompletedProcess
from .._core.errors import ProcessExitError, ProcessLost
from .._core.ladder import INTERRUPT
from .._core.process import DEVNULL, PIPE, Process
from .._core.screen import inert_line
from .._core.stage import DRAIN_GRACE, VALUE_GRACE, all_ended, finish
from . import interrupt, kernel
from .card import Card
from .first import FirstText
from .formats import FORMATS
from .options import Options
from .stream import StreamView
from .table import Table
from .thread import in_thread
from .view import NoView, View, keep_updated

CARD_DELAY = 0.2  # seconds; a command that is over by then shows no card
WAIT_SHOWN = 1.0  # seconds; a program that waits so long for a place on another machine is said to
_MOMENT = 0.005  # seconds; most commands end within that when they have written


@dataclass(frozen=True)
class Command:
    """What to start. `script` is put into a file whose name is the last argument; `input` is for standard input."""

    args: tuple[str, ...]
    title: str
    input: bytes | None = None
    script: str | None = None


@dataclass(frozen=True)
class Limits:
    """In bytes: of what a cell adds to the notebook, and of a log on disk."""

    transcript: int
    log: int


@dataclass(frozen=True)
class Outcome:
    """How a run went: what the cell's expression is worth, or the error that ends the cell."""

    value: CompletedProcess | Process | None  # None: it was not started
    error: BaseException | None = None
    interrupted: str = ""  # how it ended, after an interrupt

    def unwrap(self) -> CompletedProcess | Process | None:
        """The value; raises the error. Called where the cell's own code waits, and not in a task of ours."""
        if self.interrupted:
            raise interrupt.error(self.interrupted)
        if self.error is not None:
            raise self.error
        return self.value


class Cell:
    """One run. `options` are complete: `%config` defaults are filled in.

    Raises:
        UsageError: there is no card to type in, or to notify of the end, and it was asked for.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        command: Command,
        options: Options,
        env: Mapping[str, str],
        table: Table,
        limits: Limits,
        *,
        awaited: bool,
    ) -> None:
        self._shell = shell
        self._command = command
        self._options = options
        self._env = env
        self._table = table
        self._limits = limits
        self._awaited = awaited  # else a cell is waited for in a nested run of the event loop
        names = {log.STDOUT_FD: options.out, log.STDERR_FD: options.err}
        self._variables = {stream: name for stream, name in names.items() if name}
        self._streams = log.BOTH if options.tee else log.BOTH - self._variables.keys()
        if options.stdin == "ask" and not self._uses_card:
            raise UsageError(
                "--stdin ask: there will be no card here to type in (no page, a captured cell, --plain or --quiet); "
                "give a file, or none"
            )
        if options.notify is not None and not self._uses_card:
            raise UsageError(
                "--notify: there will be no card here that could tell the browser (no page, a captured cell, --plain "
                "or --quiet); leave it out"
            )
        self._interrupted = False
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._shown: View = NoView()
        self._remove_script: Callable[[], object] = lambda: None

    async def run(self) -> Outcome:
        """Start it and, in the foreground, wait for it.

        Raises what `start` raises when it cannot be started. Cancelling it stops the program and waits for its end.
        """
        try:
            with interrupt.on_interrupt(self._interrupt):
                for attempts_left in range(self._options.retry_lost, -1, -1):
                    try:
                        process = await (self._start_there() if self._options.on else self._start())
                    except ProcessLost:  # while it was being started
                        if not attempts_left or self._interrupted:
                            raise
                        continue
                    if process is None:
                        return Outcome(None, interrupted=f"`{self._command.title}` was not started")
                    if self._options.bg:
                        return self._in_background(process)
                    outcome = await self._in_foreground(process)
                    if not (attempts_left and process.lost) or self._interrupted:
                        break
            return outcome
        except BaseException:
            if self._process:  # nobody would know of it any more
                await self._process.ladder.abandon()
            self._remove_script()
            raise

    async def _start_there(self) -> Process | None:
        """Start it on another machine, where it may have to wait for a place; None: it was interrupted before."""
        self._process = None
        self._starting = asyncio.ensure_future(self._start())
        try:
            await asyncio.wait([self._starting], timeout=WAIT_SHOWN)
            if not (self._starting.done() or self._options.quiet):
                sys.stdout.write(f"... waits for a place on {self._options.on.name}\n")
                sys.stdout.flush()
            return await self._starting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._interrupted and not (task and task.cancelling()):
                return None
            self._starting.cancel()
            raise
        finally:
            self._starting = None

    async def _start(self) -> Process:
        options, names = self._options, self._shell.user_ns
        with contextlib.ExitStack() as files:
            stdin: Any = PIPE if options.stdin == "ask" else DEVNULL
            if options.stdin not in (None, "ask", "none"):
                stdin = files.enter_context(Path(options.stdin).open("rb"))  # noqa: ASYNC230 -- opens at once, or fails
            args = self._command.args
            if self._command.script is not None and not options.on:
                args += (str(self._write_script(self._command.script)),)
            program = Program.of(
                args,
                stdin=stdin,
                input=self._command.input,
                cwd=options.cwd,
                env=self._env,
                name=self._command.title,
                on=options.on,
                script=self._command.script if options.on else None,
            )
            program.check()
            process = await program.start(make_log=self._make_log, keep=options.keep)
        if options.keep:
            _log(process).keep()
        assert options.grace is not None
        process.ladder.grace = options.grace
        process.ok_codes = options.ok_codes
        if options.proc:
            names[options.proc] = process
        self._process = process
        if self._interrupted:
            self._interrupt()
        return process

    def _make_log(self) -> log.Log:
        name = self._options.log
        if name is None:
            return log.Log(limit=self._limits.log)
        path = os.path.expanduser(name.removeprefix(">>").lstrip())
        try:
            return log.Log(file=path, append=name.startswith(">>"))
        except OSError as error:
            raise UsageError(f"--log: cannot write to {path!r}: {error.strerror}") from None

    async def _in_foreground(self, process: Process) -> Outcome:
        grace = VALUE_GRACE if self._variables else DRAIN_GRACE
        ending = asyncio.ensure_future(finish(process, self._options.timeout, grace=grace))
        self._shell.user_ns.update(dict.fromkeys(self._variables.values(), ""))
        self._shown = self._view(process, plain=True)  # if it is cancelled at once
        try:
            async with kernel.deliver_comms(self._shell):
                await self._show(process, ending)
                await keep_updated(self._shown, _log(process), ending)
        except BaseException:
            await process.ladder.abandon()
            raise
        finally:
            ending.cancel()
            self._remove_script()
            try:
                missing = await self._hand_over_text(process)
            finally:
                self._leave(process)
        if process.lost:
            return Outcome(process, process.lost)
        done = CompletedProcess.of(process)
        if done.returncode in process.ok_codes and not (done.timed_out or self._interrupted):
            if self._options.format and not missing:
                return Outcome(done, await in_thread(self._convert, done, self._options.format))
            return Outcome(done, missing)
        if not self._options.raise_error:
            if missing:
                sys.stdout.write(f"... {missing}\n")
            return Outcome(done)
        if self._interrupted:
            return Outcome(done, interrupted=f"`{process.name}` {status.describe(process.returncode)}")
        error = done.error()
        has_input = self._options.stdin is not None or self._command.input is not None
        if isinstance(error, ProcessExitError) and error.advice.endswith(NO_INPUT) and not has_input:
            error.advice += "; --stdin ask gives you a row to type in"
        if error and missing:
            error.add_note(str(missing))
        return Outcome(done, error)

    def _convert(self, done: CompletedProcess, form: str) -> BaseException | None:
        """Put the output into the variable in this form; the error, if it is not in that format."""
        try:
            self._shell.user_ns[self._options.out] = FORMATS[form](done)
        except (ValueError, ImportError) as error:
            return error
        return None

    def _leave(self, process: Process) -> None:
        """The cell ends. If descendants live on, what they write goes on into it, and there they can be stopped."""
        if _log(process).ended and not process.family.left():
            self._shown.finish()
        elif kernel.drops_late_output(self._shell):
            self._shown.finish()
            if not self._options.quiet:
                _log(process).keep()
                left = status.count_words(process.family.left(), "process", "processes")
                path = inert_line(str(_log(process).path))
                sys.stdout.write(f"... {left} of {process.name} left; what they write is in the log: {path}\n")
        else:
            self._table.follow(_until_end(process, self._shown))

    async def _show(self, process: Process, ending: asyncio.Future[None]) -> None:
        """Show the process: a command that is over soon gets its output as text, any other a card."""
        output = _log(process)
        text: FirstText | None = None
        if self._uses_card:
            card_at = time.monotonic() + CARD_DELAY
            first = asyncio.ensure_future(output.changed(0))
            try:
                await asyncio.wait([ending, first], timeout=CARD_DELAY, return_when=asyncio.FIRST_COMPLETED)
            finally:
                first.cancel()
            await asyncio.wait([ending], timeout=min(_MOMENT, max(0.0, card_at - time.monotonic())))
            if output.size(self._streams) and not ending.done() and time.monotonic() < card_at:
                text = FirstText(process, self._streams, self._limits.transcript)
                text.show()
                self._shown = text
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, card_at - time.monotonic())):
                        await keep_updated(text, output, ending)
        over = ending.done() and output.ended and not process.family.left()
        if not (over and text):
            self._shown = self._view(process, plain=over, display=text.display if text else None)
            self._shown.show()

    def _in_background(self, process: Process) -> Outcome:
        view = self._view(process)
        self._hand_over_readers(process)
        if isinstance(view, StreamView) and kernel.drops_late_output(self._shell):
            if self._streams:
                _log(process).keep()
                path = inert_line(str(_log(process).path))
                note = f"... in the background: {process.name}; shown where it is awaited; log: {path}"
                sys.stdout.write(f"{note}\n")
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            view = NoView()
        view.show()
        self._table.follow(self._follow(process, view))
        return Outcome(process)

    async def _show_where_awaited(self, process: Process, view: StreamView) -> None:
        """A run that nobody watches drops what comes for a cell that has ended: the first cell that waits shows it."""
        process.on_wait = None
        ending = asyncio.ensure_future(finish(process))
        try:
            await keep_updated(view, _log(process), ending)
            view.finish()
        except asyncio.CancelledError:
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            raise
        finally:
            ending.cancel()

    @property
    def _uses_card(self) -> bool:
        captured = isinstance(self._shell.display_pub, CapturingDisplayPublisher)  # a card would reach no page
        no_page = self._options.quiet or self._options.plain or captured or kernel.is_headless(self._shell)
        heard = self._awaited or self._options.bg or kernel.hears_while_nested(self._shell)
        return heard and not no_page and time.monotonic() >= Card.no_page_until

    def _view(self, process: Process, *, plain: bool = False, display: DisplayHandle | None = None) -> View:
        if self._options.quiet:
            return NoView()
        if plain or not self._uses_card:
            return StreamView(process, self._streams, live=not kernel.drops_late_output(self._shell))
        captured = self._variables.keys() - self._streams
        notes = [f"output in {', '.join(self._variables[stream] for stream in sorted(captured))}"] if captured else []
        if process.where:
            notes.append(f"on {inert_line(process.where)}")
        if self._options.keep:
            notes.append(f"kept; log: {inert_line(str(_log(process).path))}")
        note = " · ".join(notes)
        return Card(process, self._streams, note, self._limits.transcript, display, self._options.notify)

    async def _follow(self, process: Process, view: View) -> None:
        """What goes on behind a cell with `--bg`."""
        ending = asyncio.ensure_future(finish(process, self._options.timeout))
        try:
            await keep_updated(view, _log(process), ending)
        finally:
            ending.cancel()
            self._remove_script()
        await _until_end(process, view)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._process:  # else it is just being started, and gets the signal then
            self._process.ladder.climb(INTERRUPT, "interrupt")
        elif self._starting:
            self._starting.cancel()

    async def _hand_over_text(self, process: Process) -> ValueError | None:
        """Give the variables their text; an error, if not all of it is there. In a thread: it may be much, on a slow disk."""
        output, why = _log(process), ""
        for stream, name in self._variables.items():
            self._shell.user_ns[name] = await in_thread(_text, output, stream)
            why = why or await in_thread(output.missing, {stream})
            if process.is_over and output.is_open(stream):
                left = status.count_words(process.family.left(), "process", "processes")
                sys.stdout.write(
                    f"... {name} may not be complete: {left} of {process.name} left, and can still write to it\n"
                )
        return ValueError(f"{status.quoted(process.name)}: {why}") if why else None

    def _hand_over_readers(self, process: Process) -> None:
        for stream, own in ((log.STDOUT_FD, process.stdout), (log.STDERR_FD, process.stderr)):
            if stream in self._variables:
                self._shell.user_ns[self._variables[stream]] = _log(process).reader(stream)
            else:
                own.consume()  # type: ignore[union-attr]  # the cell has read it, as with %%script

    def _write_script(self, text: str) -> Path:
        """A file and not standard input: a program in the script that reads its input must not eat the script."""
        fd, path = storage.create_file(".sh")
        self._remove_script = storage.remove_with(self, path)
        with open(fd, "wb") as file:
            file.write(os.fsencode(text) + b"\n")  # a here-document wants the end of its last line
        return path


async def _until_end(process: Process, view: View) -> None:
    """Follow what is left when the program has ended, up to the end of its output and of its family."""
    ending = asyncio.ensure_future(all_ended(process))
    try:
        await keep_updated(view, _log(process), ending)
    finally:
        ending.cancel()
    view.finish()


def _text(output: log.Log, stream: int) -> str:
    """What there is of a stream, complete or not."""
    return value.text(output.joined(streams={stream}))


def _log(process: Process) -> log.Log:
    assert process.log is not None  # `start` gives every process one
    return process.log
