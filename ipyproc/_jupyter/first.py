"""The view of the first moments: what a program has written is shown at once, as plain as the text of a short command.

When the program turns out to take longer, a card takes its place; when it ends before, it stays.
"""

from __future__ import annotations

from collections.abc import Collection

from IPython.display import DisplayHandle

from .._core.process import Process
from .._core.rows import Rows
from . import transcript
from .view import take_in

_GLANCE = 8 * 1024  # bytes in both forms; enough for some moments


class FirstText:
    """Shows these streams of a process without a frame, in a display that may become another; see `display`."""

    period = 0.05  # seconds between two updates, at least

    def __init__(self, process: Process, streams: Collection[int], limit: int) -> None:
        assert process.log is not None
        self._rows = Rows(process.log, streams)
        self._limit = limit
        self._shown = 0  # bytes of the log
        self.display = DisplayHandle()

    def show(self) -> None:
        """Put what there is into the cell that is running now."""
        self.display.display(self._bundle(), raw=True)

    def update(self) -> None:
        """Show what has come since."""
        if self._rows.log.bytes != self._shown:
            self.display.update(self._bundle(), raw=True)

    async def settle(self) -> None:
        """Take in all of the output."""
        await take_in(self._rows)

    def finish(self) -> None:
        """Show all, within the bounds of a transcript."""
        while self._rows.follow():
            pass
        self.display.update(transcript.text_bundle(self._rows, self._limit), raw=True)

    def _bundle(self) -> dict[str, str]:
        self._rows.follow()
        self._shown = self._rows.log.bytes
        return transcript.text_bundle(self._rows, min(self._limit, _GLANCE))
