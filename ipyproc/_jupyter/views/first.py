"""The view of the first moments: output is shown at once, as plain text without a frame.

If the program takes longer, a card replaces it; if it ends soon, the text stays.
"""

from __future__ import annotations

from collections.abc import Collection

from IPython.display import DisplayHandle

from ..._core.output.rows import Rows
from ..._core.output.turns import in_turns, within
from ..._core.process.run import LoggedRun
from ..guard import Guard, guarded
from . import transcript
from .view import take_in

_GLANCE = 8 * 1024  # bytes in both forms (HTML and plain text) that are shown at first
_TURNS = 20  # turns of work on one picture; see `turns`


class FirstText:
    """Shows these streams of a process without a frame.

    Attributes:
        display: the display that shows it and can be replaced; None while nothing is shown.
    """

    period = 0.05  # seconds between two updates, at least

    def __init__(self, run: LoggedRun, streams: Collection[int], limit: int) -> None:
        self._rows = Rows(run.log, streams)
        self._limit = limit
        self._shown = 0  # bytes of the log
        self._guard = Guard(run.log)
        self.display: DisplayHandle | None = None

    @guarded
    def show(self) -> None:
        """Put the output so far into the cell that runs now."""
        if bundle := self._bundle():
            self.display = DisplayHandle()
            self.display.display(bundle, raw=True)

    @guarded
    def update(self) -> None:
        """Show what is new."""
        if self.display is None:
            self.show()
        elif self._rows.log.bytes != self._shown and (bundle := self._bundle()):
            self.display.update(bundle, raw=True)

    @guarded
    async def settle(self) -> None:
        """Take in all of the output."""
        await take_in(self._rows)

    @guarded
    async def finish(self) -> None:
        """Show all of the output, as far as the limit of a transcript allows."""
        await self.settle()
        bundle = await in_turns(transcript.text_bundle(self._rows, self._limit))
        if self.display:
            self.display.update(bundle, raw=True)
        else:
            self.display = DisplayHandle()
            self.display.display(bundle, raw=True)

    def _bundle(self) -> dict[str, str] | None:
        """The MIME bundle of the output so far; None if drawing it would take too long for these moments."""
        if self._rows.follow():
            return None
        self._shown = self._rows.log.bytes
        return within(transcript.text_bundle(self._rows, min(self._limit, _GLANCE)), _TURNS)
