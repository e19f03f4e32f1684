"""Waiting for work from plain code, where there is no `await`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


def refuse(work: Coroutine[Any, Any, Any]) -> NoReturn:
    """Where the event loop runs already and there is no way to wait for it."""
    work.close()
    raise RuntimeError("the event loop of this thread is running: write `await` instead of `.result()`")


def _not_at_all(what: str, stop: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


interruptible: Callable[[str, Callable[[], None]], contextlib.AbstractContextManager[None]] = _not_at_all
"""How an interrupt reaches what is awaited: `with interruptible(what, stop): await ...`. A notebook puts its way here."""

in_running_loop: Callable[[Coroutine[Any, Any, Any]], Any] = refuse
"""How to wait where the event loop runs already. A notebook has a way, which is put here."""


def wait(work: Coroutine[Any, Any, T], clean_up: Callable[[], Coroutine[Any, Any, None]]) -> T:
    """Run it to its end on the loop of this thread that is running; else on a loop of its own, and there `clean_up` too.

    Raises:
        RuntimeError: the loop that is running cannot be used from inside.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # not asyncio.run: that would leave the main thread without the loop that others have set for it
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            try:
                return runner.run(work)
            finally:
                runner.run(clean_up())
    result: T = in_running_loop(work)
    return result
