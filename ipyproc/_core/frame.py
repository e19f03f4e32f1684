"""The output of a program as a pandas DataFrame. pandas is imported when one is asked for."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Callable
from typing import Any


def _csv(pandas: Any, text: str) -> Any:
    return pandas.read_csv(io.StringIO(text))


def _tsv(pandas: Any, text: str) -> Any:
    return pandas.read_csv(io.StringIO(text), sep="\t")


def _json(pandas: Any, text: str) -> Any:
    found = json.loads(text)
    return pandas.DataFrame(found if isinstance(found, list) else [found])


def _json_lines(pandas: Any, text: str) -> Any:
    return pandas.DataFrame([json.loads(line) for line in text.split("\n") if line.strip()])


FORMATS: dict[str, Callable[[Any, str], Any]] = {"csv": _csv, "tsv": _tsv, "json": _json, "jsonl": _json_lines}


def frame(text: str, format: str | None = None) -> Any:
    """A DataFrame of this text; `format`: one of `FORMATS`, or None: found out from how the text begins.

    Raises:
        ImportError: pandas is not installed.
        ValueError: the text is not in that format, or in none that is known; or there is no such format.
    """
    if format is not None and format not in FORMATS:
        near = difflib.get_close_matches(str(format), FORMATS, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"format={format!r}: allowed are {', '.join(map(repr, FORMATS))}, or None{hint}")
    try:
        import pandas  # late: only who asks for a DataFrame needs it
    except ImportError:
        raise ImportError("a DataFrame needs pandas, which is not installed (pip install pandas)") from None
    chosen = format or _detected(text)
    try:
        return FORMATS[chosen](pandas, text)
    except ValueError as error:
        error.add_note(f"The output was read as {chosen}; it begins with {text[:60]!r}.")
        raise


def _detected(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    if first.startswith("["):
        return "json"
    if first.startswith("{"):
        return "jsonl" if first.rstrip().endswith("}") else "json"
    for character, name in (("\t", "tsv"), (",", "csv")):
        if character in first:
            return name
    what = f"it begins with {first[:60]!r}" if first else "it is empty"
    raise ValueError(f"cannot tell the format of the output ({what}); name it, as in df('csv')")
