"""The rows of a log: what a terminal would show of it, any part of it at once, whatever its size.

As long as no sequence of the program can change earlier lines, a row is a line of the log: it is found by the index of
the log and made when somebody asks. Nothing but the last rows is ever looked at.

From the first sequence that moves the cursor up or down, or erases below (progress bars of several lines), what is in
the log is not what would be seen: then all that follows goes through one screen, and the rows that no cursor reaches any
more are the lines of a second log, each behind the digit of its stream and how many characters of it are not held.

Rows are counted from 0. Those below `settled` will never change; at the first moves it falls back to what they may reach.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator

from . import screen, status
from .encoding import ENCODING
from .log import STDOUT_FD, Log
from .screen import WINDOW, Row, Screen, inert_line

_STEP = 1 << 12  # bytes that go through the screen at a time
_PIECE = 1 << 15  # bytes that are searched at a time
_NEAR = 1 << 16  # bytes; what is farther behind the end is not needed for the last rows
_BEFORE = 50  # lines before those asked for, whose open colours go on in them
_PART = 1 << 15  # bytes of a long line that are looked at, from its first and from its last on
_AT_A_TIME = 200  # rows
_MUCH = 1 << 16  # bytes of rows that are read at a time; of a longer line only its ends are looked at
_REACH = 1 << 20  # bytes of rows that the first moves may reach
_SLICE = 0.005  # seconds that `follow` takes
_MOST_BEHIND = 1 << 22  # bytes of moves that may wait to go through the screen
_SETTLED = "utf-8"  # in which the second log is written: any character can stand in a row
_UNSEEN = bytes({*range(32), 127} - {*b"\t\n\r\b"})
_INERT = re.compile(
    rb"\x1b\[[0-?]{0,4096}[ -/]{0,64}[@-~]?|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    rb"|\x1b[ -/]{0,64}[0-~]?|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"
)


class Rows:
    """The rows of these streams of a log. Call `follow` to take in what the program has written since."""

    def __init__(self, log: Log, streams: Collection[int]) -> None:
        self.log = log
        self._streams = frozenset(streams)
        self._screen = Screen()
        self._first = 0  # the number of the first row of the screen
        self._fed = 0  # how far into the log the screen has come
        self._settled: Log | None = None  # rows from `_settled_from` up to those of the screen, once there were moves
        self._settled_from = 0
        self._finished = False

    def __repr__(self) -> str:
        return f"<{self.total} Rows of {self.log!r}>"

    @property
    def total(self) -> int:
        """How many rows there are; open ones count."""
        return self._first + len(self._screen.all)

    @property
    def settled(self) -> int:
        """How many of them, from the first one on, will never change."""
        return self._first if self.moves else self.ended

    @property
    def ended(self) -> int:
        """How many of them have ended; the others are open."""
        return self._first + len(self._screen.rows)

    @property
    def open(self) -> list[Row]:
        """The rows that have not ended, as far as the screen has seen them."""
        return self._screen.open

    @property
    def moves(self) -> bool:
        """Whether rows may change after they have ended."""
        return self.log.moved_at is not None or self._settled is not None

    def follow(self) -> bool:
        """Take in what is new, for 5 ms at most; whether there is more to take in."""
        log = self.log
        if log.moved_at is not None and self._settled is None:
            self._begin_moves(log.moved_at)
        elif self._settled is None and log.bytes - self._fed > _NEAR:
            self._jump(log.bytes - _NEAR)
        elif self._settled and log.bytes - self._fed > _MOST_BEHIND:
            self._leap(log.bytes - _NEAR)
        deadline = time.perf_counter() + _SLICE
        while self._fed < log.bytes and time.perf_counter() < deadline:
            if log.gap[0] <= self._fed < log.gap[1]:
                if self._settled:
                    self._screen.rows.append(_dropped(log))
                    self._fed = log.gap[1]
                else:
                    self._jump(log.gap[1])
            size = min(_STEP, log.bytes - self._fed, log.gap[0] - self._fed if self._fed < log.gap[0] else _STEP)
            self._screen.feed(log.pieces(self._fed, size, self._streams))
            self._fed += size
            self._settle()
        if log.ended and self._fed == log.bytes and not self._finished:
            self._finished = True
            self._screen.finish()
            if self._settled:
                self._settled.close()
        return self._fed < log.bytes

    def echo(self, text: str) -> None:
        """Show a line that was typed for the program, as a terminal does: behind what stands there. The log has it not."""
        if self._finished:
            return
        while self.follow():
            pass
        if self._settled is None:  # from here on the rows are more than the lines of the log
            self._begin_moves(self.log.bytes)
            while self.follow():
                pass
        stream = self.open[-1].stream if self.open else STDOUT_FD
        self._screen.write(stream, f"{screen.inert_line(text)}\n")
        self._settle()

    def read(self, first: int, count: int) -> list[Row]:
        """At most `count` rows from this one on; fewer, but one at least, where they are long."""
        first, stop = max(0, first), min(first + count, self.total)
        found: list[Row] = []
        end = self._settled_from if self._settled else self._first  # of the rows that are lines of the log
        if first < min(stop, end):
            found = self._read_log(first, min(stop, end))
            if first + len(found) < min(stop, end):
                return found
        start = first + len(found)
        if self._settled and start < min(stop, self._first):
            found += self._read_settled(start, min(stop, self._first))
            if first + len(found) < min(stop, self._first):
                return found
        for number, row in enumerate(self._screen.all, self._first):
            if max(first, self._first) <= number < stop:
                found.append(self._long_row(number) if row.left_out and not self._settled else row)
        return found

    def warm(self, first: int, count: int) -> None:
        """Read what `read` would, for nothing: from then on it is in the memory of the system.

        Call it in another thread, for from a slow disk it takes long; it needs nothing that another one changes.
        """
        settled, end = self._settled, self._settled_from
        if settled and first >= end:
            start = settled.offset_of(first - end)
            _read(settled, start, settled.offset_of(first - end + count))
        else:
            start = self.log.offset_of(max(0, first - _BEFORE), self._streams)
            _read(self.log, start, self.log.offset_of(first + count, self._streams))

    def read_all(self, first: int, stop: int) -> list[Row]:
        """All rows from `first` up to `stop`."""
        found: list[Row] = []
        while more := self.read(first + len(found), min(stop, self.total) - first - len(found)):
            found += more
        return found

    def size(self, first: int, stop: int) -> int:
        """How many bytes these rows take: those before `stop`, from `first` on."""
        if not self._settled:
            return self.log.size_between(self._offset(first), self._offset(stop), self._streams)
        settled = max(0, min(stop, self._first) - self._settled_from), max(0, first - self._settled_from)
        size = self._settled.offset_of(settled[0]) - self._settled.offset_of(min(settled))
        if first < self._settled_from:
            start, end = (self.log.offset_of(row, self._streams) for row in (first, min(stop, self._settled_from)))
            size += self.log.size_between(start, end, self._streams)
        return size + sum(
            len(row.text) + 1 for row in self._screen.all[max(0, first - self._first) : max(0, stop - self._first)]
        )

    def find(self, text: str, *, case: bool) -> Iterator[int | None]:
        """The numbers of the rows that hold this text; and None after each piece of work, for others to have a turn.

        Without `case`, upper and lower case are the same.
        """
        # what another thread changes is taken now; the rest is done as far as somebody asks, in any thread
        return self._find(text, self._screen.all, self._first, self._settled, self._settled_from, case=case)

    def _find(
        self, text: str, on_screen: list[Row], screen_from: int, settled: Log | None, settled_from: int, *, case: bool
    ) -> Iterator[int | None]:
        wanted = text if case else text.casefold()
        end = settled_from if settled else screen_from
        for found in _search(self.log, self._streams, text, case=case):
            if found is None:
                yield None
            elif found[0] >= end:
                break
            elif _holds(found[1], wanted, case=case):
                yield found[0]
        if settled:
            for found in _search(settled, (STDOUT_FD,), text, case=case, encoding=_SETTLED):
                if found is None:
                    yield None
                elif settled_from + found[0] < screen_from and _holds(
                    found[1].partition(b":")[2], wanted, case=case, encoding=_SETTLED
                ):
                    yield settled_from + found[0]
        for number, row in enumerate(on_screen, screen_from):
            if wanted in (row.plain if case else row.plain.casefold()):
                yield number

    # --- the live screen -----------------------------------------------------------------------------------------

    def _settle(self) -> None:
        self._put_away(self._screen.settle())

    def _leap(self, offset: int) -> None:
        """Go on near the end with a new screen: moves are too much work to follow whatever is written."""
        size = status.size_words(offset - self._fed)
        self._put_away([*self._screen.finish(), Row(0, f"… {size} more were written here than can be shown")])
        self._screen, self._fed = Screen(), offset

    def _put_away(self, gone: list[Row]) -> None:
        self._first += len(gone)
        if self._settled and gone:
            lines = (f"{row.stream}{row.left_out or ''}:{row.coded}\n" for row in gone)
            self._settled.write(STDOUT_FD, "".join(lines).encode(_SETTLED))

    def _jump(self, offset: int) -> None:
        """Go on with the first line behind this offset: what is between was never in sight."""
        if self.log.gap[0] <= offset < self.log.gap[1]:
            offset = self.log.gap[1]
        lines = self.log.lines_before(offset, self._streams)
        start = self.log.offset_of(lines + 1, self._streams)
        self._fed, self._first = (start, lines + 1) if start < self.log.bytes else (offset, lines)
        self._screen = Screen()
        self._screen.feed(self._begun(self._fed))

    def _begin_moves(self, offset: int) -> None:
        """Begin with the rows that the moves at this offset may reach; from here on all goes through the screen."""
        line = max(0, self.log.lines_before(offset, self._streams) - WINDOW)
        start = self.log.offset_of(line, self._streams)
        if offset - start > _REACH:  # long lines
            line = self.log.lines_before(offset, self._streams)
            start = max(offset - _NEAR, self.log.offset_of(line, self._streams))
        self._screen, self._first, self._fed = Screen(), line, start
        self._screen.feed(self._begun(start))
        self._settled, self._settled_from = Log(frozenset((STDOUT_FD,))), line

    def _read_settled(self, first: int, stop: int) -> list[Row]:
        assert self._settled
        start = self._settled.offset_of(first - self._settled_from)
        most = self._settled_from + self._settled.lines_before(start + _MUCH)
        end = self._settled.offset_of(max(first + 1, min(stop, most)) - self._settled_from)
        return [_settled_row(line) for line in self._settled.joined(start, end - start).splitlines()]

    # --- rows that are lines of the log --------------------------------------------------------------------------

    def _offset(self, row: int) -> int:
        return self.log.bytes if row >= self.total else self.log.offset_of(row, self._streams)

    def _read_log(self, first: int, stop: int) -> list[Row]:
        log = self.log
        if log.gap[1]:
            gone, back = (log.lines_before(offset, self._streams) for offset in log.gap)
            if gone <= first < back:
                return [_dropped(log) for _ in range(first, min(stop, back))]
            stop = min(stop, gone) if first < gone else stop
        start, end = self._offset(first), self._offset(stop)
        if end - start > _MUCH:
            stop = max(first + 1, log.lines_before(start + _MUCH, self._streams))
            end = self._offset(stop)
            if end - start > _MUCH:
                return [self._long_row(first)]
        base = max(0, first - _BEFORE)
        before = log.offset_of(base, self._streams)
        if start - before > _PART or (log.gap[1] and before <= log.gap[1] <= start):
            base, before = first, start
        found = screen.rows(itertools.chain(self._begun(before), log.pieces(before, end - before, self._streams)))
        return found[first - base : stop - base]

    def _begun(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """What the open line of each stream holds at this offset."""
        return itertools.chain.from_iterable(self._line(stream, offset) for stream in self._streams)

    def _line(self, stream: int, offset: int) -> Iterator[tuple[int, bytes]]:
        """What the open line of this stream holds at this offset; of a long one its first and its last part."""
        start = self.log.offset_of(self.log.lines_before(offset, (stream,)), (stream,))
        size = 0
        for at, _, data in self.log.spans(start, offset - start, (stream,)):
            yield stream, data
            size += len(data)
            if size > _PART:
                near = max(at + len(data), offset - _PART)
                yield from self.log.pieces(near, offset - near, (stream,))
                break

    def _long_row(self, number: int) -> Row:
        """A row of which only both ends are looked at: what it begins with, or how it was written anew last."""
        log, on_screen = self.log, number - self._first
        end = log.offset_of(number + 1, self._streams) - 1 if number < log.line_count(self._streams) else log.bytes
        stream = self._screen.all[on_screen].stream if on_screen >= 0 else next(log.pieces(end, 1), (STDOUT_FD,))[0]
        held = b"".join(data for _, data in self._line(stream, end))
        row = _row(stream, held)
        start = log.offset_of(log.lines_before(end, (stream,)), (stream,))
        size = log.size_between(start, end, (stream,))
        if len(held) < size and b"\r" not in held.rstrip(b"\r"):
            row.left_out = size - len(row.text.encode(ENCODING, "replace"))
        return row


def _read(log: Log, start: int, stop: int) -> None:
    """Of what is between these offsets as much as is looked at for an answer: long lines are passed over."""
    for part in (start, max(start, stop - _MUCH)):
        for _ in log.pieces(part, min(_MUCH + 2 * _PART, max(0, stop - part))):
            pass


def _search(
    log: Log, streams: Collection[int], text: str, *, case: bool, encoding: str = ENCODING
) -> Iterator[tuple[int, bytes] | None]:
    """(number, what of it was looked at) of each line that may hold this text; and None after each piece of work.

    Looked at are lines that have ended; of a line that does not end for long, the parts as they come.
    """
    wanted = (text if case else text.casefold()).encode(encoding, "replace")
    number = before = 0
    begun: dict[int, bytes] = {}  # the open line of each stream, its last part
    open_hits: dict[int, bytes] = {}  # the long open lines that hold it
    for offset, stream, piece in log.spans(streams=streams):
        yield None
        if before < log.gap[1] <= offset:
            number = log.lines_before(offset, streams)
            begun, open_hits = {}, {}
        before = offset
        piece = begun.pop(stream, b"") + piece
        end = piece.rfind(b"\n") + 1
        begun[stream] = piece[end:] if end or len(piece) < 2 * _PIECE else piece[-_PIECE:]
        if not end and (len(piece) < 2 * _PIECE or stream in open_hits):
            continue
        data = piece[:end] if end else piece
        if len(data.translate(None, _UNSEEN)) != len(data):
            data = _INERT.sub(b"", data)
        folded = data if case else _casefolded(data, encoding)
        if len(folded) != len(data):
            data = folded  # then it is this that is looked at
        counted = 0
        if stream in open_hits:
            yield number, open_hits.pop(stream)
            number, counted = number + 1, data.find(b"\n") + 1
        while (place := folded.find(wanted, counted)) >= 0:
            number += data.count(b"\n", counted, place)
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            if end < 0:
                open_hits[stream] = data[start:]
                break
            yield number, data[start:end]
            number, counted = number + 1, end + 1
        else:
            number += data.count(b"\n", counted)


def _casefolded(data: bytes, encoding: str) -> bytes:
    return data.lower() if data.isascii() else data.decode(encoding, "replace").casefold().encode(encoding, "replace")


def _holds(line: bytes, wanted: str, *, case: bool, encoding: str = ENCODING) -> bool:
    """Whether the text is in the line as it is seen: what is overwritten is not."""
    rewritten = b"\r" in line.removesuffix(b"\r") or b"\b" in line
    shown = _row(STDOUT_FD, line, encoding).plain if rewritten else line.decode(encoding, "replace")
    return wanted in (shown if case else shown.casefold())


def _row(stream: int, line: bytes, encoding: str = ENCODING) -> Row:
    return screen.rows([(stream, line + b"\n")], encoding)[0]


def _settled_row(line: bytes) -> Row:
    head, _, coded = line.partition(b":")
    row = _row(int(head[:1]), coded, _SETTLED)
    row.left_out = int(head[1:] or 0)
    return row


def _dropped(log: Log) -> Row:
    return Row(0, f"… here {status.size_words(log.gap[1] - log.gap[0])} were dropped to keep the limit of the log")


def ends(rows: Rows, cost: Callable[[Row], int], head: int, tail: int, lines: int, first: int = 0) -> list[Row]:
    """The rows from `first` on, if they cost no more than `head` and `tail` together and are no more than `lines`.

    Else the first that cost no more than `head`, and the last that cost no more than `tail`, half of the lines each.
    What is left out is said between them, and the log is kept, for that names its path.
    """
    total, log = rows.total, rows.log
    found = fitting(_forward(rows, first), cost, head + tail, lines)
    if len(found) < total - first:
        found = fitting(iter(found), cost, head, lines // 2)
        start = first + len(found)
        last = fitting(_backward(rows, start), cost, tail, lines // 2)[::-1]
        stop = total - len(last)
        count = f"{stop - start:,} lines" if stop - start != 1 else "1 line"
        found += [_told(f"{count}, {status.size_words(rows.size(start, stop))} not shown", log), *last]
    elif any(row.left_out for row in found):
        found.append(_told("not all of each line is shown", log))
    if log.dropped:
        found.append(Row(0, f"... {status.size_words(log.dropped)} are not in the log: its limit, or a full disk"))
    return found


def _forward(rows: Rows, first: int) -> Iterator[Row]:
    while more := rows.read(first, _AT_A_TIME):
        yield from more
        first += len(more)


def _backward(rows: Rows, first: int) -> Iterator[Row]:
    """From the last one to `first`; few at a time to begin with, for they may be long."""
    stop, step = rows.total, 8
    while stop > first:
        start = max(first, stop - step)
        yield from reversed(rows.read_all(start, stop))
        stop, step = start, min(4 * step, _AT_A_TIME)


def fitting(rows: Iterator[Row], cost: Callable[[Row], int], size: int, lines: int) -> list[Row]:
    """The first of these rows, as many as cost no more than `size` together and are no more than `lines`."""
    found: list[Row] = []
    for row in rows:
        size -= cost(row)
        if size < 0 or len(found) == lines:
            break
        found.append(row)
    return found


def _told(what: str, log: Log) -> Row:
    if not log.is_there():
        return Row(0, f"... {what}; somebody has removed the log")
    log.keep()
    return Row(0, f"... {what}; full log: {inert_line(str(log.path))}")
