r"""What a program wrote, as the lines that a terminal would leave.

It understands `\n \r \b \t`, colours and styles (SGR), cursor movement, erase, insert, delete and scroll, all within
a bounded window, as ECMA-48 and the terminals that follow xterm define them. Everything else does nothing and leaves
no trace: titles, links and images (OSC, DCS and other strings of any length; the size of a long one is counted), queries,
modes, repeat counts, other control characters.
Numbers are clamped, so that no sequence causes much work, and what still takes long is done in turns (see `turns`).
Bidi controls, which can make text look like other text, are shown as `<U+202E>`. The result is plain text with styles
in one canonical form, so whatever shows or saves it (page, nbconvert, LaTeX) meets nothing it does not know.

Unlike in a terminal, the streams do not share a cursor: a progress bar on stderr and lines on stdout do not spoil each
other. A line gets its place when it ends; what follows the cursor of a stream (an open line, a block of progress
bars) stands below all that has ended, as it would in a terminal. Lines are not wrapped, every character takes one
column (a wide one too), and a bare `\n` goes to the start of the next line, as in a terminal, which adds the `\r`.

Why not pyte, the established library for this: measured side by side (2 cores, Python 3.13; `benchmarks/screen.py`), lines
of a log with two styles each go through pyte 0.8.2 at 0.5 MB/s (0.14 with its history) and through this module at 7;
without styles at 0.4 and 70. Also, pyte has a grid of cells with wrapped lines, so a line could not be shown, copied or
found as the program wrote it, and one cursor for all streams.
"""

from __future__ import annotations

import codecs
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .encoding import ENCODING
from .turns import Turns, done

WINDOW = 100  # rows of a stream that its cursor can reach
_HEIGHT = 24  # rows of the terminal that a program without one assumes: absolute positions count from its top
LONGEST = 10_000  # characters of a row; those beyond are only counted
_LARGEST = 9999  # the largest number in a sequence
_MOST_NUMBERS = 32  # in a sequence; a style in its canonical form has 17 at most

_STRING = r"[\]PX^_][^\x07\x1b\x9c\n]*"  # OSC, DCS, SOS, PM, APC, on one line
_SEQUENCE = r"\[[0-?]{0,4096}[ -/]{0,64}"  # without its final byte
INERT = rf"\x1b{_SEQUENCE}[@-~]?|\x1b{_STRING}(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]{{0,64}}[0-~]?"
"""The pattern of any sequence."""
REWRITES = r"\x1b(?:\[[0-9;:]*[@A-HJ-MPSTX`dfrsu]|[78DEM])"
"""The pattern of sequences that can change what was written before."""
SIXELS = r"\x1bP[0-9;]{0,64}q[^\x07\x18\x1a\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
"""The pattern of an image, which may contain line ends."""
_INERT_PATTERN = rf"{INERT}|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]+|\x08|\r"
_INERT = re.compile(_INERT_PATTERN)
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<style>[0-9;:]{0,4096})m"
    r"|(?P<control>[\n\r\b])"
    r"|\x1b\[(?P<numbers>[0-9;]{0,4096})(?P<final>[@-~])"
    r"|\x1b(?P<escape>[78DEMc])"
    rf"|{_INERT_PATTERN}"
)
# the start of a sequence, which cannot be understood before more comes
_UNFINISHED = re.compile(rf"\x1b(?:{_SEQUENCE}|[ -/]{{0,64}}|P[0-9;]{{0,64}})\Z")
_LONGEST_UNFINISHED = 4200
_STRING_START = re.compile(  # except of those that are short and end here
    r"\x1b(?:(?P<image>P[0-9;]{0,64}q)|P(?![0-9;]{0,64}\Z)|[\]X^_])"
    r"(?![^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c))"
)
_STRING_END = {  # by whether it is an image of sixels, which may contain line ends; another sequence ends both kinds
    False: re.compile(r"[\x07\x9c]|\x1b\\|(?=[\n\x18\x1a]|\x1b[^\\])"),
    True: re.compile(r"[\x07\x9c]|\x1b\\|(?=[\x18\x1a]|\x1b[^\\])"),
}
_LONG_STRING = 4096  # characters; what is longer is an image, and counted as left out
_LONGEST_STRING = 1 << 26  # characters; then it ends
_BIT = 1 << 12  # bytes or characters that are looked at together
# The unit of work is what a single character takes, about a microsecond.
_TURN = 500
_WORK_OF_PIECE = 8
_WORK_OF_CONTROL = 4
_WORK_OF_FAR = 20  # for what may change many rows, or many characters
_WORK_OF = {"J": 40, **dict.fromkeys("@ABEFHLMPSXdfr", _WORK_OF_FAR)}
_PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]*")  # \t and \n are as good as text
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


Piece = tuple[int, bytes | int]


class Style(NamedTuple):
    """How a character looks, as the numbers of the sequence that sets it (SGR); see `styled`.

    Attributes:
        attributes: in order: 1 bold, 2 dim, 3 italic, 4 underlined, 7 inverse, 9 struck through.
        fore: the colour of the text: `(31,)`, `(38, 5, 196)` or `(38, 2, 255, 0, 0)`; empty: that of the page.
        back: the colour of the background: `(41,)`, `(48, 5, 196)` or `(48, 2, 255, 0, 0)`; empty: that of the page.
    """

    attributes: tuple[int, ...] = ()
    fore: tuple[int, ...] = ()
    back: tuple[int, ...] = ()

    @property
    def sequence(self) -> str:
        """The one sequence that sets it, whatever was set before; the same for every style that is equal."""
        return _sequence(self)


PLAIN = Style()


@functools.lru_cache(4096)
def _sequence(style: Style) -> str:
    return f"\x1b[{';'.join(map(str, (0, *itertools.chain.from_iterable(style))))}m"


class Row:
    """One line of output: its stream, its text, its styles.

    Attributes:
        stream: 1 or 2; 0 for a note of ours.
        text: the characters.
        left_out: how many more characters the row had, which are not kept.
    """

    __slots__ = ("_styles", "left_out", "stream", "text")

    def __init__(self, stream: int, text: str = "") -> None:
        self.stream = stream
        self.text = text
        self.left_out = 0
        self._styles: list[Style] = []  # of each character; none: all are plain
        if len(text) > LONGEST:
            self._cut()

    def __repr__(self) -> str:
        return f"<Row of stream {self.stream}: {self.plain!r}>"

    @property
    def plain(self) -> str:
        """The text in a form that is safe to show, and how much of it is missing."""
        return _visible(self.text) + self._more

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to see in it."""
        return not (self.left_out or self.text.strip())

    @property
    def ansi(self) -> str:
        r"""The same with its styles, each begun by `ESC[0;...m` and the last ended by `ESC[0m`."""
        return _visible(self.coded) + self._more

    @property
    def coded(self) -> str:
        """The text with its styles, from which the same row can be made: bidi controls as they are, nothing added."""
        if not self._styles:
            return self.text
        parts, style = [], PLAIN
        for text, style in self._runs():
            parts += [style.sequence, text]
        coded = "".join(parts if self._styles[0] != PLAIN else parts[1:])
        return coded if style == PLAIN else coded + PLAIN.sequence

    @property
    def has_styles(self) -> bool:
        """Whether any character has a style."""
        return any(style != PLAIN for style in self._styles)

    def runs(self) -> Iterator[tuple[str, Style]]:
        """(text, style) of each stretch of characters with one style."""
        return ((_visible(text), style) for text, style in self._runs())

    def _runs(self) -> Iterator[tuple[str, Style]]:
        if not self._styles:
            yield self.text, PLAIN
        start = 0
        for style, characters in itertools.groupby(self._styles):
            stop = start + len(list(characters))
            yield self.text[start:stop], style
            start = stop

    def put(self, column: int, text: str, style: Style) -> int:
        """Write from this column on, over what is there; return the column after the text."""
        end = column + len(text)
        if end > LONGEST and text:
            self.left_out = max(self.left_out, end - LONGEST)
        if text := text[: max(0, LONGEST - column)]:
            self._splice(column, column + len(text), text, style)
        return end

    def end_at(self, column: int) -> None:
        """Erase all from this column on."""
        self.text, self.left_out = self.text[:column], max(0, min(self.left_out, column - LONGEST))
        self._cut()

    def blank(self, start: int, stop: int) -> None:
        """Erase these columns."""
        stop = min(stop, len(self.text))
        if start < stop:
            self._splice(start, stop, " " * (stop - start))

    def insert(self, column: int, count: int) -> None:
        """Insert blanks at this column; the rest moves to the right."""
        if column < len(self.text):
            self._splice(column, column, " " * count)
            self._cut()

    def delete(self, column: int, count: int) -> None:
        """Delete characters from this column on; the rest moves to the left."""
        if column < len(self.text):
            self._splice(column, column + count, "")

    def _splice(self, start: int, stop: int, text: str, style: Style = PLAIN) -> None:
        """Replace start..stop by this text; a row that is too short is filled with blanks."""
        if self._styles or style != PLAIN:
            self._styles += [PLAIN] * (max(start, len(self.text)) - len(self._styles))
            self._styles[start:stop] = [style] * len(text)
        self.text = self.text[:start].ljust(start) + text + self.text[stop:]

    def _cut(self) -> None:
        if len(self.text) > LONGEST:
            self.left_out = max(self.left_out, len(self.text) - LONGEST)
            self.text = self.text[:LONGEST]
        del self._styles[len(self.text) :]

    @property
    def _more(self) -> str:
        return f" … {self.left_out} more characters" if self.left_out else ""


class _Cursor:
    """Where one stream writes: its rows that can still be reached, the position in them, the style; and its decoder."""

    def __init__(self, stream: int, row: Row, encoding: str) -> None:
        self.stream = stream
        self.rows = [row]
        self.at = 0  # the row ...
        self.column = 0  # ... and the column where the next character goes
        self.style = PLAIN
        self.saved: tuple[Row, int, Style] | None = None
        self.margin = 0  # the last row of the scroll region, counted from 1; 0: none is set
        self.unfinished = ""  # the start of a sequence
        self.string = 0  # characters of the control string so far; 0: it is not in one
        self.is_image = False  # that string is one of sixels
        self.decoder = codecs.getincrementaldecoder(encoding)("replace")

    @property
    def row(self) -> Row:
        return self.rows[self.at]


class Screen:
    """Turns what a program wrote, in pieces cut anywhere, into rows.

    Attributes:
        rows: the rows that have ended, in their order; see `settle`.
    """

    new_row: type[Row] = Row
    token, plain = _TOKEN, _PLAIN

    def __init__(self, encoding: str = ENCODING) -> None:
        self.rows: list[Row] = []
        self._encoding = encoding
        self._fixed = 0  # how many of them no cursor can reach any more
        self._work = 0  # since the last turn
        self._cursors: dict[int, _Cursor] = {}

    def feed(self, pieces: Iterable[Piece]) -> None:
        """Take pieces of output: (stream, bytes), or (stream, number) for that many bytes that are left out."""
        done(self.feed_in_turns(pieces))

    def feed_in_turns(self, pieces: Iterable[Piece]) -> Turns[None]:
        """The same in turns; between them, the rows are up to date as far as it has come."""
        for stream, data in pieces:
            cursor = self._cursor(stream)
            if isinstance(data, int) and cursor.string:
                cursor.string += data  # a control string goes on there
                continue
            if isinstance(data, int):
                cursor.column, cursor.unfinished = max(LONGEST, cursor.column) + data, ""  # what follows is not kept
                continue
            for start in range(0, len(data), _BIT):
                yield from self._write(cursor, cursor.decoder.decode(data[start : start + _BIT]))

    def write(self, stream: int, text: str) -> None:
        """Take a piece of output that is already text."""
        done(self.write_in_turns(stream, text))

    def write_in_turns(self, stream: int, text: str) -> Turns[None]:
        """The same in turns."""
        cursor = self._cursor(stream)
        for start in range(0, len(text), _BIT):
            yield from self._write(cursor, text[start : start + _BIT])

    def _cursor(self, stream: int) -> _Cursor:
        if stream not in self._cursors:
            self._cursors[stream] = _Cursor(stream, self.new_row(stream), self._encoding)
        return self._cursors[stream]

    def finish(self) -> list[Row]:
        """The end of the output: all rows in their last state."""
        for cursor in self._cursors.values():
            done(self._write(cursor, cursor.decoder.decode(b"", True), final=True))
        return self.all

    @property
    def open(self) -> list[Row]:
        """The rows from the cursor of each stream on, without the empty ones at their end."""
        found: list[Row] = []
        for _, cursor in sorted(self._cursors.items()):
            last = len(cursor.rows)
            while last > cursor.at and cursor.rows[last - 1].is_blank:
                last -= 1
            found += cursor.rows[cursor.at : last]
        return found

    @property
    def all(self) -> list[Row]:
        """The rows that have ended, and the open ones below them."""
        return self.rows + self.open

    def settle(self) -> list[Row]:
        """Remove the rows that have ended and that no cursor can reach any more, and return them."""
        self._fix()
        settled = self.rows[: self._fixed]
        del self.rows[: self._fixed]
        self._fixed = 0
        return settled

    # --- writing -------------------------------------------------------------------------------------------------

    def _write(self, cursor: _Cursor, text: str, *, final: bool = False) -> Turns[None]:
        """Write text, without control strings (titles, links, images), however long they are and wherever they are cut."""
        if cursor.unfinished:
            text, cursor.unfinished = cursor.unfinished + text, ""
        at = 0
        while at < len(text):
            if cursor.string:
                before, at = at, self._pass_over(cursor, text, at)
                self._work += 1 + (at - before) // 20
                if self._work >= _TURN:
                    self._work = 0
                    yield
                continue
            start = _STRING_START.search(text, at)
            part = text[at : start.start()] if start else text[at:]
            yield from self._write_text(cursor, part, final=final or start is not None)
            if not start:
                break
            cursor.string, cursor.is_image, at = 1, start["image"] is not None, start.end()
        if final:
            self._end_string(cursor)

    def _pass_over(self, cursor: _Cursor, text: str, at: int) -> int:
        """Pass over a control string up to its end; return where the text goes on."""
        end = _STRING_END[cursor.is_image].search(text, at)
        stop = end.end() if end else len(text)
        cursor.string += stop - at
        if end or cursor.string > _LONGEST_STRING:
            self._end_string(cursor)
        elif text.endswith("\x1b"):
            cursor.unfinished = "\x1b"  # perhaps the first half of its end
            cursor.string -= 1
        return stop

    def _end_string(self, cursor: _Cursor) -> None:
        if cursor.string > _LONG_STRING:
            cursor.row.left_out += cursor.string
        cursor.string = 0

    def _write_text(self, cursor: _Cursor, text: str, *, final: bool) -> Turns[None]:
        work = self._work + _WORK_OF_PIECE
        is_last = cursor.at == len(cursor.rows) - 1 and not cursor.margin
        if is_last and cursor.style == PLAIN and self.plain.fullmatch(text):
            self._write_plain(cursor, text)
            work += text.count("\n")
            self._work = 0 if work >= _TURN else work
            if work >= _TURN:
                yield
            return
        unfinished = None if final else _UNFINISHED.search(text, max(0, len(text) - _LONGEST_UNFINISHED))
        end = unfinished.start() if unfinished else len(text)
        cursor.unfinished = text[end:]
        for token in self.token.finditer(text, 0, end):
            if work >= _TURN:
                work = 0
                yield
            work += 1
            match token.lastgroup:
                case "text":
                    cursor.column = cursor.rows[cursor.at].put(cursor.column, token[0], cursor.style)
                case "style":
                    work += 1
                    cursor.style = styled(cursor.style, token["style"])
                case "control" if token[0] == "\n":
                    work += _WORK_OF_FAR if cursor.margin else 0
                    self._next_line(cursor)
                case "control":
                    cursor.column = 0 if token[0] == "\r" else max(0, cursor.column - 1)
                case "final":
                    work += _WORK_OF.get(token["final"], _WORK_OF_CONTROL)
                    self._control(cursor, token["final"], token["numbers"])
                case "escape":
                    work += _WORK_OF_CONTROL
                    self._escape(cursor, token["escape"])
        self._work = work

    def _write_plain(self, cursor: _Cursor, text: str) -> None:
        r"""Write text with no styles, and no control characters but `\t` and `\n`, to the last row: whole lines at a time."""
        first, *others = text.split("\n")
        cursor.column = cursor.row.put(cursor.column, first, PLAIN)
        if others:
            last = others.pop()
            rows = [cursor.row, *(self.new_row(cursor.stream, line) for line in others)]
            self.rows += rows
            cursor.rows += [*rows[1:], self.new_row(cursor.stream, last)]
            del cursor.rows[:-WINDOW]
            cursor.at = len(cursor.rows) - 1
            cursor.column = len(last)

    def _next_line(self, cursor: _Cursor) -> None:
        cursor.column = 0
        if cursor.at == len(cursor.rows) - 1 and not cursor.margin:  # the usual case: the same as below, in fewer steps
            self.rows.append(cursor.rows[cursor.at])
            cursor.rows.append(self.new_row(cursor.stream))
            if cursor.at >= WINDOW - 1:
                del cursor.rows[0]
            else:
                cursor.at += 1
            return
        if cursor.margin:
            top, bottom = self._top(cursor), self._bottom(cursor)
            if cursor.at == top + _HEIGHT - 1:
                return
            if cursor.at == bottom - 1:
                cursor.rows.insert(bottom, self.new_row(cursor.stream))  # the region scrolls; what is below it stays
        self._go_to(cursor, cursor.at + 1)

    def _go_to(self, cursor: _Cursor, at: int) -> None:
        """Move to this row of the stream: the rows above it have ended, those from it on are open."""
        self._extend(cursor, at + 1)
        if at >= cursor.at:
            self.rows += cursor.rows[cursor.at : at]
        else:
            at = max(at, self._reach(cursor))
            again = cursor.rows[at : cursor.at]
            last = len(self.rows) - len(again)
            if self.rows[last:] == again:  # the usual case: no row of another stream is between
                del self.rows[last:]
            else:
                gone = set(again)
                self.rows[self._fixed :] = [row for row in self.rows[self._fixed :] if row not in gone]
        surplus = min(at, len(cursor.rows) - WINDOW)
        if surplus > 0:
            del cursor.rows[:surplus]
            at -= surplus
        cursor.at = at

    def _fix(self) -> None:
        """A row after which more than WINDOW rows have ended can never change again."""
        self._fixed = max(self._fixed, len(self.rows) - WINDOW)

    def _reach(self, cursor: _Cursor) -> int:
        """The first row of this stream that can still change."""
        self._fix()
        return max(0, cursor.at - [row.stream for row in self.rows[self._fixed :]].count(cursor.stream))

    def _top(self, cursor: _Cursor) -> int:
        """The row from which absolute positions count: the terminal's top, as rows are never removed from the end."""
        return max(self._reach(cursor), len(cursor.rows) - _HEIGHT)

    def _bottom(self, cursor: _Cursor) -> int:
        """The row after the last one of the scroll region, or of the terminal if the cursor is below the region."""
        top = self._top(cursor)
        return top + (cursor.margin if cursor.at < top + cursor.margin else _HEIGHT)

    def _extend(self, cursor: _Cursor, length: int) -> None:
        """Give the stream this many rows, if it has fewer."""
        cursor.rows += [self.new_row(cursor.stream) for _ in range(length - len(cursor.rows))]

    def _control(self, cursor: _Cursor, final: str, numbers: str) -> None:
        """A control sequence; those that are not named here do nothing."""
        values = [min(int(number[:9] or 0), _LARGEST) for number in numbers.split(";")[:_MOST_NUMBERS]]
        first = values[0]
        count, row, rows = first or 1, cursor.row, cursor.rows
        match final:
            case "A" | "F":
                self._go_to(cursor, max(cursor.at - count, 0))
            case "B" | "E":
                self._go_to(cursor, min(cursor.at + count, self._bottom(cursor) - 1))
            case "C":
                cursor.column = min(cursor.column + count, max(cursor.column, LONGEST))
            case "D":
                cursor.column = max(cursor.column - count, 0)
            case "G" | "`":
                cursor.column = count - 1
            case "H" | "f":
                self._go_to(cursor, self._top(cursor) + min(count, _HEIGHT) - 1)
                cursor.column = max(0, values[1] - 1) if values[1:] else 0
            case "d":
                self._go_to(cursor, self._top(cursor) + min(count, _HEIGHT) - 1)
            case "J":
                for each in rows[self._top(cursor) : cursor.at] if first in (1, 2) else ():
                    each.end_at(0)
                for each in rows[cursor.at + 1 :] if first in (0, 2) else ():
                    each.end_at(0)
                self._control(cursor, "K", numbers)
            case "K" if first in (0, 2):
                row.end_at(0 if first == 2 else cursor.column)
            case "K" if first == 1:
                row.blank(0, cursor.column + 1)
            case "X":
                row.blank(cursor.column, cursor.column + count)
            case "P":
                row.delete(cursor.column, count)
            case "@":
                row.insert(cursor.column, min(count, LONGEST))
            case "L" | "M" | "S":
                self._scroll(cursor, final, count)
            case "r":
                bottom = values[1] if len(values) > 1 else 0
                cursor.margin = bottom if 0 < bottom < _HEIGHT else 0
                top = self._top(cursor)
                self._extend(cursor, top + _HEIGHT)
                self._go_to(cursor, top)
                cursor.column = 0
            case "s":
                self._escape(cursor, "7")
            case "u":
                self._escape(cursor, "8")
        if final in "EF":
            cursor.column = 0

    def _scroll(self, cursor: _Cursor, final: str, count: int) -> None:
        """Insert (L) or delete (M) rows at the cursor, or scroll up (S): what is below the region stays."""
        top = self._top(cursor)
        bottom = top + (cursor.margin or _HEIGHT)
        count = min(count, bottom - (top if final == "S" else cursor.at))
        new = [self.new_row(cursor.stream) for _ in range(count)]
        if not new:
            return
        if final == "L":
            cursor.rows[cursor.at : cursor.at] = new
            del cursor.rows[bottom : bottom + count]
        elif final == "M":
            del cursor.rows[cursor.at : cursor.at + count]
            self._extend(cursor, bottom - count)
            cursor.rows[bottom - count : bottom - count] = new
        else:
            self._extend(cursor, top + _HEIGHT)
            cursor.rows[bottom:bottom] = new
            self._go_to(cursor, cursor.at + count)
        if final != "S":
            cursor.column = 0

    def _escape(self, cursor: _Cursor, escape: str) -> None:
        match escape:
            case "7":
                cursor.saved = cursor.row, cursor.column, cursor.style
            case "8" if cursor.saved:
                row, cursor.column, cursor.style = cursor.saved
                at = next((at for at, each in enumerate(cursor.rows) if each is row), self._top(cursor))
                self._go_to(cursor, at)
            case "D":
                column = cursor.column
                self._next_line(cursor)
                cursor.column = column
            case "E":
                self._next_line(cursor)
            case "M":
                self._go_to(cursor, cursor.at - 1)
            case "c":
                cursor.style, cursor.margin = PLAIN, 0


def rows(pieces: Iterable[Piece], encoding: str = ENCODING) -> list[Row]:
    """The rows of these pieces, which are all of the output."""
    return done(rows_in_turns(pieces, encoding))


def rows_in_turns(pieces: Iterable[Piece], encoding: str = ENCODING) -> Turns[list[Row]]:
    """The same in turns."""
    screen = Screen(encoding)
    yield from screen.feed_in_turns(pieces)
    return screen.finish()


def inert(text: str) -> str:
    r"""Text that does nothing: no sequences, no control characters but `\n` and `\t`, and bidi controls by their names."""
    return _visible(_INERT.sub("", text.replace("\r\n", "\n")))


def inert_line(text: str) -> str:
    """The same on one line: line ends are shown as `⏎`, and what is not a character (in a file name, say) as `?`."""
    return " ⏎ ".join(inert(text.encode(errors="replace").decode()).splitlines())


def _visible(text: str) -> str:
    """The text with bidi controls replaced by their names."""
    return text if text.isascii() else _BIDI.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


_ATTRIBUTES = {1: 1, 2: 2, 3: 3, 4: 4, 7: 7, 9: 9, 21: 4}
_RESETS = {22: {1, 2}, 23: {3}, 24: {4}, 27: {7}, 29: {9}}


@functools.lru_cache(4096)
def styled(style: Style, numbers: str) -> Style:
    """The style after this SGR sequence.

    A colour without its numbers is no colour (a bare `ESC[48m` stops nbconvert from exporting a notebook).

    Example:
        >>> styled(Style((1,), fore=(31,)), "0;48;5;7;4")
        Style(attributes=(4,), fore=(), back=(48, 5, 7))
        >>> styled(PLAIN, "38:2::1:2:3").fore, styled(PLAIN, "38") == PLAIN
        ((38, 2, 1, 2, 3), True)
    """
    attributes, fore, back = set(style.attributes), style.fore, style.back
    codes = [
        [min(int(number[:9] or 0), _LARGEST) for number in part.split(":")]
        for part in numbers.split(";")[:_MOST_NUMBERS]
    ]
    while codes:
        code, *more = codes.pop(0)
        if code == 0:
            attributes, fore, back = set(), (), ()
        elif code in _RESETS or (code == 4 and more == [0]):
            attributes -= _RESETS.get(code, {4})
        elif code in _ATTRIBUTES:
            attributes.add(_ATTRIBUTES[code])
        elif code in (38, 48):
            if not more:  # in the usual form, its numbers are separated by semicolons
                length = {5: 2, 2: 4}.get(codes[0][0], 0) if codes else 0
                more = [each[0] for each in codes[:length]]
                del codes[:length]
            colour = _colour(more)
            if colour and code == 38:
                fore = (38, *colour)
            elif colour:
                back = (48, *colour)
        elif code in _FORE:
            fore = () if code == 39 else (code,)
        elif code in _BACK:
            back = () if code == 49 else (code,)
    return Style(tuple(sorted(attributes)), fore, back)


_FORE = {*range(30, 38), 39, *range(90, 98)}
_BACK = {*range(40, 48), 49, *range(100, 108)}


def _colour(numbers: list[int]) -> tuple[int, ...]:
    """`(5, N)` or `(2, R, G, B)`; nothing if it is neither."""
    if numbers[:1] == [5] and len(numbers) == 2 and numbers[1] < 256:
        return (5, numbers[1])
    if numbers[:1] == [2] and len(numbers) >= 4 and max(numbers[-3:]) < 256:
        return (2, *numbers[-3:])  # with colons, a colour space may come before them
    return ()
