r"""The view without a card: native stream text, bounded, as `%%bash` shows it.

For headless runs (nbclient, papermill), terminals, `--plain`, and commands that end before a card would appear. The
first rows of the output are written as they come, when it is their turn on the `Wire` of all views, at most five times a
second; of what is beyond the bound, the last rows are written at the end, with a line that says how much is between and
where the whole log is.

Text that was written cannot be changed, but for the line that is still open: where somebody looks on, that one is
written anew behind a `\r`. Rows that the program may still change (a block of progress bars) are written at the end.
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
from ..page.budget import Rank, Wire
from .view import take_in

HEAD = TAIL = 32 * 1024  # bytes
_LINES = 10_000
_AT_A_TIME = 200  # rows
_MOST_PARTS = 60  # changes between the two streams in what is written together

_Part = tuple[TextIO, list[str]]


class StreamView:
    """Writes the output of a process to `sys.stdout` and `sys.stderr` of its cell; only these streams of it.

    Args:
        live: somebody looks on, so an open line is worth writing before it has ended.
        first: the row to begin with.

    Attributes:
        messages: how many were written.

    What is put in the place of `sys.stdout` later is not for this process.
    """

    period = 0.2  # seconds between two updates, at least

    def __init__(self, run: LoggedRun, streams: Collection[int], *, live: bool, first: int = 0) -> None:
        self._rows = Rows(run.log, streams)
        self._guard = Guard(run.log)
        self._live = live
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self._wire = Wire.of(asyncio.get_running_loop())
        self._cell = contextvars.copy_context()  # what is written belongs to the cell, whoever's turn ends just now
        self._work: Turns[bool] | None = None  # what is being written
        self.messages = self._written = 0  # the latter in characters
        self._looked_at = 0  # bytes of the log
        self._is_done = True  # all was written then that could be
        self._next = first  # the row that is written next
        self._seen = 0  # how many had ended at the last update
        self._left = HEAD
        self._recent: deque[str] | None = deque(maxlen=WINDOW)  # what was written last; None: there were moves
        self._open: dict[int, str] = {}  # what stands in the open line of each stream

    def show(self) -> None:
        """Nothing stands in the cell before there is output."""

    @guarded
    def update(self) -> None:
        """Have a turn to write what has come since, up to the bound, if there is anything."""
        if self._work or not self._is_done or (self._left > 0 and self._rows.log.bytes != self._looked_at):
            self._cell = contextvars.copy_context()
            self._wire.ask(self._take_turn, Rank.NEWS)

    @guarded
    async def settle(self) -> None:
        """Take in all of the output."""
        self._wire.forget(self._take_turn)
        if self._work:
            await in_turns(self._work)
            self._work = None
        await take_in(self._rows)

    @guarded
    async def finish(self) -> None:
        """Write the rest, or only the last part of it."""
        await self.settle()
        await in_turns(self._look_back())
        rest = await in_turns(ends(self._rows, _cost, max(0, self._left), TAIL, _LINES, self._next))
        last = {row.stream: row for row in rest} if self._rows.total > self._rows.ended else {}
        open_rows = set(map(id, self._rows.open)) & {id(row) for row in last.values()}
        await in_turns(self._write(rest, open_rows))

    def leave(self) -> int | None:
        """Write no more, as another view goes on: the row that is its first one.

        None: not yet, for a line is half written, or what was written may become another.
        """
        if self._work or self._open or self._rows.moves:
            return None
        self._wire.forget(self._take_turn)
        return self._next

    def _take_turn(self) -> int:
        """Write into its cell, whoever's turn ends just now; how many bytes."""
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
            self._wire.spend(0)
        return self._written - written

    def _write_new(self) -> Turns[bool]:
        yield from self._look_back()
        # where nobody looks on, a row waits for a period: perhaps the program moves back to it
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
        """At the first moves: write again from the first row on that has become another."""
        if not self._rows.moves or self._recent is None:
            return
        first = self._next - len(self._recent)
        now: list[Row] = []
        while first + len(now) < self._next:
            more = yield from self._rows.read_in_turns(first + len(now), self._next - first - len(now))
            if not more:
                break
            now += more
        same = next((n for n, (row, text) in enumerate(zip(now, self._recent, strict=False)) if row.ansi != text), None)
        self._next = first + (len(now) if same is None else same)
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
        """What to write so that the open line of this stream becomes this text."""
        before = self._open.pop(stream, "")
        if text.startswith(before):
            return text[len(before) :]
        return f"\r{text}{' ' * (len(before) - len(text))}"


def _fewer(parts: list[_Part]) -> Iterator[_Part]:
    """Some parts at a time, of these what goes to either file together: each change is a message, and servers drop too many."""
    size = 2 * len(parts) // _MOST_PARTS + 1
    for start in range(0, len(parts), size):
        some = parts[start : start + size]
        for file in {id(file): file for file, _ in some}.values():
            yield file, [text for each, texts in some if each is file for text in texts]


def _cost(row: Row) -> int:
    return len(row.ansi.encode()) + 1
