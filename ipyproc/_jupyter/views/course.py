"""How far a program has come as a whole, and how long it will take: what one row does not say, see `progress`.

Many programs go through rounds (`epoch 4/12`), each with a bar of its own. The number of the round is remembered when its
row is out of sight, and together with the bar it is the progress of the whole. How long the rest takes is said only as
long as the program goes on evenly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from . import progress

MOST_ROWS = 40  # new ones that are read
_MOST = 250  # characters of a row

_ROUND = re.compile(
    r"^[^\w\n]{0,8}(?P<what>epoch|round|fold|trial|stage|pass)s?\b ?[:#\[(]{0,2} ?(?P<n>\d{1,7}) ?(?:/|of) ?(?P<all>[1-9]\d{0,6})(?![\d/.])"
    r"|^(?P<step>Step) (?P<n2>\d{1,4})/(?P<all2>[1-9]\d{0,3}) : "  # docker
    r"|^#\d+ \[(?P<part>[\w.-]+ +)?(?P<n3>\d{1,4})/(?P<all3>[1-9]\d{0,3})\] ",  # docker's BuildKit
    re.IGNORECASE,
)
_LENGTH = re.compile(r"^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?), ")  # ffmpeg: of the input
_AT = re.compile(r"^(?:frame|size)=.*\btime=(\d+):(\d\d):(\d\d(?:\.\d+)?) ")  # ffmpeg: of what is done

_LEAST_SECONDS, _LEAST_SHARE, _LEAST_STEPS = 5.0, 0.02, 4  # that must have been seen
_MOST_STEPS = 60  # that are kept
_EVEN = 2.0  # how many times as fast one half of them may be as the other
_BACK = 0.02  # a bar that goes back by more begins anew


_Round = tuple[str, int, int]


class Reading(NamedTuple):
    """How far it is: `share` of the whole, 0 to 1; `inner`: of this round; `name`: its name; `left`: seconds. None or "": unknown."""

    share: float | None = None
    inner: float | None = None
    name: str = ""
    left: float | None = None


class Course:
    """What has been read of the progress of one program."""

    def __init__(self) -> None:
        self._round: _Round | None = None  # its word, its number, how many there are
        self._seen: _Round | None = None  # the one whose row was seen last
        self._first = 1  # the number of the first one
        self._lengths: set[float] = set()  # of ffmpeg's inputs
        self._steps: list[tuple[float, float]] = []  # (when, share) of each advance
        self._is_one_of_many = False  # a bar has begun anew, and nobody says how many there will be
        self._is_unclear = False  # several things go through rounds at once

    def __repr__(self) -> str:
        return f"<Course: {self._round}, {len(self._steps)} steps>"

    def take(self, rows: Sequence[str], *, is_open: bool, now: float) -> Reading:
        """Read the last rows (plain text), of which the new ones and `progress.LAST` before them are needed.

        Args:
            is_open: the last row has not ended yet.
            now: seconds, of any clock that never goes back.
        """
        rows = [row[:_MOST] for row in rows]
        begun = 0
        for number, row in enumerate(rows):
            if found := _ROUND.search(row):
                begun = number if self._see(found) else begun
            if found := _LENGTH.search(row):
                self._lengths.add(_seconds(found))
        self._enter()
        inner = progress.read(rows[begun:], is_open=is_open)
        if (
            inner is None
            and len(self._lengths) == 1
            and (at := next(filter(None, map(_AT.search, rows[: -progress.LAST - 1 : -1])), None))
        ):
            inner = min(1.0, _seconds(at) / max(self._lengths | {0.01}))
        if self._round is None or self._is_unclear:
            self._advance(inner, now)
            return Reading(inner, left=None if self._is_one_of_many else self._left(now))
        what, number, total = self._round
        share = min(1.0, (max(0, number - self._first) + (inner or 0)) / total)
        if self._steps:
            share = max(share, self._steps[-1][1])
        self._advance(share, now)
        return Reading(share, inner, f"{what} {number}/{total}", self._left(now))

    def _see(self, found: re.Match[str]) -> bool:
        """Remember this round, if it is one."""
        named = found.groupdict()
        what = (named["what"] or named["part"] or "step").strip().lower()
        number, total = (
            next(int(value) for key in keys if (value := named[key]))
            for keys in (("n", "n2", "n3"), ("all", "all2", "all3"))
        )
        if number > total:
            return False
        self._first = min(self._first, number)
        if self._seen and named["n3"]:
            self._is_unclear |= (self._seen[0], self._seen[2]) != (what, total)
        self._seen = what, number, total
        return True

    def _enter(self) -> None:
        """Go on with the round that was seen last: others before it have been seen earlier, too."""
        if not self._seen:
            return
        before, self._round = self._round, self._seen
        if before and (before[0] != self._seen[0] or before[1] > self._seen[1] or before[2] != self._seen[2]):
            self._steps, self._first = [], min(1, self._seen[1])  # others
        elif before is None:
            self._steps = []

    def _advance(self, share: float | None, now: float) -> None:
        if share is None:
            return
        if self._steps and share < self._steps[-1][1] - _BACK:
            self._is_one_of_many, self._steps = True, []
        if not self._steps or share > self._steps[-1][1]:
            self._steps.append((now, share))
        if len(self._steps) > _MOST_STEPS:
            self._steps = [*self._steps[:-1:2], self._steps[-1]]

    def _left(self, now: float) -> float | None:
        """Seconds to the end, if it goes on as it did; None if it was seen too little, is uneven, or stands still."""
        if len(self._steps) < _LEAST_STEPS:
            return None
        (begun, low), (middle, half), (last, high) = self._steps[0], self._steps[len(self._steps) // 2], self._steps[-1]
        if last - begun < _LEAST_SECONDS or high - low < _LEAST_SHARE or not begun < middle < last:
            return None
        speeds = (half - low) / (middle - begun), (high - half) / (last - middle)
        if max(speeds) > _EVEN * min(speeds):
            return None
        silent, usual = now - last, (last - begun) / (len(self._steps) - 1)
        if silent > max(_LEAST_SECONDS, 3 * usual):
            return None
        return max(0.0, (1 - high) * (last - begun) / (high - low) - silent)


def words(seconds: float) -> str:
    """How much time is left, as rough as it is known: `about 40 s left`."""
    if seconds < 60:
        return f"about {max(10, 10 * math.ceil(seconds / 10))} s left"
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes < 60 else f"about {minutes // 60} h {minutes % 60} min left"


def _seconds(found: re.Match[str]) -> float:
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
