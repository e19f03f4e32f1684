"""`Process`: asyncio's face of a program, with a log, an exact exit and a family.

The rules are those of https://docs.python.org/3/library/asyncio-subprocess.html. What is different, and why:

- `stdout=LOG`, `stderr=LOG`: the output goes to `process.log`, a file on disk. Nobody needs to read it, so the
  deadlock of `wait()` with a full pipe, which asyncio documents for PIPE, does not exist.
- `wait()` returns when the program ends. asyncio's also waits until every pipe is closed, which takes as long as a
  grandchild that inherited one is alive.
- A signal after the end raises `ProcessLookupError` at once, so that it can never reach another process that was given
  the same pid.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import functools
import os
import signal as signals
import sys
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator
from types import TracebackType
from typing import Any

from .. import host
from ..errors import ProcessLost
from ..failed_command import FailedCommand
from ..output import phrases
from ..output.encoding import decode
from ..output.log import STDERR_FD, STDOUT_FD, Log
from ..program import arguments
from ..program.family import Family
from ..program.ladder import INTERRUPT, KILL, RUNGS, TERMINATE, StopLadder
from ..program.program import Program
from ..program.spec import GRACE
from ..program.streams import Streams
from ..program.usage import Usage

_PIECE = 2**16  # bytes


class Process(asyncio.subprocess.Process):
    """A program that was started. Made by `start` and the two factories, never directly.

    All members are those of `asyncio.subprocess.Process`: `wait`, `communicate`, `send_signal`, `terminate`, `kill`,
    `stdin`, `stdout`, `stderr`, `pid`, `returncode`. It is not thread safe: use it on the event loop that made it.

    Attributes:
        args: the program and its arguments, or the command line of the shell.
        program: what is known about it.
        ladder: stops it, and knows how far that has come.
        ok_codes: return codes that a view calls a success.
        on_wait: awaited by `wait()` first, so that a view can show the process in the cell that waits; None: nothing.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     process = await ipyproc.create_subprocess_exec("tr", "a-z", "A-Z", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE)
        ...     output, _ = await process.communicate(b"hello")
        ...     return process.returncode, output
        >>> asyncio.run(main())
        (0, b'HELLO')
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, program: Program, streams: Streams, *, grace: float = GRACE) -> None:
        super().__init__(program.transport, streams, program.loop)
        self.program = program
        self.args = program.args
        self.ladder = StopLadder(program, grace)
        self.find_failed_command: Callable[[Process], FailedCommand | None] = lambda ended: None
        """For a script: finds the command that failed; called once, after the end."""
        self.ok_codes: Collection[int] = (0,)
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        _known.add(self)

    def __repr__(self) -> str:
        where = f" on {self.where}" * bool(self.where)
        return f"<Process {self.pid}{where} ({self.name}) {'was lost' if self.lost else phrases.describe(self.returncode)}>"

    @property
    def name(self) -> str:
        """Its display name; may be set. It is made one line without control characters and escape sequences."""
        return self.program.name

    @name.setter
    def name(self, name: str) -> None:
        self.program.name = name

    @property
    def log(self) -> Log | None:
        """The output on disk, when `stdout` or `stderr` is LOG; else None.

        A stream that goes to the log can be read too: `process.stdout` is then a reader of the log.
        """
        return self.program.log

    @property
    def family(self) -> Family:
        """The program and its descendants, as far as they can be found."""
        return self.program.family

    @property
    def launcher(self) -> str:
        """What started it: "supervised" or "portable", on another machine "ssh" or "dask", in `ipyproc.testing` "fake"."""
        return self.program.launcher

    @property
    def where(self) -> str:
        """The other machine that it runs on, for people; empty: this one. `pid` is the one there."""
        return self.program.where

    @property
    def lost(self) -> ProcessLost | None:
        """Set when nobody saw how it ended; `returncode` stays None then, and `wait()` raises this."""
        return self.program.lost

    @property
    def usage(self) -> Usage | None:
        """CPU time and greatest memory of the program, when it has ended; None where that is not known (portable)."""
        return self.program.usage

    @property
    def failed_command(self) -> FailedCommand | None:
        """The command that ended it, if this is a bash script; None while it runs, or if that is not known."""
        return self._failed_command if self.is_over else None

    @functools.cached_property
    def _failed_command(self) -> FailedCommand | None:
        return self.find_failed_command(self)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was lost."""
        return self.program.is_over

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or to now while it runs."""
        return self.program.duration

    @property
    def ended_at(self) -> float | None:
        """When the program ended, as `time.time()` counts; None while it runs."""
        return time.time() - self.program.ended_ago if self.is_over else None

    def __await__(self) -> Generator[Any, None, int]:
        """`await process` is `await process.wait()`."""
        return self.wait().__await__()

    async def __aenter__(self) -> Process:
        """`async with await ipyproc.start(...) as process:` waits for the program at the end of the body.

        Its standard input is closed then, and what is left in its pipes is read and thrown away. If the body ends with an
        error or a cancellation, or one comes during the wait, the whole family is stopped.
        """
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.stdin is not None:
            self.stdin.close()
        pipes = [stream for stream in (self.stdout, self.stderr) if isinstance(stream, asyncio.StreamReader)]
        emptying = [asyncio.ensure_future(_empty(pipe)) for pipe in pipes]
        failed = True
        try:
            if error is None:
                await self.wait()
                failed = False
        finally:
            if failed:
                await self.ladder.abandon()
            for each in emptying:
                each.cancel()

    async def __aiter__(self) -> AsyncIterator[str]:
        """The lines of its output, as they come; see `lines`."""
        async for line in self.lines():
            yield line

    async def lines(self, stream: int | None = None) -> AsyncIterator[str]:
        """The lines of its output from the first one on, as they come, up to the end of the output.

        They are text without line ends, where invalid bytes become U+FFFD; `process.log` has the bytes.

        Args:
            stream: 1 (standard output) or 2 (standard error); None: both, in order of arrival.

        Raises:
            ValueError: this output does not go to the log.

        Example:
            >>> import asyncio, ipyproc
            >>> async def main():
            ...     async with await ipyproc.start("seq", "3") as process:
            ...         return [line async for line in process]
            >>> asyncio.run(main())
            ['1', '2', '3']
        """
        async for line in self._known_log("lines()", stream).reader(stream):
            yield decode(line).rstrip("\r\n")

    def tail(self, n: int = 10, stream: int | None = None) -> str:
        r"""The last `n` lines of its output as a terminal would leave them, joined by `\n`; `stream` as in `lines`."""
        return self._known_log("tail()", stream).tail(n, stream)

    def view(self) -> None:
        """Show it in the cell that runs now: one more live card with all of its output, or how it ended.

        Where there is no page (nbclient, a terminal), the last lines are printed.

        Raises:
            RuntimeError: this is no notebook.
            ValueError: its output does not go to a log.
        """
        self._known_log("view()", None)
        host.current().show(self)

    def _ipython_display_(self) -> None:
        """The last expression of a cell: as `view()` in a page; elsewhere the text of `repr`.

        Raises:
            NotImplementedError: that is how IPython is told to show the text.
        """
        if self.log is None or not host.current().has_page:
            raise NotImplementedError
        self.view()

    def _display_(self) -> object:
        """The same for marimo (0.25 seen)."""
        return repr(self) if self.log is None else host.current().widget(self)

    def _known_log(self, what: str, stream: int | None) -> Log:
        if stream not in (None, STDOUT_FD, STDERR_FD):
            raise ValueError(f"{what}: stream={stream!r}: allowed are 1 (stdout), 2 (stderr) and None (both)")
        if self.log is None:
            raise ValueError(f"{what}: the output of {self!r} does not go to a log; start it with stdout=LOG")
        return self.log

    def add_done_callback(self, callback: Callable[[Process], object]) -> None:
        """Have the event loop call this when the program has ended or was lost; the loop keeps the process alive until then."""
        self.program.ended.add_done_callback(lambda _: callback(self))

    async def wait(self) -> int:
        """Wait for the program to end; the return code (`-N`: ended by signal N, POSIX only).

        It returns when the program ends, even while a descendant holds a pipe open. With `stdout=PIPE` or
        `stderr=PIPE` it waits for ever if the program fills the pipe and nobody reads: use `communicate()` or LOG.
        There is no timeout: use `asyncio.wait_for(process.wait(), 10)`. Cancelling it leaves the program running.

        Raises:
            RuntimeError: called on another event loop than the one that made the process.
            ProcessLost: nobody saw how it ended.
        """
        if self.on_wait:
            self.check_loop()
            await self.on_wait()
        return await self.exited()

    async def exited(self) -> int:
        """`wait()` without `on_wait`."""
        self.check_loop()
        return await self.program.wait()

    def _disown(self) -> None:
        """In a forked child: the program is its parent's, and so are its streams."""
        if not self.is_over:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody is waiting
                self.program.lose(ProcessLost(f"process {self.pid} belongs to the parent of this process"))
        transport: Any = self._transport  # type: ignore[attr-defined]
        if hasattr(transport, "disown"):
            transport.disown()
        else:
            transport._closed = (
                True  # or asyncio's `__del__` would close it, and remove its pipes from the parent's event loop
            )

    def check_loop(self) -> None:
        """Raise RuntimeError if the running event loop is not the one that made the process: it is not thread safe."""
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError(f"{self!r} belongs to another event loop; use it on the loop that started it")

    async def communicate(self, input: bytes | bytearray | memoryview | None = None) -> tuple[Any, Any]:
        """Send `input` to stdin, read stdout and stderr to their end, wait; `(stdout, stderr)` as bytes.

        None stands for a stream that is not PIPE (also for LOG: read `process.log`). `BrokenPipeError` and
        `ConnectionResetError` while sending are ignored: the program ended before it read everything. All data is
        held in memory. Cancelling it leaves the program running.

        Args:
            input: bytes; needs `stdin=PIPE`. None: nothing is sent, and stdin is closed.

        Raises:
            ProcessLost: nobody saw how it ended.
        """
        if self.log is None:
            return await super().communicate(input)
        if self.stdin is not None and input is None:
            self.stdin.close()
        sending = self._noop() if input is None else self._feed_stdin(input)  # type: ignore[attr-defined]
        reading = [
            self._read_stream(fd)  # type: ignore[attr-defined]
            if isinstance(stream, asyncio.StreamReader)
            else self._noop()  # type: ignore[attr-defined]
            for fd, stream in ((1, self.stdout), (2, self.stderr))
        ]
        _, stdout, stderr = await asyncio.gather(sending, *reading)
        await self.wait()
        return stdout, stderr

    def send_signal(self, signal: int, *, family: bool = False) -> None:
        """Send a signal to the program, or with `family=True` to it and all its descendants.

        Delivery is not awaited: only `wait()` says that the program has ended.
        Windows: SIGTERM is `terminate()`; CTRL_C_EVENT and CTRL_BREAK_EVENT reach a program that was started with
        `creationflags=subprocess.CREATE_NEW_PROCESS_GROUP`.

        Raises:
            ValueError, TypeError: there is no such signal.
            ProcessLookupError: the program has ended.
            OSError: it cannot be sent: to a process of another user (PermissionError); on Windows, without a console.
        """
        _check_signal(signal)
        if self.is_over:
            raise ProcessLookupError(f"{self!r}: it can no longer get a signal")
        if family:
            if not self.family.send_signal(signal) and (refused := self.family.refused):
                words = f"{phrases.signal_name(signal)} cannot be sent to {self!r}: {refused.strerror}"
                raise OSError(refused.errno, words)
        else:
            super().send_signal(signal)

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does, to the program and all its descendants. Windows: CTRL_BREAK_EVENT.

        Raises:
            ProcessLookupError: the program has ended.
            OSError: it cannot be sent, see `send_signal`.
        """
        self.send_signal(RUNGS[INTERRUPT], family=True)

    def pause(self) -> None:
        """Suspend the program and all its descendants (SIGSTOP), until `resume`. Stopping it wakes it up.

        Raises:
            ProcessLookupError: the program has ended.
            OSError: the signal cannot be sent, see `send_signal`.
            NotImplementedError: this is Windows, which has no such signal.
        """
        self._send_job_control("SIGSTOP")

    def resume(self) -> None:
        """Let the program and all its descendants go on (SIGCONT). Raises as `pause` does."""
        self._send_job_control("SIGCONT")

    def _send_job_control(self, name: str) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(f"{name} does not exist on Windows: a program cannot be paused")
        self.send_signal(signals.Signals[name], family=True)

    def terminate(self, *, family: bool = False) -> None:
        """Ask it to end: SIGTERM on POSIX, `TerminateProcess()` on Windows. `family` as in `send_signal`.

        Raises:
            ProcessLookupError: the program has ended.
        """
        self.send_signal(signals.SIGTERM, family=family)
        self.ladder.cause = self.ladder.cause or "stop"

    def kill(self, *, family: bool = False) -> None:
        """End it: SIGKILL on POSIX, on Windows the same as `terminate()`. `family` as in `send_signal`.

        Raises:
            ProcessLookupError: the program has ended.
        """
        if sys.platform == "win32":
            self.terminate(family=family)
        else:
            self.send_signal(signals.SIGKILL, family=family)
            self.ladder.cause = self.ladder.cause or "kill"

    async def stop(self, grace: float = GRACE) -> int:
        """End the whole family: SIGTERM, and `grace` seconds later SIGKILL for whatever is left; return the return code.

        It returns when all are gone. If the program has already ended, what is left of its family is stopped.
        If it is already being stopped, SIGKILL comes at the earlier of the two moments. Cancelling this does not call off
        the SIGKILL. Windows: the family is terminated at once.

        Args:
            grace: seconds; 0: SIGKILL at once.

        Raises:
            TypeError, ValueError: `grace` is no number of seconds.
            RuntimeError: called on another event loop than the one that made the process.
            ProcessLost: nobody saw how it ended.
            ProcessNotStopped: something still runs some seconds after SIGKILL: a process of another user (`sudo`), say.

        Example:
            >>> import asyncio, ipyproc
            >>> async def main():
            ...     process = await ipyproc.create_subprocess_exec("sleep", "60")
            ...     return await process.stop()
            >>> asyncio.run(main())
            -15
        """
        self.check_loop()
        arguments.seconds("grace", grace)
        if not self.is_over or self.family.is_alive():
            self.ladder.reach(KILL if grace <= 0 else TERMINATE, "stop", grace)
        await self.ladder.finished()
        return await self.wait()


_known: weakref.WeakSet[Process] = weakref.WeakSet()


def _disown() -> None:
    for process in tuple(_known):
        process._disown()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_disown)


async def _empty(stream: asyncio.StreamReader) -> None:
    with contextlib.suppress(RuntimeError):  # somebody else is reading it, and so empties it
        while await stream.read(_PIECE):
            pass


def _check_signal(signal: object) -> None:
    if isinstance(signal, str):
        near = difflib.get_close_matches(signal.upper(), [member.name for member in signals.Signals], 1, 0.5)
        hint = f"; did you mean signal.{near[0]}?" if near else ""
        raise TypeError(f"{signal!r} is a string; a signal is a number or a member of signal.Signals{hint}")
    if sys.platform != "win32" and signal != 0 and signal not in signals.valid_signals():
        raise ValueError(f"{signal!r} is not a signal; see signal.valid_signals()")
