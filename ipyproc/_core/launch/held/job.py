"""The job socket as its shim sees it: what the kernel wants, and what it is told. Linux, standard library.

A kernel may be busy, and read nothing for hours: what is told waits here. Of the log only the last state is told then.
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


class Job:
    """The connection to the kernel.

    Attributes:
        log: what `flush` tells the state of, if there is something new; None: there is no log.
    """

    log: ReportedLog | None = None

    def __init__(self, sock: socket.socket, loop: PollLoop) -> None:
        sock.setblocking(False)
        self._socket: socket.socket | None = sock
        self._loop = loop
        self._heard = b""  # the begin of a line
        self._fds: list[int] = []  # that came with it
        self._outbox = bytearray()

    def __repr__(self) -> str:
        return f"<Job with {len(self._outbox)} bytes to be sent>"

    @property
    def is_told(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._outbox

    def close(self) -> None:
        """Hear and tell no more."""
        if self._socket:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def receive(self) -> list[ToShim] | None:
        """What has come; None: the kernel is gone, or has no use for us.

        Raises:
            ProtocolError: it is not understood.
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
        """The descriptors that came with the last message that has some."""
        fds, self._fds = self._fds, []
        return fds

    def tell(self, message: FromShim) -> None:
        """Send it with the next `flush`."""
        if self._socket:
            self._outbox += FROM_SHIM.encode(message)

    def tell_log(self) -> None:
        """The same with the state of the log, if the kernel does not know it."""
        if self.log and self.log.is_news:
            self.log.is_news = False
            self.log.told_at = time.monotonic()
            self.tell(Logged(self.log.pack()))  # type: ignore[arg-type]  # a list, as JSON has it

    def flush(self) -> None:
        """Send what was told, and the state of the log when its time has come."""
        if not self._socket:
            self._outbox.clear()
            return
        if self.log and self.log.is_news and not self._outbox:
            wait = self.log.told_at + _PERIOD - time.monotonic()
            if wait <= 0:
                self.tell_log()
            elif not self.log.is_due:
                self.log.is_due = True
                self._loop.call_later(wait, self._flush_log)
        try:
            while self._outbox:
                del self._outbox[: self._socket.send(self._outbox)]
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self.flush)
        except OSError:
            self._outbox.clear()  # nobody is there any more, which is met elsewhere
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _flush_log(self) -> None:
        if self.log:
            self.log.is_due = False
        self.flush()


class ReportedLog(LogWriter):
    """A log, and whether there is something to tell of it."""

    is_news = False
    is_due = False  # it will be told when its time has come
    told_at = 0.0

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        """Append what the program wrote."""
        super().write(stream, data, size)
        self.is_news = True

    def end(self, stream: int) -> None:
        """One stream has come to its end."""
        super().end(stream)
        self.is_news = True

    def close(self) -> None:
        """Close its descriptors."""
        while self._fds:
            os.close(self._fds.pop())
