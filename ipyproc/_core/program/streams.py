"""asyncio's subprocess protocol. It feeds the `StreamReader`s; a stream that goes to the log has a reader of the log."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
from collections.abc import Callable, Collection

from ..output.log import STDERR_FD, STDOUT_FD, Log


class Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """What `Process.stdin`, `stdout` and `stderr` are made from.

    Args:
        limit: buffer of each `StreamReader`, in bytes.
        log: where the streams `logged` go; None: there are none.

    Attributes:
        on_exit: called when the program has ended.
        on_close: called when it has ended, and all its pipes are closed.
    """

    def __init__(self, limit: int, log: Log | None, logged: Collection[int]) -> None:
        super().__init__(limit=limit, loop=asyncio.get_running_loop())
        self._log = log
        self._logged = logged
        self._made: asyncio.BaseTransport | None = None
        self.on_exit: Callable[[], object] = _ignored
        self.on_close: Callable[[], object] = _ignored

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made = transport
        if self._log is not None:
            if STDOUT_FD in self._logged:
                self.stdout = self._log.reader(STDOUT_FD)  # type: ignore[assignment]  # has the methods that asyncio calls
            if STDERR_FD in self._logged:
                self.stderr = self._log.reader(STDERR_FD)  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)  # asyncio calls this for a closed stdin too, hence the check
        if self._made is not None and self._made.is_closing():
            self.on_close()

    def process_exited(self) -> None:
        self.on_exit()
        super().process_exited()


def _ignored() -> None:
    """The default: the launcher reports the end in another way."""
