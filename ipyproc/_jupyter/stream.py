"""The view without a page: native stream text, bounded, as `%%bash` shows it.

Headless runs (nbclient, papermill), terminals, `--plain`, and commands that end before a card would appear. The
first part of the output is written as it comes, at most five times a second; of what is beyond the bound, the last
part is written at the end, with a line that says how much is between and where the whole log is.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

from .._core import screen
from .._core.log import STDERR_FD, STDOUT_FD
from .._core.process import Process

HEAD = TAIL = 32 * 1024  # bytes


class StreamView:
    """Writes the output of a process to `sys.stdout` and `sys.stderr` of its cell; only these streams of it."""

    period = 0.2  # seconds between two updates, at least

    def __init__(self, process: Process, streams: Collection[int]) -> None:
        assert process.log is not None
        self._log = process.log
        self._streams = streams
        self._filters: dict[int, screen.Filter] = {}
        self._position = 0
        self._shown = 0

    def show(self) -> None:
        """Nothing stands in the cell before there is output."""

    def update(self) -> None:
        """Write what has come since, up to the bound."""
        self._write_new(HEAD - self._shown)

    async def settle(self) -> None:
        """Text needs nobody who is ready for it."""

    def finish(self) -> None:
        """Write the rest, or only the last part of it."""
        self._write_new(HEAD - self._shown)
        if (hidden := self._log.size(self._streams) - self._shown - TAIL) <= 0:
            self._write_new(TAIL)
        else:
            note = f"\n{self._log.leave_out(hidden)}\n"
            self._write([(STDOUT_FD, note.encode()), *self._log.tail(TAIL, self._streams)])
        self._write([(stream, b"") for stream in self._filters], final=True)

    def _write_new(self, limit: int) -> None:
        """Write at most `limit` bytes of what was not written yet."""
        new: list[tuple[int, bytes]] = []
        for offset, stream, data in self._log.spans(self._position, streams=self._streams):
            taken = data[:limit]
            limit -= len(taken)
            if taken:
                new.append((stream, taken))
                self._shown += len(taken)
                self._position = offset + len(taken)
            if not limit:
                break
        self._write(new)

    def _write(self, pieces: list[tuple[int, bytes]], *, final: bool = False) -> None:
        for stream, data in pieces:
            text = self._filters.setdefault(stream, screen.Filter()).feed(data, final=final)
            if text:
                file = sys.stderr if stream == STDERR_FD else sys.stdout
                file.write(_last_frames(text))
                file.flush()


def _last_frames(text: str) -> str:
    """The text without what a carriage return later in the same line replaces."""
    if "\r" not in text:
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines):
        last = line.rfind("\r", 0, len(line.rstrip("\r")))
        if last > 0:
            lines[number] = line[last:]
    return "\n".join(lines)
