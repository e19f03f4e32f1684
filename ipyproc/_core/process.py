"""`Process`: asyncio's, with a log, an exact exit and a family; and the two factories that make one.

`create_subprocess_exec` and `create_subprocess_shell` replace those of asyncio: same arguments, same defaults, same
rules (https://docs.python.org/3/library/asyncio-subprocess.html). What is different, and why:

- `stdout=LOG`, `stderr=LOG`: the output goes to `process.log`, a file on disk. Nobody needs to read it, so the
  deadlock of `wait()` with a full pipe, which asyncio documents for PIPE, does not exist.
- `wait()` returns when the program ends. asyncio's waits until every pipe is closed too, which may take as long as a
  grandchild that inherited one lives.
- A signal after the end raises `ProcessLookupError` at once, so that it can never reach a stranger with the same pid.
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
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Sequence
from types import TracebackType
from typing import Any

from . import status
from .encoding import decode
from .errors import ProcessLost
from .failed_command import FailedCommand
from .ladder import INTERRUPT, KILL, RUNGS, TERMINATE, StopLadder
from .launch import portable
from .launch.base import Launcher
from .log import LOG, STDERR_FD, STDOUT_FD, Log
from .screen import inert_line

__all__ = ["DEVNULL", "LOG", "PIPE", "STDOUT", "Process", "create_subprocess_exec", "create_subprocess_shell"]

_DEFAULT_LIMIT = 2**16  # bytes; the documented default of asyncio's `limit`
_CLOSE_GRACE = 0.05  # seconds that wait() gives the pipes to close after the end
_DEFAULT_GRACE = 5.0  # seconds between SIGTERM and SIGKILL; as in execa, trio and processx


def _nowhere(process: Process) -> None:
    raise RuntimeError("view() shows a process in a cell, and this is no notebook")


show: Callable[[Process], None] = _nowhere
"""Shows a process in the cell that runs now. A notebook puts its way here."""


class Process(asyncio.subprocess.Process):
    """A program that was started. Made by `create_subprocess_exec` and `create_subprocess_shell`, never directly.

    All members are those of `asyncio.subprocess.Process`: `wait`, `communicate`, `send_signal`, `terminate`, `kill`,
    `stdin`, `stdout`, `stderr`, `pid`, `returncode`. It is not thread safe: use it on the event loop that made it.

    Attributes:
        args: the program and its arguments, or the command line of the shell.
        name: what to call it instead of that, for people; may be set. It is one line on which nothing acts: line ends are
            shown in it, control characters are not.
        log: the output on disk, when `stdout` or `stderr` is LOG; else None. A stream that goes to the log can be
            read too: `process.stdout` is then a reader of the log.
        family: the program and its descendants, as far as they can be found.
        ladder: how far stopping it has come.
        launcher: what started it: "supervised" or "portable", or on another machine "ssh" or "dask".
        where: the other machine that it runs on, for people; empty: this one. `pid` is the one there.
        ok_codes: return codes that a view calls a success.
        on_wait: what a view does where the process is waited for, up to its end; None: nothing.

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
    _protocol: _ProcessProtocol

    def __init__(
        self,
        transport: asyncio.SubprocessTransport,
        protocol: _ProcessProtocol,
        loop: asyncio.AbstractEventLoop,
        *,
        args: str | bytes | Sequence[Any],
        started_at: float,
        own_session: bool = False,
        launcher: Launcher = portable,
    ) -> None:
        super().__init__(transport, protocol, loop)
        self._started_at: float = transport.get_extra_info("started_at", started_at)  # it may have waited for a place
        self.args = args
        self.name = status.command_line(args)
        self.log: Log | None = protocol.log
        self.family = launcher.family(self, transport, own_session=own_session)
        self.ladder = StopLadder(self, loop, protocol.ended, _DEFAULT_GRACE)
        self.launcher = launcher.name
        self.where = inert_line(transport.get_extra_info("where", ""))
        self.find_failed_command: Callable[[Process], FailedCommand | None] = lambda ended: None
        """Of a script: called once, when it has ended."""
        self.ok_codes: Collection[int] = (0,)
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        _known.add(self)

    def __repr__(self) -> str:
        where = f" on {self.where}" * bool(self.where)
        return (
            f"<Process {self.pid}{where} ({self.name}) {'was lost' if self.lost else status.describe(self.returncode)}>"
        )

    @property
    def name(self) -> str:
        """What to call it, for people."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: allowed is a string")
        self._name = inert_line(name)

    @property
    def lost(self) -> ProcessLost | None:
        """Set when nobody saw how it ended; `returncode` stays None then, and `wait()` raises this."""
        return self._protocol.lost

    @property
    def usage(self) -> status.Usage | None:
        """CPU time and greatest memory of the program, when it has ended; None where nobody has told (portable)."""
        return self._protocol.usage

    @property
    def failed_command(self) -> FailedCommand | None:
        """The command that ended it, if this is a script for bash; None: it runs, or it is not known which one did."""
        return self._failed_command if self.is_over else None

    @functools.cached_property
    def _failed_command(self) -> FailedCommand | None:
        return self.find_failed_command(self)

    @property
    def note(self) -> bytes:
        """What a shell on another machine has noted of its script, see `script.note`."""
        return self._protocol.note

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was lost."""
        return self.returncode is not None or self.lost is not None

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or to now while it runs."""
        ended = self._protocol.ended
        ended_at = ended.result() if ended.done() else time.monotonic()
        return ended_at - self._started_at

    @property
    def ended_at(self) -> float | None:
        """When the program has ended, as `time.time()` tells it; None while it runs."""
        return time.time() - (time.monotonic() - self._started_at - self.duration) if self.is_over else None

    def __await__(self) -> Generator[Any, None, int]:
        """`await process` is `await process.wait()`."""
        return self.wait().__await__()

    async def __aenter__(self) -> Process:
        """`async with await ipyproc.start(...) as process:`; at the end of the body, it is waited for.

        Its standard input is closed then, and what is left in its pipes is read and thrown away. If an error or a
        cancellation leaves the body, or comes while it is waited for, the whole family is stopped.
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

        They are text (bytes that are none become U+FFFD) without line ends; for bytes there is `process.log`.

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

        Where nobody looks on (nbclient, a terminal) its last lines are printed.

        Raises:
            RuntimeError: this is no notebook.
            ValueError: its output does not go to a log.
        """
        self._known_log("view()", None)
        show(self)

    def _known_log(self, what: str, stream: int | None) -> Log:
        if stream not in (None, STDOUT_FD, STDERR_FD):
            raise ValueError(f"{what}: stream={stream!r}: allowed are 1 (stdout), 2 (stderr) and None (both)")
        if self.log is None:
            raise ValueError(f"{what}: the output of {self!r} does not go to a log; start it with stdout=LOG")
        return self.log

    def add_done_callback(self, callback: Callable[[Process], object]) -> None:
        """Have the event loop call this when the program has ended or was lost; the loop holds the process so long."""
        self._protocol.ended.add_done_callback(lambda _: callback(self))

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
        """`wait()`, but without what a view does where the process is waited for."""
        self.check_loop()
        await asyncio.shield(self._protocol.ended)
        if not self._protocol.closed.done() or (self.log and not self.log.ended):
            # the pipes of a program that has ended close by themselves, unless somebody else holds them
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._protocol.heard_at + _CLOSE_GRACE - time.monotonic())):
                    await asyncio.wait([self._protocol.closed])
                    if self.log:
                        await self.log.finished()
        if self.lost:
            raise self.lost
        code = self.returncode
        assert code is not None
        return code

    def _disown(self) -> None:
        """In a forked child: the program is its parent's, and so are its streams."""
        if not self.is_over:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._protocol.process_lost(ProcessLost(f"process {self.pid} belongs to the parent of this process"))
        transport: Any = self._transport  # type: ignore[attr-defined]
        if hasattr(transport, "disown"):
            transport.disown()
        else:
            transport._closed = (
                True  # else asyncio's `__del__` closes it, and takes its pipes from the parent's event loop
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
            OSError: it cannot be sent: they belong to another user (PermissionError); Windows: there is no console.
        """
        _check_signal(signal)
        if self.is_over:
            raise ProcessLookupError(f"{self!r}: it can get no signal any more")
        if family:
            if not self.family.send_signal(signal) and (refused := self.family.refused):
                words = f"{status.signal_name(signal)} cannot be sent to {self!r}: {refused.strerror}"
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

    async def stop(self, grace: float = _DEFAULT_GRACE) -> int:
        """End the whole family: SIGTERM, and SIGKILL `grace` seconds later to whatever is left; the return code.

        It returns when all are gone. That the program has ended is no error: what is left of its family is ended.
        If it is being stopped already, SIGKILL comes at the earlier of the two moments. Cancelling it does not call off the
        SIGKILL. Windows: the family is terminated at once.

        Args:
            grace: seconds; 0: SIGKILL at once.

        Raises:
            RuntimeError: called on another event loop than the one that made the process.
            ProcessLost: nobody saw how it ended.
            ProcessNotStopped: something lives on, some seconds after SIGKILL: a process of another user (`sudo`), say.

        Example:
            >>> import asyncio, ipyproc
            >>> async def main():
            ...     process = await ipyproc.create_subprocess_exec("sleep", "60")
            ...     return await process.stop()
            >>> asyncio.run(main())
            -15
        """
        self.check_loop()
        if not self.is_over or self.family.is_alive():
            self.ladder.reach(KILL if grace <= 0 else TERMINATE, "stop", grace)
        await self.ladder.finished()
        return await self.wait()


async def create_subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    r"""Start a program; a drop-in replacement of `asyncio.create_subprocess_exec`, with LOG for stdout and stderr.

    Args:
        program: a name that is looked up in PATH, or a path.
        args: its arguments, one word each.
        stdin: None (inherit), PIPE, DEVNULL, a file or a descriptor.
        stdout, stderr: the same, or LOG; `stderr=STDOUT` sends it where stdout goes.
        limit: buffer of a PIPE reader in bytes; a pipe that nobody reads blocks the program when it is full.
        kwds: keywords of `subprocess.Popen`; and `log`, a `Log` to use instead of a new one.

    Raises:
        OSError: it cannot be started (`FileNotFoundError`, `PermissionError`, ...).
        ValueError: `text`, `universal_newlines`, `encoding`, `errors` or `bufsize` was given: output is bytes only.

    Cancelling it while it starts ends the program.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     process = await ipyproc.create_subprocess_exec("echo", "hello", stdout=ipyproc.LOG)
        ...     await process.stdout.read()
        ...     return await process.wait(), process.log.read()
        >>> asyncio.run(main())
        (0, b'hello\n')
    """
    return await start_exec(portable, program, *args, stdin=stdin, stdout=stdout, stderr=stderr, limit=limit, **kwds)


async def start_exec(
    launcher: Launcher,
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """`create_subprocess_exec` with this launcher."""
    command = (program, *args)
    return await _start(launcher, launcher.exec, command, command, stdin, stdout, stderr, limit, kwds)


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """Start a command line with the shell; a drop-in replacement of `asyncio.create_subprocess_shell`, with LOG.

    The shell is /bin/sh, on Windows that of `COMSPEC`. Arguments, errors and cancellation are those of
    `create_subprocess_exec`. `pid` is that of the shell. Quoting is the caller's duty (`shlex.quote`): never put a value
    you do not trust into a command line.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     process = await ipyproc.create_subprocess_shell("seq 100 | wc -l", stdout=ipyproc.PIPE)
        ...     output, _ = await process.communicate()
        ...     return int(output)
        >>> asyncio.run(main())
        100
    """
    return await start_shell(portable, cmd, stdin, stdout, stderr, limit, **kwds)


async def start_shell(
    launcher: Launcher,
    cmd: str | bytes,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """`create_subprocess_shell` with this launcher."""
    return await _start(launcher, launcher.shell, (cmd,), cmd, stdin, stdout, stderr, limit, kwds)


async def _start(
    launcher: Launcher,
    launch: Callable[..., Awaitable[tuple[asyncio.SubprocessTransport, _ProcessProtocol]]],
    command: tuple[Any, ...],
    args: str | bytes | Sequence[Any],
    stdin: Any,
    stdout: Any,
    stderr: Any,
    limit: int,
    popen: dict[str, Any],
) -> Process:
    if stdin == LOG:
        raise ValueError("stdin=LOG: only stdout and stderr can go to the log")
    loop = asyncio.get_running_loop()
    streams = frozenset(stream for stream, target in ((STDOUT_FD, stdout), (STDERR_FD, stderr)) if target == LOG)
    log: Log | None = popen.pop("log", None)
    started_at = time.monotonic()
    try:
        if streams and log is None:
            log = Log(streams)
        if log:
            popen["log"] = log
        transport, protocol = await launch(
            lambda: _ProcessProtocol(limit, loop, log, streams),
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            **popen,
        )
    except BaseException:
        if log:
            log.discard()
        raise
    own_session = bool(popen.get("start_new_session"))
    return Process(
        transport, protocol, loop, args=args, started_at=started_at, own_session=own_session, launcher=launcher
    )


class _ProcessProtocol(asyncio.subprocess.SubprocessStreamProtocol):
    """asyncio's own protocol; a stream that goes to the log feeds a reader of the log instead of one in memory."""

    def __init__(
        self, limit: int, loop: asyncio.AbstractEventLoop, log: Log | None, log_streams: frozenset[int]
    ) -> None:
        super().__init__(limit=limit, loop=loop)
        self.log = log
        self.ended: asyncio.Future[float] = loop.create_future()
        """Done when we hear that the program has ended, with the `time.monotonic()` of its end."""
        self.ended_at: float | None = None
        """That moment, where the launcher knows it: it may have seen it while this loop was busy."""
        self.heard_at = 0.0
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when it has ended and all its pipes are closed."""
        self.lost: ProcessLost | None = None
        self.usage: status.Usage | None = None
        self.note = b""
        self._log_streams = log_streams
        self._made: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made = transport
        if self.log is not None:
            if STDOUT_FD in self._log_streams:
                self.stdout = self.log.reader(STDOUT_FD)  # type: ignore[assignment]  # has what asyncio feeds
            if STDERR_FD in self._log_streams:
                self.stderr = self.log.reader(STDERR_FD)  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)  # asyncio calls it for a closed stdin too, hence the question
        if self._made is not None and self._made.is_closing() and not self.closed.done():
            self.closed.set_result(None)

    def process_lost(self, error: ProcessLost) -> None:
        """The launcher has lost it; called in the place of `process_exited`."""
        self.lost = error
        self.heard_at = time.monotonic()
        for future, result in ((self.ended, self.heard_at), (self.closed, None)):
            if not future.done():
                future.set_result(result)  # type: ignore[arg-type]

    def process_exited(self) -> None:
        self.heard_at = time.monotonic()
        if not self.ended.done():
            self.ended.set_result(self.heard_at if self.ended_at is None else self.ended_at)
        super().process_exited()


_known: weakref.WeakSet[Process] = weakref.WeakSet()


def _disown() -> None:
    for process in tuple(_known):
        process._disown()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_disown)


async def _empty(stream: asyncio.StreamReader) -> None:
    with contextlib.suppress(RuntimeError):  # somebody else is reading it, so it gets empty
        while await stream.read(_DEFAULT_LIMIT):
            pass


def _check_signal(signal: object) -> None:
    if isinstance(signal, str):
        near = difflib.get_close_matches(signal.upper(), [member.name for member in signals.Signals], 1, 0.5)
        hint = f"; did you mean signal.{near[0]}?" if near else ""
        raise TypeError(f"{signal!r} is a string; a signal is a number or a member of signal.Signals{hint}")
    if sys.platform != "win32" and signal != 0 and signal not in signals.valid_signals():
        raise ValueError(f"{signal!r} is not a signal; see signal.valid_signals()")
