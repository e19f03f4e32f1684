"""Whether a line says "error" or "warning", in the words of common tools: compilers, Python, pytest, npm, Rust, make.

It is read from one line alone, because a page fetches lines in any order, and so that card and transcript agree. A line
counts only where it is a label (`x.c:3:5: error: ...`), the level of a log record, or wording of one tool: the word alone is mostly
something else (`0 errors`, `error_count=0`, `-Werror`). A line to which the program gave a style of its own is left alone.
"""

from __future__ import annotations

import functools
import re

from ..._core.output.screen import Row

NONE, WARNING, ERROR = range(3)
_MOST = 300  # characters of a line that are read

_HINT = re.compile(
    r"rror|arn|ERR|WARN|[Ff]atal|FATAL|CRITICAL|FAIL|failed|Exception|Traceback|Interrupt|panicked|\*\*\*|undefined|^E  "
)
"""A line without any of these says nothing of the kind: most lines are read no further."""

# `error: 0.02`, `errors: none` and the like say a value; `error: 2 jobs failed` does not
_TEXT = r"(?!\s*(?:[-+]?\.?\d(?!\d* [a-z])|0 |(?:none|null|nil|no|ok|false|n/a)\W*$))"
_FORMS = [
    # --- wording of one tool
    r"^npm (?:(?P<e>ERR!|error)|(?P<w>WARN|warn))(?: |$)",
    r"^(?:[\w./+-]+(?:\[\d+\])?|[^\s:]+:\d+): (?P<e>\*\*\* )",  # make: *** [Makefile:3: all] Error 1
    r"^[\w./+-]+(?:\[\d+\])?: (?P<w>\[.*\] Error \d+ \(ignored\)$)",
    r"^(?P<e>FAILED: |ninja: build stopped: )",
    r"^CMake (?:(?P<e>Error)|(?P<w>(?:Deprecation )?Warning))(?: \(dev\))?(?: at |:)",
    r": (?P<e>undefined (?:reference to|symbol:?)) ",  # ld
    r"^(?P<e>[1-9]\d* (?:warnings? and \d+ )?errors? generated|[1-9]\d* errors?\.?$)|^(?P<w>[1-9]\d* warnings? generated)",  # clang, esbuild
    r"^thread '.*' (?:\(\d+\) )?(?P<e>panicked at )",
    r"^test (?:result: (?P<e>FAILED)|\S+ \.\.\. (?P<e2>FAILED)$)",
    # --- pytest
    r"^(?P<e>E {3,})\S",
    r"^(?P<e>FAILED|ERROR) (?:\S+\.py\b|\S+::)",
    r"^\S+::.* (?P<e>FAILED|ERROR) +\[ *\d+%\]$",
    r"^(?P<e>=+ (?:FAILURES|ERRORS) =+$|_+ ERROR (?:at|collecting) .* _+$|!+ (?:Interrupted|stopping|KeyboardInterrupt).* !+$)",
    r"^(?:=+ )?(?:\d+ \w+, )*(?P<e>[1-9]\d* (?:failed|errors?))\b.* in [\d.]+s\b",
    r"^(?:=+ )?(?:\d+ \w+, )*(?P<w>[1-9]\d* warnings?)\b.* in [\d.]+s\b",
    # --- Python, and what else throws
    r"^[\s+|]*(?P<e>(?:Exception Group )?Traceback \(most recent call last\):$)",
    r"^(?P<e>Exception ignored in|Fatal Python error): ",
    r"^[\s|]*(?P<e>(?:\w+\.)*(?:Key|Index)Error: )",  # its text is a value
    r"^[\s|]*(?P<e>(?:Uncaught )?(?:[\w$]+\.)*(?:[A-Z]\w*)?(?:Error|Exception(?:Group)?|Interrupt)(?:$|(?: \[\w+\])?: (?!\s*[-+]?\d*\.?\d+\s*$)))",
    r"^\S+:\d+: (?P<e>(?:\w+\.)*[A-Z]\w*(?:Error|Exception))$",
    r"(?:^|: |[\])] )(?P<w>[A-Z]\w*Warning: )",
    # --- levels of a log record: behind a time, in brackets, in a column
    r"^[\[(]?\d[\d\-:.,/TZ+ ]*+[\])]?[\s|:-]*+(?:[\w.]+ - )?[\[|]?\s*(?:(?P<e>ERROR|CRITICAL|FATAL)|(?P<w>WARNING|WARN))\b(?![=_])",
    r"^\s*(?:\S )?\[\s*(?i:(?P<e>error|critical|fatal)|(?P<w>warning|warn))\s*\]",
    r"^(?:(?P<e>ERROR|CRITICAL|FATAL)|(?P<w>WARNING|WARN))(?:\s*\||\s+- |\s{2,}\S)",
    # --- a label: at the start, behind `: `, ` - ` or a bracket
    rf"(?:^\W*|: | - |[\])] )(?:fatal )?(?i:(?P<e>error|fatal|critical)|(?P<w>warning|warn))(?:\[[\w-]+\]| [A-Z]+\d+)?:(?!:){_TEXT}",
]


def of(row: Row) -> int:
    """`ERROR`, `WARNING` or `NONE`, as far as the program has not said so itself by a style."""
    return NONE if row.stream == 0 or row.has_styles else said(row.text)


def said(line: str) -> int:
    """What a line of plain text says of itself: `ERROR`, `WARNING` or `NONE`."""
    line = line[:_MOST]
    if not _HINT.search(line):
        return NONE
    for form in _forms():
        if found := form.search(line):
            return WARNING if found.lastgroup == "w" else ERROR
    return NONE


@functools.cache
def _forms() -> list[re.Pattern[str]]:
    """Compiled when first needed, so that loading the extension stays quick."""
    return [re.compile(form) for form in _FORMS]
