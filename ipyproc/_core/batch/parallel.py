"""Many programs, some of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from .. import host, launch
from ..output import phrases
from ..process.process import Process
from ..program import arguments
from ..program.ladder import INTERRUPT, KILL, TERMINATE
from ..program.spec import Spec, Word, words
from . import work
from .completed import CompletedProcess
from .ended import Ended
from .joblog import JobLog
from .stage import VALUE_GRACE, Stage, finish

T = TypeVar("T")

IN_MEMORY_BYTES = 2048
"""A result with no more bytes of output than this has them in memory instead of a log, which itself takes more."""

POLICIES = ("stop", "finish")
_MOST_NAMED = 10  # of the commands that failed, in an error


def parallel(
    commands: Iterable[Word | Sequence[Word] | tuple[str, Word | Sequence[Word]]] | Mapping[str, Word | Sequence[Word]],
    jobs: int | None = None,
    *,
    on_failure: str = "stop",
    retries: int = 0,
    resume: str | os.PathLike[str] | None = None,
    on_change: Callable[[Job], object] | None = None,
    progress: bool = True,
    timeout: float | None = None,
    check: bool = True,
    shell: bool = False,
    cwd: str | bytes | os.PathLike[Any] | None = None,
    env: Mapping[Any, Any] | None = None,
    text: bool | None = True,
    encoding: str | None = None,
    errors: str | None = None,
    on: Any = None,
    retry_lost: int = 0,
    **others: Any,
) -> Parallel:
    r"""Run many commands, several at once: `results = await ipyproc.parallel([["gzip", path] for path in paths])`.

    Each is run as by `run`, with a session of its own, empty input and a log; keywords not described here are those of
    `run`. A result has output of up to 2 KiB in memory, and more of it in a log on disk.

    Args:
        commands: each is a list of words (or a string: the name of a program; with `shell=True` a line for the
            shell), or a pair (name, command), for messages; or a dict, from names to commands. All are checked before
            the first is started.
        jobs: how many run at once; None: one for each CPU that this process may use, or with `on` as many as can run
            there: on a Dask cluster all that have a slot, also when it grows.
        on_failure: what a failure means for the others. "stop": no further command is started, those that run may
            finish. "finish": all are run.
        retries: how often a command that failed is run again; one that somebody stopped is not.
        resume: a file, the job log: one line of JSON for each attempt that has ended (see `joblog`). The next call with the
            same commands and file skips those that succeeded.
        on_change: called with a `Job` whenever one starts, ends, or is skipped, but for those that end because all are
            cancelled. It must be quick; an error in it stops all.
        progress: in a notebook, show how far it has come: a bar, what failed, the last line of what runs, and Stop all;
            where there is no page, a line a second.
        timeout: seconds, for each attempt.
        on, retry_lost: as for `run`; a command that is lost more often than that is run again as one of its `retries`.
        check: at the end, raise the error of the command that failed first.

    Returns:
        A `Parallel`. Awaited, it gives a list of `CompletedProcess` in the order of the commands; one that was not run
        has the returncode None. `async for done in ipyproc.parallel(...)` gives each when it has ended, and keeps none.
        Its `jobs` tell how far it has come, `stop()` ends it. Cancelling it stops all programs and waits for their end;
        leaving the `async for` stops them too, and the wait is in the background.

    Raises:
        ProcessExitError, ProcessTimeout, ProcessLost, OSError: of the first that failed; a note says what became of the
            others.
        TypeError, ValueError, LookupError, OSError: an argument is wrong, a program was not found, or the job log is that of
            other commands; before anything starts.
        ImportError: `on` needs a package that is not installed.

    Example:
        >>> import ipyproc
        >>> commands = [["echo", str(n)] for n in range(3)]
        >>> results = ipyproc.parallel(commands, jobs=2).result()
        >>> [done.stdout for done in results]
        ['0\n', '1\n', '2\n']
    """
    arguments.refuse(others, parallel, _INSTEAD)
    jobs = None if jobs is None else arguments.count("jobs", jobs, 1)
    retries = arguments.count("retries", retries, 0)
    _check_arguments(commands, on_failure, resume, on_change)
    for_all = Stage.of(
        "-",
        timeout=timeout,
        check=check,
        text=text,
        encoding=encoding,
        errors=errors,
        shell=shell,
        cwd=cwd,
        env=env,
        on=on,
        retry_lost=retry_lost,
    )
    made = tuple(_jobs(commands, for_all, shell=shell))
    pool = _Pool(made, jobs, on_failure, retries, resume, on_change or (lambda job: None), progress=progress)
    return Parallel(pool)


def _check_arguments(commands: Any, on_failure: Any, resume: Any, on_change: Any) -> None:
    """Raise a clear error for an argument of `parallel` that is wrong."""
    if on_failure not in POLICIES:
        near = difflib.get_close_matches(str(on_failure).lower(), POLICIES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"on_failure={on_failure!r}: allowed are 'stop' (start no more) and 'finish' (run all){hint}")
    if resume is not None and not isinstance(resume, str | os.PathLike):
        raise TypeError(f"resume={resume!r}: allowed is the path of a file, the job log")
    if not (on_change is None or callable(on_change)):
        raise TypeError(f"on_change={on_change!r}: allowed is a function of a Job")
    if isinstance(commands, str | bytes | os.PathLike):
        raise TypeError(f"commands={commands!r:.80}: this is one command; give a list of commands, or use run()")
    if not isinstance(commands, Iterable):
        raise TypeError(f"commands={commands!r:.80}: allowed is a list of commands")


def _jobs(commands: Any, for_all: Stage, *, shell: bool) -> Iterator[Job]:
    """The commands of `parallel`, checked; `for_all`: all that they have in common."""
    named = commands.items() if isinstance(commands, Mapping) else (_named(item, shell=shell) for item in commands)
    for number, (name, cmd) in enumerate(named):
        try:
            if not isinstance(name, str):
                raise TypeError(f"its name is {name!r:.80}: allowed is a string")
            if isinstance(cmd, Awaitable):
                raise TypeError("give the command, parallel() runs it")
            if isinstance(cmd, Spec):  # a script
                spec = replace(for_all.spec, args=cmd.args, script=cmd.script, grace=cmd.grace, name=name)
            else:
                spec = replace(for_all.spec, args=words(cmd, shell=shell), name=name)
        except (TypeError, ValueError) as error:
            raise type(error)(f"command {number}, counted from 0, is {cmd!r:.80}: {error}") from None
        yield Job(number, replace(for_all, spec=spec))


_INSTEAD = {
    "input": "each command gets an empty input",
    "stdin": "each command gets an empty input",
    **dict.fromkeys(("stdout", "stderr"), "each result has `stdout`, `stderr`, and both in order as `all`"),
    "capture_output": "each result has its output",
    "name": "give pairs of a name and a command, or a dict",
    "args": "the commands come first, without a name",
    "executable": "write it in each command; another shell is ['/bin/bash', '-c', LINE] without shell=True",
    "max_workers": "did you mean jobs?",  # of concurrent.futures
    "joblog": "did you mean resume?",  # of GNU parallel
    "retry": "did you mean retries?",
}


@dataclass(eq=False, slots=True)
class Job:
    """One command of a `Parallel`, and how far it has come.

    Attributes:
        number: its place among the commands, from 0.
        state: "waiting", "running", "done", "failed", or "skipped" (it succeeded in an earlier run).
        attempts: how often it was started.
        lost: how often it was lost, with the machine that it ran on or the connection.
        process: its `Process`, while it runs; `job.process.tail(1)` is the last line that it wrote.
        outcome: how the last attempt ended, in words, and the last line in which a failed one says why; empty before.
        result: its result, when it has ended; None if results are not kept.
    """

    number: int
    stage: Stage = field(repr=False)
    state: str = "waiting"
    attempts: int = 0
    lost: int = 0
    process: Process | None = None
    outcome: str = ""
    result: CompletedProcess | None = None

    def __repr__(self) -> str:
        return f"<Job {self.number} ({self.name}) {self.state}{f': {self.outcome}' * bool(self.outcome)}>"

    @property
    def name(self) -> str:
        """Its display name."""
        return str(self.stage)

    @property
    def args(self) -> tuple[str, ...] | str:
        """The program and its arguments, or the line for the shell."""
        return self.stage.spec.args

    def without_end(self, failure: OSError | None = None) -> CompletedProcess:
        """The result of a command that was not run, or could not be started."""
        return CompletedProcess(self.args, None, name=self.stage.spec.name, failure=failure)


class Batch(Protocol):
    """Commands that run side by side, as a view shows them.

    Attributes:
        jobs: all commands, in their order.
        watchers: called, on the event loop of the commands, when one has started or ended, and when all is over.
        ended: the last ones that have ended, if a view wants to show their output.
    """

    jobs: tuple[Job, ...]
    watchers: set[Callable[[], object]]
    ended: Ended

    @property
    def is_over(self) -> bool:
        """Whether nothing runs any more, and nothing will be started."""

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or till now; 0 before."""

    def halt_at(self, rung: int) -> None:
        """Start no more, and stop those that run with this rung of the stop ladder. From any thread."""


class Parallel(work.Work[list[CompletedProcess]]):
    """Commands that run side by side. Once only: await it, iterate over it with `async for`, or call `result()`.

    Attributes:
        jobs: all commands, in their order; see `Job`.
        batch: what a view shows.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     naps = ipyproc.parallel([["sleep", "0.2"], ["sleep", "0"]], jobs=2)
        ...     return [done.name async for done in naps], naps
        >>> asyncio.run(main())
        (['sleep 0', 'sleep 0.2'], <Parallel of 2 commands: 2 done>)
    """

    def __init__(self, pool: _Pool) -> None:
        self.jobs = pool.jobs
        self.batch: Batch = pool
        self._pool = pool
        super().__init__(_results(pool), "ipyproc.parallel")

    def __repr__(self) -> str:
        if self.is_untouched:
            return f"<Parallel of {len(self.jobs)} commands, not started: await it, or call .result()>"
        counts = Counter(job.state for job in self.jobs)
        return f"<Parallel of {len(self.jobs)} commands: {', '.join(f'{n} {state}' for state, n in counts.items())}>"

    async def __aiter__(self) -> AsyncIterator[CompletedProcess]:
        """The results as the commands end; those that succeeded in an earlier run come first.

        Raises:
            RuntimeError: it was already awaited or iterated over, or its `result()` called.
        """
        if not self.is_untouched:
            raise RuntimeError(f"{self!r}: it runs once; make another one")
        self.close()  # it can no longer be awaited
        async with contextlib.aclosing(_as_completed(self._pool)) as results:
            async for result in results:
                yield result

    async def stop(self, grace: float = 5.0) -> None:
        """Start no more commands, stop those that run as `Process.stop` does, and wait until they have ended.

        Before it was awaited: none is started then. When all have ended, nothing happens. Cancelling this calls nothing off.

        Args:
            grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
        """
        rung = KILL if grace <= 0 else TERMINATE
        self._pool.halt(lambda process: process.ladder.reach(rung, "stop", grace))
        await self._pool.idle()

    async def _clean_up(self) -> None:
        for process in self._pool.left:
            if process.family.is_alive():
                await process.ladder.abandon()
        await launch.disconnect()


class _Pool:
    """Does the work, in as many tasks as commands may run at once; each task runs one command after the other."""

    def __init__(
        self,
        jobs: tuple[Job, ...],
        at_once: int | None,
        on_failure: str,
        retries: int,
        resume: str | os.PathLike[str] | None,
        on_change: Callable[[Job], object],
        *,
        progress: bool,
    ) -> None:
        self.jobs = jobs
        self.ended = Ended()
        self.take: Callable[[Job, CompletedProcess], object] = lambda job, result: None
        self._at_once = at_once
        self._on_failure = on_failure
        self._retries = retries
        self._resume = resume
        self._on_change = on_change
        self._progress = progress
        self.watchers: set[Callable[[], object]] = set()
        self._began: float | None = None  # `time.monotonic()`
        self._ended: float | None = None
        self._log: JobLog | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Task[Any]] = set()  # for another machine, or for a place on it
        self._is_stopping = False  # no further command is started
        self._stop: Callable[[Process], None] | None = None  # what is done to each process that runs
        self._first_failure: CompletedProcess | None = None
        self.left: list[Process] = []  # that have ended, but not their whole family

    @property
    def is_over(self) -> bool:
        return self._ended is not None

    @property
    def duration(self) -> float:
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    def halt(self, stop: Callable[[Process], None]) -> None:
        """Start no more, and call `stop` for each process that runs or is just being started. From any thread."""
        self._is_stopping, self._stop = True, stop
        for process in [job.process for job in self.jobs]:
            if process:
                stop(process)
        if self._loop:
            with contextlib.suppress(RuntimeError):  # its event loop is closed, so nothing runs
                self._loop.call_soon_threadsafe(self._start_no_more)

    def halt_at(self, rung: int) -> None:
        self.halt(lambda process: process.ladder.reach(rung, "kill" if rung == KILL else "stop"))

    def _start_no_more(self) -> None:
        """Call off, too, what waits for another machine or for a place on it: those programs have not begun."""
        self._is_stopping = True
        for waiting in self._waiting:
            waiting.cancel()

    async def idle(self) -> None:
        """Wait until nothing runs."""
        if running := [worker for worker in self._workers if not worker.done()]:
            await asyncio.wait(running)

    async def work(self) -> None:
        """Run the commands. Cancelling it stops those that run, and waits for their end."""
        self._began = time.monotonic()
        try:
            await self._work()
        finally:
            self._end_all()

    async def _work(self) -> None:
        with (
            host.current().interruptible(f"{len(self.jobs)} commands", lambda: self.halt(_interrupt)),
            contextlib.ExitStack() as files,
        ):
            self._look_at_programs()
            if self._resume is not None:
                self._log = files.enter_context(JobLog(self._resume))
                for number, duration in self._log.succeeded([job.args for job in self.jobs]).items():
                    self._skip(self.jobs[number], duration)
            async with host.current().progress(self) if self._progress else contextlib.nullcontext():
                try:
                    await self._work_off([job for job in self.jobs if job.state == "waiting"])
                finally:
                    self._end_all()
            self._check()

    def _end_all(self) -> None:
        if self._ended is None:
            self._ended = time.monotonic()
            self._notify_watchers()

    def _look_at_programs(self) -> None:
        """Check that the programs are there; only one command of each, because looking at the file system takes time."""
        one_of_each = {job.args[0]: job for job in reversed(self.jobs)}
        try:
            for job in one_of_each.values():
                job.stage.look_up()
        except OSError as error:
            if len(self.jobs) > 1 and all(not isinstance(job.args, str) and len(job.args) == 1 for job in self.jobs):
                error.add_note(f"These are {len(self.jobs)} commands; one with its arguments is a list in the list.")
            raise

    async def _work_off(self, jobs: list[Job]) -> None:
        turns, self._loop = iter(jobs), asyncio.get_running_loop()
        on = self.jobs[0].stage.on if self.jobs else None
        if self._is_stopping:
            return
        at_once = self._at_once or (await self._unless_stopped(on.slots()) if on else _cpus()) or 0
        self._workers = [asyncio.ensure_future(self._worker(turns)) for _ in jobs[:at_once]]
        try:
            if self._workers:
                await asyncio.wait(self._workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            while left := [worker for worker in self._workers if not worker.done()]:
                for worker in left:
                    worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):  # again: each program climbs one rung
                    await asyncio.wait(left)
        # retrieved from all, or asyncio would log the others
        errors = [worker.exception() for worker in self._workers if not worker.cancelled()]
        for error in filter(None, errors):
            raise error

    async def _worker(self, turns: Iterator[Job]) -> None:
        for job in turns:
            if self._is_stopping:
                return
            result = await self._attempt(job)
            while result and self._is_to_be_repeated(job, result):
                job.state = "waiting"
                again = await self._attempt(job)
                if again is None:
                    self._set_state(job, result)
                    break
                result = again
            if result:
                self._end(job, result)

    def _is_to_be_repeated(self, job: Job, result: CompletedProcess) -> bool:
        if self._is_stopping or not result.failed or result.was_stopped or result.lives_on:
            return False
        return job.attempts - min(job.lost, job.stage.retry_lost) <= self._retries

    async def _start(self, job: Job) -> Process | None:
        """Start it; None: no further command is started, and it was still waiting for a place on another machine."""
        return await (self._unless_stopped(job.stage.start()) if job.stage.on else job.stage.start())

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of what waits for another machine; None: it was called off, as no further command is started."""
        waiting = asyncio.ensure_future(work)
        self._waiting.add(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_stopping and not (task and task.cancelling()):
                return None
            raise
        finally:
            self._waiting.discard(waiting)

    async def _attempt(self, job: Job) -> CompletedProcess | None:
        """Run it once, to its end; None: it was not started, because no further command is."""
        started = time.time()
        try:
            process = await self._start(job)
        except OSError as error:
            job.attempts += 1
            result = job.without_end(error)
        else:
            if process is None:
                return None
            job.attempts += 1
            try:
                job.process, job.state = process, "running"
                self._changed(job)
                if self._stop:
                    self._stop(process)
                await finish(process, job.stage.timeout, grace=VALUE_GRACE)
                result = job.stage.completed(process)
            except BaseException:
                await process.ladder.abandon()
                job.process = None  # nobody waits for its result: all are cancelled, or another one had an error
                self._set_state(job, job.stage.completed(process))
                self._notify_watchers()
                raise
            job.process = None
            if process.family.left():
                self.left.append(process)
            self.ended.add(job.number, process, result)
        job.lost += result.was_lost
        self._set_state(job, result)
        self._note(job, result, started)
        return result

    def _set_state(self, job: Job, result: CompletedProcess) -> None:
        job.state, job.outcome = "failed" if result.failed else "done", result.full_outcome

    def _note(self, job: Job, result: CompletedProcess, started: float) -> None:
        """Write an attempt that has ended into the job log."""
        if self._log:
            self._log.write(
                job.number,
                job.name,
                job.args,
                job.attempts,
                result.returncode,
                done=not result.failed,
                start=started,
                duration=result.duration,
            )

    def _end(self, job: Job, result: CompletedProcess) -> None:
        if result.log and result.log.ended and result.log.bytes <= IN_MEMORY_BYTES:
            result.release_log()  # `ended` makes another one if somebody looks at it
        if result.failed:
            self._first_failure = self._first_failure or result
            if self._on_failure == "stop":
                self._start_no_more()
        self.take(job, result)
        self._changed(job)

    def _skip(self, job: Job, duration: float) -> None:
        job.state = "skipped"
        name = job.stage.spec.name
        self.take(job, CompletedProcess(job.args, 0, name=name, duration=duration, earlier=True))
        self._changed(job)

    def _changed(self, job: Job) -> None:
        self._on_change(job)
        self._notify_watchers()

    def _notify_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()

    def _check(self) -> None:
        """Raise the error of the command that failed first; or of one that was not run because all were stopped."""
        if not self.jobs or not self.jobs[0].stage.check:
            return
        counts = Counter(job.state for job in self.jobs)
        left = next((job.without_end() for job in self.jobs if job.state == "waiting"), None)
        if (first := self._first_failure or left) and (error := first.error()):
            failed = [job for job in self.jobs if job.state == "failed"]
            not_started = f"; {counts['waiting']} not started" if counts["waiting"] else ""
            error.add_note(f"{len(failed)} of {len(self.jobs)} failed{not_started}.")
            if len(failed) == 1 or self._stop:  # already said, or the reason is clear
                raise error
            for job in failed[:_MOST_NAMED]:
                error.add_note(f"{phrases.quoted(job.name)} {job.outcome}")
            if len(failed) > _MOST_NAMED:
                error.add_note(f"... {len(failed) - _MOST_NAMED} more")
            raise error


async def _results(pool: _Pool) -> list[CompletedProcess]:
    """The work of a `Parallel`: all results, in order."""

    def keep(job: Job, result: CompletedProcess) -> None:
        job.result = result

    pool.take = keep
    await pool.work()
    return [job.result or job.without_end() for job in pool.jobs]


async def _as_completed(pool: _Pool) -> AsyncGenerator[CompletedProcess, None]:
    """The results as they come; none is kept."""
    ended: asyncio.Queue[CompletedProcess | None] = asyncio.Queue()  # never longer than the list of commands
    pool.take = lambda _, result: ended.put_nowait(result)
    work = asyncio.ensure_future(pool.work())
    work.add_done_callback(lambda _: ended.put_nowait(None))
    try:
        while result := await ended.get():
            yield result
        await work
    finally:
        while not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # retrieved, or asyncio would log it where nobody waits for the end


def _interrupt(process: Process) -> None:
    process.ladder.climb(INTERRUPT, "interrupt")


def _named(item: Any, *, shell: bool) -> tuple[str, Any]:
    """The name and the command of an item: of a pair (name, command), unless that is a program and its argument."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        name, cmd = item
        if shell or isinstance(cmd, list | tuple | Spec):
            return name, cmd
    return "", item


def _cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
