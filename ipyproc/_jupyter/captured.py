"""The output for whoever has put something in the place of `sys.stdout` or `sys.stderr`.

That is a value and no picture of one: all of it as text, once, in the order in which it came, and no word of ours.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Mapping
from typing import TextIO

from .._core.process import Process
from .view import Guard, View, guarded

_STEP = 1 << 20  # bytes; then others have their turn


class Captured:
    """A view that writes some streams of a process into these files, and lets another view show the others."""

    def __init__(self, process: Process, files: Mapping[int, TextIO], shown: View) -> None:
        assert process.log is not None
        self.shown = shown
        self._log = process.log
        self._guard = Guard(process.log)
        self._files = files
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in files}
        self._next = 0  # the byte of the log that is written next

    @property
    def period(self) -> float:
        """Seconds between two updates, at least."""
        return self.shown.period

    def show(self) -> None:
        """Show the others."""
        self.shown.show()

    def update(self) -> None:
        """Write what has come since, or the first part of it."""
        self._write()
        self.shown.update()

    async def settle(self) -> None:
        """Take in all of the output."""
        while self._write():  # noqa: ASYNC110  -- it is our own work that goes on
            await asyncio.sleep(0)
        await self.shown.settle()

    async def finish(self) -> None:
        """Write the rest."""
        while self._write():  # noqa: ASYNC110
            await asyncio.sleep(0)
        self._end()
        await self.shown.finish()

    @guarded
    def _end(self) -> None:
        for stream, decoder in self._decoders.items():
            self._files[stream].write(decoder.decode(b"", final=True))

    @guarded
    def _write(self) -> bool:
        """Write a step; whether there is more."""
        start, self._next = self._next, min(self._log.bytes, self._next + _STEP)
        for stream, data in self._log.pieces(start, self._next - start, self._files.keys()):
            self._files[stream].write(self._decoders[stream].decode(data))
        return self._next < self._log.bytes
