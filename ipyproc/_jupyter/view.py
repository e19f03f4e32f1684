"""What shows a process in its cell, and how it is kept up to date.

An error of a view ends neither the program nor the cell: it is shown as what it is. So whatever somebody else calls of a
view is `guarded`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from .._core import screen
from .._core.log import Log
from .._core.rows import Rows
from .._core.turns import in_turns
from .thread import in_thread

P = ParamSpec("P")
T = TypeVar("T")

_MUCH = 1 << 20  # bytes
_SHOWN = 2000  # rows
_IDLE = 0.25  # seconds between two looks at the state when there is no output


class View(Protocol):
    """What shows a process in its cell."""

    @property
    def period(self) -> float: ...

    def show(self) -> None: ...
    def update(self) -> None: ...
    async def settle(self) -> None: ...
    async def finish(self) -> None: ...


class Guard:
    """`with guard:` around what a view does: an error of it goes no further; the first of a view is told, on stderr.

    Args:
        log: the output that is shown; its file is named, and kept.
    """

    def __init__(self, log: Log | None = None) -> None:
        self._log = log
        self._has_told = False

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._has_told:
            self._has_told = True
            self._tell(error)
        return True

    def _tell(self, error: Exception) -> None:
        where = ""
        if self._log:
            self._log.keep()
            where = f" The output is in {screen.inert_line(str(self._log.path))}"
        trace = screen.inert("".join(traceback.format_exception(error)))
        with contextlib.suppress(Exception):  # whoever has taken the place of stderr
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
    """A method of a view within its `_guard`; None takes the place of what an error has prevented."""
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


class NoView:
    """The view of `--quiet`."""

    period = _IDLE

    def show(self) -> None:
        """Nothing."""

    update = show

    async def settle(self) -> None:
        """Nothing."""

    finish = settle


async def take_in(rows: Rows) -> None:
    """Take in all that was written; others have their turns meanwhile. What it begins with will be shown at the end."""
    await in_turns(rows.take_in())
    if rows.log.bytes > _MUCH:  # or it was all read just now
        await in_thread(rows.warm, 0, _SHOWN)


async def keep_updated(view: View, log: Log, until: asyncio.Future[None]) -> None:
    """Update a view while the output grows, up to an end: at once after silence, then at most once a period."""
    with _updates(view, log):
        await asyncio.wait([until])
    await view.settle()


@contextlib.contextmanager
def _updates(view: View, log: Log) -> Iterator[None]:
    """Callbacks and no task that waits: from the pipe to the page it is one turn of the event loop."""
    loop = asyncio.get_running_loop()
    cell = contextvars.copy_context()  # what is printed belongs to the cell, and not to whatever runs meanwhile
    seen, next_at = log.bytes, 0.0
    due: asyncio.Handle | None = None
    idle: asyncio.Handle | None = None

    def update() -> None:
        nonlocal due, idle, next_at, seen
        for handle in (due, idle):
            if handle:
                handle.cancel()
        due = None
        if log.bytes != seen:  # a look at the state alone holds no output up
            seen, next_at = log.bytes, loop.time() + view.period
        view.update()
        idle = loop.call_later(_IDLE, update, context=cell)

    def changed() -> None:
        nonlocal due
        if due is None:
            due = (
                loop.call_at(next_at, update, context=cell)
                if next_at > loop.time()
                else loop.call_soon(update, context=cell)
            )

    log.watchers.add(changed)
    update()
    try:
        yield
    finally:
        log.watchers.discard(changed)
        for handle in (due, idle):
            if handle:
                handle.cancel()
