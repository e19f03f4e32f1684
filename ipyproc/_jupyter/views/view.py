"""What shows a process in its cell, and how it is kept up to date."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from ..._core.output.log import Log
from ..._core.output.rows import Rows
from ..._core.output.turns import in_turns
from ..thread import in_thread

_MUCH = 1 << 20  # bytes of output from which on the first rows are read again in a thread
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


@runtime_checkable
class EndingView(View, Protocol):
    """A view that can say how its program has ended."""

    @property
    def tells_end(self) -> bool: ...

    @property
    def has_error(self) -> bool: ...


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
    """Take in all output, while other tasks have their turns; and warm its first rows, which a transcript will show."""
    await in_turns(rows.take_in())
    if rows.log.bytes > _MUCH:  # else all of it was read just now
        await in_thread(rows.warm, 0, _SHOWN)


async def keep_updated(view: View, log: Log, until: asyncio.Future[None]) -> None:
    """Update a view until a future is done: at once when output comes after silence, then at most once in each period."""
    with _updates(view, log):
        await asyncio.wait([until])
    await view.settle()


@contextlib.contextmanager
def _updates(view: View, log: Log) -> Iterator[None]:
    """Done by callbacks rather than by a task that waits, so that output gets from the pipe to the page in one turn of the loop."""
    loop = asyncio.get_running_loop()
    cell = contextvars.copy_context()  # what is printed belongs to this cell, not to one that runs meanwhile
    seen, next_at = log.bytes, 0.0
    due: asyncio.Handle | None = None
    idle: asyncio.Handle | None = None

    def update() -> None:
        nonlocal due, idle, next_at, seen
        for handle in (due, idle):
            if handle:
                handle.cancel()
        due = None
        if log.bytes != seen:  # else it was for the state alone, which must not delay the next output
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
