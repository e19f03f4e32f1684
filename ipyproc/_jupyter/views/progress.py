"""How far a program has come, read from the last rows of its output; nothing if that is uncertain.

It is read here and not in the page, because the kernel has the rows as a terminal shows them, and so that all views agree.
Only the forms in which programs show progress count: a percentage or `n/m` alone is mostly something else (`3/4 tests
failed`, `coverage: 87%`, `2024/12`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

LAST = 5  # rows that are read
_MOST = 250  # characters of a row that are read; progress is never longer

_PERCENT = r"(?P<percent>\d{1,3}(?:\.\d+)?) ?%"
_OF = r"(?P<done>0|[1-9]\d*(?:\.\d+)?) ?/ ?(?P<all>[1-9]\d*(?:\.\d+)?)"  # days and months have a zero in front
_SIZE_OF = r"(?P<done>\d+(?:\.\d+)?) ?(?P<done_unit>[kKMGT]i?B|B|bytes)? ?/ ?(?P<all>\d+(?:\.\d+)?) ?(?P<all_unit>[kKMGT]i?B|B|bytes)"
_DOING = (
    r"(?:(?:up|down)?loading|progress|processing|processed|extracting|unpacking|installing|copying|compiling|building|"
    r"converting|encoding|fetching|receiving|sending|writing|reading|verifying|checking out|pulling|pushing|"
    r"(?:receiving|writing|compressing|counting|unpacking) objects|resolving deltas|updating files|updating index)"
)
_DONE = r"(?:done|complete|completed|finished|processed|downloaded|uploaded|copied)\b(?! ?[\w?])"
_BLOCKS = "█▉▊▋▌▍▎▏░▒▓"
_BARS = [
    rf"{_PERCENT}\|[ #\d{_BLOCKS}]*\| *[\d.]+\w*/",  # tqdm:  42%|████▏     | 42/100 [00:04<00:05, 9.9it/s]
    rf"[━╸╺]{{10,}}+\s+{_SIZE_OF}\b",  # pip:  ━━━━━━ 1.2/3.4 MB 5.6 MB/s eta 0:00:01
    rf"[━╸╺]{{10,}}+\s+{_PERCENT}",  # rich:  Working... ━━━━━━ 42% 0:00:12
    rf"{_PERCENT}\s?[\[(][=#>.\-{_BLOCKS}<+ ]{{8,}}+[\])]",  # wget:  42%[====>    ]
    rf"[\[(](?! +[\])])[=#>.\-{_BLOCKS}<+ ]{{8,}}+[\])]\s*{_PERCENT}",  # [####      ] 42%
    rf"\|(?=[=#{_BLOCKS}])[=#>.\-{_BLOCKS}<+ ]{{8,}}+\|\s*{_PERCENT}",  # |███-----| 42%; else it may be a table
    rf"^\s*{_OF} (?:\[(?=[.=>])|(?=[━{_BLOCKS}]))[=>.\-━{_BLOCKS} ]{{8,}}",  # keras:  12/345 [====>.....] - ETA: 3s
    rf"^(?=.{{30}})#++\s*+{_PERCENT}$",  # curl -#:  ######       42.3%
    rf"^\s*{_PERCENT}\s[{_BLOCKS}#=]{{8,}}",
]
_LINES = [
    # rsync:  1,234,567  42%  1.23MB/s  0:00:12; 100 % of one file is not 100 % of all
    rf"^(?!.* 100%.*to-ch(?:ec)?k=[1-9])\s*[\d,.]+[kKMGT]?\s+{_PERCENT}\s+[\d.,]+ ?[kKMGT]?i?B/s\s+\d+:\d\d",
    rf"\S\s+{_PERCENT}\s+[\d.,]+ ?[kKMGT]?i?B\s+[\d.,]+ ?[kKMGT]?i?B/s\s+\S+( ETA)?$",  # scp:  file  42%  12MB  1.2MB/s  00:12 ETA
    # curl:   42 1024k   42  430k    0     0  1234k      0  0:00:12  0:00:05  0:00:07 1234k
    r"^\s*(?P<percent>\d{1,3})\s+[\d.]+[kMGTP]?\s+\d{1,3}\s+[\d.]+[kMGTP]?\s+\d{1,3}\s+[\d.]+[kMGTP]?"
    r"(?:\s+[\d.]+[kMGTP]?){2}(?:\s+[\d:d-]+){3}\s+[\d.]+[kMGTP]?$",
    rf"^\[\s*{_PERCENT}\](?=\s)",  # cmake:  [ 42%] Building CXX object
    # ninja:  [12/345] CXX main.o; of 31 or fewer it may be a day, or one of a few steps that has only begun
    r"^\[(?P<done>[1-9]\d*)/(?P<all>(?:[4-9]\d|3[2-9]|[1-9]\d{2,}))\](?=\s)",
    # git:  Receiving objects:  42% (420/1000), 1.2 MiB
    rf"^(?:\w+: )?{_DOING}\b[ .:…]*\(?{_PERCENT}\)?(?:$|,| ?[(\[|]| \d| (?:done|complete|eta)\b)",
    rf"^(?:\w+: )?{_DOING}\b[ .:…]*\(?{_OF}\)?(?:$|[,(]|\s*\.\.\.)",  # Processing 3/10
    rf"^ *{_OF} Test +#\d+: ",  # ctest:   4/12 Test  #4: name ......   Passed    0.01 sec
    rf"^{_PERCENT} {_DONE}",  # 42% done
    rf"^{_OF}(?: \w+)? {_DONE}",  # 3/10 files done
]
_BARE = re.compile(rf"^\s*\(?{_PERCENT}\)?\s*$")  # 42%
_MONTHS, _YEARS = 12, (1900, 2100)
_UNITS = {"b": 0, "bytes": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "kib": 1, "mib": 2, "gib": 3, "tib": 4}


def read(rows: Sequence[str], *, is_open: bool = False) -> float | None:
    """The share that is done, 0 to 1, read from these last rows (plain text); None if that is uncertain.

    `is_open`: the last row has not ended yet. A row that is nothing but a percentage counts only then, or if it has grown
    since the row before; else it is a result.
    """
    last = [row.rstrip()[:_MOST] for row in rows if row.strip()][-LAST:]
    bare = [_value(match.groupdict()) for row in last[-2:] if (match := _BARE.search(row))]
    if bare and _BARE.search(last[-1]):
        first, now = bare[0], bare[-1]
        grows = len(bare) > 1 and first is not None and now is not None and first < now
        return now if is_open or grows else None
    for number in reversed(range(len(last))):
        found = _share(last[number])
        if found is None:
            continue
        share, is_bar = found
        behind = number < len(last) - 1
        if share >= 1 and behind:
            return None  # that is done, and the program does something else now
        before = _share(last[number - 1]) if is_bar and number else None
        if before and before[1] and before[0] < 1:
            return None  # two bars, and no way to tell which of them is the whole
        return share
    return None


@functools.cache
def _forms() -> list[tuple[re.Pattern[str], bool]]:
    """The forms, and whether each is a bar; compiled when first needed, so that loading the extension stays quick."""
    return [(re.compile(form, re.IGNORECASE), form in _BARS) for form in (*_BARS, *_LINES)]


def _share(row: str) -> tuple[float, bool] | None:
    """The share in a row, and whether it is a bar that the program redraws rather than a line of its own."""
    for form, is_bar in _forms():
        if match := form.search(row):
            share = _value(match.groupdict(), is_bar=is_bar)
            return (share, is_bar) if share is not None else None
    return None


def _value(found: dict[str, str | None], *, is_bar: bool = False) -> float | None:
    if percent := found.get("percent"):
        share = float(percent) / 100
    else:
        done, whole = float(found["done"] or 0), float(found["all"] or 0)
        if unit := found.get("all_unit"):
            done *= 1000.0 ** (_UNITS[(found["done_unit"] or unit).lower()] - _UNITS[unit.lower()])
        share = done / whole if whole else -1
        is_month = done <= _MONTHS and _YEARS[0] <= whole <= _YEARS[1]
        if is_month or (not is_bar and done == whole):  # the last item: it may have begun or ended
            return None
    return share if 0 <= share <= 1 else None
