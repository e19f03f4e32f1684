"""What `--format` makes of the standard output of a program, for the variable of `--out`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._core import log, value
from .._core.completed import CompletedProcess


def _text(done: CompletedProcess) -> str:
    return value.text(done.data({log.STDOUT_FD}))


def _lines(done: CompletedProcess) -> list[str]:
    text = _text(done)
    return text.removesuffix("\n").split("\n") if text else []


FORMATS: Mapping[str, Callable[[CompletedProcess], Any]] = {
    "text": _text,
    "lines": _lines,
    "json": CompletedProcess.json,
    "csv": lambda done: done.df("csv"),
}
"""A function may raise ValueError (it is not in that format) or ImportError (there is no pandas)."""
