"""asyncio's transport for a program that is no child of this process: held by a shim here, or on another machine."""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from ..errors import ProcessLost
from ..program.program import Program
from ..program.usage import Usage


class Transport(asyncio.SubprocessTransport):
    """Behaves like asyncio's own. Its launcher calls it with whatever happens to the program.

    Args:
        program: is kept up to date by this.
        protocol: asyncio's protocol.
        piped: the streams that are pipes, of 0, 1 and 2.
        send: sends a signal to the program itself.
        disown: called in a forked child; drops the launcher's connection without ending the program.
    """

    def __init__(
        self,
        program: Program,
        protocol: asyncio.SubprocessProtocol,
        piped: Iterable[int],
        send: Callable[[int], object],
        disown: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self.program = program
        self._protocol = protocol
        self._send = send
        self._disown = disown
        self._pipes: dict[int, Any] = {}  # asyncio's transports, by stream
        self._open = set(piped)
        self._returncode: int | None = None
        self._is_closing = self._is_finished = False

    def __repr__(self) -> str:
        return f"<Transport of {self.program!r}>"

    # --- what the launcher calls -----------------------------------------------------------------------------------

    async def connect(self, files: dict[int, BinaryIO]) -> None:
        """Read and write these pipes on the running loop: 0 is written, 1 and 2 are read.

        If it is cancelled or fails, those that it has connected are closed.
        """
        loop = self.program.loop
        try:
            for stream, file in files.items():
                connect = loop.connect_read_pipe if stream else loop.connect_write_pipe
                self._pipes[stream], _ = await connect(lambda stream=stream: _Pipe(self, stream), file)  # type: ignore[misc]
                if stream:
                    self._pipes[stream].pause_reading()  # until the protocol was told that the program runs
        except BaseException:
            self._open.clear()  # the protocol hears nothing of a program that it was never told of
            self._close_pipes()
            raise

    def add_pipe(self, stream: int, pipe: asyncio.BaseTransport) -> None:
        """Use this transport for a stream that is read or written in another way than a pipe."""
        self._pipes[stream] = pipe

    def begin(self) -> None:
        """The program runs."""
        self._protocol.connection_made(self)
        for stream, pipe in self._pipes.items():
            if stream and stream in self._open:
                pipe.resume_reading()

    def take(self, stream: int, data: bytes) -> None:
        """The program has written this to a pipe."""
        self._protocol.pipe_data_received(stream, data)

    def end_pipe(self, stream: int, error: Exception | None = None) -> None:
        """A pipe has reached its end."""
        if stream in self._open:
            self._open.discard(stream)
            self._protocol.pipe_connection_lost(stream, error)
            self._finish()

    def pause_writing(self) -> None:
        """Standard input is full: what is written now has to wait."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Standard input has room again."""
        self._protocol.resume_writing()

    def exit(self, returncode: int, usage: Usage | None, at: float | None = None) -> None:
        """The program has ended; see `Program.exit`."""
        self._returncode = returncode
        self.program.exit(usage, at)
        self._protocol.process_exited()
        self._finish()

    def lose(self, error: ProcessLost) -> None:
        """The program is lost: it will not be known how it ends."""
        self._is_closing = True
        self.program.lose(error)
        self._close_pipes()
        self._protocol.connection_lost(None)

    def disown(self) -> None:
        """Forget the program in a forked child, because it belongs to the parent."""
        self._is_closing = True
        self._disown()

    def _finish(self) -> None:
        """Tell the protocol, as asyncio does, once the program has ended and all its pipes are closed."""
        if self._returncode is not None and not self._open and not self._is_finished:
            self._is_closing = self._is_finished = True
            self._protocol.connection_lost(None)
            self.program.close()

    def _close_pipes(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()

    # --- asyncio's transport ---------------------------------------------------------------------------------------

    def get_pid(self) -> int:
        """The pid of the program."""
        return self.program.pid

    def get_returncode(self) -> int | None:
        """The return code; None while the program runs."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> Any:
        """The transport of a stream that is PIPE; None for others."""
        return self._pipes.get(fd)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that asyncio was given."""
        return self._protocol

    def send_signal(self, signal: int) -> None:
        """Send a signal to the program itself."""
        if self.program.is_over:
            raise ProcessLookupError
        self._send(signal)

    def terminate(self) -> None:
        """Send SIGTERM to the program itself."""
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the program itself."""
        self.send_signal(signals.SIGKILL)

    def is_closing(self) -> bool:
        """Whether its pipes are closed, or are being closed."""
        return self._is_closing

    def close(self) -> None:
        """Close the pipes, and kill the program if it runs and is not to be kept; the rest of its family stays."""
        if not self._is_closing:
            self._is_closing = True
            self._close_pipes()
            if not self.program.is_over and not self.program.keep:
                self._send(signals.SIGKILL)


class _Pipe(asyncio.Protocol):
    """asyncio's protocol of one pipe."""

    def __init__(self, transport: Transport, stream: int) -> None:
        self._transport = transport
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        self._transport.take(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport.end_pipe(self._stream, exc)

    def pause_writing(self) -> None:
        self._transport.pause_writing()

    def resume_writing(self) -> None:
        self._transport.resume_writing()
