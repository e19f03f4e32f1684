"""The last commands of a batch that have ended, kept so that a view can show their output."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from ..output.log import Log
from ..process.process import Process
from .completed import CompletedProcess

MOST = 100
MOST_BYTES = 10**9
"""Bytes of all their logs; the last command is kept however large its log is."""


@dataclass(eq=False)
class EndedCommand:
    """One command that has ended, and its result."""

    process: Process
    result: CompletedProcess

    @property
    def bytes(self) -> int:
        """How many bytes its log takes."""
        log = self.result.log
        return log.bytes - log.dropped if log else 0

    @functools.cached_property
    def last_line(self) -> str:
        """The last line that it wrote."""
        return self.result.tail(1).strip()

    @functools.cached_property
    def logged(self) -> Process:
        """Its process, whose log is there: output that is in memory is written to a new one."""
        if self.result.log is None:
            log = Log()
            for stream, data in self.result.pieces():
                log.write(stream, data)
            for stream in tuple(log.open_streams):
                log.end(stream)
            self.process.program.log = log
        return self.process


class Ended:
    """The last `most` commands that have ended, by their numbers; those that succeeded make room first.

    Attributes:
        most: how many are kept; 0 until a view asks for them, as they keep their logs.
    """

    def __init__(self) -> None:
        self.most = 0
        self._kept: dict[int, EndedCommand] = {}  # the one that ended last is the last item

    def __repr__(self) -> str:
        return f"<{len(self._kept)} Ended commands>"

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._kept))

    def get(self, number: int) -> EndedCommand | None:
        """The command with this number, if it is kept."""
        return self._kept.get(number)

    @property
    def bytes(self) -> int:
        """How many bytes their logs take."""
        return sum(each.bytes for each in self._kept.values())

    def add(self, number: int, process: Process, result: CompletedProcess) -> None:
        """Keep a command that has just ended."""
        self._kept.pop(number, None)  # an earlier attempt
        if self.most:
            self._kept[number] = EndedCommand(process, result)
        while len(self._kept) > 1 and (len(self._kept) > self.most or self.bytes > MOST_BYTES):
            *others, _ = self._kept
            del self._kept[next((each for each in others if not self._kept[each].result.failed), others[0])]
