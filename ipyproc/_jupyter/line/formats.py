"""How `--format` converts the standard output of a program for the variable of `--out`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._core.batch.completed import CompletedProcess
from ..._core.output import log, value


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
"""A function may raise ValueError (the output is not in that format) or ImportError (pandas is not installed)."""
