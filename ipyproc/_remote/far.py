"""The other end: holds programs for a kernel on another machine. Linux, Python 3.11 or newer, standard library.

Each program is started by the supervised launcher of that machine, so nothing of it outlives the process that runs
this, and that ends what it holds when the link to the kernel breaks.

Both ends speak in messages, bytes in order. The first byte says what it is: 0, 1 or 2: what follows is of standard
input, output or error, nothing is its end; `{`: JSON. From the kernel, `start` first::

    {"start": {args, cwd, env, script, stdin, stdout, stderr, ends_family}}
    {"signal": N, "family": true or false, "kill_in": null or seconds until SIGKILL to the family}
    {"credit": [stream, bytes]}         so many more may be sent of it; `WINDOW` at first
    {"look": true}                      tell figures

and to it::

    {"pid": P}                          the program runs
    {"errno": N, "text": T, "file": F}  it could not be started
    {"taken": bytes}                    of standard input; `WINDOW` may be on the way
    {"exit": CODE, "lasted": SECONDS,   the program itself has ended after this time;
     "usage": [U, S, M], "left": N,     N descendants have not;
     "note": T}                         what its shell has noted of a script, in Latin-1
    {"figures": [S, M, N, paused]}      of the family now: seconds of CPU, bytes of memory, number of processes
    {"gone": true}                      nothing is left of its family
    {"lost": REASON}                    it was ended because of us, and not by itself: that is no exit
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from typing import Any

from .._core import script as script_of
from .._core.errors import ProcessLost
from .._core.launch import descendants, supervised
from .._core.status import Usage

WINDOW = 1 << 19
"""Bytes of one stream that may be on the way, or held by a reader that does not read."""
_REST = 1 << 20
"""Credit after the exit: what the pipe and we hold, so that a program that has ended waits for no reader."""
_PIPE_BYTES = 1 << 18
_EXIT_PATIENCE = 0.05  # seconds that a pipe has to come to its end after the program, or else a descendant holds it
_REST_PATIENCE = 2.0  # seconds that the last output may take to be read when nothing is left that could write


class Session(asyncio.SubprocessProtocol):
    """One program and its family, for whoever is at the other end; `send` takes messages, in order, at once.

    Attributes:
        gone: done when nothing of it is left, or nothing was started.
    """

    usage: Usage | None = None
    ended_at = 0.0

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._starting: asyncio.Task[None] | None = None
        self._transport: supervised.Transport | None = None
        self._credit = {1: WINDOW, 2: WINDOW}
        self._open: set[int] = set()  # streams
        self._input_is_slow = False
        self._untold = 0  # bytes of input that were taken
        self._exit: asyncio.TimerHandle | None = None
        self._has_told = self._is_over = False  # its exit; that all is gone
        self._ends_family = False
        self._why = ""  # we end it
        self._script = self._note = ""  # a file, and what the shell has noted in it

    def __repr__(self) -> str:
        return f"<Session of process {self._transport.get_pid() if self._transport else 'that is not there'}>"

    def receive(self, message: bytes) -> None:
        """Do what the other end says."""
        if message[0] == 0:
            self._take_input(message[1:])
            return
        told = json.loads(message)
        if "start" in told:
            self._starting = self._loop.create_task(self._start(**told["start"]))
        elif "signal" in told and self._transport:
            number, family, kill_in = told["signal"], told["family"], told["kill_in"]
            self._transport.program.send_signal(number, family=family, kill_in=kill_in)
        elif "credit" in told:
            stream, size = told["credit"]
            self._give_credit(stream, size)
        elif "look" in told and self._transport:
            self._tell(figures=figures(self._transport.program))

    def close(self, why: str = "the connection was closed") -> None:
        """End all of it."""
        self._why = self._why or why
        if self._transport:
            if not self.gone.done():
                self._tell(lost=self._why)
            self._transport.program.close()
            self._transport.close()
        elif self._starting and not self._starting.done():
            return  # it is met when it has started
        self._end()

    async def _start(
        self,
        *,
        args: Sequence[str],
        cwd: str | None,
        env: dict[str, str],
        script: str | None,
        stdin: bool,
        stdout: bool,
        stderr: bool | str,
        ends_family: bool,
    ) -> None:
        self._ends_family = ends_family
        where = os.path.expanduser(cwd) if cwd else None  # noqa: ASYNC240  -- looks at the environment
        try:
            if script is not None:
                fd, self._script = tempfile.mkstemp(".sh", "ipyproc-")
                script_of.write(fd, script)
                args = script_of.arguments(args, script, self._script)
            await supervised.exec(
                lambda: self,
                *args,
                stdin=PIPE if stdin else DEVNULL,
                stdout=PIPE if stdout else DEVNULL,
                stderr=asyncio.subprocess.STDOUT if stderr == "stdout" else PIPE if stderr else DEVNULL,
                cwd=where,
                env={**os.environ, **env},
            )
        except Exception as error:  # noqa: BLE001  -- whatever it is, the other end has to know
            if isinstance(error, OSError) and error.errno:
                self._tell(errno=error.errno, text=error.strerror, file=error.filename)
            else:
                self._tell(lost=str(error) or repr(error))
            self._end()
            return
        assert self._transport
        if self._why:
            self.close()
        self._transport.program.gone.add_done_callback(lambda _: self._has_gone())

    # --- as the protocol of the program ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        assert isinstance(transport, supervised.Transport)
        self._transport = transport
        for stream in (0, 1, 2):
            if pipe := self._pipe(stream):
                if stream:
                    self._open.add(stream)
                    with contextlib.suppress(OSError, ValueError):  # no memory for pipes; or it is closed already
                        fcntl.fcntl(pipe.get_extra_info("pipe"), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                else:
                    pipe.set_write_buffer_limits(high=0)
        self._tell(pid=transport.get_pid())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Output."""
        self._send(bytes((fd,)) + data)
        self._credit[fd] -= len(data)
        if self._credit[fd] <= 0 and (pipe := self._pipe(fd)):
            pipe.pause_reading()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """The end of a stream."""
        if fd in self._open:
            self._open.discard(fd)
            self._send(bytes((fd,)))
            if self._exit and not self._open:
                self._tell_exit()
                self._tell_gone()

    def pause_writing(self) -> None:
        """The program does not read its input as fast as it comes."""
        self._input_is_slow = True

    def resume_writing(self) -> None:
        """It has read what there was."""
        self._input_is_slow = False
        self._tell_taken()

    def process_exited(self) -> None:
        """The program has ended; what it wrote comes first, unless a descendant holds the pipe."""
        assert self._transport
        self._exit = self._loop.call_later(_EXIT_PATIENCE, self._tell_exit)
        for stream in (1, 2):
            self._give_credit(stream, _REST)
        if self._ends_family:
            self._transport.program.send_signal(9, family=True)
        if not self._open:
            self._tell_exit()

    def process_lost(self, error: ProcessLost) -> None:
        """Its shim was killed."""
        self._tell(lost=self._why or str(error))
        self._end()

    # ---------------------------------------------------------------------------------------------------------------

    def _pipe(self, stream: int) -> Any:
        """The transport of a stream, which is one to read or to write; None: there is none."""
        return self._transport.get_pipe_transport(stream) if self._transport else None

    def _tell(self, **message: Any) -> None:
        self._send(json.dumps(message).encode())

    def _tell_exit(self) -> None:
        assert self._transport
        assert self._exit
        self._exit.cancel()
        if self._has_told or self._why:
            return
        self._has_told = True
        self._read_note()
        used, lasted = self.usage, self.ended_at - self._transport.get_extra_info("started_at")
        left = len(descendants.of(self._transport.program.shim)) if self._transport.program.has_family else 0
        usage = [used.user, used.system, used.peak_bytes] if used else None
        self._tell(exit=self._transport.get_returncode(), lasted=lasted, usage=usage, left=left, note=self._note)
        self._tell_gone()

    def _has_gone(self) -> None:
        self._end()
        self._tell_gone()
        if not self._is_over:
            self._loop.call_later(_REST_PATIENCE, self._tell_gone, True)

    def _tell_gone(self, at_once: bool = False) -> None:
        """When the exit was told, nothing is left, and all output was read; a stranger may hold the pipe for longer."""
        if self._has_told and self.gone.done() and not (self._is_over or self._why) and (at_once or not self._open):
            self._is_over = True
            self._tell(gone=True)

    def _read_note(self) -> None:
        if self._script:
            self._note = script_of.note(self._script).decode("latin-1")

    def _end(self) -> None:
        if self._script:
            self._read_note()
            with contextlib.suppress(OSError):  # it is gone, or no file any more
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
            self._tell(taken=size)


def figures(program: supervised.Program) -> tuple[float, int, int, bool]:
    """Of the family of a program: seconds of CPU, resident bytes, number of processes; whether the program is paused."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    used, memory, count, paused = 0, 0, 0, False
    for pid in descendants.of(program.shim):
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
    return used / ticks, memory, count, paused
