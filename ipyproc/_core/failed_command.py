"""Which command of a script failed: what bash noted about it (see `script`), put into words."""

from __future__ import annotations

import bisect
import itertools
import os
import re
from dataclasses import dataclass

from .output import phrases
from .output.encoding import decode
from .output.screen import inert_line
from .pipelines import pipelines

_LONGEST = 80  # characters of a command
_OURS = frozenset(
    ("", "main", "environment", "bash")
)  # BASH_SOURCE of the script and its functions; anything else is a file
_OF_SIGNAL = 128  # what a shell adds to the signal that ended a command
_AS_ONE_LIKES = re.compile(r"[\s;\\]|(?<!\d)1(?=>&)")  # bash prints a command anew: spaces, line ends, `1>&2`


@dataclass(frozen=True, slots=True)
class FailedCommand:
    """The command that ended a script.

    Attributes:
        where: its line and its text, or its place in a pipe: "line 4: `test -e x`", "line 2: stage 4 of 5, `awk`".
        code: its status.
        script: the name that the user gave the script; empty: none.
    """

    where: str
    code: int
    script: str = ""

    def __str__(self) -> str:
        script = f"{phrases.quoted(self.script)}, " if self.script else ""
        comma = "," if self.where.endswith("`") and re.search(r": stage \d+ of \d+, `", self.where) else ""
        name = phrases.signal_name(self.code - _OF_SIGNAL) if self.code > _OF_SIGNAL else ""
        return f"{script}{self.where}{comma} exited with {self.code}{f' ({name})' if name.startswith('SIG') else ''}"


def failed_command(note: bytes, script: str) -> FailedCommand | None:
    """What `script.note` says about this script; None: nothing, or something that cannot be right.

    A script that holds a secret is a `Masked`, and only its masked text appears in the result.
    """
    try:
        code, line, source, count, *rest = decode(note).split("\0")
        codes = [int(each) for each in rest[: int(count)]]
        command, _, *_ = rest[int(count) :]  # one that nothing follows was cut off
        return _from_note(int(code), int(line), source, codes, command, script)
    except (ValueError, IndexError):  # bash did not write this
        return None


def _from_note(code: int, line: int, source: str, codes: list[int], command: str, script: str) -> FailedCommand | None:
    """`codes`: the status of each stage of the pipe."""
    if not (0 < code < 256 and 0 < line < 1 << 31):
        return None
    in_file = f" of {inert_line(os.path.basename(source))[:_LONGEST]}" if source not in _OURS else ""
    if len(codes) > 1:
        stage = max(number for number, each in enumerate(codes) if each == code)
        line, name = (line, "") if in_file else _stage(str(script), line, len(codes), stage)
        return FailedCommand(f"line {line}{in_file}: stage {stage + 1} of {len(codes)}{name}", code)
    if codes != [code] and not command.startswith(("((", "[[")):
        return None  # the redirection of a compound command failed, and this is the command before it
    if in_file:
        return FailedCommand(f"line {line}{in_file}: {_quoted(command)}", code)
    lines = str(script).split("\n")
    if len(lines) != script.count("\n") + 1:
        return FailedCommand(f"line {line}", code)  # a secret of several lines
    if first := _begin(command, line, lines):
        return FailedCommand(f"line {first}: {_quoted(command)}", code)
    if "trap" in script or line > len(lines):
        return None  # in a trap, bash counts lines differently
    text = lines[line - 1].strip()  # what called a function, what made the command: `eval`
    return FailedCommand(f"line {line}: {_quoted(text)}" if re.search(r"\w", text) else f"line {line}", code)


def _stage(script: str, line: int, count: int, stage: int) -> tuple[int, str]:
    """The line and the name of a stage of the pipe on this line; the line as given and no name if that is ambiguous."""
    found = {
        (pipeline.stages[stage].line, pipeline.stages[stage].name)
        for pipeline in pipelines(script)
        if len(pipeline.stages) == count and pipeline.stages[0].line <= line <= pipeline.last
    }
    if len(found) != 1:
        return line, ""
    first, name = found.pop()
    return first, f", {_quoted(name)}"


def _begin(command: str, line: int, lines: list[str]) -> int:
    """The line on which the command begins that extends to this line; 0: there is none."""
    plain = [_AS_ONE_LIKES.sub("", each) for each in lines]
    starts = list(itertools.accumulate(map(len, plain), initial=0))
    text, wanted = "".join(plain), _AS_ONE_LIKES.sub("", command)
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        first, last = bisect.bisect_right(starts, at), bisect.bisect_right(starts, at + len(wanted) - 1)
        if first <= line <= last:
            return first
        at = text.find(wanted, at + 1)
    return 0


def _quoted(command: str) -> str:
    """Its first line, inert and bounded."""
    first, *more = command.strip().split("\n")
    text = inert_line(first[: _LONGEST * 2])
    return f"`{text[:_LONGEST].rstrip()}…`" if more or len(text) > _LONGEST else f"`{text}`"
