"""`FakeProgram`: one program that is played, as its script sees it, and as a test finds it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import signal as signals
import sys
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from .._core.errors import ProcessLost
from .._core.launch.transport import Transport
from .._core.output import phrases
from .._core.output.log import Log
from .._core.program.family import Family
from .._core.program.program import Program
from .._core.program.spec import Spec, Target
from .streams import Input, InputPipe, Output, outputs

if TYPE_CHECKING:
    import psutil

_PIDS = itertools.count(1_000_000_001)  # greater than that of any process: no signal can reach one by mistake
_IGNORED = {getattr(signals, name) for name in ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH") if hasattr(signals, name)}
_STOPS = {getattr(signals, name) for name in ("SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU") if hasattr(signals, name)}
_CONT = getattr(signals, "SIGCONT", None)
_KILL = getattr(signals, "SIGKILL", signals.SIGTERM)
_PIPE = getattr(signals, "SIGPIPE", signals.SIGTERM)


Play = Callable[["FakeProgram"], Awaitable[int | None]]
"""What a fake program does: gives its return code; None is 0."""


class FakeProgram:
    r"""A program that is played. Its script is given it; a test finds it in the list that `programs` gives.

    Attributes:
        args: the program and its arguments, as strings; of a line for the shell `("/bin/sh", "-c", LINE)`.
        cwd: the directory that it was given; None: none.
        env: the environment that it was given; None: none, so it is that of this process.
        input: what was given as `input=`, as bytes; None: nothing.
        on: what was given as `on=`; None: nothing, it runs here.
        script: the text of a `%%aproc` cell; None: it is no such script.
        pid: a number that no real process can have.
        is_paused: whether it was paused (SIGSTOP); it writes nothing then, and does not end.
        returncode: how it has ended, `-N`: by signal N; None while it runs, and for good if it was lost.
        stdout, stderr: where it writes to: `await program.stdout.write("ready\n")`; `close()` closes one early.

    Example:
        >>> import ipyproc
        >>> async def upper(program):
        ...     async for line in program.stdin:
        ...         await program.stdout.write(line.upper())
        >>> with ipyproc.testing.programs({"tr": upper}) as started:
        ...     done = ipyproc.run("tr", "a-z", "A-Z", input="one\ntwo\n").result()
        >>> done.lines, started[0].args[1:]
        (['ONE', 'TWO'], ('a-z', 'A-Z'))
    """

    stdout: Output
    stderr: Output

    def __init__(self, spec: Spec, on: Any = None) -> None:
        self.args: tuple[str, ...] = ("/bin/sh", "-c", spec.args) if isinstance(spec.args, str) else spec.args
        self.cwd: str | None = spec.cwd
        self.env: Mapping[str, str] | None = spec.env
        self.input: bytes | None = spec.input
        self.on = on
        self.script: str | None = spec.script
        self.pid = next(_PIDS)
        self.returncode: int | None = None
        self.is_paused = False
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._pending: list[int] = []  # signals that came while it was paused
        self._ready = asyncio.Event()  # it is not paused
        self._ready.set()
        self._end = contextlib.ExitStack()  # closes what is its own
        self._transport: Transport | None = None  # from its start to its end
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        if self._task is None:
            how = "was not started"
        elif self.is_running:
            how = "runs"
        else:
            how = "was lost" if self.returncode is None else phrases.describe(self.returncode)
        return f"<FakeProgram {self.pid} ({phrases.command_line(self.args)}) {how}>"

    @property
    def name(self) -> str:
        """Of the program, without its directory."""
        return os.path.basename(self.args[0])

    @property
    def stdin(self) -> asyncio.StreamReader:
        """What it reads: `await program.stdin.readline()`, `.read()`, `async for line in program.stdin`."""
        return self._stdin.wanted()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._transport is not None

    def on_signal(self, signal: int, handler: Callable[[], object]) -> None:
        """Call this each time the signal comes, and go on: `program.on_signal(signal.SIGTERM, asked.set)`.

        Without a handler a signal does what it does to a program: most end it. SIGKILL and SIGSTOP cannot be handled.

        Raises:
            ValueError: it is SIGKILL or SIGSTOP, or no signal.
        """
        if signal not in signals.valid_signals() or signal in (
            getattr(signals, "SIGKILL", 0),
            getattr(signals, "SIGSTOP", 0),
        ):
            raise ValueError(f"signal={signal!r}: allowed are signals other than SIGKILL and SIGSTOP")
        self._handlers[signal] = handler

    # --- for its launcher ------------------------------------------------------------------------------------------

    def begin(
        self,
        spec: Spec,
        protocol: asyncio.SubprocessProtocol,
        log: Log | None,
        play: Play,
        failed: Callable[[Exception], object],
    ) -> Program:
        """Start to play it; `failed` is told of an error in its script.

        Raises:
            OSError: a descriptor of the spec is closed.
        """
        program = Program(spec.args, "fake", log, keep=spec.keep)
        piped = [n for n, stream in enumerate((spec.stdin, spec.stdout, spec.stderr)) if stream is Target.PIPE]
        transport = Transport(program, protocol, piped, self.signal)
        with contextlib.ExitStack() as undo:
            self._stdin = Input(spec.stdin)
            undo.callback(self._stdin.close)
            if spec.stdin is Target.PIPE:
                transport.add_pipe(0, InputPipe(transport, self._stdin.reader))
            self.stdout, self.stderr = outputs(spec, transport, log, self._ready, undo)
            self._end = undo.pop_all()
        self._transport = transport
        program.begin(self.pid, transport, FakeFamily(self))
        transport.begin()
        self._failed = failed
        self._task = self._loop.create_task(self._play(play))
        # whoever ends the event loop ends it too, perhaps before its first step
        self._task.add_done_callback(lambda _: self._finish(_ended_by(_KILL)))
        return program

    async def _play(self, play: Play) -> None:
        code, lost = await self._played(play)
        if not lost:
            await self._ready.wait()  # a program that is paused does not end
        self._finish(code, lost)

    async def _played(self, play: Play) -> tuple[int | None, ProcessLost | None]:
        """How it ends: its return code, or how it was lost."""
        try:
            code = play(self)
            if not inspect.isawaitable(code):
                raise TypeError(f"the script of {self.name!r} gave {code!r:.80}: allowed is an async function")
            ended = await code
            check_returncode(0 if ended is None else ended)
            return ended or 0, None
        except ProcessLost as error:
            return None, error
        except BrokenPipeError:
            return _ended_by(_PIPE), None
        except SystemExit as end:
            return end.code & 0xFF if isinstance(end.code, int) else int(end.code is not None), None
        except Exception as error:  # noqa: BLE001  -- as of a Python program, and of the test as well
            self._failed(error)
            with contextlib.suppress(OSError):  # nobody is left who could read it, or the disk is full
                await self.stderr.write("".join(traceback.format_exception(error)))
            return 1, None

    def signal(self, number: int) -> None:
        """A signal comes."""
        if number == _CONT:
            self.is_paused = False
            self._ready.set()
            waiting, self._pending = self._pending, []
            for each in waiting:
                self.signal(each)
        if not self.is_running or not number:
            return
        if number == _KILL:
            self._finish(_ended_by(number))
        elif self.is_paused:
            if number not in _STOPS:  # what would pause it has no effect
                self._pending = [*{*self._pending, number}]
        elif handler := self._handlers.get(number):
            self._handle(handler)
        elif number in _STOPS:
            self.is_paused = True
            self._ready.clear()
        elif number not in _IGNORED:
            self._finish(_ended_by(number))

    def _handle(self, handler: Callable[[], object]) -> None:
        try:
            handler()
        except Exception as error:  # noqa: BLE001  -- it belongs to the test, and not to whoever sent the signal
            self._failed(error)
            self._finish(1)

    def kill(self) -> None:
        """End it, if it runs: nobody wants it any more. From any thread."""
        try:
            is_ours = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_ours = False
        if is_ours:
            self.signal(_KILL)
            return
        try:
            self._loop.call_soon_threadsafe(self.signal, _KILL)
        except RuntimeError:  # its loop was closed before it had ended
            self._end.close()

    def _finish(self, code: int | None, lost: ProcessLost | None = None) -> None:
        """It ends. Idempotent."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        self.returncode = code
        if self._task and self._task is not asyncio.current_task(self._loop):
            self._task.cancel()
        broken = BrokenPipeError() if self._stdin.has_more else None
        self._end.close()
        transport.end_pipe(0, lost or broken)
        if lost:
            transport.lose(lost)
        elif code is not None:
            transport.exit(code, None)


class FakeFamily(Family):
    """A fake program; it has no descendants."""

    def __init__(self, program: FakeProgram) -> None:
        super().__init__(program.pid, lambda: False, own_session=False)
        self._program = program

    def measure(self) -> tuple[float, int, int, bool]:
        """It uses nothing."""
        return 0.0, 0, int(self._program.is_running), self._program.is_paused

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._program.is_running

    def alive(self) -> set[psutil.Process]:
        """No process of this machine."""
        return set()

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """To the program; whether it was there."""
        was_there = self._program.is_running
        self._program.signal(number)
        if _CONT and number not in (_KILL, _CONT, getattr(signals, "SIGSTOP", 0)):
            self._program.signal(_CONT)
        return int(was_there)

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """It cannot outlive this process."""
        return False


def _ended_by(number: int) -> int:
    """The return code of a program that this signal has ended."""
    return 1 if sys.platform == "win32" else -number


def check_returncode(code: object) -> None:
    """Raise a clear error if no program can end so.

    Raises:
        TypeError, ValueError: it is no return code.
    """
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"returncode={code!r:.80}: allowed is a number")
    if not (0 <= code <= 255 or -code in signals.valid_signals()):
        raise ValueError(f"returncode={code!r}: allowed are 0 to 255, and -N for an end by signal N")
