"""Waiting for `run` and `parallel` in a cell, with `await` or by `.result()`: a kernel interrupt stops their programs."""

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
    """Whether an interrupt came while something was waited for, and the functions that an interrupt calls to stop it."""

    def __init__(self) -> None:
        self.happened = False
        self.stops: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self.happened = True
        for stop in tuple(self.stops):
            stop()


_of_plain_code: contextvars.ContextVar[_Interrupts | None] = contextvars.ContextVar("_of_plain_code", default=None)
"""Set inside the work that `wait` runs for plain code: the interrupts that `wait` collects."""


@contextlib.contextmanager
def interruptible(shell: InteractiveShell, what: str, stop: Callable[[], None]) -> Iterator[None]:
    """While the body is awaited, an interrupt calls `stop`; when the body has ended, it then ends the cell."""
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
    """Run a coroutine to its end on the running loop, from plain code.

    Raises:
        KeyboardInterrupt: the kernel was interrupted.
        RuntimeError: the loop cannot be made re-entrant.
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
    """While the body runs, collect interrupts. After one, the body's errors are dropped, except that it could not be stopped."""
    interrupts = _Interrupts()
    try:
        with interrupt.on_interrupt(interrupts):
            yield interrupts
    except BaseException as error:
        if not interrupts.happened or isinstance(error, ProcessNotStopped):
            raise
