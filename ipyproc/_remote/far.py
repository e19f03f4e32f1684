"""The far side: holds programs for a kernel on another machine. Linux, Python 3.11 or newer, standard library.

Each program is started by the supervised launcher of this machine, so nothing of it outlives the process that runs this
code; and that ends its programs when the link to the kernel breaks.

The messages between both sides are in `protocol`; a link carries them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable
from typing import Any

from .._core.launch import supervised
from .._core.launch.held import descendants
from .._core.launch.held_program import HeldProgram
from .._core.launch.transport import Transport
from .._core.program import script as script_of
from .._core.program.program import Program
from .._core.program.spec import Spec, Target
from .._core.protocol import (
    FROM_FAR,
    TO_FAR,
    WINDOW,
    Close,
    Credit,
    Data,
    Figures,
    FromFar,
    Gone,
    Lost,
    NotStarted,
    ProtocolError,
    RemoteExited,
    RemoteStart,
    RemoteStarted,
    Signal,
    Taken,
)

_REST = 1 << 20
"""Credit that is added at the exit: enough for all that pipe and session hold, so that the rest need not wait for a reader."""
_PIPE_BYTES = 1 << 18
_EXIT_PATIENCE = 0.05  # seconds that a pipe has to end after the program; if it does not, a descendant holds it
_REST_PATIENCE = 2.0  # seconds to read the last output once no process of the family is left


class Session(asyncio.SubprocessProtocol):
    """One program and its family, held for a kernel on another machine.

    Args:
        send: sends a message to the kernel; does not wait, and keeps the order.

    Attributes:
        gone: done when nothing of the family is left, or nothing was started.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._starting: asyncio.Task[None] | None = None
        self._transport: Transport | None = None
        self._credit = {1: WINDOW, 2: WINDOW}
        self._open: set[int] = set()  # streams of output that have not ended
        self._input_is_slow = False
        self._untold = 0  # bytes of input that were taken, and not yet confirmed by `Taken`
        self._exit: asyncio.TimerHandle | None = None
        self._has_told = self._is_over = False  # whether the exit was told; whether `Gone` was sent
        self._ends_family = False
        self._why = ""  # why this side ends the program; empty if it does not
        self._script = self._note = ""  # the file of a script, and what its shell has noted in it

    def __repr__(self) -> str:
        return f"<Session of process {self._transport.get_pid() if self._transport else 'that is not there'}>"

    def receive(self, message: bytes) -> None:
        """Handle a message of the kernel. One that is not understood, or comes out of turn, ends the program."""
        try:
            told = TO_FAR.decode(message)
            if isinstance(told, RemoteStart) != (self._starting is None) and not isinstance(told, Close):
                raise ProtocolError(f"the other side says {type(told).__name__} out of turn")
            if isinstance(told, Credit) and told.stream not in self._credit:
                raise ProtocolError(f"the other side gives credit for a stream {told.stream}")
        except ProtocolError as error:
            self.close(str(error))
            return
        if isinstance(told, Data):
            self._take_input(told.data)
        elif isinstance(told, RemoteStart):
            self._starting = self._loop.create_task(self._start(told))
        elif isinstance(told, Credit):
            self._give_credit(told.stream, told.size)
        elif isinstance(told, Close):
            self.close()
        elif self._transport and isinstance(told, Signal):
            held(self._transport.program).send_signal(told.number, family=told.family, kill_in=told.kill_in)
        elif self._transport:
            self._tell(figures(self._transport.program))

    def close(self, why: str = "the connection was closed") -> None:
        """End the program and its family; `why` is told to the kernel."""
        self._why = self._why or why
        if self._starting and not self._transport and not self._starting.done():
            return  # `_start` closes it once it has started
        if not self.gone.done():
            self._tell(Lost(self._why))
        if self._transport:
            held(self._transport.program).close()
            self._transport.close()
        self._end()

    async def _start(self, request: RemoteStart) -> None:
        self._ends_family = request.ends_family
        where = os.path.expanduser(request.cwd) if request.cwd else None  # noqa: ASYNC240  -- looks at the environment
        args = tuple(request.args)
        try:
            if request.script is not None:
                self._write_script(request.script)
                args = script_of.arguments(args, request.script, self._script)
            pipe = {True: Target.PIPE, False: Target.NULL}
            spec = Spec(
                tuple(args),
                stdin=pipe[request.stdin],
                stdout=pipe[request.stdout],
                stderr=Target.STDOUT if request.stderr == "stdout" else pipe[request.stderr],
                cwd=where,
                env={**os.environ, **request.env},
            )
            await supervised.start(spec, self, None)
        except Exception as error:  # noqa: BLE001  -- whatever it is, the kernel has to know
            if isinstance(error, OSError) and error.errno:
                self._tell(NotStarted(error.errno, error.strerror or str(error), error.filename))
            else:
                self._tell(Lost(str(error) or repr(error)))
            self._end()
            return
        except asyncio.CancelledError:  # the link and this loop have ended
            self._end()
            raise
        assert self._transport
        if self._why:
            self.close()
        held(self._transport.program).gone.add_done_callback(lambda _: self._has_gone())

    def _write_script(self, text: str) -> None:
        try:
            fd, self._script = tempfile.mkstemp(".sh", "ipyproc-")
            script_of.write(fd, text)
        except OSError as error:  # without the name of the file, which would be taken for the directory to start in
            raise OSError(error.errno, f"the script could not be written: {error.strerror or error}") from None

    # --- as the protocol of the program ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The program runs."""
        assert isinstance(transport, Transport)
        self._transport = transport
        for stream in (0, 1, 2):
            if pipe := self._pipe(stream):
                if stream:
                    self._open.add(stream)
                    with contextlib.suppress(OSError, ValueError):  # too much memory in pipes; or it is closed already
                        fcntl.fcntl(pipe.get_extra_info("pipe"), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                else:
                    pipe.set_write_buffer_limits(high=0)
        self._tell(RemoteStarted(transport.get_pid()))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Send output on; pause the pipe when the credit is used up."""
        self._tell(Data(fd, data))
        self._credit[fd] -= len(data)
        if self._credit[fd] <= 0 and (pipe := self._pipe(fd)):
            pipe.pause_reading()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """A stream has ended."""
        if fd in self._open:
            self._open.discard(fd)
            self._tell(Data(fd, b""))
            if self._exit and not self._open:
                self._tell_exit()
                self._tell_gone()

    def pause_writing(self) -> None:
        """The program does not read its input as fast as it comes."""
        self._input_is_slow = True

    def resume_writing(self) -> None:
        """The program has read what there was."""
        self._input_is_slow = False
        self._tell_taken()

    def process_exited(self) -> None:
        """The program has ended. Its exit is told after its output, unless a descendant holds a pipe open."""
        assert self._transport
        self._exit = self._loop.call_later(_EXIT_PATIENCE, self._tell_exit)
        for stream in (1, 2):
            self._give_credit(stream, _REST)
        if self._ends_family:
            held(self._transport.program).send_signal(9, family=True)
        if not self._open:
            self._tell_exit()

    def connection_lost(self, exc: Exception | None) -> None:
        """Everything has ended, or the shim was killed."""
        if self._transport and (lost := self._transport.program.lost):
            self._tell(Lost(self._why or str(lost)))
            self._end()

    # ---------------------------------------------------------------------------------------------------------------

    def _pipe(self, stream: int) -> Any:
        """The transport of a stream, to read or to write; None if it is no pipe."""
        return self._transport.get_pipe_transport(stream) if self._transport else None

    def _tell(self, message: FromFar) -> None:
        self._send(FROM_FAR.encode(message))

    def _tell_exit(self) -> None:
        assert self._transport
        assert self._exit
        self._exit.cancel()
        if self._has_told or self._why:
            return
        self._has_told = True
        self._read_note()
        program = self._transport.program
        used, lasted = program.usage, program.duration
        there = held(program)
        left = len(descendants.of(there.shim)) if there.has_family else 0
        usage = (used.user, used.system, used.peak_bytes) if used else None
        assert program.returncode is not None
        self._tell(RemoteExited(program.returncode, lasted, usage, left, self._note))
        self._tell_gone()

    def _has_gone(self) -> None:
        self._end()
        self._tell_gone()
        if not self._is_over:
            self._loop.call_later(_REST_PATIENCE, self._tell_gone, True)

    def _tell_gone(self, at_once: bool = False) -> None:
        """Send `Gone` once the exit was told, nothing is left and all output was read; `at_once`: do not wait for the output.

        A process outside the family may hold a pipe open for longer.
        """
        if self._has_told and self.gone.done() and not (self._is_over or self._why) and (at_once or not self._open):
            self._is_over = True
            self._tell(Gone())

    def _read_note(self) -> None:
        if self._script:
            self._note = script_of.note(self._script).decode("latin-1")

    def _end(self) -> None:
        if self._script:
            self._read_note()
            with contextlib.suppress(OSError):  # somebody has removed or replaced it
                os.unlink(self._script)
            self._script = ""
        if not self.gone.done():
            self.gone.set_result(None)

    def _give_credit(self, stream: int, size: int) -> None:
        self._credit[stream] += size
        if self._credit[stream] > 0 and (pipe := self._pipe(stream)):
            pipe.resume_reading()

    def _take_input(self, data: bytes) -> None:
        pipe = self._pipe(0)
        self._untold += len(data)
        if pipe and not pipe.is_closing():
            if not data:
                pipe.write_eof()
                return
            pipe.write(data)
        if not self._input_is_slow:
            self._tell_taken()

    def _tell_taken(self) -> None:
        size, self._untold = self._untold, 0
        if size:
            self._tell(Taken(size))


def held(program: Program) -> HeldProgram:
    """The connection to the shim that holds a program."""
    assert isinstance(program.family, supervised.ShimFamily)
    return program.family.held


def figures(program: Program) -> Figures:
    """The figures of a program's family."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    used, memory, count, paused = 0, 0, 0, False
    for pid in descendants.of(held(program).shim):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                words = file.read().rpartition(")")[2].split()  # proc_pid_stat(5), from the third word on
        except OSError:
            continue  # it has just ended
        if words[0] != "Z":
            used += sum(map(int, words[11:15]))
            memory += int(words[21]) * page
            count += 1
            paused = paused or (pid == program.pid and words[0] == "T")
    return Figures(used / ticks, memory, count, paused)
