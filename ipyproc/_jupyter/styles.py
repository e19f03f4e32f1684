"""Rows of the screen as HTML: their styles as inline CSS, their links as links, all else escaped.

The colours are readable on a light and on a dark page alike, for nobody knows where a notebook will be opened.
"""

from __future__ import annotations

import html
import re

from .._core.screen import Row

_COLOURS = (
    *("#6f757e", "#d2403f", "#2e9443", "#a87a0a", "#2f7fd6", "#b04fb0", "#1a8f9e", "#8b9099"),
    *("#7d838c", "#e0524f", "#3aa24f", "#b88a1c", "#4a90e2", "#c163c1", "#2a9fae", "#9aa0a8"),
)
_ATTRIBUTES = {
    "1": "font-weight:bold",
    "2": "opacity:.7",
    "3": "font-style:italic",
    "4": "text-decoration:underline",
    "9": "text-decoration:line-through",
}
_LINK = re.compile(r"https?://[^\s<>\"'`\\]*[^\s<>\"'`\\.,;:!?)\]}]", re.IGNORECASE)


def markup(row: Row) -> str:
    """The row as HTML."""
    if not row.has_styles and "://" not in row.text:
        return html.escape(row.plain)  # most rows
    more = row.plain[sum(len(text) for text, _ in row.runs()) :]
    return "".join(_styled(text, style) for text, style in row.runs()) + html.escape(more)


def css(style: str) -> str:
    """The declarations of a canonical style (`screen.styled`)."""
    fore, back, found = "", "", []
    numbers = iter(style.split(";"))
    inverse = False
    for number in numbers:
        if number in ("38", "48"):
            colour = (
                _indexed(int(next(numbers))) if next(numbers) == "5" else _hex(*(int(next(numbers)) for _ in "rgb"))
            )
        elif number in _ATTRIBUTES:
            found.append(_ATTRIBUTES[number])
            continue
        elif number == "7":
            inverse = True
            continue
        else:
            colour = _COLOURS[int(number) % 10 + 8 * (len(number) == 3 or number[0] == "9")]
        if number == "48" or number[0] == "4" or len(number) == 3:
            back = colour
        else:
            fore = colour
    if inverse:
        fore, back = back or "#ffffff", fore or "#6f757e"
    elif back and not fore:
        fore = "#000000" if _brightness(back) > 140 else "#ffffff"
    return ";".join([*found, *([f"color:{fore}"] if fore else []), *([f"background:{back}"] if back else [])])


def _styled(text: str, style: str) -> str:
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
    return f'<span style="{css(style)}">{shown}</span>' if style else shown


def _indexed(number: int) -> str:
    """One of the 256 colours: 16 of ours, a cube of 216, 24 greys."""
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
