"""A small picture of CPU and memory over a run, as static SVG for what is saved."""

from __future__ import annotations

from ..._core.output import phrases
from ..._core.process.run import ShownRun
from .figures import Point, halved, history_of

_LEAST_SECONDS, _LEAST_POINTS = 5.0, 4  # a shorter run has no picture
_MOST_POINTS = 60
_WIDTH, _HEIGHT = 160, 32  # units, two for each px
_FULL = 100  # percent; CPU that never reaches one core does not fill the height


def svg(run: ShownRun) -> str:
    """A line of CPU over an area of memory; empty for a short run, and for one that nobody has measured."""
    points = history_of(run).points
    if run.duration < _LEAST_SECONDS or len(points) < _LEAST_POINTS:
        return ""
    most_cpu, most_memory = max(point.cpu for point in points), max(point.memory for point in points)
    while len(points) > _MOST_POINTS:
        points = halved(points)
    area = _line(points, run.duration, [point.memory / (most_memory or 1) for point in points])
    line = _line(points, run.duration, [point.cpu / max(most_cpu, _FULL) for point in points])
    size = phrases.size_words(most_memory)
    words = f"CPU (line) and memory (area) over {phrases.duration_words(run.duration)}: at most {most_cpu} % and {size}"
    # no <title>: where a page takes SVG away, as GitHub does, its text would be left
    return (
        f'<span title="{words}"><svg role="img" aria-label="{words}" width="{_WIDTH // 2}" '
        f'height="{_HEIGHT // 2}" viewBox="0 0 {_WIDTH} {_HEIGHT}" style="display:block">'
        f'<path d="M0 {_HEIGHT}L{area} {_WIDTH} {_HEIGHT}z" fill="currentColor" opacity=".2"/>'
        f'<path d="M{line}" fill="none" stroke="currentColor" stroke-width="2"/></svg></span>'
    )


def _line(points: list[Point], duration: float, heights: list[float]) -> str:
    places = [round(_WIDTH * point.elapsed / duration) for point in points]
    places[0], places[-1] = 0, _WIDTH  # what is before and after is the nearest that is known
    return " ".join(f"{x} {round((_HEIGHT - 2) * (1 - y)) + 1}" for x, y in zip(places, heights, strict=True))
