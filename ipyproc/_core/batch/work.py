"""Waiting for work from plain code, where there is no `await`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .. import host
from ..errors import ProcessError

T = TypeVar("T")


class Work(Coroutine[Any, Any, T]):
    """A coroutine with a second way to be waited for: `await` it, or, in plain code, call `result()`; once in all."""

    def __init__(self, work: Coroutine[Any, Any, T], name: str) -> None:
        self._work = work
        # Python warns of what was never awaited, by this name
        self._work.__qualname__ = name  # type: ignore[attr-defined]

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has begun to await it."""
        return inspect.getcoroutinestate(self._work) == inspect.CORO_CREATED

    def __await__(self) -> Any:
        return self._work.__await__()

    def send(self, value: Any) -> Any:
        """As of a coroutine."""
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        return self._work.throw(*error)

    def close(self) -> None:
        """As of a coroutine."""
        self._work.close()

    def result(self) -> T:
        """Wait for it where there is no `await`: in a plain function, a script, a thread, a cell.

        Outside a notebook it has an event loop of its own, and what programs leave running is stopped at the end.

        Raises:
            RuntimeError: it was awaited or waited for already; or an event loop is running in this thread, and this is no
                notebook: use `await`.
        """
        if not self.is_untouched:
            raise RuntimeError(f"{self!r}: it runs once; make another one")
        try:
            return wait(self, self._clean_up)
        except ProcessError as error:
            raise error.with_traceback(None) from None  # where asyncio was when a program failed helps nobody

    async def _clean_up(self) -> None:
        """What is to be done before its own event loop ends."""


def wait(work: Coroutine[Any, Any, T], clean_up: Callable[[], Coroutine[Any, Any, None]]) -> T:
    """Run it to its end on the loop of this thread that is running; else on a loop of its own, and there `clean_up` too.

    Raises:
        RuntimeError: the loop that is running cannot be used from inside.
    """
    is_running = False
    with contextlib.suppress(RuntimeError):  # and not `except`: an error of the work would tell of that one as well
        asyncio.get_running_loop()
        is_running = True
    if is_running:
        return host.current().wait(work)
    # not asyncio.run: that would leave the main thread without the loop that others have set for it
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            return runner.run(work)
        finally:
            runner.run(clean_up())
