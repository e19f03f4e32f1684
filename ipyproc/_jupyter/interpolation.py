"""`{name}` in a line (and with `--expand` in a body): the value of a Python variable, never split again.

Understood are `{name}`, `{name.attribute}`, `{name[key]}` and both with `!r` or `:.3f` behind, as in `str.format`;
nothing is called. Any other brace is left alone, so that `awk '{print $1}'`, `${HOME}`, JSON and `{a,b}` need no
care; `{{name}}` is the text `{name}`. What comes from a name that is secret is `Masked`.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from IPython.core.error import UsageError

from .._core.encoding import encode
from .masked import Masked, join

Names = Mapping[str, Any]

_REST = r"(?:\.[^\W\d]\w*|\[[^\[\]{}]+\])*"
_FIELD = re.compile(
    rf"(?<!\$)(?:\{{(?P<literal>\{{[^\W\d]\w*{_REST}\}})\}}"
    rf"|\{{(?P<field>(?P<name>[^\W\d]\w*){_REST})(?:!(?P<conversion>[rsa]))?(?::(?P<format>[^{{}}]*))?\}})"
)
_FORMATTER = string.Formatter()


def one(word: str, names: Names, secret: Collection[str] = ()) -> str:
    """The word with each field replaced; a value that is a list is an error here."""
    return _replaced(word, lambda match: _text(match, names), secret)


def many(word: str, names: Names, secret: Collection[str] = ()) -> list[str]:
    """The arguments that a word stands for: one, or as many as the list has when the word is one field alone."""
    match = _FIELD.fullmatch(word)
    if match and _is_bare(match) and is_many(value := _value(match, names)):
        return [_masked(as_word(item, match["field"]), match, secret) for item in value]
    return [one(word, names, secret)]


def is_list(word: str, names: Names) -> bool:
    """Whether `many` takes the arguments that this word stands for from a list."""
    match = _FIELD.fullmatch(word)
    return bool(match and _is_bare(match) and is_many(_value(match, names)))


def body(text: str, names: Names, secret: Collection[str] = (), *, quote: bool) -> str:
    """A cell's body with each field replaced; `quote`: as shell words (a list as several)."""

    def words(match: re.Match[str]) -> str:
        if match["literal"]:
            return _text(match, names)
        found = many(match[0], names)
        for each in found:
            if "\0" in each:
                raise UsageError(f"{match[0]} holds a NUL character; no shell can read that")
        return " ".join(map(shlex.quote, found))

    return _replaced(text, words if quote else lambda match: _text(match, names), secret)


def check_secrets(secret: Collection[str], names: Names, *texts: str) -> None:
    """Raise UsageError if one of these names is not defined, or stands in none of these texts."""
    used = {match["name"] for text in texts for match in _FIELD.finditer(text)}
    for name in sorted(secret):
        value_of(name, names, "--secret")
        if name not in used:
            raise UsageError(f"--secret: {{{name}}} stands neither in the line nor, with --expand, in the body")


def _replaced(text: str, value: Callable[[re.Match[str]], str], secret: Collection[str]) -> str:
    parts, at = [], 0
    for match in _FIELD.finditer(text):
        parts += [text[at : match.start()], _masked(value(match), match, secret)]
        at = match.end()
    return join([*parts, text[at:]])


def _masked(text: str, match: re.Match[str], secret: Collection[str]) -> str:
    return Masked(text) if match["name"] in secret else text


def _is_bare(match: re.Match[str]) -> bool:
    """Whether it is a field without a conversion and a format."""
    return bool(match["field"]) and not match["conversion"] and match["format"] is None


def _text(match: re.Match[str], names: Names) -> str:
    if match["literal"]:
        return match["literal"]
    value = _value(match, names)
    if match["conversion"]:
        value = _FORMATTER.convert_field(value, match["conversion"])
    if match["format"] is not None:
        try:
            return format(value, match["format"])
        except (TypeError, ValueError) as error:
            raise UsageError(f"{match[0]}: {error}") from None
    if is_many(value):
        raise UsageError(
            f"{match[0]} is a list ({type(value).__name__}); it can stand only as a word of its own, for many arguments"
        )
    return as_word(value, match["field"])


def _value(match: re.Match[str], names: Names) -> Any:
    name = match["name"]
    if name not in names:
        hint = _hint(name, names, "{{{}}}")
        raise UsageError(
            f"{match[0]}: the name {name!r} is not defined. {hint}As plain text it is written {{{match[0]}}}."
        )
    try:
        return _FORMATTER.get_field(match["field"], (), names)[0]
    except (LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"{match[0]}: {type(error).__name__}: {error}") from None


def _hint(name: str, names: Names, written: str) -> str:
    near = difflib.get_close_matches(name, [known for known in names if not known.startswith("_")], 1)
    return f"did you mean {written.format(near[0])}? " if near else ""


def value_of(name: str, names: Names, option: str) -> Any:
    """The value of a variable that an option names. Raises UsageError if it is not defined."""
    if name not in names:
        raise UsageError(f"{option}: the name {name!r} is not defined. {_hint(name, names, '{}')}".rstrip())
    return names[name]


def is_many(value: Any) -> bool:
    """Whether it stands for several words."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | os.PathLike | Mapping)


def is_table(value: Any) -> bool:
    """Whether it is a DataFrame, as that of pandas."""
    return hasattr(value, "to_csv") and hasattr(value, "columns")


def as_word(value: Any, field: str) -> str:
    """A value as one word. Raises UsageError for what has no text that a program could want."""
    if value is None:
        raise UsageError(f"{{{field}}} is None; that is no argument for a program")
    if isinstance(value, Mapping):
        raise UsageError(f"{{{field}}} is a mapping; that is no argument for a program (json.dumps makes a text of it)")
    if is_many(value):
        raise UsageError(f"{{{field}}} holds a list within a list; that is no argument for a program")
    kind: Any = type(value)
    if callable(value) or (kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__):
        raise UsageError(
            f"{{{field}}} is of type {kind.__name__}, which has no text; that is no argument for a program"
        )
    if isinstance(value, bytearray):
        value = bytes(value)
    if isinstance(value, bytes | os.PathLike):
        return os.fsdecode(value)
    text = value if isinstance(value, Masked) else str(value)
    try:
        encode(text)
    except ValueError as error:
        raise UsageError(f"{{{field}}} is no text that a program can get: {error}") from None
    return text
