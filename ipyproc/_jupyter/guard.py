"""Every method of a view that others call is `guarded`: an error in a view ends neither the program nor the cell."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from .._core.output import screen
from .._core.output.log import Log

P = ParamSpec("P")
T = TypeVar("T")


class Guard:
    """`with guard:` around what a view does: an error inside goes no further; the first one is reported on stderr.

    Args:
        log: the output that the view shows; the report names its file, which is then kept.
    """

    def __init__(self, log: Log | None = None) -> None:
        self._log = log
        self._has_reported = False

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._has_reported:
            self._has_reported = True
            self._report(error)
        return True

    def _report(self, error: Exception) -> None:
        where = ""
        if self._log:
            self._log.keep()
            where = f" The output is in {screen.inert_line(str(self._log.path))}"
        trace = screen.inert("".join(traceback.format_exception(error)))
        with contextlib.suppress(Exception):  # stderr may have been replaced by anything
            sys.stderr.write(f"Not all can be shown here; that is no fault of the program.{where}\n{trace}")


class _HasGuard(Protocol):
    _guard: Guard


V = TypeVar("V", bound=_HasGuard)


@overload
def guarded(
    method: Callable[Concatenate[V, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[V, P], Coroutine[Any, Any, None]]: ...


@overload
def guarded(method: Callable[Concatenate[V, P], T]) -> Callable[Concatenate[V, P], T | None]: ...


def guarded(method: Callable[Concatenate[V, P], Any]) -> Callable[Concatenate[V, P], Any]:
    """Run a method of a view inside its `_guard`; it returns None where an error was caught."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def call_later(self: V, /, *args: P.args, **keywords: P.kwargs) -> Any:
            with self._guard:
                return await method(self, *args, **keywords)

        return call_later

    @functools.wraps(method)
    def call(self: V, /, *args: P.args, **keywords: P.kwargs) -> Any:
        with self._guard:
            return method(self, *args, **keywords)

    return call
