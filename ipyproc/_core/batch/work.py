"""`Work`: a coroutine whose result plain code can wait for, without `await`."""

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
    """A coroutine that runs once: `await` it, or call `result()` where there is no `await`."""

    def __init__(self, work: Coroutine[Any, Any, T], name: str) -> None:
        self._work = work
        # the name in Python's warning that it was never awaited
        self._work.__qualname__ = name  # type: ignore[attr-defined]

    @property
    def is_untouched(self) -> bool:
        """Whether it has not been started."""
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

        Outside a notebook, it gets an event loop of its own, and what programs have left running is stopped at its end.

        Raises:
            RuntimeError: it was already awaited, or `result()` called; or an event loop is running in this thread, and
                this is not a notebook: use `await`.
        """
        if not self.is_untouched:
            raise RuntimeError(f"{self!r}: it runs once; make another one")
        try:
            return wait(self, self._clean_up)
        except ProcessError as error:
            raise error.with_traceback(None) from None  # asyncio's frames are of no help to anybody

    async def _clean_up(self) -> None:
        """What is done before its own event loop is closed."""


def wait(work: Coroutine[Any, Any, T], clean_up: Callable[[], Coroutine[Any, Any, None]]) -> T:
    """Run it to its end on this thread's running loop; or, if there is none, on a new loop, with `clean_up` at the end.

    Raises:
        RuntimeError: the running loop cannot be run from inside itself.
    """
    is_running = False
    with contextlib.suppress(RuntimeError):  # not in an `except`: errors of the work would show this one too
        asyncio.get_running_loop()
        is_running = True
    if is_running:
        return host.current().wait(work)
    # not asyncio.run: it would leave the main thread without the event loop that was set for it
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            return runner.run(work)
        finally:
            runner.run(clean_up())
