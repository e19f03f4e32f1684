r"""The view without a card: plain text on the cell's streams, bounded, as `%%bash` shows it.

For headless runs (nbclient, papermill), terminals, `--plain`, and commands that end before a card would appear. The
first rows of the output are written as they come, in turns that the `Budget` of all views gives, at most five times a
second. Beyond the bound only the last rows are written, at the end, after a line that says how much is left out and where
the whole log is.

Written text cannot be changed, except for the line that is still open: in a live notebook it is written again after a
`\r`. Rows that the program may still change (a block of progress bars) are written at the end.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import TextIO

from ..._core.output.log import STDERR_FD
from ..._core.output.rows import Rows, ends, fitting
from ..._core.output.screen import WINDOW, Row
from ..._core.output.turns import Turns, advance, in_turns
from ..._core.process.run import LoggedRun
from ..guard import Guard, guarded
from ..page.budget import Budget, Rank
from .view import take_in

HEAD = TAIL = 32 * 1024  # bytes
_LINES = 10_000
_AT_A_TIME = 200  # rows
_MOST_PARTS = 60  # messages for one write; each change between the two streams starts another one

_Part = tuple[TextIO, list[str]]


class StreamView:
    """Writes these streams of a process to `sys.stdout` and `sys.stderr` as they are now; replacing those later has no effect.

    Args:
        live: somebody looks on, so an open line is worth writing before it has ended.

    Attributes:
        messages: how many were written.
    """

    period = 0.2  # seconds between two updates, at least

    def __init__(self, run: LoggedRun, streams: Collection[int], *, live: bool) -> None:
        self._rows = Rows(run.log, streams)
        self._guard = Guard(run.log)
        self._live = live
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self._budget = Budget.of(asyncio.get_running_loop())
        self._cell = contextvars.copy_context()  # output belongs to the cell, even if it is written in another's turn
        self._work: Turns[bool] | None = None  # what is being written
        self.messages = self._written = 0  # the latter in characters
        self._looked_at = 0  # bytes of the log
        self._is_done = True  # all was written then that could be
        self._next = 0  # the row that is written next
        self._seen = 0  # how many had ended at the last update
        self._left = HEAD
        self._recent: deque[str] | None = deque(maxlen=WINDOW)  # what was written last; None: there were moves
        self._open: dict[int, str] = {}  # what stands in the open line of each stream

    def show(self) -> None:
        """Does nothing: the cell stays empty until there is output."""

    @guarded
    def update(self) -> None:
        """Ask for a turn to write new output, if there is any and the bound is not reached."""
        if self._work or not self._is_done or (self._left > 0 and self._rows.log.bytes != self._looked_at):
            self._cell = contextvars.copy_context()
            self._budget.ask(self._take_turn, Rank.NEWS)

    @guarded
    async def settle(self) -> None:
        """Take in all of the output."""
        self._budget.forget(self._take_turn)
        if self._work:
            await in_turns(self._work)
            self._work = None
        await take_in(self._rows)

    @guarded
    async def finish(self) -> None:
        """Write the rest, or the last part of it if it is too much."""
        await self.settle()
        await in_turns(self._look_back())
        rest = await in_turns(ends(self._rows, _cost, max(0, self._left), TAIL, _LINES, self._next))
        last = {row.stream: row for row in rest} if self._rows.total > self._rows.ended else {}
        open_rows = set(map(id, self._rows.open)) & {id(row) for row in last.values()}
        await in_turns(self._write(rest, open_rows))

    def leave(self) -> bool:
        """Write no more until the next `update`, as another view goes on below.

        False: not yet, for a line is half written, or what was written may become another.
        """
        if self._work or self._open or self._rows.moves:
            return False
        self._budget.forget(self._take_turn)
        return True

    def echo(self, text: str) -> Turns[None]:
        """Take in a line that was typed for the program."""
        return self._rows.echo(text)

    def unchanged(self, rows: Rows) -> Turns[int]:
        """How many rows, from the first one on, stand there as they are now in `rows`, which has the same streams."""
        if not rows.moves or self._recent is None:
            return self._next
        first = self._next - len(self._recent)
        now: list[Row] = []
        while first + len(now) < self._next:
            more = yield from rows.read_in_turns(first + len(now), self._next - first - len(now))
            if not more:
                break
            now += more
        same = next((n for n, (row, text) in enumerate(zip(now, self._recent, strict=False)) if row.ansi != text), None)
        return first + (len(now) if same is None else same)

    def _take_turn(self) -> int:
        """Write in the context of its cell; returns the number of characters."""
        return self._cell.run(self._go_on) or 0

    @guarded
    def _go_on(self) -> int:
        written, messages = self._written, self.messages
        work, self._work = self._work, None
        if work is None:
            self._looked_at = self._rows.log.bytes
            self._rows.follow()
            work = self._write_new()
        if advance(work) is None:
            self._work = work  # it goes on at the next update
        for _ in range(messages + 1, self.messages):
            self._budget.spend(0)
        return self._written - written

    def _write_new(self) -> Turns[bool]:
        yield from self._look_back()
        # in a headless run a row is held back for one period, in case the program moves back to it
        stop = self._rows.settled if self._live or self._rows.moves else min(self._seen, self._rows.settled)
        self._seen = self._rows.settled
        while self._next < stop and self._left > 0:
            rows = yield from self._rows.read_in_turns(self._next, min(stop - self._next, _AT_A_TIME))
            fit = fitting(iter(rows), _cost, self._left, _AT_A_TIME)
            self._next += len(fit)
            yield from self._write(fit)
            if len(fit) < len(rows):
                self._left = 0
        if self._live and self._left > 0 and not self._rows.moves:
            self._write_open()
        self._is_done = self._left <= 0 or self._next >= self._rows.settled
        return True

    def _look_back(self) -> Turns[None]:
        """When the program has moved up for the first time: write again from the first row on that has changed."""
        if self._rows.moves and self._recent is not None:
            self._next = yield from self.unchanged(self._rows)
            self._recent = None

    def _write(self, rows: Iterable[Row], open_rows: Collection[int] = ()) -> Turns[None]:
        parts: list[_Part] = []
        for number, row in enumerate(rows, 1):
            if number % _AT_A_TIME == 0:
                yield
            file = self._stderr if row.stream == STDERR_FD else self._stdout
            text = self._over_open(row.stream, row.ansi) + ("" if id(row) in open_rows else "\n")
            self._left -= len(text.encode())
            if self._recent is not None:
                self._recent.append(row.ansi)
            if parts and parts[-1][0] is file:
                parts[-1][1].append(text)
            else:
                parts.append((file, [text]))
        for file, texts in parts if len(parts) <= _MOST_PARTS else _fewer(parts):
            self._put(file, "".join(texts))
            yield

    def _write_open(self) -> None:
        for row in self._rows.open:
            if row.ansi != self._open.get(row.stream, ""):
                file = self._stderr if row.stream == STDERR_FD else self._stdout
                self._put(file, self._over_open(row.stream, row.ansi))
                self._open[row.stream] = row.ansi

    def _put(self, file: TextIO, text: str) -> None:
        file.write(text)
        file.flush()
        self._written += len(text)
        self.messages += 1

    def _over_open(self, stream: int, text: str) -> str:
        """The text to write so that the open line of this stream becomes `text`."""
        before = self._open.pop(stream, "")
        if text.startswith(before):
            return text[len(before) :]
        return f"\r{text}{' ' * (len(before) - len(text))}"


def _fewer(parts: list[_Part]) -> Iterator[_Part]:
    """Fewer parts: of several in a row, those for one file are joined. Each part is a message, and servers drop too many."""
    size = 2 * len(parts) // _MOST_PARTS + 1
    for start in range(0, len(parts), size):
        some = parts[start : start + size]
        for file in {id(file): file for file, _ in some}.values():
            yield file, [text for each, texts in some if each is file for text in texts]


def _cost(row: Row) -> int:
    return len(row.ansi.encode()) + 1
