r"""What a program wrote to a stream, as a value: what a variable gets, and what JSON and tables are read from.

It is the complete text that a terminal would leave:

- Escape sequences are removed: colours, titles, links, images.
- A line that was rewritten (a progress bar, by `\r`, `\b` or cursor movement) appears once, in its last state. A bar that
  was wiped with blanks is an empty line.
- `\r\n` becomes `\n`.
- All else stays as it was written, however long its line: NUL, `\f`, `\v` and `\x1c` to `\x1f` too.

So text without `\r`, `\b` and ESC stays the same. Invalid bytes become U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .encoding import decode
from .screen import INERT, LONGEST, REWRITES, SIXELS, WINDOW, Row, Screen, Style

_SPECIAL = re.compile(r"[\r\b\x1b]")
_INERT = re.compile(rf"(?!{REWRITES})(?:{INERT})")
_SIXELS = re.compile(SIXELS)
_MOVES = re.compile(r"\x1b(?:\[[0-9;:]*[ABEFHJLMSTdfru]|[78DEM])")  # can change other lines than its own
_PIECE = 1 << 18  # characters that are worked on at a time; in between, other threads get their turn


def text(data: bytes) -> str:
    """The text of one stream, of which this is all."""
    return left_of(decode(data))


def left_of(written: str) -> str:
    """What a terminal would leave of this text."""
    if not any(each in written for each in "\r\b\x1b"):
        return written
    if "\x1bP" in written:
        written = _SIXELS.sub("", written)  # only these may contain line ends
    screen: _Screen | None = None
    parts: list[str] = []
    for piece in _pieces(written):
        piece = piece.replace("\r\n", "\n")
        if "\x1b" in piece:
            piece = _INERT.sub("", piece)
            if not screen and _MOVES.search(piece):
                before = "".join(parts)
                start = _last_lines(before)
                parts = [before[:start]]
                screen = _Screen()
                screen.write(1, before[start:])
        if screen:
            screen.write(1, piece)
            parts.append(screen.ended())
        else:
            parts.append("".join(_lines(piece)))
    if screen:
        parts.append(screen.rest())
    return "".join(parts)


def _pieces(whole: str) -> Iterator[str]:
    """The same in pieces, cut at line ends."""
    start = 0
    while start < len(whole):
        end = whole.find("\n", start + _PIECE) + 1 or len(whole)
        yield whole[start:end]
        start = end


def _last_lines(written: str) -> int:
    """Where the last lines begin that a cursor can reach."""
    place = len(written)
    for _ in range(WINDOW + 1):
        place = written.rfind("\n", 0, place)
        if place < 0:
            return 0
    return place + 1


def _lines(written: str) -> Iterator[str]:
    """The same text, with each line that was rewritten in its last state."""
    done = 0
    for found in _SPECIAL.finditer(written):
        if found.start() < done:
            continue
        start = written.rfind("\n", done, found.start()) + 1 or done
        end = written.find("\n", found.start())
        end = len(written) if end < 0 else end
        yield written[done:start]
        line = _line(written[start:end])
        yield line if line.strip(" ") else ""
        done = end
    yield written[done:]


def _line(written: str) -> str:
    """The last state of a line."""
    if "\b" in written or "\x1b" in written:
        screen = _Screen()
        screen.write(1, written)
        return screen.rest()
    parts: list[str] = []
    covered = 0
    for again in reversed(written.split("\r")):  # what was written last is all visible
        parts.append(again[covered:])
        covered = max(covered, len(again))
    return "".join(parts)


class _Row(Row):
    """A row of any length. Beyond `LONGEST`, text can be written, overwritten and erased up to the end, and no more."""

    __slots__ = ("_rest",)

    def __init__(self, stream: int, text: str = "") -> None:
        self._rest: list[str] = []
        super().__init__(stream, text)

    @property
    def whole(self) -> str:
        """All of its text."""
        return self.text + "".join(self._rest)

    def put(self, column: int, text: str, style: Style) -> int:
        fits = max(0, LONGEST - column)
        if fits:
            super().put(column, text[:fits], style)
        if rest := text[fits:]:
            at = min(max(0, column - LONGEST), len(self._rest))
            self._rest[at : at + len(rest)] = rest
        return column + len(text)

    def end_at(self, column: int) -> None:
        super().end_at(column)
        del self._rest[max(0, column - LONGEST) :]

    def insert(self, column: int, count: int) -> None:
        if not self._rest:
            super().insert(column, count)

    def delete(self, column: int, count: int) -> None:
        if not self._rest:
            super().delete(column, count)

    def _cut(self) -> None:
        self._rest[:0] = self.text[LONGEST:]
        self.text = self.text[:LONGEST]


class _Screen(Screen):
    """A screen for text without colours, which loses nothing of it."""

    new_row = _Row
    token = re.compile(
        r"(?P<text>[^\b\n\r\x1b]+)"
        r"|(?P<control>[\n\r\b])"
        r"|\x1b\[(?P<numbers>[0-9;]{0,4096})(?P<final>[@-~])"
        r"|\x1b(?P<escape>[78DEM])"
        rf"|{INERT}"
    )
    plain = re.compile(r"[^\b\r\x1b]*")

    def ended(self) -> str:
        """The lines that can no longer change."""
        return "".join(f"{_whole(row)}\n" for row in self.settle())

    def rest(self) -> str:
        """The end of the text: all other lines, in their last state."""
        self.finish()
        ended = "".join(f"{_whole(row)}\n" for row in self.rows)
        return ended + "\n".join(map(_whole, self.open))

    @property
    def open(self) -> list[Row]:
        found = [row for cursor in self._cursors.values() for row in cursor.rows[cursor.at :]]
        while found and not _whole(found[-1]).strip(" "):
            found.pop()
        return found


def _whole(row: Row) -> str:
    assert isinstance(row, _Row)
    return row.whole
