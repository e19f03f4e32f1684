"""Which cell the running code belongs to, also in a task that goes on while later cells run."""

from __future__ import annotations

import contextvars
from typing import Any

from IPython import get_ipython

_number: contextvars.ContextVar[int] = contextvars.ContextVar("ipyproc cell")


def begin(*_: object) -> None:
    """The code that runs from here on, and the tasks that it makes, belong to the cell that runs now.

    To be called when the extension is loaded, and before each execution: a silent one has no number of its own.
    """
    _number.set(current())


def begin_numbered(info: Any) -> None:
    """The same for a cell that is about to get the next number; to be called before each cell, with IPython's `info`."""
    if info.store_history:
        _number.set(current() + 1)


def number() -> int:
    """The number of the cell that this code, or this task, belongs to."""
    return _number.get(current())


def current() -> int:
    """The number of the cell that runs now, or ran last; 0 without IPython."""
    shell = get_ipython()
    if shell is None:
        return 0
    # `shell.execution_count` grows when a cell begins (IPython 9.18), or when it has ended (8.39)
    manager = shell.history_manager
    return len(manager.input_hist_parsed) - 1 if manager else int(shell.execution_count) - 1
