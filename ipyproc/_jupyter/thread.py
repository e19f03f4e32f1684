"""Run work that may wait for a slow disk in a thread of its own, so that the event loop goes on."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """Run `work` in a new thread and return its result. Cancelling this does not end the work.

    Unlike with `asyncio.to_thread`, the thread ends when its work is done.
    """
    thread = ThreadPoolExecutor(1, "ipyproc")
    try:
        context = contextvars.copy_context()  # what is printed belongs to the cell
        return await asyncio.get_running_loop().run_in_executor(thread, lambda: context.run(work, *args, **keywords))
    finally:
        thread.shutdown(wait=False)
