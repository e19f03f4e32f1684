"""The words of a line, split as a shell does; `{expressions}` stay whole, whatever they contain.

No shell reads the line: unquoted words that make sense only to a shell are an error that says so. A leading `~` means the
same as in a shell. `*` and `?` are plain text: many programs have their own use for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from IPython.core.error import UsageError

from .interpolation import field_at

_SPACE = " \t\r\n"
_NO_SHELL = "is for a shell, and there is none here"
_QUOTED = "\0"
_OPERATOR = re.compile(
    r"[|&;]+|\#"  # as a word of its own
    r"|(?:\d*|&)>(?!=).*|\d*<(?![=]|.*>\Z).*"  # >file 2>&1 <file; but not >=1.0, and not <name>
    r"|[|&;].*|.*[|&;]",  # in front of a word or behind it
    re.DOTALL,
)
_IN_PROGRAM = re.compile(r"[|&;<>]")
_VARIABLE = re.compile(r"\$(?:([^\W\d]\w*)|\{([^\W\d]\w*)\})")
_SUBSTITUTION = re.compile(r"\$[({]|`")
_HOME = re.compile(r"\A~[\w.-]*(?=/|\Z)")
_HOMES_IN_VALUE = re.compile(r"(?:(?<=:)|\A)~[\w.-]*(?=[/:]|\Z)")


class Word(NamedTuple):
    """One word: its text without the quotes; and the same text with each quoted character, or one of a field, as NUL."""

    text: str
    bare: str

    def partition(self, separator: str) -> tuple[Word, str, Word]:
        """As `str.partition`."""
        before, found, _ = self.text.partition(separator)
        behind = len(before) + len(found)
        return Word(before, self.bare[: len(before)]), found, Word(self.text[behind:], self.bare[behind:])

    def with_home(self) -> Word:
        """The word with a leading `~` or `~name` replaced by the path of that home directory."""
        return self._with_homes(_HOME)

    def with_homes(self) -> Word:
        """The same, also after each colon, as in the value of an environment variable."""
        return self._with_homes(_HOMES_IN_VALUE)

    def _with_homes(self, pattern: re.Pattern[str]) -> Word:
        text, bare = self
        for match in reversed(list(pattern.finditer(bare))):
            home = os.path.expanduser(match[0])
            text = text[: match.start()] + home + text[match.end() :]
            bare = bare[: match.start()] + _QUOTED * len(home) + bare[match.end() :]
        return Word(text, bare)


def split(line: str) -> list[Word]:
    """Split a line into words, with quotes and backslashes as in a shell and `shlex.split`.

    Raises:
        UsageError: a quote is not closed.
    """
    words: list[Word] = []
    text, bare = "", ""
    quote, begun, at = "", False, 0
    while at < len(line):
        character = line[at]
        if field := field_at(line, at) if character == "{" else None:
            text += line[at : field.end]
            bare += _QUOTED * (field.end - at)
            begun, at = True, field.end
            continue
        at += 1
        if not quote and character in _SPACE:
            if begun:
                words.append(Word(text, bare))
            text, bare, begun = "", "", False
            continue
        begun = True
        if character == quote:
            quote = ""
            continue
        if not quote and character in "'\"":
            quote = character
            continue
        is_bare = not quote
        if character == "\\" and quote != "'":
            if at == len(line):
                raise UsageError(f"cannot split {line!r} into words: a backslash at its end")
            if not quote or line[at] in '\\"':
                character, is_bare = line[at], False
                at += 1
        text += character
        bare += character if is_bare else _QUOTED
    if quote:
        raise UsageError(f"cannot split {line!r} into words: no closing {quote}")
    return [*words, Word(text, bare)] if begun else words


def refuse_shell(program: Iterable[Word], values: Iterable[Word]) -> None:
    """Raise UsageError for what only a shell could understand, in the words of a program or in the values of options."""
    program = list(program)
    for word in (*program, *values):
        if match := _VARIABLE.search(word.bare):
            name = match[1] or match[2]
            raise UsageError(
                f"{match[0]} {_NO_SHELL}: its value is {{os.environ['{name}']}}, after import os; as plain text, quote it"
            )
        if _SUBSTITUTION.search(word.bare) or _OPERATOR.fullmatch(word.bare):
            raise UsageError(f"{_shown(word)} {_NO_SHELL}: write the line below %%aproc; as an argument, quote it")
    if program and _IN_PROGRAM.search(program[0].bare):
        raise UsageError(
            f"{_shown(program[0])} {_NO_SHELL}: write the line below %%aproc; as the name of a program, quote it"
        )


def _shown(word: Word) -> str:
    return f"{word.text[:79]}…" if len(word.text) > 80 else word.text
