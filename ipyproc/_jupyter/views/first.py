"""The view of the first moments: what a program has written is shown at once, as plain as the text of a short command.

When the program turns out to take longer, a card takes its place; when it ends before, it stays.
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

_GLANCE = 8 * 1024  # bytes in both forms; enough for some moments
_TURNS = 20  # of work on one picture


class FirstText:
    """Shows these streams of a process without a frame.

    Attributes:
        display: where it stands, in whose place something else may be put; None: it does not stand yet.
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
        """Put what there is into the cell that is running now."""
        if bundle := self._bundle():
            self.display = DisplayHandle()
            self.display.display(bundle, raw=True)

    @guarded
    def update(self) -> None:
        """Show what has come since."""
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
        """Show all, within the bounds of a transcript."""
        await self.settle()
        bundle = await in_turns(transcript.text_bundle(self._rows, self._limit))
        if self.display:
            self.display.update(bundle, raw=True)
        else:
            self.display = DisplayHandle()
            self.display.display(bundle, raw=True)

    def _bundle(self) -> dict[str, str] | None:
        """What there is to see; None: to draw it takes longer than these moments are worth."""
        if self._rows.follow():
            return None
        self._shown = self._rows.log.bytes
        return within(transcript.text_bundle(self._rows, min(self._limit, _GLANCE)), _TURNS)
