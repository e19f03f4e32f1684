"""`{expression}` in a line (and with `--expand` in a body): the value of a Python expression, never split again.

Braces hold an expression if Python can parse it and it names a variable or a function: `{name}`, `{n + 1}`, `{d["key"]}`,
`{os.path.join(base, "x")}`; `!r` or `:.3f` may follow as in an f-string. It stands on one line, begins directly after the
brace, and has commas only inside brackets. Any other brace is left alone, so `awk '{print $1}'`, `${HOME}`, `{ ls; }`, `{}`,
`{2}`, `{a,b}`, `{"json": 1}` and `{{.Name}}` need no escaping. `{{name}}` is the text `{name}`. The value of a secret
variable is `Masked`.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import functools
import os
import re
import shlex
import string
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from IPython.core.error import UsageError

from ..._core.output.encoding import encode
from ..._core.output.screen import inert_line
from .masked import Masked, join

Names = Mapping[str, Any]

_LONGEST, _DEEPEST = 4096, 32  # characters of an expression, and brackets within brackets
_STRING = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
_PLAIN = re.compile(r"""[^'"()\[\]{}:!,\n]*""")
_OPEN, _CLOSED = "([{", ")]}"
_BEHIND = re.compile(r"(?:!(?P<conversion>[rsa]))?(?::(?P<format>[^{}\n]*))?\}")
_OF_A_TEMPLATE = re.compile(r"\s\.[^\W\d]")  # {{range .Items}} of Go would be an attribute
_FORMATTER = string.Formatter()


@dataclass(frozen=True)
class _Expression:
    code: CodeType | None  # None: it awaits something
    names: frozenset[str]  # all names that it looks up
    free: frozenset[str]  # those that it does not bind itself, so they must be defined
    is_name: bool  # whether it is a single name


@dataclass(frozen=True)
class Field:
    """An expression in braces, from `start` to `end` of a text; `text` is as it was written."""

    start: int
    end: int
    text: str
    expression: _Expression | None  # None: doubled braces, for the text `{name}`
    conversion: str | None = None
    format: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The variables and functions it names."""
        return self.expression.names if self.expression else frozenset()

    @property
    def is_bare(self) -> bool:
        """Whether it has neither a conversion nor a format."""
        return bool(self.expression) and not self.conversion and self.format is None


def field_at(text: str, start: int) -> Field | None:
    """The field that begins with the brace at this position; None if that is just a brace."""
    if text[start] != "{" or text[start - 1 : start] == "$":
        return None
    if text[start + 1 : start + 2] == "{":
        inner = _single(text, start + 1)
        if inner and text[inner.end : inner.end + 1] == "}":
            return Field(start, inner.end + 1, inner.text, None)
        return None
    return _single(text, start)


def fields(text: str) -> Iterator[Field]:
    """All fields of a text, from left to right."""
    at = 0
    while (at := text.find("{", at)) >= 0:
        found = field_at(text, at)
        if found:
            yield found
        at = found.end if found else at + 1


def one(word: str, names: Names, secret: Collection[str] = ()) -> str:
    """The word with each field replaced by its value, which must not be a list."""
    return _replaced(word, lambda field: _text(field, names, secret), secret)


def many(word: str, names: Names, secret: Collection[str] = ()) -> tuple[list[str], bool]:
    """The arguments that a word stands for, and whether they come from a list, which a word that is a single field may name."""
    field = field_at(word, 0) if word else None
    if not field or field.end < len(word) or not field.is_bare:
        return [one(word, names, secret)], False
    value = _value(field, names, secret)
    if not is_many(value):
        return [_masked(as_word(value, field.text), field, secret)], False
    return [_masked(as_word(item, field.text), field, secret) for item in value], True


def body(text: str, names: Names, secret: Collection[str] = (), *, quote: bool) -> str:
    """A cell's body with each field replaced; with `quote`, values become quoted shell words (a list several)."""

    def words(field: Field) -> str:
        if not field.expression:
            return field.text
        found, _ = many(field.text, names)
        for each in found:
            if "\0" in each:
                raise UsageError(f"{field.text} holds a NUL character; no shell can read that")
        return " ".join(map(shlex.quote, found))

    return _replaced(text, words if quote else lambda field: _text(field, names, secret), secret)


def check_secrets(secret: Collection[str], names: Names, *texts: str) -> None:
    """Raise UsageError if one of these names is not defined, or is used in none of these texts."""
    used = {name for text in texts for field in fields(text) for name in field.names}
    for name in sorted(secret):
        value_of(name, names, "--secret")
        if name not in used:
            raise UsageError(f"--secret: {{{name}}} stands neither in the line nor, with --expand, in the body")


def _single(text: str, start: int) -> Field | None:
    """The field with single braces that begins here, regardless of the text before it."""
    stop = _end_of_expression(text, start + 1)
    behind = _BEHIND.match(text, stop) if stop else None
    if not stop or not behind or not (expression := _expression(text[start + 1 : stop])):
        return None
    return Field(start, behind.end(), text[start : behind.end()], expression, behind["conversion"], behind["format"])


def _end_of_expression(text: str, at: int) -> int | None:
    """Where the expression that begins here ends: before a brace, a `:` or a `!`; None if there is none."""
    depth, last = 0, min(len(text), at + _LONGEST)
    while (at := _PLAIN.match(text, at, last).end()) < last:  # type: ignore[union-attr]  # it matches the empty text too
        character = text[at]
        if character in "'\"":
            if not (string := _STRING.match(text, at)):
                return None
            at = string.end()
            continue
        if character in _OPEN and depth < _DEEPEST:
            depth += 1
        elif depth and character in _CLOSED:
            depth -= 1
        elif character == "\n" or character in _OPEN or (not depth and character in ",)]"):
            return None
        elif not depth and (character in "}:" or (character == "!" and text[at + 1 : at + 2] != "=")):
            return at
        at += 1
    return None


@functools.lru_cache(1024)
def _expression(source: str) -> _Expression | None:
    """The source, parsed by Python; None if it is no expression, or names nothing."""
    if not re.match(r"[^\s{]", source) or not re.search(r"[^\W\d]", source):
        return None
    if _OF_A_TEMPLATE.search(_STRING.sub("''", source)):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the text may not be Python at all
            tree = ast.parse(source, mode="eval")
            nodes = list(ast.walk(tree))
            awaits = any(isinstance(node, ast.Await) for node in nodes)
            code = None if awaits else compile(tree, "<braces>", "eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    names = frozenset(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return _Expression(code, names, names - bound, isinstance(tree.body, ast.Name)) if names else None


def _replaced(text: str, value: Callable[[Field], str], secret: Collection[str]) -> str:
    parts, at = [], 0
    for field in fields(text):
        parts += [text[at : field.start], _masked(value(field), field, secret)]
        at = field.end
    return join([*parts, text[at:]])


def _masked(text: str, field: Field, secret: Collection[str]) -> str:
    return Masked(text) if any(name in secret for name in field.names) else text


def _text(field: Field, names: Names, secret: Collection[str]) -> str:
    if not field.expression:
        return field.text
    value = _value(field, names, secret)
    if field.conversion:
        value = _FORMATTER.convert_field(value, field.conversion)
    if field.format is not None:
        try:
            return format(value, field.format)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{field.text}: {error}") from None
    if is_many(value):
        raise UsageError(
            f"{field.text} is a list ({type(value).__name__}); it can stand only as a word of its own, for many arguments"
        )
    return as_word(value, field.text)


def _value(field: Field, names: Names, secret: Collection[str]) -> Any:
    expression = field.expression
    assert expression
    for name in sorted(expression.free):
        if name not in names and (expression.is_name or not hasattr(builtins, name)):
            hint = _hint(name, names, "{{{}}}" if expression.is_name else "{}")
            raise UsageError(
                f"{field.text}: the name {name!r} is not defined. {hint}As plain text it is written {{{field.text}}}."
            )
    if expression.code is None:
        raise UsageError(f"{field.text}: nothing can be awaited here; put the value into a variable first")
    try:
        used = {name: names[name] for name in expression.names if name in names}
        return eval(expression.code, used)  # noqa: S307  -- the user has written it, as the code of the cell
    except Exception as error:  # noqa: BLE001
        text = type(error).__name__
        if not any(name in secret for name in expression.names):  # the message may contain the value
            text += f": {inert_line(str(error)):.500}"
        raise UsageError(f"{field.text}: {text}") from None


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
    if getattr(value, "ndim", None) == 0:
        return False  # an array of numpy, torch, ... that is one value
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | os.PathLike | Mapping)


def is_table(value: Any) -> bool:
    """Whether it is a DataFrame, of pandas or similar."""
    return hasattr(value, "to_csv") and hasattr(value, "columns")


def as_word(value: Any, what: str) -> str:
    """A value as one word; `what` names it in errors. Raises UsageError if it has no text that makes sense as an argument."""
    if getattr(value, "ndim", None) == 0:
        value = value[()]  # the single value in a numpy array
        if isinstance(value, Iterable) and not isinstance(value, str | bytes):
            value = value.item()  # type: ignore[attr-defined]  # other libraries return an array again
    if value is None:
        raise UsageError(f"{what} is None; that is no argument for a program")
    if isinstance(value, Mapping):
        raise UsageError(f"{what} is a mapping; that is no argument for a program (json.dumps makes a text of it)")
    if is_many(value):
        raise UsageError(f"{what} holds a list within a list; that is no argument for a program")
    kind: Any = type(value)
    if callable(value) or (kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__):
        raise UsageError(f"{what} is of type {kind.__name__}, which has no text; that is no argument for a program")
    if isinstance(value, bytearray):
        value = bytes(value)
    if isinstance(value, bytes | os.PathLike):
        return os.fsdecode(value)
    text = value if isinstance(value, Masked) else str(value)
    try:
        encode(text)
    except ValueError as error:
        raise UsageError(f"{what} is no text that a program can get: {error}") from None
    return text
