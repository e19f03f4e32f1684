"""asyncio's transport of a program that is no child of this process: held by a shim here, or on another machine."""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from ..errors import ProcessLost
from ..program.program import Program
from ..program.usage import Usage


class Transport(asyncio.SubprocessTransport):
    """Behaves as asyncio's own; its launcher tells it what it hears.

    Args:
        program: what is known of it; gets to know what this is told.
        protocol: asyncio's.
        piped: the streams that are pipes: 0, 1, 2.
        send: sends a signal to the program itself.
        disown: forgets it without a word, in a forked child.
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
        self._pipes: dict[int, Any] = {}  # transports, to read or to write
        self._open = set(piped)
        self._returncode: int | None = None
        self._is_closing = self._is_finished = False

    def __repr__(self) -> str:
        return f"<Transport of {self.program!r}>"

    # --- what the launcher tells -----------------------------------------------------------------------------------

    async def connect(self, files: dict[int, BinaryIO]) -> None:
        """Read and write these pipes on the running loop: 0 is to write, 1 and 2 to read."""
        loop = self.program.loop
        for stream, file in files.items():
            connect = loop.connect_read_pipe if stream else loop.connect_write_pipe
            self._pipes[stream], _ = await connect(lambda stream=stream: _Pipe(self, stream), file)  # type: ignore[misc]
            if stream:
                self._pipes[stream].pause_reading()  # nobody has heard yet that it runs

    def add_pipe(self, stream: int, pipe: asyncio.BaseTransport) -> None:
        """This one is read or written in another way."""
        self._pipes[stream] = pipe

    def begin(self) -> None:
        """It runs."""
        self._protocol.connection_made(self)
        for stream, pipe in self._pipes.items():
            if stream and stream in self._open:
                pipe.resume_reading()

    def take(self, stream: int, data: bytes) -> None:
        """What it wrote to a pipe."""
        self._protocol.pipe_data_received(stream, data)

    def end_pipe(self, stream: int, error: Exception | None = None) -> None:
        """A pipe is at its end."""
        if stream in self._open:
            self._open.discard(stream)
            self._protocol.pipe_connection_lost(stream, error)
            self._finish()

    def pause_writing(self) -> None:
        """What is written to its standard input has to wait."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """There is room again."""
        self._protocol.resume_writing()

    def exit(self, returncode: int, usage: Usage | None, at: float | None = None) -> None:
        """It has ended; see `Program.exit`."""
        self._returncode = returncode
        self.program.exit(usage, at)
        self._protocol.process_exited()
        self._finish()

    def lose(self, error: ProcessLost) -> None:
        """Nobody will hear how it ends."""
        self._is_closing = True
        self.program.lose(error)
        self._close_pipes()
        self._protocol.connection_lost(None)

    def disown(self) -> None:
        """In a forked child: it is its parent's."""
        self._is_closing = True
        self._disown()

    def _finish(self) -> None:
        """The protocol is told, as asyncio does, when the program has ended and all its pipes are closed."""
        if self._returncode is not None and not self._open and not self._is_finished:
            self._is_closing = self._is_finished = True
            self._protocol.connection_lost(None)
            self.program.close()

    def _close_pipes(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()

    # --- asyncio's transport ---------------------------------------------------------------------------------------

    def get_pid(self) -> int:
        """Its pid."""
        return self.program.pid

    def get_returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> Any:
        """Of a stream that is PIPE."""
        return self._pipes.get(fd)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told."""
        return self._protocol

    def send_signal(self, signal: int) -> None:
        """To the program itself."""
        if self.program.is_over:
            raise ProcessLookupError
        self._send(signal)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signals.SIGKILL)

    def is_closing(self) -> bool:
        """Whether its pipes are closed, or are being closed."""
        return self._is_closing

    def close(self) -> None:
        """Close its pipes, and kill it if it runs, unless it is to be kept; what is left of its family stays."""
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
