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
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from ..._core import launch
from ..._core.batch.completed import CompletedProcess
from ..._core.batch.stage import DRAIN_GRACE, VALUE_GRACE, all_ended, finish
from ..._core.errors import ProcessExitError, ProcessLost
from ..._core.output import log, phrases, value
from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..._core.process.start import start
from ..._core.program.advice import NO_INPUT
from ..._core.program.ladder import INTERRUPT
from ..._core.program.spec import Spec
from .. import kernel
from ..line.formats import FORMATS
from ..line.options import Options
from ..views import state, transcript
from ..views.captured import Captured
from ..views.card import Card
from ..views.first import FirstText
from ..views.stream import StreamView
from ..views.table import Table
from ..views.untold import has_failed_by_itself
from ..views.view import Guard, NoView, View, keep_updated
from . import interrupt
from .thread import in_thread

CARD_DELAY = 0.2  # seconds; a command that is over by then shows no card
WAIT_SHOWN = 1.0  # seconds; a program that waits so long for a place on another machine is said to
_MOMENT = 0.005  # seconds; most commands end within that when they have written
_NAMES = {log.STDOUT_FD: "sys.stdout", log.STDERR_FD: "sys.stderr"}
_NO_CARD = "no page, a captured cell, an Output widget, a thread, --plain or --quiet"


@dataclass(frozen=True)
class Command:
    """What to start. `script` is what the shell in `args` is to run; `input` is for standard input."""

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
        UsageError: there is no card to type in, or to notify of the end, and it was asked for; or, with `--bg`, no event
            loop that goes on.
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
        names = {log.STDOUT_FD: options.out, log.STDERR_FD: options.err}
        self._variables = {stream: name for stream, name in names.items() if name}
        shown = log.BOTH if options.tee else log.BOTH - self._variables.keys()
        files = {log.STDOUT_FD: sys.stdout, log.STDERR_FD: sys.stderr}
        self._note_file = next((file for file in files.values() if kernel.is_own_stream(file)), None)
        self._captured = {
            stream: file
            for stream, file in files.items()
            if stream in shown and not (options.quiet or kernel.is_own_stream(file))
        }
        self._streams = shown - self._captured.keys()
        self._is_apart = kernel.is_apart()
        self._may_have_card = (
            (awaited or options.bg or kernel.hears_while_nested(shell))
            and not (options.quiet or options.plain or self._is_apart)
            and not (kernel.is_headless(shell) or kernel.captures_displays(shell))
            and (options.bg or not kernel.is_in_output_widget(shell))
        )
        if options.stdin == "ask" and not self._uses_card:
            raise UsageError(f"--stdin ask: there will be no card here to type in ({_NO_CARD}); give a file, or none")
        if options.notify is not None and not self._uses_card:
            raise UsageError(
                f"--notify: there will be no card here that could tell the browser ({_NO_CARD}); leave it out"
            )
        if options.bg and self._is_apart and not (awaited or kernel.has_running_loop()):
            raise UsageError(
                "--bg: in a thread there is no event loop that would go on with it; leave --bg out, as only the thread waits"
            )
        self._interrupted = False
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._shown: View = NoView()
        self._writes: Captured | None = None

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
            raise

    async def clean_up(self) -> None:
        """What is to be done before an event loop ends that was there for this run alone: what the program has left ends."""
        process = self._process
        if process and not self._options.keep and process.family.is_alive():
            await process.stop()
        await launch.disconnect()

    async def _start_there(self) -> Process | None:
        """Start it on another machine, where it may have to wait for a place; None: it was interrupted before."""
        self._process = None
        self._starting = asyncio.ensure_future(self._start())
        try:
            await asyncio.wait([self._starting], timeout=WAIT_SHOWN)
            if not (self._starting.done() or self._options.quiet):
                self._note(f"... waits for a place on {self._options.on.name}")
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
        assert options.grace is not None
        with contextlib.ExitStack() as files:
            stdin: Any = PIPE if options.stdin == "ask" else DEVNULL
            if options.stdin not in (None, "ask", "none"):
                stdin = files.enter_context(Path(options.stdin).open("rb"))  # noqa: ASYNC230 -- opens at once, or fails
            spec = Spec.of(
                self._command.args,
                stdin=stdin,
                input=self._command.input,
                cwd=options.cwd,
                env=self._env,
                name=self._command.title,
                script=self._command.script,
                grace=options.grace,
                keep=options.keep,
            )
            if not options.on:
                launch.look_up(spec)
            process = await start(spec, options.on, make_log=self._make_log)
        if options.keep:
            _log(process).keep()
        process.ok_codes = options.ok_codes
        if options.proc:
            names[options.proc] = process
        self._process = process
        if self._interrupted:
            self._interrupt()
        return process

    def _make_log(self, streams: frozenset[int]) -> log.Log:
        name = self._options.log
        if name is None:
            return log.Log(streams, limit=self._limits.log)
        path = os.path.expanduser(name.removeprefix(">>").lstrip())
        try:
            return log.Log(streams, file=path, append=name.startswith(">>"))
        except OSError as error:
            folder = os.path.dirname(os.path.abspath(path))
            if not os.path.isdir(folder):
                what = "is no folder" if os.path.exists(folder) else "there is no such folder"
                raise UsageError(f"--log {path}: {folder!r}: {what}") from None
            raise UsageError(f"--log: cannot write to {path!r}: {error.strerror}") from None

    async def _in_foreground(self, process: Process) -> Outcome:
        grace = VALUE_GRACE if self._variables or self._captured else DRAIN_GRACE
        ending = asyncio.ensure_future(finish(process, self._options.timeout, grace=grace))
        self._shell.user_ns.update(dict.fromkeys(self._variables.values(), ""))
        self._writes = None  # of a process that was lost
        self._shown = self._with_captured(self._view(process, plain=True))  # if it is cancelled at once
        try:
            async with kernel.deliver_comms(self._shell):
                await self._show(process, ending)
                await keep_updated(self._shown, _log(process), ending)
        except BaseException:
            await process.ladder.abandon()
            raise
        finally:
            ending.cancel()
            try:
                missing = await self._hand_over_text(process)
            finally:
                await self._leave(process)
        missing = missing or (self._writes.error if self._writes else None)
        self._tell_failure(process, raises=bool(process.lost or self._options.raise_error))
        if process.lost:
            return Outcome(process, process.lost)
        done = CompletedProcess.of(process)
        if done.lives_on:
            return Outcome(done, await in_thread(done.error))
        if not (state.has_failed(process) or self._interrupted):
            if self._options.format and not missing:
                return Outcome(done, await in_thread(self._convert, done, self._options.format))
            return Outcome(done, missing)
        if not self._options.raise_error:
            if missing:
                sys.stdout.write(f"... {missing}\n")
            return Outcome(done)
        if self._interrupted:
            return Outcome(done, interrupted=f"`{process.name}` {phrases.describe(process.returncode)}")
        error = await in_thread(done.error)  # its last lines may be hard to draw
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

    async def _leave(self, process: Process) -> None:
        """The cell ends. If descendants live on, what they write goes on into it, and there they can be stopped."""
        if self._is_apart or (_log(process).ended and not process.family.left()):
            await self._shown.finish()
        elif kernel.drops_late_output(self._shell):
            await self._shown.finish()
            if not self._options.quiet:
                _log(process).keep()
                left = phrases.count_words(process.family.left(), "process", "processes")
                path = inert_line(str(_log(process).path))
                self._note(f"... {left} of {process.name} left; what they write is in the log: {path}")
        else:
            self._table.follow(_until_end(process, self._shown))

    async def _show(self, process: Process, ending: asyncio.Future[None]) -> None:
        """Show the process: a command that is over soon gets its output as text, any other a card."""
        output = _log(process)
        text: FirstText | None = None
        if self._uses_card:
            card_at = time.monotonic() + CARD_DELAY
            first = asyncio.ensure_future(_first_output(output, self._streams))
            try:
                await asyncio.wait([ending, first], timeout=CARD_DELAY, return_when=asyncio.FIRST_COMPLETED)
            finally:
                first.cancel()
            patience = _MOMENT if output.size(self._streams) else CARD_DELAY
            await asyncio.wait([ending], timeout=min(patience, max(0.0, card_at - time.monotonic())))
            if output.size(self._streams) and not ending.done() and time.monotonic() < card_at:
                text = FirstText(process, self._streams, self._limits.transcript)
                text.show()
                self._shown = self._with_captured(text)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, card_at - time.monotonic())):
                        await keep_updated(self._shown, output, ending)
        over = ending.done() and output.ended and not process.family.left()
        if not (over and text):
            view = self._view(process, plain=over, display=text.display if text else None)
            self._shown = self._with_captured(view)
            view.show()

    def _in_background(self, process: Process) -> Outcome:
        view = self._shown = self._with_captured(self._view(process))
        self._hand_over_readers(process)
        if kernel.drops_late_output(self._shell):
            if self._streams and not self._options.quiet:
                _log(process).keep()
                path = inert_line(str(_log(process).path))
                self._note(f"... in the background: {process.name}; shown where it is awaited; log: {path}")
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            self._table.untold.add(process)
            view = NoView()
        view.show()
        self._table.follow(self._follow(process, view))
        return Outcome(process)

    async def _show_where_awaited(self, process: Process, view: View) -> None:
        """A run that nobody watches drops what comes for a cell that has ended: the first cell that waits shows it."""
        process.on_wait = None
        ending = asyncio.ensure_future(finish(process))
        try:
            await keep_updated(view, _log(process), ending)
            await view.finish()
            if has_failed_by_itself(process):
                self._tell_failure(process, raises=False)
        except asyncio.CancelledError:
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            raise
        finally:
            ending.cancel()

    def _with_captured(self, view: View) -> View:
        """The view, and with it what goes into files that stand in the place of `sys.stdout` and `sys.stderr`."""
        if not self._captured:
            return view
        assert self._process
        self._writes = self._writes or Captured(self._process, self._captured, view)
        self._writes.shown = view
        return self._writes

    def _tell_failure(self, process: Process, *, raises: bool) -> None:
        """Say how it has failed, where no card does so; where somebody looks on, an error that follows is enough."""
        view = self._shown.shown if isinstance(self._shown, Captured) else self._shown
        is_told = isinstance(view, Card) or (raises and (self._options.quiet or not kernel.is_headless(self._shell)))
        if state.has_failed(process) and not is_told:
            self._note(transcript.closing_line(process))

    def _note(self, text: str) -> None:
        """Write a line of ours into the cell, but never into what somebody captures."""
        if self._note_file:
            self._note_file.write(f"{text}\n")
            self._note_file.flush()

    @property
    def _uses_card(self) -> bool:
        return self._may_have_card and time.monotonic() >= Card.no_page_until

    def _view(self, process: Process, *, plain: bool = False, display: DisplayHandle | None = None) -> View:
        if self._options.quiet:
            return NoView()
        if plain or not self._uses_card:
            return StreamView(process, self._streams, live=not kernel.drops_late_output(self._shell))
        only_there = self._variables.keys() - self._streams - self._captured.keys()
        names = ", ".join(self._variables[stream] for stream in sorted(only_there))
        notes = [f"output in {names}"] if names else []
        if self._captured:
            notes.append(f"captured: {', '.join(_NAMES[stream] for stream in sorted(self._captured))}")
        if process.where:
            notes.append(f"on {inert_line(process.where)}")
        if self._options.keep:
            notes.append(f"kept; log: {inert_line(str(_log(process).path))}")
        note = " · ".join(notes)
        with Guard(_log(process)):
            return Card(process, self._streams, note, self._limits.transcript, display, self._options.notify)
        return StreamView(process, self._streams, live=True)  # text stands in for a card that could not be made

    async def _follow(self, process: Process, view: View) -> None:
        """What goes on behind a cell with `--bg`."""
        ending = asyncio.ensure_future(finish(process, self._options.timeout))
        try:
            await keep_updated(view, _log(process), ending)
        finally:
            ending.cancel()
        await _until_end(process, view)
        if self._writes and (error := self._writes.error):
            self._note(f"... not all of the output of {process.name} was captured: {type(error).__name__}: {error}")
        if has_failed_by_itself(process) and not kernel.drops_late_output(self._shell):
            self._tell_failure(process, raises=False)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._process:  # else it is just being started, and gets the signal then
            self._process.ladder.climb(INTERRUPT, "interrupt")
        elif self._starting:
            self._starting.cancel()

    async def _hand_over_text(self, process: Process) -> Exception | None:
        """Give the variables their text; an error, if not all of it is there. In a thread: it may be much, on a slow disk."""
        output, why = _log(process), ""
        for stream, name in self._variables.items():
            self._shell.user_ns[name] = await in_thread(_text, output, stream)
            why = why or await in_thread(output.missing, {stream})
            if process.is_over and output.is_open(stream):
                left = phrases.count_words(process.family.left(), "process", "processes")
                self._note(f"... {name} may not be complete: {left} of {process.name} left, and can still write to it")
        return ValueError(f"{phrases.quoted(process.name)}: {why}") if why else None

    def _hand_over_readers(self, process: Process) -> None:
        for stream, own in ((log.STDOUT_FD, process.stdout), (log.STDERR_FD, process.stderr)):
            if stream in self._variables:
                self._shell.user_ns[self._variables[stream]] = _log(process).reader(stream)
            else:
                own.consume()  # type: ignore[union-attr]  # the cell has read it, as with %%script


async def _first_output(output: log.Log, streams: Collection[int]) -> None:
    while not output.size(streams) and not output.open_streams.isdisjoint(streams):
        await output.changed(output.bytes, streams)


async def _until_end(process: Process, view: View) -> None:
    """Follow what is left when the program has ended, up to the end of its output and of its family."""
    ending = asyncio.ensure_future(all_ended(process))
    try:
        await keep_updated(view, _log(process), ending)
    finally:
        ending.cancel()
    await view.finish()


def _text(output: log.Log, stream: int) -> str:
    """What there is of a stream, complete or not."""
    return value.text(output.joined(streams={stream}))


def _log(process: Process) -> log.Log:
    assert process.log is not None  # `start` gives every process one
    return process.log
