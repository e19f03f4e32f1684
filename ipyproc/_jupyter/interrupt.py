"""The kernel's interrupt while a program is awaited.

ipykernel's own handler asks tornado for a callback that does not wake a quiet event loop, and it counts only once
(ipython/ipykernel#881, seen in 6.29 to 7.4). So our handler stands in its place while a program runs; it acts at
once and each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_actions: list[Callable[[], None]] = []  # several programs may be awaited at once (asyncio.gather)
_before: Any = None  # the handler in whose place ours stands


@contextlib.contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """While the body runs, SIGINT calls `action` on the running loop, and nothing else happens.

    Python allows signal handlers in the main thread only: elsewhere (a subshell) an interrupt does what it did.
    """
    global _before
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def act() -> None:
        for each in tuple(_actions):
            each()

    if not _actions:
        _before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(act))  # wakes any loop
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)
        if not _actions:
            signal.signal(signal.SIGINT, signal.SIG_DFL if _before is None else _before)
