"""What shows a process in its cell, and how it is kept up to date."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Iterator
from typing import Protocol

from .._core.log import Log
from .._core.rows import Rows
from .thread import in_thread

_MUCH = 1 << 20  # bytes
_SHOWN = 2000  # rows
_IDLE = 0.25  # seconds between two looks at the state when there is no output


class View(Protocol):
    """What shows a process in its cell."""

    period: float

    def show(self) -> None: ...
    def update(self) -> None: ...
    async def settle(self) -> None: ...
    def finish(self) -> None: ...


class NoView:
    """The view of `--quiet`."""

    period = _IDLE

    def show(self) -> None:
        """Nothing."""

    update = finish = show

    async def settle(self) -> None:
        """Nothing."""


async def take_in(rows: Rows) -> None:
    """Take in all that was written; others have their turns meanwhile. What it begins with will be shown at the end."""
    while rows.follow():  # noqa: ASYNC110  -- it is our own work that goes on
        await asyncio.sleep(0)
    if rows.log.bytes > _MUCH:  # or it was all read just now
        await in_thread(rows.warm, 0, _SHOWN)


async def keep_updated(view: View, log: Log, until: asyncio.Future[None]) -> None:
    """Update a view while the output grows, up to an end: at once after silence, then at most once a period.

    Raises what the view raises.
    """
    with _updates(view, log) as failed:
        await asyncio.wait([until, failed], return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
    await view.settle()


@contextlib.contextmanager
def _updates(view: View, log: Log) -> Iterator[asyncio.Future[None]]:
    """Callbacks and no task that waits: from the pipe to the page it is one turn of the event loop."""
    loop = asyncio.get_running_loop()
    cell = contextvars.copy_context()  # what is printed belongs to the cell, and not to whatever runs meanwhile
    failed: asyncio.Future[None] = loop.create_future()
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
        try:
            view.update()
        except Exception as error:  # noqa: BLE001
            if not failed.done():
                failed.set_exception(error)
            return
        idle = loop.call_later(_IDLE, update, context=cell)

    def changed() -> None:
        nonlocal due
        if due is None and not failed.done():
            due = (
                loop.call_at(next_at, update, context=cell)
                if next_at > loop.time()
                else loop.call_soon(update, context=cell)
            )

    log.watchers.add(changed)
    update()
    try:
        yield failed
    finally:
        log.watchers.discard(changed)
        for handle in (due, idle):
            if handle:
                handle.cancel()
