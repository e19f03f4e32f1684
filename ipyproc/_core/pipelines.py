"""The pipelines of a shell script, found in its text without running it. Good enough for a message, and for no more."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[^\\'\"`$#<>()|&;\n\s{}]+")
_COMPOUND = {"if": "fi", "case": "esac", "{": "}", **dict.fromkeys(("while", "until", "for", "select"), "done")}
_BETWEEN = frozenset(("then", "else", "elif", "do", "!", "time"))  # a command follows
_HERE = re.compile(r"<<(-?)[ \t]*(?:'([^'\n]*)'|\"([^\"\n]*)\"|([^\s;&|<>()'\"]+))")
_NAME = re.compile(r"(?:[A-Za-z_]\w*\+?=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*\s+)*([^\s;&|<>()]+)")  # after assignments
_DEEPEST = 100  # commands within commands


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """One command of a pipeline: its text, and the line on which it begins, counted from 1."""

    text: str
    line: int

    @property
    def name(self) -> str:
        """Its program, or the word or bracket of the shell that it begins with."""
        found = _NAME.match(self.text)
        return found[1] if found else self.text[:1]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages of a pipeline, and its last line, which may be the end of a here-document."""

    stages: list[PipelineStage]
    last: int


def pipelines(script: str) -> list[Pipeline]:
    """All pipelines of two or more stages; one inside another comes before it."""
    reader = _Reader(script)
    reader.read(0, "", 0)
    return reader.found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._here: list[
            tuple[str, str]
        ] = []  # here-documents that begin after this line: whether leading tabs are dropped, and the word that ends it
        self.found: list[Pipeline] = []

    def read(self, at: int, end: str, depth: int) -> int:
        """Read commands up to the bracket or the word `end`, or to the end of the text; the position after it."""
        text, begin, stages = self._text, at, list[PipelineStage]()
        expects_command = True  # a word here may be one of the shell's own

        def end_stage(to: int) -> None:
            source = text[begin:to]
            stages.append(PipelineStage(source.strip(), self._line(to - len(source.lstrip()))))

        def end_pipeline(to: int, after: int) -> int:
            nonlocal begin, stages, expects_command
            end_stage(to)
            if len(stages) > 1:
                self.found.append(Pipeline(stages, self._line(after - 1)))
            begin, stages, expects_command = after, [], True
            return after

        while at < len(text):
            char = text[at]
            if plain := _PLAIN.match(text, at):
                word, at = plain[0], plain.end()
                if expects_command and (at == len(text) or text[at] in " \t\n;&|()"):
                    if word == end:
                        return end_pipeline(plain.start(), at)
                    if word in _BETWEEN:
                        begin = at
                        continue
                    if word in _COMPOUND and depth < _DEEPEST:
                        at = self.read(at, _COMPOUND[word], depth + 1)
                expects_command = False
            elif char == "\n":
                at = end_pipeline(at, self._after_line(at))
            elif char.isspace():
                at += 1
            elif char == "#" and (at == 0 or text[at - 1] in " \t\n;&|()"):
                at = self._find("\n", at)
            elif char in "{}" and expects_command:
                if char == end:
                    return end_pipeline(at, at + 1)
                at = self.read(at + 1, "}", depth + 1) if char == "{" and depth < _DEEPEST else at + 1
                expects_command = False
            elif char == ")":
                at = end_pipeline(at, at + 1)  # it may end a pattern of `case`
                if end == ")":
                    return at
            elif text.startswith(("||", "&&", ";;"), at):
                at = end_pipeline(at, at + 2)
            elif char == ";" or (char == "&" and not self._is_redirection(at)):
                at = end_pipeline(at, at + 1)
            elif char == "|":
                end_stage(at)
                begin = at = self._after_pipe(at + (2 if text.startswith("|&", at) else 1))
                expects_command = True
            elif text.startswith("()", at):
                at, expects_command = at + 2, True  # the body of a function follows
            else:
                at, expects_command = self._word(at, depth), False
        return end_pipeline(at, at)

    def _word(self, at: int, depth: int) -> int:
        """Read what is quoted, expanded or redirected here; the position after it."""
        text, char = self._text, self._text[at]
        if char == "\\":
            return at + 2
        if char == "'":
            return self._find("'", at + 1) + 1
        if char == "`":
            return self._quoted(at + 1, "`", depth)
        if char == '"':
            return self._quoted(at + 1, '"', depth)
        if text.startswith("$'", at):
            return self._quoted(at + 2, "'", depth)
        if text.startswith(("$((", "(("), at):
            return self._find("))", at) + 2
        if text.startswith(("$(", "<(", ">(", "("), at) and depth < _DEEPEST:
            return self.read(text.index("(", at) + 1, ")", depth + 1)
        if text.startswith("${", at):
            return self._quoted(at + 2, "}", depth)
        if text.startswith("<<", at) and not text.startswith("<<<", at) and (found := _HERE.match(text, at)):
            self._here.append((found[1], found[2] or found[3] or (found[4] or "").replace("\\", "")))
            return found.end()
        return at + (
            3 if text.startswith("<<<", at) else 2 if text[at : at + 2] in (">|", ">&", "<&", "&>", ">>") else 1
        )

    def _quoted(self, at: int, end: str, depth: int) -> int:
        """Read up to the end of what is quoted; the position after it."""
        text = self._text
        while at < len(text) and text[at] != end:
            if text[at] == "\\":
                at += 2
            elif end in '"}' and depth < _DEEPEST and text.startswith(("$(", "${", "`", *"'\"" * (end == "}")), at):
                at = self._word(at, depth + 1)
            else:
                at += 1
        return at + 1

    def _is_redirection(self, at: int) -> bool:
        """Whether this `&` is part of `>&`, `<&` or `&>`."""
        return self._text.startswith("&>", at) or (at > 0 and self._text[at - 1] in "<>")

    def _after_line(self, at: int) -> int:
        """The position after this line end and the here-documents that follow it."""
        at += 1
        for tabs, end in self._here:
            while at < len(self._text):
                begin, at = at, self._find("\n", at) + 1
                line = self._text[begin : at - 1]
                if (line.lstrip("\t") if tabs else line) == end:
                    break
        self._here.clear()
        return at

    def _after_pipe(self, at: int) -> int:
        """Where the next stage begins, which may be on another line."""
        text = self._text
        while at < len(text):
            if text[at] == "\n":
                at = self._after_line(at)
            elif text[at] == "#":
                at = self._find("\n", at)
            elif text[at].isspace():
                at += 1
            elif text.startswith("\\\n", at):
                at += 2
            else:
                break
        return at

    def _find(self, end: str, at: int) -> int:
        found = self._text.find(end, at)
        return len(self._text) if found < 0 else found

    def _line(self, at: int) -> int:
        return bisect.bisect_left(self._ends, at) + 1
