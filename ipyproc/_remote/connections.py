"""One connection for each event loop, and the text of a connection's error."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Connections(Generic[T]):
    """One connection for each event loop that asks for it; it is closed at the end of the loop, or by `aclose`.

    `connect` returns an asynchronous context manager, inside which the connection is open. It runs in a task of its own, so
    that `asyncio.run`, which cancels all tasks at the end, closes it.
    """

    def __init__(self, connect: Callable[[], contextlib.AbstractAsyncContextManager[T]]) -> None:
        self._connect = connect
        self._open: dict[asyncio.AbstractEventLoop, tuple[asyncio.Task[None], asyncio.Future[T]]] = {}

    async def get(self) -> T:
        """The connection, as soon as it is open.

        Raises:
            OSError: it cannot be opened.
        """
        loop = asyncio.get_running_loop()
        task, ready = self._open.get(loop, (None, None))
        if task is None or ready is None or task.done():
            ready = loop.create_future()
            task = loop.create_task(self._hold(ready))
            task.add_done_callback(functools.partial(self._has_ended, ready))
            self._open[loop] = task, ready
        return await asyncio.shield(ready)

    def forget(self, connection: T) -> None:
        """Drop a connection that is broken, so that the next `get` opens another one."""
        loop = asyncio.get_running_loop()
        task, ready = self._open.get(loop, (None, None))
        if task and ready and ready.done() and not ready.exception() and ready.result() is connection:
            task.cancel()
            del self._open[loop]

    async def aclose(self) -> None:
        """Close the connection of this loop."""
        task, _ = self._open.pop(asyncio.get_running_loop(), (None, None))
        if task:
            task.cancel()
            await asyncio.wait([task])

    async def _hold(self, ready: asyncio.Future[T]) -> None:
        try:
            async with self._connect() as connection:
                ready.set_result(connection)
                await asyncio.get_running_loop().create_future()  # until this task is cancelled
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)
            ready.exception()  # retrieved here, in case nobody waits for it

    def _has_ended(self, ready: asyncio.Future[T], task: asyncio.Task[None]) -> None:
        if not ready.done():  # also if it was cancelled before it began
            ready.set_exception(ConnectionError("the connection was closed while it was opened"))
            ready.exception()
        if self._open.get(task.get_loop(), (None, None))[0] is task:  # else it would hold the loop for ever
            del self._open[task.get_loop()]


def reason(error: BaseException) -> str:
    """The text of an error, without the number of an operating system's error."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
