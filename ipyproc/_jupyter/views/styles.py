"""Rows of the screen as HTML: styles as inline CSS, links as links, all else escaped.

The colours are readable on light and dark pages, because a notebook may be opened anywhere.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator

from ..._core.output.screen import PLAIN, Row, Style

_ON_PAGE = (
    *("#6a6f78", "#d44747", "#2b893e", "#9c7109", "#297ad1", "#b253b2", "#188492", "#797f89"),
    *("#727880", "#de4744", "#338f45", "#9e7618", "#2c7ddd", "#bb55bb", "#248996", "#7d858f"),
)
"""The 16 colours of text on the page's own ground. One colour alone reads as well on white as on black, but not well on either;
a part of `INK` in it, and it does."""
INK = "--ipyproc-ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,currentcolor))"
"""The declaration that what surrounds these texts must have: the page's own colour of text."""
_ON_GROUND = (
    *("#000000", "#d63c41", "#1c873b", "#b58900", "#2177d1", "#b644c3", "#0e818f", "#d0d0d0"),
    *("#666666", "#f2555a", "#3fb950", "#e6c34a", "#58a6ff", "#d670d6", "#39c5cf", "#ffffff"),
)
"""The 16 colours of grounds, and of text on them; the same as in `js/src/sgr.ts`.

Black and white can be read on all but the bright ones and yellow."""
_WHITE = 15
_SHARE, _SHARE_OF_WHITE = 70, 40  # percent of such a colour; the rest is ink
_READABLE = 4.5  # the least contrast, as WCAG counts it
_STEPS = 10
_INVERSE, _INVERSE_GROUND = 7, "#6a6f78"
_ATTRIBUTES = {1: "font-weight:bold", 2: "opacity:.7", 3: "font-style:italic"}
_LINES = {4: "underline", 9: "line-through"}
_Colour = int | str  # one of the 16, or `#rrggbb`
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
    found = [_ATTRIBUTES[number] for number in style.attributes if number in _ATTRIBUTES]
    if lines := [_LINES[number] for number in style.attributes if number in _LINES]:
        found.append(f"text-decoration:{' '.join(lines)}")
    return ";".join([*found, *_paint(style)])


def _paint(style: Style) -> Iterator[str]:
    front, ground = _colour(style.fore), _colour(style.back)
    if _INVERSE in style.attributes:
        ground, front = (7 if front is None else front) if style.fore or style.back else _INVERSE_GROUND, ground
    if ground is not None:
        yield f"color:{_front(front, ground)}"
        yield f"background:{_fixed(ground)}"
    elif isinstance(front, int):
        yield _on_page(front)
    elif front is not None:
        yield f"color:{front}"


def _on_page(number: int) -> str:
    """One of the 16 colours for text on the page's own ground. Twice, as an old browser or a sanitizer may drop the second."""
    share = _SHARE_OF_WHITE if number == _WHITE else _SHARE
    return f"color:{_ON_PAGE[number]};color:color-mix(in srgb,{_ON_PAGE[number]} {share}%,var(--ipyproc-ink))"


CSS_OF_SAID = ("", _on_page(3), _on_page(1))
"""The declarations for text that says nothing of the kind, "warning", "error"; see `severity`."""


def _front(front: _Colour | None, ground: _Colour) -> str:
    """The colour of text on a ground. One of the 16 on another one is made readable, but for two of the same hue."""
    if front is None:
        return _plain(_fixed(ground))
    if isinstance(front, int) and isinstance(ground, int) and front % 8 != ground % 8:
        return _readable(_fixed(front), _fixed(ground))
    return _fixed(front)


def _fixed(colour: _Colour) -> str:
    return _ON_GROUND[colour] if isinstance(colour, int) else colour


def _readable(front: str, ground: str) -> str:
    """The nearest to this colour that can be read there: a mixture with black or white, as `js/src/sgr.ts` makes it."""
    towards = _rgb(_plain(ground))
    for step in range(_STEPS + 1):
        mixed = [
            (one * (_STEPS - step) + other * step) // _STEPS for one, other in zip(_rgb(front), towards, strict=True)
        ]
        if contrast(_hex(*mixed), ground) >= _READABLE:
            return _hex(*mixed)
    raise AssertionError("black or white can be read on any ground")


def _plain(ground: str) -> str:
    """White, or black where that cannot be read."""
    return "#ffffff" if contrast("#ffffff", ground) >= _READABLE else "#000000"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    linear = [
        part / 12.92 if (part := each / 255) <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for each in _rgb(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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


def _colour(numbers: tuple[int, ...]) -> _Colour | None:
    """The colour for the numbers of a `Style`: one of the 16, or `#rrggbb`."""
    match numbers:
        case _, 5, number:
            return _indexed(number)
        case _, 2, red, green, blue:
            return _hex(red, green, blue)
        case (number,):
            return number % 10 + 8 * (number >= 90)
    return None


def _indexed(number: int) -> _Colour:
    """One of the 256 colours of a terminal: the 16, a cube of 216, 24 greys."""
    if number < 16:
        return number
    if number < 232:
        steps = (0, 95, 135, 175, 215, 255)
        return _hex(*(steps[(number - 16) // divisor % 6] for divisor in (36, 6, 1)))
    return _hex(*[(number - 232) * 10 + 8] * 3)


def _hex(red: int, green: int, blue: int) -> str:
    return f"#{red:02x}{green:02x}{blue:02x}"


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
