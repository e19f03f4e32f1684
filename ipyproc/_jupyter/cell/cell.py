"""One run of a program for a cell: it is started, shown and waited for, and its output is handed over.

In the foreground the cell awaits it, and a kernel interrupt climbs the stop ladder. In the background (`--bg`) the cell
ends at once, and a task on the event loop follows the program and keeps its view up to date.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from ..._core import launch
from ..._core.batch.completed import CompletedProcess
from ..._core.batch.stage import DRAIN_GRACE, VALUE_GRACE, all_ended, finish
from ..._core.errors import ProcessExitError, ProcessLost
from ..._core.output import log, phrases
from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..._core.process.run import LoggedRun, logged
from ..._core.process.start import start
from ..._core.program.advice import NO_INPUT
from ..._core.program.ladder import INTERRUPT
from ..._core.program.spec import Spec
from .. import kernel
from ..line.options import Options
from ..thread import in_thread
from ..views import state
from ..views.table import Table
from ..views.untold import has_failed_by_itself
from ..views.view import NoView, View, keep_updated
from . import interrupt, variables
from .command import Command, Limits
from .outcome import Outcome
from .showing import Showing

WAIT_SHOWN = 1.0  # seconds that a program waits for a place on another machine before the cell says so


class Cell:
    """One run. `options` are complete: `%config` defaults are filled in.

    Raises:
        UsageError: an option needs a card (to type in, or for a notification) and there is none; or `--bg` is used where no
            event loop goes on running.
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
        self._variables = variables.names(options)
        self._showing = Showing(shell, options, limits.transcript, awaited=awaited)
        self._is_apart = kernel.is_apart()
        if options.bg and self._is_apart and not (awaited or kernel.has_running_loop()):
            raise UsageError(
                "--bg: in a thread there is no event loop that would go on with it; leave --bg out, as only the thread waits"
            )
        self._interrupted = False
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None

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
                    if not (attempts_left and process.lost and not process.ladder.cause) or self._interrupted:
                        break
            return outcome
        except BaseException:
            if self._process:  # else it would go on with nobody to know of it
                await self._process.ladder.abandon()
            raise

    async def clean_up(self) -> None:
        """End what the program has left running, before the event loop ends that was made for this run alone."""
        process = self._process
        if process and not self._options.keep and process.family.is_alive():
            await process.stop()
        await launch.disconnect()

    async def _start_there(self) -> Process | None:
        """Start it on another machine, where it may have to wait for a place. Returns None if it was interrupted meanwhile."""
        self._process = None
        self._starting = asyncio.ensure_future(self._start())
        ends = contextlib.ExitStack()
        try:
            await asyncio.wait([self._starting], timeout=WAIT_SHOWN)
            if not (self._starting.done() or self._options.quiet):
                ends.callback(self._showing.waiting(f"... waiting for a free slot on {self._options.on.name}"))
            return await self._starting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._interrupted and not (task and task.cancelling()):
                return None
            self._starting.cancel()
            raise
        finally:
            self._starting = None
            ends.close()

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
            logged(process).log.keep()
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
        run, showing = logged(process), self._showing
        grace = VALUE_GRACE if self._variables or showing.is_capturing else DRAIN_GRACE
        ending = asyncio.ensure_future(finish(process, self._options.timeout, grace=grace))
        self._shell.user_ns.update(dict.fromkeys(self._variables.values(), ""))
        showing.begin(run, plain=True)  # there must be a view even if this is cancelled at once
        try:
            async with kernel.deliver_comms(self._shell):
                await showing.show(run, ending)
                await keep_updated(showing.view, run.log, ending)
        except BaseException:
            await process.ladder.abandon()
            raise
        finally:
            ending.cancel()
            try:
                missing = await variables.hand_over_text(run, self._variables, self._shell.user_ns, showing.note)
            finally:
                await self._leave(process, run)
        missing = missing or showing.error
        showing.tell_failure(run, raises=bool(process.lost or self._options.raise_error))
        if process.lost:
            return Outcome(process, process.lost, is_shown=showing.tells_all)
        outcome = await self._outcome(CompletedProcess.of(process), state.has_failed(run), missing)
        return replace(outcome, is_shown=showing.tells_all)

    async def _outcome(self, done: CompletedProcess, has_failed: bool, missing: Exception | None) -> Outcome:
        options = self._options
        if done.lives_on:
            return Outcome(done, await in_thread(done.error))
        if not (has_failed or self._interrupted):
            if options.format and not missing:
                hand_over = variables.hand_over_converted
                error = await in_thread(hand_over, done, str(options.out), options.format, self._shell.user_ns)
                return Outcome(done, error)
            return Outcome(done, missing)
        if not options.raise_error:
            if missing:
                sys.stdout.write(f"... {missing}\n")
            return Outcome(done)
        if self._interrupted:
            return Outcome(done, interrupted=f"`{done.name}` {phrases.describe(done.returncode)}")
        failure = await in_thread(done.error)  # its last lines may be hard to draw
        has_input = options.stdin is not None or self._command.input is not None
        if isinstance(failure, ProcessExitError) and failure.advice.endswith(NO_INPUT) and not has_input:
            failure.advice += "; --stdin ask gives you a row to type in"
        if failure and missing:
            failure.add_note(str(missing))
        return Outcome(done, failure)

    async def _leave(self, process: Process, run: LoggedRun) -> None:
        """The cell ends. If descendants live on, its view goes on showing what they write, with buttons to stop them."""
        view = self._showing.view
        if self._is_apart or (run.log.ended and not run.family.left()):
            await view.finish()
        elif kernel.drops_late_output(self._shell):
            await view.finish()
            if not self._options.quiet:
                run.log.keep()
                left = phrases.count_words(run.family.left(), "process", "processes")
                path = inert_line(str(run.log.path))
                self._showing.note(f"... {left} of {run.name} left; what they write is in the log: {path}")
        else:
            self._table.follow(_until_end(process, run, view))

    def _in_background(self, process: Process) -> Outcome:
        run = logged(process)
        view = self._showing.begin(run, plain=False)
        variables.hand_over_readers(process, run, self._variables, self._shell.user_ns)
        if kernel.drops_late_output(self._shell):
            if self._showing.shows_output:
                run.log.keep()
                path = inert_line(str(run.log.path))
                self._showing.note(f"... in the background: {run.name}; shown where it is awaited; log: {path}")
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            self._table.untold.add(process)
            view = NoView()
        view.show()
        self._table.follow(self._follow(process, run, view))
        return Outcome(process)

    async def _show_where_awaited(self, process: Process, view: View) -> None:
        """Show a background program in the first cell that awaits it.

        A headless run drops output for a cell that has ended, so the cell that started the program cannot show it.
        """
        process.on_wait = None
        run = logged(process)
        ending = asyncio.ensure_future(finish(process))
        try:
            await keep_updated(view, run.log, ending)
            await view.finish()
            if has_failed_by_itself(run):
                self._showing.tell_failure(run, raises=False)
        except asyncio.CancelledError:
            process.on_wait = functools.partial(self._show_where_awaited, process, view)
            raise
        finally:
            ending.cancel()

    async def _follow(self, process: Process, run: LoggedRun, view: View) -> None:
        """Follow a background program after its cell has ended."""
        ending = asyncio.ensure_future(finish(process, self._options.timeout))
        try:
            await keep_updated(view, run.log, ending)
        finally:
            ending.cancel()
        await _until_end(process, run, view)
        if error := self._showing.error:
            self._showing.note(f"... not all of the output of {run.name} was captured: {type(error).__name__}: {error}")
        if has_failed_by_itself(run) and not kernel.drops_late_output(self._shell):
            self._showing.tell_failure(run, raises=False)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._process:  # else it is just being started, and `_start` sends the signal
            self._process.ladder.climb(INTERRUPT, "interrupt")
        elif self._starting:
            self._starting.cancel()


async def _until_end(process: Process, run: LoggedRun, view: View) -> None:
    """Follow what is left when the program has ended, up to the end of its output and of its family."""
    ending = asyncio.ensure_future(all_ended(process))
    try:
        await keep_updated(view, run.log, ending)
    finally:
        ending.cancel()
    await view.finish()
