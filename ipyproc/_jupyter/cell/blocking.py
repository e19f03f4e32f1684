"""Waiting for `run` and `parallel` in a cell: a kernel interrupt stops their programs; with `.result()`, without `await`."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from ..._core.errors import ProcessNotStopped
from .. import kernel
from . import interrupt, traceback

T = TypeVar("T")


class _Interrupts:
    """Those that came while something was waited for, and what stops that."""

    def __init__(self) -> None:
        self.happened = False
        self.stops: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self.happened = True
        for stop in tuple(self.stops):
            stop()


_of_plain_code: contextvars.ContextVar[_Interrupts | None] = contextvars.ContextVar("_of_plain_code", default=None)
"""In what plain code waits for: the interrupts that the plain code hears of."""


@contextlib.contextmanager
def interruptible(shell: InteractiveShell, what: str, stop: Callable[[], None]) -> Iterator[None]:
    """While the body is awaited, an interrupt calls `stop`, and at the end of the body ends the cell."""
    with traceback.ends_in_cell(shell, whole_cell=False):
        if plain := _of_plain_code.get():  # `wait` will end the cell
            plain.stops.append(stop)
            if plain.happened:
                stop()
            try:
                yield
            finally:
                plain.stops.remove(stop)
        else:
            with _collected() as interrupts:
                interrupts.stops.append(stop)
                yield
            if interrupts.happened:
                raise interrupt.error(f"interrupted: {what}")


def wait(shell: InteractiveShell, work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end on the loop that runs.

    Raises:
        KeyboardInterrupt: the kernel was interrupted.
        RuntimeError: that loop cannot be used from inside.
    """
    with _collected() as interrupts:
        token = _of_plain_code.set(interrupts)  # for the task that `work` becomes
        try:
            result = kernel.run_synchronously(shell, work)
        finally:
            _of_plain_code.reset(token)
    if interrupts.happened:
        raise KeyboardInterrupt("interrupted")
    return result


@contextlib.contextmanager
def _collected() -> Iterator[_Interrupts]:
    """While the body runs, hear of interrupts; if there were any, no error leaves the body but that it was in vain."""
    interrupts = _Interrupts()
    try:
        with interrupt.on_interrupt(interrupts):
            yield interrupts
    except BaseException as error:
        if not interrupts.happened or isinstance(error, ProcessNotStopped):
            raise
