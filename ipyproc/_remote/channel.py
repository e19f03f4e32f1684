"""The channel: this side of one program on another machine.

The log is written here, on the event loop, and takes everything, so the program waits for nothing but the network.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import time
from typing import Protocol

from .._core.errors import ProcessLost
from .._core.launch.transport import Transport
from .._core.output.log import STDERR_FD, STDOUT_FD, Log
from .._core.output.screen import inert_line
from .._core.program.program import Program
from .._core.program.spec import Fd, Spec, Target
from .._core.program.usage import Usage
from .._core.protocol import (
    FROM_FAR,
    TO_FAR,
    WINDOW,
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
    ToFar,
)
from .family import RemoteFamily
from .pipes import PIECE, Reader, Writer


class Link(Protocol):
    """Carries the messages of one program. It passes each one received to `Channel.receive`, and calls `Channel.lost` at its end."""

    where: str
    """The machine, and what else people want to know of the place there."""
    ends_family: bool
    """Whether what is left of the family must be killed when the program ends, because its place is then free for others."""

    def send(self, message: bytes) -> None:
        """Send a message; does not wait, and keeps the order."""

    def close(self) -> None:
        """Close the link: nothing is left of the program, or what is left is to end."""


class Channel:
    """This side of one program on another machine: sends its messages over a `Link`, and handles those that come back."""

    def __init__(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None, launcher: str) -> None:
        self.program = Program(spec.args, launcher, log)
        self._spec = spec
        self._command = ["/bin/sh", "-c", spec.args] if isinstance(spec.args, str) else list(spec.args)
        self._log = log
        self._loop = self.program.loop
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()  # done when nothing of its family is left
        self._family: RemoteFamily | None = None  # None until it was started
        self._link: Link | None = None
        self._is_over = False
        targets = {STDOUT_FD: spec.stdout, STDERR_FD: spec.stderr}
        piped = {stream for stream, target in {0: spec.stdin, **targets}.items() if target is Target.PIPE}
        transport = self._transport = Transport(self.program, protocol, piped, self._send_signal)
        self._readers = {stream: Reader(functools.partial(self._give_credit, stream)) for stream in sorted(piped - {0})}
        for stream, reader in self._readers.items():
            transport.add_pipe(stream, reader)
        self._stdin: Writer | None = None
        if spec.stdin is Target.PIPE:
            self._stdin = Writer(self._send_input, transport.pause_writing, transport.resume_writing)
            transport.add_pipe(0, self._stdin)
        elif isinstance(spec.stdin, Fd):
            self._stdin = Writer(self._send_input, lambda: None, lambda: None)
        self._file = os.dup(spec.stdin.number) if isinstance(spec.stdin, Fd) else None
        self._feeding: asyncio.Task[None] | None = None
        self._credit = {STDOUT_FD: 0, STDERR_FD: 0}
        self._open = {stream for stream, target in targets.items() if target in (Target.LOG, Target.PIPE)}

    def __repr__(self) -> str:
        return f"<Channel to {self.program!r}>"

    @property
    def where(self) -> str:
        """The place of the program, for people."""
        return inert_line(self._link.where) if self._link else "another machine"

    async def start(self, link: Link) -> None:
        """Have the program started there.

        Raises:
            OSError: it cannot be started.
            ProcessLost: the link ended before it was started, or the other side broke the protocol.
        """
        self._link, spec = link, self._spec
        self.program.started_at = time.monotonic()
        self._tell(
            RemoteStart(
                args=self._command,
                cwd=spec.cwd,
                env=dict(spec.env or {}),
                script=spec.script,
                stdin=spec.stdin is not Target.NULL,
                stdout=spec.stdout is not Target.NULL,
                stderr="stdout" if spec.stderr is Target.STDOUT else spec.stderr is not Target.NULL,
                ends_family=link.ends_family,
            )
        )
        await asyncio.shield(self._started)
        if self._file is not None:
            self._feeding = self._loop.create_task(self._feed(self._file))

    def abandon(self) -> None:
        """Give up the program: it was not started, or is no longer wanted."""
        self._is_over = True
        if self._started.done() and not self._started.cancelled():
            self._started.exception()  # retrieved here, so that asyncio does not report it
        if self.program.pid:
            self._transport.end_pipe(0)
        self._end()

    def _tell(self, message: ToFar) -> None:
        """Send a message, if there is a link."""
        if self._link:
            self._link.send(TO_FAR.encode(message))

    # --- what comes from there -------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """Handle a message from there. One that is not understood, or comes out of turn, makes the program lost."""
        if self._gone.done():
            return  # it was given up, lost, or nothing is left of it
        try:
            told = FROM_FAR.decode(message)
        except ProtocolError as error:
            self.lost(str(error))
            return
        family = self._family
        if isinstance(told, Lost):
            self.lost(told.why)
        elif isinstance(told, NotStarted) and not self._started.done():
            self._started.set_exception(self._worded(told))
        elif isinstance(told, RemoteStarted) and not self._started.done():
            self._take_start(told.pid)
        elif family is None or self._is_out_of_turn(told):
            self.lost(f"the other side says {type(told).__name__} out of turn")
        elif isinstance(told, Data):
            self._take_output(told.stream, told.data)
        elif isinstance(told, Taken) and self._stdin:
            self._stdin.taken(told.size)
        elif isinstance(told, RemoteExited) and not self._is_over:
            family.left_at_exit = told.left
            self._take_exit(told)
        elif isinstance(told, Figures):
            family.figures = told
        elif isinstance(told, Gone):
            self._end()

    def _is_out_of_turn(self, told: FromFar) -> bool:
        """Whether a program that has started cannot have this said of it now."""
        if isinstance(told, Data):
            return told.stream not in self._open
        return isinstance(told, (RemoteStarted, NotStarted)) or (isinstance(told, Gone) and not self._is_over)

    def lost(self, why: str) -> None:
        """The other side is gone, or has ended the program itself, so its own end will not be known."""
        if self._is_over:
            self._end()
            return
        self._is_over = True
        pid = self.program.pid
        process = f"process {pid}" if pid else "a program that was being started"
        error = ProcessLost(f"{process} on {self.where} was lost: {inert_line(why)}")
        self._end()
        if not self._started.done():
            self._started.set_exception(error)
            return
        self._transport.end_pipe(0, error)
        self._transport.lose(error)

    def _take_start(self, pid: int) -> None:
        self.program.where = self.where
        self._family = RemoteFamily(pid, self.where, self._gone, self._tell)
        self.program.begin(pid, self._transport, self._family)
        self._transport.begin()
        self._started.set_result(None)

    def _take_output(self, stream: int, data: bytes) -> None:
        if not data:
            self._open.discard(stream)
        if stream not in self._readers:
            assert self._log
            if data:
                self._log.write(stream, data)
            else:
                self._log.end(stream)
        elif data:
            self._transport.take(stream, data)
        else:
            self._end_reader(stream)
        self._credit[stream] += len(data)
        if stream not in self._readers or self._readers[stream].is_reading():
            self._give_credit(stream)

    def _give_credit(self, stream: int) -> None:
        """Let more output come, once there is enough room to be worth a message."""
        if self._credit[stream] >= WINDOW // 2 and not self._is_over:
            self._tell(Credit(stream, self._credit[stream]))
            self._credit[stream] = 0

    def _take_exit(self, told: RemoteExited) -> None:
        self._is_over = True
        self.program.note = told.note.encode("latin-1", "replace")
        self._transport.end_pipe(0, BrokenPipeError() if self._stdin and self._stdin.is_full else None)
        ended_at = self.program.started_at + told.lasted  # rather than now, as the loop may have been busy meanwhile
        self._transport.exit(told.returncode, Usage(*told.usage) if told.usage else None, ended_at)

    def _end_reader(self, stream: int) -> None:
        self._readers[stream].close()
        self._transport.end_pipe(stream)

    def _end(self) -> None:
        """Close everything: nothing is left of the program, or the connection to it is gone."""
        if self._link:
            self._link.close()
        if self._feeding:
            self._feeding.cancel()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self.program.pid:
            for stream in self._readers:
                self._end_reader(stream)
        if self._log and self._started.done():
            for stream in tuple(self._log.open_streams):
                self._log.end(stream)
        self._log = None  # the family may be held for longer, and must not hold the log
        if not self._gone.done():
            self._gone.set_result(None)

    def _worded(self, told: NotStarted) -> OSError:
        """The error of a program that could not be started, with the name of the machine."""
        number, text, file = told
        what = inert_line(text)
        if file == self._command[0]:
            what = "no such program" if number == errno.ENOENT else what
        elif file is not None:
            what = f"cwd: {what.lower() if number != errno.ENOENT else 'no such directory'}"
        return OSError(number, f"{what} on {self.where}", file)

    async def _feed(self, fd: int) -> None:
        """Send a file as standard input, as fast as the program reads it."""
        assert self._stdin
        try:
            at = os.lseek(fd, 0, os.SEEK_CUR)
            while data := os.pread(fd, PIECE, at):
                at += len(data)
                self._stdin.write(data)
                await self._stdin.sent()
        except OSError as error:  # it must not take what was sent for all of it
            self.lost(f"its standard input cannot be read here: {error.strerror}")
        else:
            self._stdin.write_eof()

    def _send_input(self, data: bytes) -> None:
        self._tell(Data(0, data))

    def _send_signal(self, number: int) -> None:
        """Send a signal to the program itself."""
        if number:
            self._tell(Signal(number, False, None))
