"""The output for a file that replaces `sys.stdout` or `sys.stderr`.

Such a file captures a value, not a picture of it: it gets all of the output as text, once, in the order in which it came,
and no word of ipyproc's own.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from typing import TextIO

from ..._core.output import phrases
from ..._core.output.encoding import ENCODING
from ..._core.process.run import LoggedRun
from ..guard import Guard, guarded
from ..thread import in_thread
from .view import View

_STEP = 1 << 20  # bytes to write before other tasks have their turn


class Captured:
    """A view that writes some streams of a process into these files, and lets another view show the others."""

    def __init__(self, run: LoggedRun, files: Mapping[int, TextIO], shown: View) -> None:
        self.shown = shown
        self._name = run.name
        self._log = run.log
        self._guard = Guard(run.log)
        self._streams = files.keys()
        self._files = dict(files)  # those that have raised no error
        self._decoders = {stream: codecs.getincrementaldecoder(ENCODING)("replace") for stream in files}
        self._next = 0  # the byte of the log that is written next
        self._written = 0  # bytes
        self._failure: Exception | None = None

    @property
    def period(self) -> float:
        """Seconds between two updates, at least."""
        return self.shown.period

    @property
    def error(self) -> Exception | None:
        """Why some of the output so far was not written, which may be an error of the file; None if all was."""
        gone = self._log.size_between(0, self._next, self._streams) - self._written
        if self._failure or not gone:
            return self._failure
        why = self._log.missing(self._streams) or f"{phrases.size_words(gone)} of the output are missing"
        return ValueError(f"{phrases.quoted(self._name)}: {why}")

    def show(self) -> None:
        """Show the other streams."""
        self.shown.show()

    def update(self) -> None:
        """Write what is new, or the first part of it."""
        self._write_step()
        self.shown.update()

    async def settle(self) -> None:
        """Take in all of the output."""
        await self._write_rest()
        await self.shown.settle()

    async def finish(self) -> None:
        """Write the rest."""
        await self._write_rest()
        self._write([(stream, b"") for stream in self._streams], final=True)
        await self.shown.finish()

    @guarded
    def _write_step(self) -> None:
        start, self._next = self._next, self._stop
        self._write(self._read(start, self._next))

    @guarded
    async def _write_rest(self) -> None:
        while self._next < (stop := self._stop):
            pieces = await in_thread(self._read, self._next, stop)  # it may be much, on a slow disk
            self._next = stop
            self._write(pieces)

    @property
    def _stop(self) -> int:
        return min(self._log.bytes, self._next + _STEP)

    def _read(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        return list(self._log.pieces(start, stop - start, self._streams))

    def _write(self, pieces: Iterable[tuple[int, bytes]], *, final: bool = False) -> None:
        for stream, data in pieces:
            if stream not in self._files:
                continue
            try:
                if text := self._decoders[stream].decode(data, final):
                    self._files[stream].write(text)
                self._written += len(data)
            except Exception as error:  # noqa: BLE001  -- the file may be of any kind
                self._failure = self._failure or error
                del self._files[stream]
