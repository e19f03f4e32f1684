"""The pipe from a program to its log, read on the event loop of this process or of a shim.

Standard library only, and nothing of this package: a shim (see `launch.held`) runs it in an interpreter of its own.

Why not asyncio's transport: this pipe is large, all pipes of a thread are read with one buffer, and what is read goes
straight to the file, without a StreamReader, a bytes object for each piece, or a pause of reading.
A program that floods gets the loop for `_SLICE` at a time, so the loop goes on; the log takes everything, so a
program never waits for a reader.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .writer import LogWriter

_PIPE_BYTES = 1 << 18  # Linux grants an ordinary user 64 MiB for all pipes
_BUFFER_BYTES = 1 << 18
_FIRST_BYTES = 1 << 14  # size of the buffer as long as that is enough: most shims never need more
_SLICE = 0.001  # seconds
_BUSY = 0.002  # seconds; a program that writes again so soon ...
_PAUSE, _LONGEST_PAUSE = 0.004, 0.016  # ... is read again after this time: one read for many small writes
_FEW = 4096  # bytes; if less than that came during a pause, the next one is longer

_thread = threading.local()


class Loop(Protocol):
    """What we need of an event loop, by asyncio's names."""

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None: ...
    def remove_reader(self, fd: int, /) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], object], /) -> Any: ...


class LogPipe:
    """A pipe, made before the program starts. The program gets `write_end` as one of its streams; then call `connect`.

    POSIX only: asyncio's loop on Windows has no `add_reader`; there, asyncio's own pipe feeds the log.
    """

    def __init__(self, log: LogWriter, stream: int, loop: Loop, others: Sequence[LogPipe] = ()) -> None:
        self._log = log
        self._others = others  # of the same program
        self._stream = stream
        self._loop = loop
        self._fds: list[int] = []  # those that are open; set before os.pipe() can fail, for `__del__`
        self._read_end, self.write_end = os.pipe()
        self._fds += (self._read_end, self.write_end)
        self._read_at = 0.0
        self._is_paused = self._has_more = False
        self._pause = _PAUSE  # the last one
        os.set_blocking(self._read_end, False)
        if sys.platform == "linux":
            import fcntl  # late: POSIX only

            with contextlib.suppress(OSError):  # the user's share of pipe memory is used up: it keeps its 64 KiB
                fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def __repr__(self) -> str:
        return f"<LogPipe of stream {self._stream}, {'open' if self._fds else 'closed'}>"

    def __del__(self) -> None:
        _close(self._fds)  # the loop has ended before the program

    def connect(self) -> None:
        """The program has the write end: close it here, and start reading."""
        self._fds.remove(self.write_end)
        os.close(self.write_end)
        self._loop.add_reader(self._read_end, self._drain)

    def close(self) -> None:
        """Close what is open; the program was not started."""
        _close(self._fds)

    def read_available(self) -> None:
        """Read what is there now; the program has ended."""
        for _ in range(2):  # the buffer is as large as a pipe, so the second one finds nothing, or the end
            if self._fds:
                self._read(once=True)

    def finish(self) -> None:
        """Read what is there, and end the stream: nobody is left who could write."""
        self.read_available()
        if self._fds:
            self._end()

    def _drain(self) -> None:
        """Read what is there, but first what was left in another pipe, because that was written before."""
        for other in self._others:
            if other is not self and other._fds and (other._is_paused or other._has_more):
                other._read(once=True)  # the buffer is as large as a pipe
        self._read()

    def _read(self, *, once: bool = False) -> None:
        """Read for a slice of time, or once. An error must not leave it: the loop would call it again for ever."""
        self._has_more = False
        deadline = time.perf_counter() + _SLICE
        try:
            while True:
                buffer = _buffer()
                count = os.readv(self._read_end, [buffer])
                if not count:
                    self._end()
                    return
                self._log.write(self._stream, buffer, count)
                if count == len(buffer) < _BUFFER_BYTES:
                    _thread.buffer = bytearray(_BUFFER_BYTES)
                    continue
                if count < _BUFFER_BYTES // 4:
                    self._pause_if_busy(count)
                    return  # it is empty
                if once or time.perf_counter() > deadline:
                    self._has_more = True
                    return  # it will be called again
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001
            self._end()
            warnings.warn(f"reading output has failed: {error!r}", RuntimeWarning, stacklevel=1)

    def _pause_if_busy(self, count: int) -> None:
        now = time.perf_counter()
        if now - self._read_at >= _BUSY + self._pause:
            self._pause = _PAUSE
        elif not self._is_paused:
            self._is_paused = True
            self._loop.remove_reader(self._read_end)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if count < _FEW else _PAUSE
            self._loop.call_later(self._pause, self._go_on)
        self._read_at = now

    def _go_on(self) -> None:
        self._is_paused = False
        if self._fds:
            self._loop.add_reader(self._read_end, self._drain)
            self._drain()  # now: another pipe may have become ready in the pause, and would be read first

    def _end(self) -> None:
        self._loop.remove_reader(self._read_end)
        _close(self._fds)
        self._log.end(self._stream)


def _buffer() -> bytearray:
    """The one buffer of this thread: what is read is written at once."""
    if not hasattr(_thread, "buffer"):
        _thread.buffer = bytearray(_FIRST_BYTES)
    found: bytearray = _thread.buffer
    return found


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
