"""What the program wrote, as lines that a person can read.

Understood are the line end, the carriage return (a progress bar writes its line anew), the backspace and the tab.
All other control characters and every escape sequence are dropped, so that what is shown or saved is inert text.
Colours are not shown yet.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# CSI; OSC, DCS, SOS, PM, APC up to their end (at most 4 KiB, never over a line end); other escapes; control
# characters but \b \t \n \r; and the bidi controls, with which text can look like other text than it is
_INERT = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# what cannot be understood before more comes: a lone \r (a \n may follow), the start of a sequence
_UNFINISHED = re.compile(r"(?:\r|\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]{0,4096}\x1b?|[ -/]*))\Z")
_LONGEST_UNFINISHED = 4100


class Filter:
    """One stream, in pieces cut anywhere, as inert text: UTF-8 decoded, sequences and control characters dropped."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of this piece; what cannot be understood before more comes is held back, unless it is the last."""
        text = self._held + self._decoder.decode(data, final)
        unfinished = None if final else _UNFINISHED.search(text, max(0, len(text) - _LONGEST_UNFINISHED))
        cut = unfinished.start() if unfinished else len(text)
        self._held = text[cut:]
        return _INERT.sub("", text[:cut].replace("\r\n", "\n"))


@dataclass
class _Stream:
    filter: Filter = field(default_factory=Filter)
    line: int | None = None  # the number of its open line ...
    column: int = 0  # ... and where in it the next character goes


class Screen:
    """Turns what a program wrote, in pieces cut anywhere, into lines.

    Each stream has an open line of its own, as in no terminal: a progress bar on stderr and a line on stdout do not
    spoil each other.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        """(stream, text) of each line, in the order in which the lines were begun; see `forget`."""
        self._streams: dict[int, _Stream] = {}

    def feed(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Take pieces of output: (stream, bytes)."""
        for number, data in pieces:
            stream = self._streams.setdefault(number, _Stream())
            self._write(number, stream, stream.filter.feed(data))

    def forget(self, keep: int) -> None:
        """Drop all but the last `keep` lines; a line that is still open and was dropped is begun anew."""
        dropped = max(0, len(self.lines) - keep)
        del self.lines[:dropped]
        for stream in self._streams.values():
            if stream.line is not None:
                stream.line = stream.line - dropped if stream.line >= dropped else None

    def finish(self) -> list[tuple[int, str]]:
        """Nothing will follow: the lines as they are left."""
        for number, stream in self._streams.items():
            self._write(number, stream, stream.filter.feed(b"", final=True))
        return self.lines

    def _write(self, number: int, stream: _Stream, text: str) -> None:
        *complete, rest = text.split("\n")
        for line in complete:
            self._write_line(number, stream, line)
            stream.line = None
        if rest:
            self._write_line(number, stream, rest)

    def _write_line(self, number: int, stream: _Stream, text: str) -> None:
        if stream.line is None:
            stream.line, stream.column = len(self.lines), 0
            self.lines.append((number, ""))
        line = self.lines[stream.line][1]
        if stream.column == len(line) and "\r" not in text and "\b" not in text:
            line += text
            stream.column = len(line)
        else:
            line = _overwrite(line, stream, text)
        self.lines[stream.line] = (number, line)


def lines(pieces: Iterable[tuple[int, bytes]]) -> list[tuple[int, str]]:
    """(stream, text) of each line of these pieces, complete as they are."""
    screen = Screen()
    screen.feed(pieces)
    return screen.finish()


def _overwrite(line: str, stream: _Stream, text: str) -> str:
    r"""The line after this was written in it: \r goes to its start, \b one to the left, characters replace."""
    for part in re.split(r"([\r\b])", text):
        if part == "\r":
            stream.column = 0
        elif part == "\b":
            stream.column = max(0, stream.column - 1)
        elif part:
            line = line[: stream.column] + part + line[stream.column + len(part) :]
            stream.column += len(part)
    return line
