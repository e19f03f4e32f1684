"""The rows of a log: what a terminal would show of it. Any part is found at once, however large the log is.

As long as the program writes no sequence that can change earlier lines, a row is a line of the log: it is found by the
log's index, and made when somebody asks for it. Only the last rows are looked at without being asked for.

From the first sequence that moves the cursor up or down, or erases below it (progress bars of several lines), the lines of
the log are no longer what a terminal would show: all that follows goes through one screen. The rows that no cursor can
reach any more become the lines of a second log, each after the digit of its stream and the number of its characters that
were left out.

Rows are counted from 0. Those before `settled` will never change; at the first cursor movement, `settled` falls back to
the first row that it may reach.

Nothing here takes long, whatever a program has written: work is done in turns (see `turns`).
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator

from . import phrases, screen
from .encoding import ENCODING
from .log import STDOUT_FD, Log
from .screen import WINDOW, Piece, Row, Screen, inert_line
from .times import Moment
from .turns import Turns, advance, done

_STEP = 1 << 12  # bytes that go through the screen at a time
_PIECE = 1 << 15  # bytes that are searched at a time
_NEAR = 1 << 16  # bytes before the end; what is farther away is not needed for the last rows
_BEFORE = 50  # lines before those asked for that are read too, because their colours may go on
_PART = 1 << 15  # bytes of a long line that are looked at, at its beginning and at its end
_AT_A_TIME = 200  # rows
_NEAREST = 40  # rows that are kept at hand
_DRAWN = 1 << 12  # bytes of rows; drawing them takes as long as a turn ...
_AROUND = 10  # ... where a row counts for this many bytes in addition to its text
_MUCH = 1 << 16  # bytes of rows that are read at a time; of a longer line only its ends are looked at
_REACH = 1 << 20  # bytes of rows that the first moves may reach
_MOST_BEHIND = 1 << 22  # bytes
_SETTLED = "utf-8"  # the encoding of the second log: a row can have any character
_UNSEEN = bytes({*range(32), 127} - {*b"\t\n\r\b"})
_INERT = re.compile(
    rb"\x1b\[[0-?]{0,4096}[ -/]{0,64}[@-~]?|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    rb"|\x1b[ -/]{0,64}[0-~]?|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"
)


_REMOVED = Row(0, "… this line is no longer in the log: somebody has removed it, or the disk was full")
"""Instead of a row that cannot be read: whoever asks for rows gets one at least, or would ask for ever."""


class Rows:
    """The rows of these streams of a log. Call `follow` to take in what the program has written since.

    Args:
        behind: bytes with cursor movement that may wait for the screen; if there are more, it skips to near their end.
    """

    def __init__(self, log: Log, streams: Collection[int], *, behind: int = _MOST_BEHIND) -> None:
        self.log = log
        self._most_behind = behind
        self.streams = frozenset(streams)
        self._screen = Screen()
        self._first = 0  # the number of the first row of the screen
        self._fed = 0  # how far into the log the screen has come
        self._settled: Log | None = None  # rows from `_settled_from` to the screen's first, once the cursor has moved
        self._settled_from = 0
        self._recent: deque[Row] = deque(maxlen=_NEAREST)  # those that were on the screen last
        self._feeding: Turns[None] | None = None  # what is being fed to the screen
        self._finished = False

    def __repr__(self) -> str:
        return f"<{self.total} Rows of {self.log!r}>"

    @property
    def total(self) -> int:
        """How many rows there are, with the open ones."""
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
        """Take in what is new, for `SLICE` at most; return whether there is more."""
        return advance(self.take_in()) is None

    def take_in(self) -> Turns[bool]:
        """Take in all that is new, in turns; return True."""
        log = self.log
        self._look_ahead()
        while self._is_behind:
            self._feeding = self._feeding or self._next_step()
            if next(self._feeding, True):  # it has come to its end
                self._feeding = None
                self._look_ahead()
            yield
        if log.ended and not self._is_behind and not self._finished:
            self._finished = True
            self._screen.finish()
            if self._settled:
                self._settled.close()
        return True

    def echo(self, text: str) -> Turns[None]:
        """Show a line that was typed for the program, as a terminal does: after the last text. It is not in the log."""
        yield from self.take_in()
        if self._finished:
            return
        if self._settled is None:  # from here on there are rows that are not lines of the log
            self._begin_moves(self.log.bytes)
            yield from self.take_in()
        stream = self.open[-1].stream if self.open else STDOUT_FD
        self._screen.write(stream, f"{screen.inert_line(text)}\n")
        self._settle()

    def last(self, count: int) -> list[Row]:
        """The last rows, at most `count`, of those that are at hand; this takes no time."""
        on_screen = self._screen.all
        missing = max(0, count - len(on_screen))
        return [*itertools.islice(self._recent, max(0, len(self._recent) - missing), None), *on_screen][-count:]

    def read(self, first: int, count: int) -> list[Row]:
        """At most `count` rows from this one on; fewer, but at least one, if they are long."""
        return done(self.read_in_turns(first, count))

    def read_in_turns(self, first: int, count: int) -> Turns[list[Row]]:
        """The same in turns; rows that come meanwhile are not among them."""
        first, stop = max(0, first), min(first + count, self.total)
        found: list[Row] = []
        settled, on_screen, screen_from = self._settled, self._screen.all, self._first
        end = self._settled_from if settled else screen_from  # of the rows that are lines of the log
        if first < min(stop, end):
            found = yield from self._read_log(first, min(stop, end))
            if first + len(found) < min(stop, end):
                return found
        start = first + len(found)
        if settled and start < min(stop, screen_from):
            found += yield from _read_settled(settled, start - end, min(stop, screen_from) - end)
            if first + len(found) < min(stop, screen_from):
                return found
        for number in range(max(first, screen_from), stop):
            row = on_screen[number - screen_from]
            if row.left_out and not settled:
                row = yield from self._long_row(number, row.stream)
            found.append(row)
        return found

    def warm(self, first: int, count: int) -> None:
        """Read what `read` would and throw it away: from then on it is in the page cache of the operating system.

        Call it in another thread, because a slow disk takes long. It uses nothing that other threads change.
        """
        settled, end = self._settled, self._settled_from
        if settled and first >= end:
            start = settled.offset_of(first - end)
            _read(settled, start, settled.offset_of(first - end + count))
        else:
            start = self.log.offset_of(max(0, first - _BEFORE), self.streams)
            _read(self.log, start, self.log.offset_of(first + count, self.streams))

    def read_all(self, first: int, stop: int) -> list[Row]:
        """All rows from `first` up to `stop`."""
        found: list[Row] = []
        while more := self.read(first + len(found), min(stop, self.total) - first - len(found)):
            found += more
        return found

    def size(self, first: int, stop: int) -> int:
        """How many bytes the rows from `first` up to `stop` take."""
        if not self._settled:
            return self.log.size_between(self._offset(first), self._offset(stop), self.streams)
        settled = max(0, min(stop, self._first) - self._settled_from), max(0, first - self._settled_from)
        size = self._settled.offset_of(settled[0]) - self._settled.offset_of(min(settled))
        if first < self._settled_from:
            start, end = (self.log.offset_of(row, self.streams) for row in (first, min(stop, self._settled_from)))
            size += self.log.size_between(start, end, self.streams)
        return size + sum(
            len(row.text) + 1 for row in self._screen.all[max(0, first - self._first) : max(0, stop - self._first)]
        )

    def moment(self, row: int) -> Moment | None:
        """When the last byte of this row came; None: that is not known, or it is no line of the log (see `moves`)."""
        log = self.log
        if not 0 <= row < self.total or (self._settled and row >= self._settled_from):
            return None
        if row < log.line_count(self.streams):
            offset = log.offset_of(row + 1, self.streams) - 1
        else:  # it is open, or without a line end
            stream = self._screen.all[row - self._first].stream
            offset = log.start_of_last(1, {stream})
        return None if log.gap[0] <= offset < log.gap[1] else log.times.at(offset)

    def row_at(self, at: float) -> int | None:
        """The row that was being written at this time (seconds since the epoch), or last before it; None: that is not known."""
        offset = self.log.times.offset(at)
        if offset is None or not self.total:
            return None
        row = min(self.log.lines_before(offset, self.streams), self.total - 1)
        return None if self._settled and row >= self._settled_from else row

    def find(self, text: str, *, case: bool) -> Iterator[int | None]:
        """The numbers of the rows that contain this text; and None after each piece of work, so that others get a turn.

        Without `case`, upper and lower case are the same.
        """
        # what another thread may change is read now; the rest is done as the caller goes on, in any thread
        return self._find(text, self._screen.all, self._first, self._settled, self._settled_from, case=case)

    def _find(
        self, text: str, on_screen: list[Row], screen_from: int, settled: Log | None, settled_from: int, *, case: bool
    ) -> Iterator[int | None]:
        wanted = text if case else text.casefold()
        end = settled_from if settled else screen_from
        for found in _search(self.log, self.streams, text, case=case):
            if found is None:
                yield None
            elif found[0] >= end:
                break
            elif (yield from _holds(found[1], wanted, case=case)):
                yield found[0]
        if settled:
            for found in _search(settled, (STDOUT_FD,), text, case=case, encoding=_SETTLED):
                if found is None:
                    yield None
                elif settled_from + found[0] >= screen_from:
                    break
                elif (yield from _holds(found[1].partition(b":")[2], wanted, case=case, encoding=_SETTLED)):
                    yield settled_from + found[0]
        for number, row in enumerate(on_screen, screen_from):
            if wanted in (row.plain if case else row.plain.casefold()):
                yield number

    # --- the live screen -----------------------------------------------------------------------------------------

    @property
    def _is_behind(self) -> bool:
        return self._feeding is not None or self._fed < self.log.bytes

    def _look_ahead(self) -> None:
        """Go on elsewhere in the log if the cursor moves from here on, or too much is waiting."""
        log = self.log
        if log.moved_at is not None and self._settled is None:
            self._begin_moves(log.moved_at)
        elif self._settled is None and log.bytes - self._fed > _NEAR:
            self._jump(log.bytes - _NEAR)
        elif self._settled and log.bytes - self._fed > self._most_behind:
            self._leap(log.bytes - min(_NEAR, self._most_behind))

    def _next_step(self) -> Turns[None]:
        log = self.log
        if log.gap[0] <= self._fed < log.gap[1]:
            if not self._settled:
                self._jump(log.gap[1])
                assert self._feeding
                return self._feeding
            self._screen.rows.append(_dropped(log))
            self._fed = log.gap[1]
        return self._feed(
            min(_STEP, log.bytes - self._fed, log.gap[0] - self._fed if self._fed < log.gap[0] else _STEP)
        )

    def _feed(self, size: int) -> Turns[None]:
        """Feed the next `size` bytes of the log to the screen."""
        for _ in self._screen.feed_in_turns(self.log.pieces(self._fed, size, self.streams)):
            self._settle()
            yield
        self._fed += size
        self._settle()

    def _begin_at(self, offset: int, first: int) -> None:
        """Go on with a new screen at this offset, which is in the row `first`."""
        self._screen, self._fed, self._first = Screen(), offset, first
        self._recent.clear()
        self._feeding = self._screen.feed_in_turns(self._begun(offset))

    def _settle(self) -> None:
        self._put_away(self._screen.settle())

    def _leap(self, offset: int) -> None:
        """Skip to near the end, with a new screen: it would take too much work to follow all cursor movement."""
        size = phrases.size_words(offset - self._fed)
        self._put_away([*self._screen.finish(), Row(0, f"… {size} more were written here than can be shown")])
        self._screen, self._fed, self._feeding = Screen(), offset, None

    def _put_away(self, gone: list[Row]) -> None:
        self._first += len(gone)
        self._recent += gone
        if self._settled and gone:
            lines = (f"{row.stream}{row.left_out or ''}:{row.coded}\n" for row in gone)
            self._settled.write(STDOUT_FD, "".join(lines).encode(_SETTLED))

    def _jump(self, offset: int) -> None:
        """Go on with the first line after this offset: nobody has seen what is between."""
        if self.log.gap[0] <= offset < self.log.gap[1]:
            offset = self.log.gap[1]
        lines = self.log.lines_before(offset, self.streams)
        start = self.log.offset_of(lines + 1, self.streams)
        self._begin_at(*((start, lines + 1) if start < self.log.bytes else (offset, lines)))

    def _begin_moves(self, offset: int) -> None:
        """Go back to the first row that the cursor at this offset may reach; from there on, all goes through the screen."""
        line = max(0, self.log.lines_before(offset, self.streams) - WINDOW)
        start = self.log.offset_of(line, self.streams)
        if offset - start > _REACH:  # long lines
            line = self.log.lines_before(offset, self.streams)
            start = max(offset - _NEAR, self.log.offset_of(line, self.streams))
        self._begin_at(start, line)
        self._settled, self._settled_from = Log(frozenset((STDOUT_FD,))), line
        self._settled.times.forget()  # that it is written says nothing of the program

    # --- rows that are lines of the log --------------------------------------------------------------------------

    def _offset(self, row: int) -> int:
        return self.log.bytes if row >= self.total else self.log.offset_of(row, self.streams)

    def _read_log(self, first: int, stop: int) -> Turns[list[Row]]:
        log = self.log
        if log.gap[1]:
            gone, back = (log.lines_before(offset, self.streams) for offset in log.gap)
            if gone <= first < back:
                return [_dropped(log) for _ in range(first, min(stop, back))]
            stop = min(stop, gone) if first < gone else stop
        start, end = self._offset(first), self._offset(stop)
        if end - start > _MUCH:
            stop = max(first + 1, log.lines_before(start + _MUCH, self.streams))
            end = self._offset(stop)
            if end - start > _MUCH:
                return [(yield from self._long_row(first))]
        base = max(0, first - _BEFORE)
        before = log.offset_of(base, self.streams)
        if start - before > _PART or (log.gap[1] and before <= log.gap[1] <= start):
            base, before = first, start
        pieces = itertools.chain(self._begun(before), log.pieces(before, end - before, self.streams))
        found = yield from screen.rows_in_turns(pieces)
        return found[first - base : stop - base] or [_REMOVED] * (stop - first)

    def _begun(self, offset: int) -> Iterator[Piece]:
        """The text of each stream's open line at this offset."""
        return itertools.chain.from_iterable(self._line(stream, offset) for stream in self.streams)

    def _line(self, stream: int, offset: int) -> Iterator[Piece]:
        """The text of this stream's open line at this offset.

        Of a long one: its first part, how many bytes are left out (unless a carriage return begins it anew), its last part.
        """
        start = self.log.offset_of(self.log.lines_before(offset, (stream,)), (stream,))
        size, is_anew = 0, False
        for at, _, data in self.log.spans(start, offset - start, (stream,)):
            yield stream, data
            size, is_anew = size + len(data), is_anew or b"\r" in data
            if size > _PART:
                near = max(at + len(data), offset - _PART)
                last = b"".join(data for _, data in self.log.pieces(near, offset - near, (stream,)))
                if not is_anew and b"\r" not in last.rstrip(b"\r"):
                    yield stream, self.log.size_between(at + len(data), near, (stream,))
                yield stream, last
                break

    def _long_row(self, number: int, stream: int = 0) -> Turns[Row]:
        """A row of which only the two ends are looked at. `stream` 0: the row is of the stream that ends its line."""
        log = self.log
        end = log.offset_of(number + 1, self.streams) - 1 if number < log.line_count(self.streams) else log.bytes
        stream = stream or next(log.pieces(end, 1), (STDOUT_FD, b""))[0]
        (row,) = yield from screen.rows_in_turns([*self._line(stream, end), (stream, b"\n")])
        return row


def _read(log: Log, start: int, stop: int) -> None:
    """Read between these offsets as much as an answer would look at: the middle of long lines is passed over."""
    for part in (start, max(start, stop - _MUCH)):
        for _ in log.pieces(part, min(_MUCH + 2 * _PART, max(0, stop - part))):
            pass


def _search(
    log: Log, streams: Collection[int], text: str, *, case: bool, encoding: str = ENCODING
) -> Iterator[tuple[int, bytes] | None]:
    """(number, the part that was searched) of each line that may contain this text; and None after each piece of work.

    It searches lines that have ended; a line that does not end for long is searched part by part.
    """
    wanted = (text if case else text.casefold()).encode(encoding, "replace")
    number = before = 0
    begun: dict[int, bytes] = {}  # the open line of each stream, its last part
    open_hits: dict[int, bytes] = {}  # the long open lines that contain the text
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
            data = folded  # offsets differ, so the search goes on in this
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


def _holds(line: bytes, wanted: str, *, case: bool, encoding: str = ENCODING) -> Turns[bool]:
    """Whether the visible text of the line contains this; what was overwritten does not count."""
    if b"\r" in line.removesuffix(b"\r") or b"\b" in line:
        shown = (yield from _row(STDOUT_FD, line, encoding)).plain
    else:
        shown = line.decode(encoding, "replace")
    return wanted in (shown if case else shown.casefold())


def _row(stream: int, line: bytes, encoding: str) -> Turns[Row]:
    return (yield from screen.rows_in_turns([(stream, line + b"\n")], encoding))[0]


def _read_settled(settled: Log, first: int, stop: int) -> Turns[list[Row]]:
    """These lines of the second log, or the first of them."""
    start = settled.offset_of(first)
    end = settled.offset_of(max(first + 1, min(stop, settled.lines_before(start + _MUCH))))
    found = []
    for line in settled.joined(start, end - start).splitlines():
        head, _, coded = line.partition(b":")
        row = yield from _row(int(head[:1]), coded, _SETTLED)
        row.left_out = int(head[1:] or 0)
        found.append(row)
        if len(found) % _NEAREST == 0:
            yield
    return found or [_REMOVED] * (stop - first)


def _dropped(log: Log) -> Row:
    return Row(0, f"… here {phrases.size_words(log.gap[1] - log.gap[0])} were dropped to keep the limit of the log")


def ends(rows: Rows, cost: Callable[[Row], int], head: int, tail: int, lines: int, first: int = 0) -> Turns[list[Row]]:
    """The rows from `first` on, if they cost no more than `head` and `tail` together and are no more than `lines`.

    Otherwise the first ones that cost no more than `head`, and the last that cost no more than `tail`, with half of the
    lines each. A row between them says what is left out and names the log, which is kept therefore.
    """
    total, log = rows.total, rows.log
    found = yield from _fitting(_forward(rows, first, total), cost, head + tail, lines)
    if len(found) < total - first:
        found = yield from _fitting(iter(found), cost, head, lines // 2)
        start = first + len(found)
        last = (yield from _fitting(_backward(rows, start, total), cost, tail, lines // 2))[::-1]
        stop = total - len(last)
        count = f"{stop - start:,} lines" if stop - start != 1 else "1 line"
        found += [_note(f"{count}, {phrases.size_words(rows.size(start, stop))} not shown", log), *last]
    elif any(row.left_out for row in found):
        found.append(_note("not all of each line is shown", log))
    if log.dropped:
        found.append(Row(0, f"... {phrases.size_words(log.dropped)} are not in the log: its limit, or a full disk"))
    return found


def _forward(rows: Rows, first: int, stop: int) -> Iterator[Row | None]:
    """The rows, and None after each piece of work; only up to where some were removed."""
    while first < stop:
        more = yield from rows.read_in_turns(first, min(_AT_A_TIME, stop - first))
        yield None
        yield from itertools.takewhile(_is_there, more)
        first = first + len(more) if all(map(_is_there, more)) else stop


def _backward(rows: Rows, first: int, stop: int) -> Iterator[Row | None]:
    """The same from the last row back to `first`; only a few at a time at first, because they may be long."""
    step = 8
    while stop > first:
        start = max(first, stop - step)
        found: list[Row] = []
        while start + len(found) < stop:
            found += yield from rows.read_in_turns(start + len(found), stop - start - len(found))
        yield None
        yield from itertools.takewhile(_is_there, reversed(found))
        stop, step = start if all(map(_is_there, found)) else first, min(4 * step, _AT_A_TIME)


def _is_there(row: Row) -> bool:
    return row is not _REMOVED


def _fitting(rows: Iterator[Row | None], cost: Callable[[Row], int], size: int, lines: int) -> Turns[list[Row]]:
    """As `fitting`, in turns."""
    found: list[Row] = []
    work = 0
    for row in rows:
        if row is None:
            yield
            continue
        here = cost(row)
        size, work = size - here, work + here + _AROUND
        if size < 0 or len(found) == lines:
            break
        found.append(row)
        if work > _DRAWN:
            work = 0
            yield
    return found


def fitting(rows: Iterator[Row], cost: Callable[[Row], int], size: int, lines: int) -> list[Row]:
    """The first of these rows, as many as cost no more than `size` together and are no more than `lines`."""
    found: list[Row] = []
    for row in rows:
        size -= cost(row)
        if size < 0 or len(found) == lines:
            break
        found.append(row)
    return found


def _note(what: str, log: Log) -> Row:
    if not log.is_there():
        return Row(0, f"... {what}; somebody has removed the log")
    log.keep()
    return Row(0, f"... {what}; full log: {inert_line(str(log.path))}")
