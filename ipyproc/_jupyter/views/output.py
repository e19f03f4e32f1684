"""What the pages of one card get of its output: the last rows, and whatever they ask for.

The kernel owns the text; a page gets the last rows, and others when it asks for them, in binary messages and never in a
synced trait. Tails and rows wait for their turn by the `Budget` of all views. Answers that a person waits for (found, text,
piece) are sent at once, a download one piece for each request.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..._core.output import log as logs
from ..._core.output.rows import Rows
from ..._core.output.screen import Row, inert_line
from ..._core.output.times import Moment
from ..._core.output.turns import in_turns
from ..._core.process.run import LoggedRun, ShownRun
from ..guard import Guard, guarded
from ..page import messages
from ..page.budget import QUESTIONS, Budget, QuestionLimit, Rank
from ..page.widget import InSight
from ..thread import in_thread
from . import course, progress, severity, transcript
from .stdin import Stdin, asks_for_secret

_TAIL_ROWS, _TAIL_BYTES = 40, 16_000  # of one tail: twice what is in sight at once
_ROWS_BYTES = 48 * 1024  # of one answer
_MOST_WAITING = 8  # answers
_MOST_TASKS = 20  # at a time
_MOST_DOWNLOADS = 20  # pages that have begun one
_MOST_FOUND = 10_000  # rows
_MOST_COPIED, _PIECE = 1 << 20, 1 << 19  # bytes
_AT_ONCE = 64  # steps of a search between two chances to cancel it
_MOST_FILTERED = 20  # views that show one stream alone
_ALL = 0  # no filter

Send = Callable[[messages.CardMessage, Sequence[bytes]], None]


@dataclass
class _Told:
    """Some rows, and what pages know of them."""

    rows: Rows
    sent: int = -1  # how many bytes the last tail covers; -1: none was sent, or it must be sent again
    known: int = 0  # how many rows the pages know that will not change any more
    is_due: bool = False  # a tail waits for its turn


class Output:
    """The output of one run, as the pages of its card see it.

    Args:
        send: sends a message to all pages.
        questions: limits how many pieces of a download they get in a second.
    """

    def __init__(
        self, run: LoggedRun, stdin: Stdin, budget: Budget, send: Send, questions: QuestionLimit, guard: Guard
    ) -> None:
        self.rows = Rows(run.log, logs.BOTH)
        self._told = {_ALL: _Told(self.rows)}  # by the filter; of the others only those that were asked for
        self._filtered = {stream: InSight(_MOST_FILTERED) for stream in logs.BOTH}  # views
        self._guard = guard
        self._run = run
        self._stdin = stdin
        self._budget = budget
        self._send = send
        self._questions = questions
        self._loop = asyncio.get_running_loop()
        self._course = course.Course()
        self._read = 0  # rows, for the course
        self._reading = course.Reading()
        self._answers: list[tuple[int, int, int]] = []  # (filter, first, count) of rows that a page waits for
        self._asked = itertools.count()  # numbers for the requests for rows
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}  # the last one of each page and operation
        self._downloads: dict[str, tuple[str, int]] = {}  # by the page: its id, and its size in bytes

    def close(self) -> None:
        """End the tasks that work for the pages."""
        for task in tuple(self._tasks.values()):
            task.cancel()
        self.rest()
        self._budget.forget(self._send_rows)

    def rest(self) -> None:
        """Drop a tail that waits for its turn."""
        self._budget.forget(self._send_tail)

    async def take_in(self) -> None:
        """Take in all that is new of what pages show."""
        for told in self._seen():
            await in_turns(told.rows.take_in())

    @property
    def prompt(self) -> list[Row]:
        """The rows in which the program may be asking for input: the open rows, or else the last row."""
        return self.rows.open or self.rows.last(1)

    def push(self, *, has_page: bool, is_in_sight: bool, anew: bool = False) -> None:
        """Take in new output, and ask for a turn to send the last rows; `anew`: send them even if they were sent before."""
        for told in self._seen():
            if anew:
                told.sent, told.known = -1, 0
            more = told.rows.follow()
            size = self.rows.log.size(told.rows.streams)
            if has_page and (more or size != told.sent):
                told.sent, told.is_due = -1 if more else size, True
        if any(told.is_due for told in self._told.values()):
            has_news = self.rows.log.bytes > 0
            self._budget.ask(self._send_tail, Rank.REST if not has_news else Rank.SEEN if is_in_sight else Rank.NEWS)

    def _seen(self) -> list[_Told]:
        """What tails are sent of: all rows, and those to which a view in sight is limited."""
        return [told for stream, told in self._told.items() if stream == _ALL or self._filtered[stream]]

    def _rows(self, stream: int) -> Rows:
        if stream not in self._told:
            self._told[stream] = _Told(Rows(self.rows.log, frozenset((stream,))))
        return self._told[stream].rows

    def _filter(self, view: str, stream: int) -> None:
        """This view shows only the rows of this stream (0: all) until it says otherwise, or nothing for long."""
        for each, views in self._filtered.items():
            if each != stream:
                views.discard(view)
            elif views.add(view):
                self._do(f"filter {each}", "", self._begin(each))
        if stream == _ALL:
            self._do(f"filter {_ALL}", "", self._begin(_ALL))

    def look_up(self, request: messages.CardRequest, page: str) -> None:
        """Answer a request of a page for some of the output. Two people may look at one card, each in a page."""
        if request["op"] == "rows":
            asked = request["stream"], request["first"], request["count"]
            self._do(f"rows {next(self._asked) % _MOST_WAITING}", "", self._queue(*asked))
        elif request["op"] == "find":
            rows = self._rows(request["stream"])
            self._do("find", page, self._find(rows, request["id"], request["text"], case=request["case"]))
        elif request["op"] == "text" and request["first"] <= request["last"]:
            self._do("text", page, self._copy(request))
        elif request["op"] == "download":
            self._do("download", page, self._send_piece(page, request["id"], request["at"]))
        elif request["op"] == "time":
            self._do("time", page, self._tell_time(request["stream"], request["id"], request["row"]))
        elif request["op"] == "row_at":
            self._do("row_at", page, self._tell_row(request["stream"], request["id"], request["ms"] / 1000))
        elif request["op"] == "filter":
            self._filter(request["view"], request["stream"])

    def _do(self, operation: str, page: str, work: Coroutine[Any, Any, None]) -> None:
        """Start an operation that takes long; the last one of the same page is cancelled, or the oldest of too many."""
        key = operation, page
        if before := self._tasks.pop(key, None):
            before.cancel()
        while len(self._tasks) >= _MOST_TASKS:
            self._tasks.pop(next(iter(self._tasks))).cancel()
        task = self._tasks[key] = self._loop.create_task(work)
        task.add_done_callback(lambda _: self._tasks.pop(key) if self._tasks.get(key) is task else None)

    @guarded
    async def _begin(self, stream: int) -> None:
        """A view has limited itself to this stream: it has none of its rows yet."""
        await in_turns(self._rows(stream).take_in())
        told = self._told[stream]
        told.sent, told.known, told.is_due = self.rows.log.size(told.rows.streams), 0, True
        self._budget.ask(self._send_tail, Rank.ANSWER)

    @guarded
    async def _queue(self, stream: int, first: int, count: int) -> None:
        await in_thread(self._rows(stream).warm, first, count)
        if (stream, first, count) not in self._answers:
            self._answers = [*self._answers[1 - _MOST_WAITING :], (stream, first, count)]
        self._ask_for_rows()

    @guarded
    async def _find(self, rows: Rows, name: str, text: str, *, case: bool) -> None:
        found: list[int] = []
        total = rows.total
        finding = rows.find(text, case=case)
        while len(found) <= _MOST_FOUND and (more := await in_thread(list, itertools.islice(finding, _AT_ONCE))):
            found += [number for number in more if number is not None]
        numbers = found[:_MOST_FOUND]
        message = messages.Found(op="found", id=name, total=total, more=len(found) > _MOST_FOUND)
        self._send(message, [struct.pack(f"<{len(numbers)}I", *numbers)])
        self._budget.spend(4 * len(numbers))

    @guarded
    async def _tell_time(self, stream: int, name: str, row: int | None) -> None:
        rows, now, before = self._rows(stream), None, None
        rows.follow()
        if row is not None:
            await in_thread(rows.warm, max(0, row - 1), 2)
            now = rows.moment(row)
            before = rows.moment(row - 1) if row else Moment(self._began, 0)
        message = messages.RowTime(
            op="time",
            stream=stream,
            id=name,
            row=row,
            at=now and now.at,
            within=now.within if now else 0,
            gap=now.at - before.at if now and before and now.at >= before.at else None,
        )
        self._send(message, ())
        self._budget.spend(200)

    @guarded
    async def _tell_row(self, stream: int, name: str, elapsed: float) -> None:
        rows = self._rows(stream)
        rows.follow()
        await self._tell_time(stream, name, rows.row_at(self._began + elapsed))

    @property
    def _began(self) -> float:
        """When the program started, in seconds since the epoch."""
        run = self._run
        return (time.time() if run.ended_at is None else run.ended_at) - run.duration

    @guarded
    async def _copy(self, asked: messages.GetText) -> None:
        rows, name, first, end = self._rows(asked["stream"]), asked["id"], asked["first"], asked["last_column"]
        lines: list[str] = []
        size = 0
        last = min(asked["last"], rows.total - 1)
        while first + len(lines) <= last and size <= _MOST_COPIED:
            number = first + len(lines)
            count = min(messages.MOST_ROWS, last + 1 - number)
            await in_thread(rows.warm, number, count)
            for row in await in_turns(rows.read_in_turns(number, count)):
                lines.append(row.plain)
                size += len(lines[-1]) + 1
            if first + len(lines) == number:
                break
        if first + len(lines) > last and lines and end >= 0:
            lines[-1] = lines[-1][:end]
        if lines:
            lines[0] = lines[0][asked["first_column"] :]
        whole = "\n".join(lines).encode()
        if len(whole) > _MOST_COPIED:
            self._send(messages.TextTooBig(op="too_big", id=name), ())
            return
        for at in range(0, len(whole) or 1, _PIECE):
            piece = whole[at : at + _PIECE]
            more = at + _PIECE < len(whole)
            self._send(messages.TextPiece(op="text", id=name, size=len(whole), more=more), [piece])
            self._budget.spend(len(piece))

    @guarded
    async def _send_piece(self, page: str, name: str, at: int) -> None:
        while not self._questions.passes():  # noqa: ASYNC110  -- nothing but time is waited for
            await asyncio.sleep(1 / QUESTIONS)
        log = self.rows.log
        if at == 0:
            self._downloads.pop(page, None)
            self._downloads[page] = name, log.bytes
            if len(self._downloads) > _MOST_DOWNLOADS:
                del self._downloads[next(iter(self._downloads))]
        known, size = self._downloads.get(page, ("", 0))
        if name != known or at > size:
            return
        if log.gap[0] <= at < log.gap[1]:
            at = log.gap[1]  # the bytes between were dropped
        end = min(at + _PIECE, size, log.gap[0] if at < log.gap[0] else size)
        message = messages.FilePiece(
            op="piece", id=name, at=at, size=size, name=inert_line(log.path.name), more=end < size
        )
        self._send(message, [await in_thread(log.joined, at, end - at)])
        self._budget.spend(0)

    @guarded
    def _send_tail(self) -> int:
        self._reading = self._progress()
        return sum(self._send_tail_of(stream, told) for stream, told in self._told.items() if told.is_due)

    def _send_tail_of(self, stream: int, told: _Told) -> int:
        rows, total = told.rows, told.rows.total
        last = rows.last(total - max(0, total - _TAIL_ROWS, min(told.known, total - 1)))
        told.known, told.is_due = rows.settled, False
        buffer = _buffer(reversed(last), _TAIL_BYTES, backwards=True)
        count = buffer.count(b"\n") + 1 if buffer else 0
        message = messages.Tail(
            op="tail",
            stream=stream,
            both=all(self.rows.log.bytes_of.values()),
            total=total,
            first=total - count,
            settled=rows.settled,
            counts=transcript.counts(self.rows),
            progress=self._reading.share,
            inner=self._reading.inner,
            doing=self._reading.name,
            left="" if self._reading.left is None else course.words(self._reading.left),
            secret=self._stdin.is_open and asks_for_secret(self.prompt),
            **times(self._run),
        )
        self._send(message, [buffer])
        return len(buffer) + 300

    def _progress(self) -> course.Reading:
        if self._run.is_over:
            return course.Reading()
        new, self._read = max(0, self.rows.total - self._read), self.rows.total
        last = [row.plain for row in self.rows.last(min(course.MOST_ROWS, new + progress.LAST))]
        return self._course.take(last, is_open=bool(self.rows.open), now=time.monotonic())

    @guarded
    def _send_rows(self) -> None:
        """Answer the last request for rows; the others wait for turns of their own."""
        reading = self._tasks.get(("rows", ""))
        if self._answers and (reading is None or reading.done()):
            self._do("rows", "", self._answer(*self._answers.pop()))

    @guarded
    async def _answer(self, stream: int, first: int, count: int) -> None:
        buffer = _buffer(await in_turns(self._rows(stream).read_in_turns(first, count)), _ROWS_BYTES)
        self._send(messages.SomeRows(op="rows", stream=stream, first=first), [buffer])
        self._budget.spend(len(buffer) + 300)
        if self._answers:
            self._loop.call_soon(self._ask_for_rows)  # once this task is done

    @guarded
    def _ask_for_rows(self) -> None:
        self._budget.ask(self._send_rows, Rank.ANSWER)


def times(run: ShownRun) -> messages.Times:
    """The times of a run relative to now, because the clocks of kernel and page may differ; the end as text."""
    ladder = run.ladder
    return messages.Times(
        elapsed=round(run.duration, 3),
        sent_ago=round(time.monotonic() - ladder.sent_at, 3) if ladder.sent else 0,
        next_in=None if ladder.next_in is None else round(ladder.next_in, 3),
        ended=transcript.until(run),
    )


def _buffer(rows: Iterable[Row], size: int, *, backwards: bool = False) -> bytes:
    """The rows as pages get them: as many as fit into `size` bytes, but one at least."""
    found: list[bytes] = []
    for row in rows:
        found.append(f"{row.stream + 3 * severity.of(row)}{row.ansi}".encode())
        size -= len(found[-1]) + 1
        if size < 0 and len(found) > 1:
            found.pop()
            break
    return b"\n".join(reversed(found) if backwards else found)
