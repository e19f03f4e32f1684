"""The output of a program as a pandas DataFrame. pandas is imported only for that."""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

_SEPARATORS = {"tsv": "\t", "csv": ","}
_LONGEST_HEAD = 100_000  # characters from which the format is detected


def _csv(pandas: Any, text: str, **keywords: Any) -> Any:
    return pandas.read_csv(io.StringIO(text), **keywords)


def _tsv(pandas: Any, text: str, **keywords: Any) -> Any:
    return pandas.read_csv(io.StringIO(text), **{"sep": "\t", **keywords})


def parsed(text: str) -> Any:
    """A JSON value.

    Raises:
        ValueError: it is none, or its parts are nested so deeply that Python cannot read it.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("this JSON is nested too deeply to be read") from None


def _json(pandas: Any, text: str) -> Any:
    found = parsed(text)
    return pandas.DataFrame(found if isinstance(found, list) else [found])


def _json_lines(pandas: Any, text: str) -> Any:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found += [parsed(line)] if line.strip() else []
        except ValueError as error:
            error.add_note(f"This is about line {number} of the output, {line[:60]!r}.")
            raise
    return pandas.DataFrame(found)


FORMATS: dict[str, Callable[..., Any]] = {"csv": _csv, "tsv": _tsv, "json": _json, "jsonl": _json_lines}


def frame(text: str, format: str | None = None, **keywords: Any) -> Any:
    """A DataFrame of this text; `format`: one of `FORMATS`, or None to detect it from the beginning of the text.

    `keywords`: of `pandas.read_csv`; where there are any, None means csv.

    Raises:
        ImportError: pandas is not installed.
        ValueError: the text is not in that format, its format cannot be detected, or there is no such format.
        TypeError: there is no such keyword, or JSON takes no keywords.
    """
    if format is not None and format not in FORMATS:
        near = difflib.get_close_matches(str(format).lower(), FORMATS, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"format={format!r}: allowed are {', '.join(map(repr, FORMATS))}, or None{hint}")
    if keywords and format not in (None, *_SEPARATORS):
        raise TypeError(f"{', '.join(keywords)}: keywords of pandas.read_csv are for csv and tsv, and not for {format}")
    try:
        import pandas  # late: only a DataFrame needs it
    except ImportError:
        raise ImportError("a DataFrame needs pandas, which is not installed (pip install pandas)") from None
    text = text.removeprefix("\ufeff")  # a byte order mark
    chosen = format or ("csv" if keywords else _detected(text))
    try:
        return FORMATS[chosen](pandas, text, **keywords)
    except ValueError as error:
        error.add_note(f"The output was read as {chosen}; it {_beginning(text)}.")
        raise
    except TypeError as error:
        if keywords:
            raise
        raise ValueError(f"this {chosen} is not a table: {error}; the output {_beginning(text)}") from None


def _detected(text: str) -> str:
    """Detect the format: JSON by the first line, a table by its first two rows, which have the same number of fields."""
    first, _, rest = text.lstrip().partition("\n")
    if first.startswith(("[", "{")):
        return "jsonl" if rest.strip() and _is_json(first) else "json"
    head = text[:_LONGEST_HEAD].lstrip(" \r\n")  # a tab may come after an empty name, that of an index
    for name, separator in _SEPARATORS.items():
        reader = csv.reader(io.StringIO(head), delimiter=separator)
        with contextlib.suppress(csv.Error):  # a carriage return within a line, as in a progress bar
            rows = list(itertools.islice(reader, 2))
            if rows and len(rows[0]) > 1 and len(rows[-1]) == len(rows[0]):
                return name
    raise ValueError(
        f"cannot tell the format of the output, which {_beginning(text)}; name it, as in df('csv', sep=';')"
    )


def _is_json(line: str) -> bool:
    try:
        parsed(line)
    except ValueError:
        return False
    return True


def _beginning(text: str) -> str:
    return f"begins with {text[:60]!r}" if text.strip() else "is empty"
