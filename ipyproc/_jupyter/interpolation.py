"""`{name}` in a line (and with `--expand` in a body): the value of a Python variable, never split again.

Understood are `{name}`, `{name.attribute}`, `{name[key]}` and both with `!r` or `:.3f` behind, as in `str.format`;
nothing is called. Any other brace is left alone, so that `awk '{print $1}'`, `${HOME}`, JSON and `{a,b}` need no
care; `{{name}}` is the text `{name}`.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import string
from collections.abc import Iterable, Mapping
from typing import Any

from IPython.core.error import UsageError

Names = Mapping[str, Any]

_REST = r"(?:\.[^\W\d]\w*|\[[^\[\]{}]+\])*"
_FIELD = re.compile(
    rf"(?<!\$)(?:\{{(?P<literal>\{{[^\W\d]\w*{_REST}\}})\}}"
    rf"|\{{(?P<field>(?P<name>[^\W\d]\w*){_REST})(?:!(?P<conversion>[rsa]))?(?::(?P<format>[^{{}}]*))?\}})"
)
_FORMATTER = string.Formatter()


def one(word: str, names: Names) -> str:
    """The word with each field replaced; a value that is a list is an error here."""
    return _FIELD.sub(lambda match: _text(match, names), word)


def many(word: str, names: Names) -> list[str]:
    """The arguments that a word stands for: one, or as many as the list has when the word is one field alone."""
    match = _FIELD.fullmatch(word)
    if match and match["field"] and not match["conversion"] and match["format"] is None:
        value = _value(match, names)
        if _is_many(value):
            return [_word(item, match["field"]) for item in value]
    return [one(word, names)]


def body(text: str, names: Names, *, quote: bool) -> str:
    """A cell's body with each field replaced; `quote`: as shell words (a list as several)."""

    def replace(match: re.Match[str]) -> str:
        if match["field"] and quote and not match["conversion"] and match["format"] is None:
            value = _value(match, names)
            items = value if _is_many(value) else [value]
            return " ".join(shlex.quote(_word(item, match["field"])) for item in items)
        return shlex.quote(_text(match, names)) if quote and match["field"] else _text(match, names)

    return _FIELD.sub(replace, text)


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
    if _is_many(value):
        raise UsageError(
            f"{match[0]} is a list ({type(value).__name__}); it can stand only as a word of its own, for many arguments"
        )
    return _word(value, match["field"])


def _value(match: re.Match[str], names: Names) -> Any:
    name = match["name"]
    if name not in names:
        near = difflib.get_close_matches(name, [known for known in names if not known.startswith("_")], 1)
        hint = f"did you mean {{{near[0]}}}? " if near else ""
        raise UsageError(
            f"{match[0]}: the name {name!r} is not defined. {hint}As plain text it is written {{{match[0]}}}."
        )
    try:
        return _FORMATTER.get_field(match["field"], (), names)[0]
    except (LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"{match[0]}: {type(error).__name__}: {error}") from None


def _is_many(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | os.PathLike | Mapping)


def _word(value: Any, field: str) -> str:
    if value is None or isinstance(value, Mapping):
        raise UsageError(
            f"{{{field}}} is {'None' if value is None else 'a mapping'}; that is no argument for a program"
        )
    if isinstance(value, bytearray):
        value = bytes(value)
    if isinstance(value, bytes | os.PathLike):
        return os.fsdecode(value)
    return str(value)
