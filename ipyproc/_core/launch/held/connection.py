"""The connection of a shim to the kernel. Linux, standard library.

A busy kernel may read nothing for hours: messages wait here meanwhile, of those about the log only the last one.
"""

from __future__ import annotations

import os
import socket
import time

from ...output.writer import LogWriter
from ...protocol import FROM_SHIM, TO_SHIM, FromShim, Logged, ToShim
from .poll_loop import PollLoop

_MOST_FDS = 7  # of one start: three streams, the log, the directory it starts from, two locks of the log's directory
_PERIOD = 0.004  # seconds between two messages about the log


class Connection:
    """The connection to the kernel.

    Attributes:
        log: the log whose state `flush` reports when it has changed; None if there is no log.
    """

    log: ReportedLog | None = None

    def __init__(self, sock: socket.socket, loop: PollLoop) -> None:
        sock.setblocking(False)
        self._socket: socket.socket | None = sock
        self._loop = loop
        self._heard = b""  # the beginning of an incomplete line
        self._fds: list[int] = []  # descriptors that came with the last messages
        self._outbox = bytearray()

    def __repr__(self) -> str:
        return f"<Connection with {len(self._outbox)} bytes to be sent>"

    @property
    def is_flushed(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._outbox

    def close(self) -> None:
        """Close the connection; nothing is received or sent any more."""
        if self._socket:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def receive(self) -> list[ToShim] | None:
        """The messages that have come; None if the kernel is gone or has hung up.

        Raises:
            ProtocolError: one is not understood.
        """
        if not self._socket:
            return None
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, _MOST_FDS)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._fds += fds
        *lines, self._heard = (self._heard + data).split(b"\n")
        return [TO_SHIM.decode(line) for line in lines]

    def take_fds(self) -> list[int]:
        """The descriptors that have come since the last call."""
        fds, self._fds = self._fds, []
        return fds

    def send(self, message: FromShim) -> None:
        """Send it with the next `flush`."""
        if self._socket:
            self._outbox += FROM_SHIM.encode(message)

    def send_log(self) -> None:
        """Send the state of the log with the next `flush`, if it has changed."""
        if self.log and self.log.is_news:
            self.log.is_news = False
            self.log.told_at = time.monotonic()
            self.send(Logged(self.log.pack()))  # type: ignore[arg-type]  # a list, as JSON has it

    def flush(self) -> None:
        """Send the waiting messages, and the state of the log if that is due."""
        if not self._socket:
            self._outbox.clear()
            return
        if self.log and self.log.is_news and not self._outbox:
            wait = self.log.told_at + _PERIOD - time.monotonic()
            if wait <= 0:
                self.send_log()
            elif not self.log.is_due:
                self.log.is_due = True
                self._loop.call_later(wait, self._flush_log)
        try:
            while self._outbox:
                del self._outbox[: self._socket.send(self._outbox)]
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self.flush)
        except OSError:
            self._outbox.clear()  # the kernel is gone, which `receive` will find out
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _flush_log(self) -> None:
        if self.log:
            self.log.is_due = False
        self.flush()


class ReportedLog(LogWriter):
    """A log, and whether its state was sent to the kernel."""

    is_news = False  # whether it has changed since
    is_due = False  # whether a timer will send it
    told_at = 0.0  # by `time.monotonic()`

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        """Append what the program wrote."""
        super().write(stream, data, size)
        self.is_news = True

    def end(self, stream: int) -> None:
        """A stream has ended."""
        super().end(stream)
        self.is_news = True

    def close(self) -> None:
        """Close its descriptors."""
        while self._fds:
            os.close(self._fds.pop())
