"""`run` a program to its end, alone or in a pipe; or `start` it and go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from typing import Any

from .. import host, launch
from ..errors import ProcessError, ProcessLost
from ..output import phrases
from ..output.log import LOG
from ..process.process import Process
from ..process.start import start as start_program
from ..program import arguments
from ..program.advice import READ_NO_MORE
from ..program.ladder import INTERRUPT
from ..program.spec import Spec, Target, Word
from . import work
from .completed import CompletedPipeline, CompletedProcess
from .stage import VALUE_GRACE, Stage, finish


def run(
    cmd: Word | Sequence[Word],
    *args: Word,
    stdin: Any = DEVNULL,
    input: str | bytes | bytearray | memoryview | None = None,
    stdout: Any = LOG,
    stderr: Any = LOG,
    capture_output: bool = True,
    shell: bool = False,
    cwd: str | bytes | os.PathLike[Any] | None = None,
    env: Mapping[Any, Any] | None = None,
    timeout: float | None = None,
    check: bool = True,
    text: bool | None = True,
    encoding: str | None = None,
    errors: str | None = None,
    name: str | None = None,
    on: Any = None,
    retry_lost: int = 0,
    **popen: Any,
) -> Run:
    r"""Run a program and wait for its end: `await ipyproc.run("ls", "-l")`, or in plain code `ipyproc.run(...).result()`.

    The keywords are those of `subprocess.run`. What is different, and why:

    - `check=True` is the default: a failure that nobody looks at must not pass for success.
    - Standard input is empty unless you give some: no program waits for a person who is not there.
    - The output always goes to a log on disk, so that it cannot fill the memory; `stdout` and `stderr` of the
      result are read from it. It is text unless `text=False`; invalid bytes become U+FFFD unless `errors="strict"`.
    - A string is the name of a program, and not a line for a shell unless `shell=True` (/bin/sh): nothing in a file
      name can become a command. Write `run("ls", "-l")` or `run(["ls", "-l"])`.
    - A timeout, like a cancellation, ends the whole family of the program: SIGTERM, and SIGKILL 5 seconds later.
    - The program has a session of its own, so a Ctrl-C or an interrupt that is meant for something else does not reach it.

    Args:
        cmd: the program, a name that is looked up in PATH or a path; or it and its arguments as one list.
        args: its arguments, one word each: strings, bytes or paths.
        stdin: an open file or a descriptor; None: that of this process.
        input: what to write to standard input.
        stdout, stderr: LOG, or DEVNULL, an open file, a descriptor, None (those of this process); `stderr=STDOUT`:
            wherever stdout goes. PIPE means LOG.
        capture_output: accepted because `subprocess` has it; output goes to the log in any case.
        shell: `cmd` is a line for /bin/sh.
        cwd: the directory to start in.
        env: the whole environment.
        timeout: seconds.
        check: raise an error if the status is not 0.
        text, encoding, errors: how `input` and output are converted between text and bytes.
        name: what to call it in messages and in `logging`, instead of the command.
        on: another machine to run it on: "ssh://me@box:22", a Host of ~/.ssh/config, "dask", the address of a Dask
            scheduler, a Dask Client or cluster, a launcher, or a name in `ipyproc.launchers`. The log is on this machine.
            `env` is added to the environment of that machine, `cwd` is a directory there, and no pipe can join it.
        retry_lost: how often to run it again if it is lost, with its machine or the connection. It may have done its work.
        popen: other keywords of `subprocess.Popen`; those that cannot be honoured are an error.

    Returns:
        An awaitable (a coroutine, for `asyncio.create_task`) that gives a `CompletedProcess`. It starts when it is
        awaited; `pipe` adds a program that reads what this one writes. Cancelling it stops the program and waits for
        its end.

    Raises:
        OSError: it cannot be started; the message names the program or the directory.
        ProcessExitError: its status is not 0.
        ProcessTimeout: it ran longer than `timeout`, whatever `check` is; with the last lines of its output.
        ProcessLost: nobody saw how it ended.
        TypeError, ValueError, LookupError: an argument is wrong (LookupError: there is no such encoding); before anything
            starts.
        ImportError: `on` needs a package that is not installed.

    Example:
        >>> import ipyproc
        >>> ipyproc.run("echo", "hello").result().stdout
        'hello\n'
        >>> ipyproc.run("seq", "1000").pipe("tail", "-n", "2").result().lines
        ['999', '1000']
    """
    text = popen.pop("universal_newlines", text)  # its older name
    arguments.refuse(popen, run, {"args": _ARGS, "executable": _EXECUTABLE})
    if PIPE in (stdin, stdout, stderr):
        if stdin == PIPE:
            raise ValueError("stdin=PIPE: run() sends only input=...; start() gives a stdin that can be written to")
        stdout, stderr = (LOG if stream == PIPE else stream for stream in (stdout, stderr))
    stage = Stage.of(
        cmd,
        args,
        timeout=timeout,
        check=check,
        text=text,
        encoding=encoding,
        errors=errors,
        shell=shell,
        stdin=stdin,
        input=input,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=env,
        name=name,
        on=on,
        retry_lost=retry_lost,
    )
    return Run((stage,))


async def start(
    cmd: Word | Sequence[Word],
    *args: Word,
    stdin: Any = DEVNULL,
    input: bytes | str | bytearray | memoryview | None = None,
    stdout: Any = LOG,
    stderr: Any = LOG,
    shell: bool = False,
    cwd: str | bytes | os.PathLike[Any] | None = None,
    env: Mapping[Any, Any] | None = None,
    name: str | None = None,
    on: Any = None,
    **popen: Any,
) -> Process:
    """Start a program as `run` does, without waiting for its end. Gives a `Process`, with asyncio's members and more.

    The arguments are described at `run`; streams may be PIPE too, for `process.stdin.write` and `process.stdout.read` (a
    pipe that nobody reads blocks the program when it is full; LOG never does). There is no `check` and no `timeout`: look at
    `returncode`, and use `asyncio.timeout`. Where there is a supervisor (`process.launcher`), the program ends with this
    process, however this process ends. Cancelling it while it starts ends the program.

    Raises:
        OSError: it cannot be started; the message names the program or the directory.
        ProcessLost: it is not known whether it was started.
        TypeError, ValueError: an argument is wrong; before anything starts.
        ImportError: `on` needs a package that is not installed.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     async with await ipyproc.start("sh", "-c", "echo ready; sleep 60") as server:
        ...         async for line in server:
        ...             return line, await server.stop()
        >>> asyncio.run(main())
        ('ready', -15)
    """
    arguments.refuse(popen, start, _INSTEAD)
    spec = Spec.of(
        cmd,
        args,
        shell=shell,
        stdin=stdin,
        input=input,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=env,
        name=name,
    )
    launcher = None if on is None else launch.named(on)
    if launcher is None:
        launch.look_up(spec)
    return await start_program(spec, launcher)


_EXECUTABLE = "write it as the command; another shell is ('/bin/bash', '-c', LINE) without shell=True"
_ARGS = "the command and its arguments come first, without a name"
_INSTEAD = {
    **dict.fromkeys(
        ("text", "encoding", "errors", "universal_newlines"), "streams are bytes; `process.lines()` is text"
    ),
    "capture_output": "the output goes to the log",
    "timeout": "use `async with asyncio.timeout(...)`",
    "check": "look at `process.returncode`",
    "args": _ARGS,
    "executable": _EXECUTABLE,
}


class Run(work.Work[CompletedProcess]):
    """A program that `run` will run, or several that are joined by pipes. Await it, once; or call `result()`.

    Example:
        >>> import ipyproc
        >>> work = ipyproc.run("echo", "hello")
        >>> work
        <Run (echo hello) not started: await it, or call .result()>
        >>> work.result().lines
        ['hello']
    """

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages
        self._processes: list[Process] = []
        super().__init__(_run(stages, self._processes), "ipyproc.run")

    def __repr__(self) -> str:
        how = "not started: await it, or call .result()" if self.is_untouched else "was started, or is part of a pipe"
        return f"<Run ({_line(self._stages)}) {how}>"

    def pipe(self, cmd: Word | Sequence[Word] | Run, *args: Word, **keywords: Any) -> Run:
        """Add a program that reads what this one writes, through a pipe of the operating system: no data goes through Python.

        The arguments are those of `run`, or a `Run` that was not started. The result is a `CompletedPipeline`, with the
        output of the last program, the rightmost `returncode` that is not 0, and all `processes`. The error that is raised
        is that of the rightmost program that failed and has `check`; its notes say how the others failed. The shortest
        `timeout` counts for all.

        Raises:
            ValueError: `stdin` or `input` was given for it, or `stdout` for the one before.
            RuntimeError: one of them was already awaited, or its `result()` called.

        Example:
            >>> import ipyproc
            >>> ipyproc.run("seq", "1000").pipe("grep", "7").pipe("wc", "-l").result().lines
            ['271']
        """
        for each in (self, cmd):
            if isinstance(each, Run) and not each.is_untouched:
                raise RuntimeError(f"{each!r}: it runs once; make another one")
        self.close()  # even if an error follows, or Python would warn that it was never awaited
        following = cmd if isinstance(cmd, Run) else run(cmd, *args, **keywords)
        following.close()
        if following is cmd and (args or keywords):
            raise TypeError(f"pipe({cmd!r}, ...): arguments and keywords are for a command, this has its own")
        before, after = self._stages[-1], following._stages[0]
        if after.spec.stdin is not Target.NULL or after.spec.input is not None:
            raise ValueError(
                f"{phrases.quoted(str(after))} is in a pipe, so it can have no stdin and no input of its own"
            )
        if before.on or after.on:
            there = phrases.quoted(str(before if before.on else after))
            raise ValueError(f"{there} runs on another machine, so no pipe can join it")
        if before.spec.stdout is not Target.LOG:
            raise ValueError(f"{phrases.quoted(str(before))} is in a pipe, so it can have no stdout of its own")
        return Run(self._stages + following._stages)

    async def _clean_up(self) -> None:
        for process in self._processes:
            if process.family.is_alive():
                await process.ladder.abandon()
        await launch.disconnect()


async def _run(stages: tuple[Stage, ...], processes: list[Process]) -> CompletedProcess:
    """The work of a `Run`. It is not a method, so that a `Run` that is never awaited is freed, with a warning, at once."""
    task = asyncio.current_task()

    def interrupt() -> None:
        for process in processes:
            process.ladder.climb(INTERRUPT, "interrupt")
        if task and len(processes) < len(stages):
            task.cancel()  # some are still being started

    with host.current().interruptible(_line(stages), interrupt):
        for stage in stages:
            stage.look_up()
        try:
            await _run_to_the_end(stages, processes)
        except BaseException:
            await asyncio.gather(*(process.ladder.abandon() for process in processes))
            raise
        return _result(stages, processes)


async def _run_to_the_end(stages: tuple[Stage, ...], processes: list[Process]) -> None:
    """Start all and wait for their end; once more for each time that one is lost and may be run again."""
    seconds = min((stage.timeout for stage in stages if stage.timeout is not None), default=None)
    for attempts_left in range(max(stage.retry_lost for stage in stages), -1, -1):
        processes.clear()
        try:
            await _start(stages, processes)
        except ProcessLost:  # while it was being started
            if not attempts_left:
                raise
            await asyncio.gather(*(process.ladder.abandon() for process in processes))  # those before it
            continue
        await asyncio.gather(*(finish(process, seconds, grace=VALUE_GRACE) for process in processes))
        # one that was being stopped is not run again: somebody, or its timeout, wanted its end
        if not any(process.lost and not process.ladder.cause for process in processes):
            return


def _result(stages: tuple[Stage, ...], processes: list[Process]) -> CompletedProcess:
    """The result of all; or the error of the rightmost that has one, with notes about the others."""
    done = [stage.completed(process) for stage, process in zip(stages, processes, strict=True)]
    for stage, each in zip(reversed(stages), reversed(done), strict=True):
        if error := stage.error_of(each):
            if isinstance(error, ProcessError) and error.advice == READ_NO_MORE:
                error.advice += "; check=False for it accepts that"
            for other in done:
                if other is not each and other.failed:
                    error.add_note(f"In the same pipe: {phrases.quoted(other.name)} {other.full_outcome}")
            raise error
    return done[0] if len(done) == 1 else CompletedPipeline(done)


def _line(stages: tuple[Stage, ...]) -> str:
    return " | ".join(str(stage) for stage in stages)


async def _start(stages: tuple[Stage, ...], processes: list[Process]) -> None:
    """Start all, from left to right."""
    read: int | None = None  # the end of the pipe from the program before
    write: int | None
    with contextlib.ExitStack() as read_ends:
        for stage in stages:
            stdin, read, write = read, None, None
            with contextlib.ExitStack() as write_end:
                if stage is not stages[-1]:
                    read, write = os.pipe()
                    read_ends.callback(os.close, read)
                    write_end.callback(os.close, write)
                processes.append(await stage.start(stdin=stdin, stdout=write))
