"""Horizontal bars on a log scale, as one SVG file without a script, for light and dark pages."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

WIDTH, LEFT, RIGHT = 800, 210, 220
ROW, HEAD, GAP = 22, 46, 18
STYLE = """
svg { color: #24292f; font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
text { fill: currentColor } .title { font-weight: 600 } .small { font-size: 11px; opacity: .7 }
.grid { stroke: currentColor; opacity: .15 } .bar { fill: #8c959f } .ours { fill: #1976d2 } .name.ours { font-weight: 600; fill: currentColor }
.bar.late { opacity: .4 }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } .bar { fill: #6e7681 } .bar.ours { fill: #58a6ff } }
"""


@dataclass(frozen=True)
class Bar:
    """One contender; `late`: it took more than this, and was given up."""

    name: str
    value: float
    what: str = ""  # it does with the output
    ours: bool = False
    late: bool = False


@dataclass(frozen=True)
class Panel:
    """Bars of one kind, on a scale of their own."""

    title: str
    unit: str
    bars: list[Bar]


def svg(panels: list[Panel], foot: str) -> str:
    """The whole file."""
    parts, y = [], 10
    for panel in filter(lambda panel: panel.bars, panels):
        parts.append(_panel(panel, y))
        y += HEAD + ROW * len(panel.bars) + GAP
    for words in _wrapped(f"Log scale; shorter is better. {foot}", 120):
        parts.append(f'<text class="small" x="10" y="{y}">{html.escape(words)}</text>')
        y += 15
    title = "ipyproc against other ways to run a program in a notebook"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img" '
        f'aria-label="{title}">\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(panel: Panel, y: int) -> str:
    low = math.floor(math.log10(min(bar.value for bar in panel.bars)))
    high = max(low + 1, math.ceil(math.log10(max(bar.value for bar in panel.bars))))
    wide = (WIDTH - LEFT - RIGHT) / (high - low)
    top, bottom = y + HEAD - 6, y + HEAD + ROW * len(panel.bars)
    parts = [f'<text class="title" x="10" y="{y + 14}">{html.escape(panel.title)}</text>']
    for power in range(low, high + 1):
        x = LEFT + (power - low) * wide
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(
            f'<text class="small" x="{x:.1f}" y="{top - 3}" text-anchor="middle">{10.0**power:g} {panel.unit}</text>'
        )
    for number, bar in enumerate(panel.bars):
        length = max(2.0, (math.log10(bar.value) - low) * wide)
        parts.append(_bar(bar, y + HEAD + number * ROW, length, panel.unit))
    return "\n".join(parts)


def _bar(bar: Bar, y: int, length: float, unit: str) -> str:
    kind = (" ours" if bar.ours else "") + (" late" if bar.late else "")
    value = f"{'more than ' if bar.late else ''}{_short(bar.value)} {unit}"
    return (
        f'<text class="name{kind}" x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{html.escape(bar.name)}</text>'
        f'<rect class="bar{kind}" x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2"/>'
        f'<text x="{LEFT + length + 6:.1f}" y="{y + 15}">{value}'
        f'<tspan class="small" dx="8">{html.escape(bar.what)}</tspan></text>'
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
