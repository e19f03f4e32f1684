"""Rows of the screen as HTML: styles as inline CSS, links as links, all else escaped.

The colours are readable on light and dark pages, because a notebook may be opened anywhere.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator

from ..._core.output.screen import PLAIN, Row, Style

_COLOURS = (
    *("#6f757e", "#d2403f", "#2e9443", "#a87a0a", "#2f7fd6", "#b04fb0", "#1a8f9e", "#8b9099"),
    *("#7d838c", "#e0524f", "#3aa24f", "#b88a1c", "#4a90e2", "#c163c1", "#2a9fae", "#9aa0a8"),
)
_INVERSE = 7
_SHARE = 70  # percent of a colour as text: with the rest of the page's own text colour it can be read on any page
_SHARE_OF_WHITE = 40
_ATTRIBUTES = {1: "font-weight:bold", 2: "opacity:.7", 3: "font-style:italic"}
_LINES = {4: "underline", 9: "line-through"}
_LINK = re.compile(r"https?://[^\s<>\"'`\\]*[^\s<>\"'`\\.,;:!?)\]}]", re.IGNORECASE)


def markup(row: Row) -> str:
    """The row as HTML."""
    return "".join(parts(row))


def parts(row: Row) -> Iterator[str]:
    """The row as pieces of HTML, one for each stretch of the same style."""
    if not row.has_styles and "://" not in row.text:
        yield html.escape(row.plain)  # most rows
        return
    length = 0
    for text, style in row.runs():
        length += len(text)
        yield _styled(text, style)
    yield html.escape(row.plain[length:])


@functools.lru_cache(1024)
def css(style: Style) -> str:
    """The declarations of a style."""
    fore, back = _colour(style.fore), _colour(style.back)
    if _INVERSE in style.attributes:
        fore, back = back or "#ffffff", fore or "#6f757e"
    elif back and not fore:
        fore = "#000000" if _brightness(back) > 140 else "#ffffff"
    found = [_ATTRIBUTES[number] for number in style.attributes if number in _ATTRIBUTES]
    if lines := [_LINES[number] for number in style.attributes if number in _LINES]:
        found.append(f"text-decoration:{' '.join(lines)}")
    return ";".join([*found, *([f"color:{fore}"] if fore else []), *([f"background:{back}"] if back else [])])


def _as_text(number: int) -> str:
    """One of the 16 colours for text on the page's own ground. Twice, as an old browser or a sanitizer may drop the second."""
    share = _SHARE_OF_WHITE if number == len(_COLOURS) - 1 else _SHARE
    return f"color:{_COLOURS[number]};color:color-mix(in srgb,{_COLOURS[number]} {share}%,currentcolor)"


CSS_OF_SAID = ("", _as_text(3), _as_text(1))
"""The declarations for text that says nothing of the kind, "warning", "error"; see `severity`."""


def _styled(text: str, style: Style) -> str:
    parts, position = [], 0
    for link in _LINK.finditer(text):
        url = html.escape(link[0])
        parts += [
            html.escape(text[position : link.start()]),
            f'<a href="{url}" target="_blank" rel="noopener noreferrer nofollow">{url}</a>',
        ]
        position = link.end()
    parts.append(html.escape(text[position:]))
    shown = "".join(parts)
    return f'<span style="{css(style)}">{shown}</span>' if style != PLAIN else shown


def _colour(numbers: tuple[int, ...]) -> str:
    """The CSS colour for the numbers of a `Style`; empty if there is none."""
    match numbers:
        case _, 5, number:
            return _indexed(number)
        case _, 2, red, green, blue:
            return _hex(red, green, blue)
        case (number,):
            return _COLOURS[number % 10 + 8 * (number >= 90)]
    return ""


def _indexed(number: int) -> str:
    """One of the 256 colours of a terminal: the 16 of `_COLOURS`, a cube of 216, 24 greys."""
    if number < 16:
        return _COLOURS[number]
    if number < 232:
        steps = (0, 95, 135, 175, 215, 255)
        return _hex(*(steps[(number - 16) // divisor % 6] for divisor in (36, 6, 1)))
    return _hex(*[(number - 232) * 10 + 8] * 3)


def _hex(red: int, green: int, blue: int) -> str:
    return f"#{red:02x}{green:02x}{blue:02x}"


def _brightness(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
