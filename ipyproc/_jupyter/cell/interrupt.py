"""The kernel's interrupt while a program is awaited.

ipykernel's own handler asks tornado for a callback that does not wake an idle event loop, and works only once
(ipython/ipykernel#881, seen in 6.29 to 7.4). So ours replaces it while a program runs: it acts at once, each time.
For anything else that a cell awaits, such as `await process.wait()`, `Wakeup` lets a signal wake the loop: there
ipykernel's handler ends the cell, and the program goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .. import running_cell


class _Handler:
    """Replaces another SIGINT handler while programs are awaited; `asyncio.gather` may await several at once."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.actions: list[tuple[asyncio.AbstractEventLoop, Callable[[], None], contextvars.Context]] = []

    def __call__(self, *_: object) -> None:
        global _interrupted
        _interrupted = self.before
        for loop, action, cell in tuple(self.actions):
            loop.call_soon_threadsafe(action, context=cell)  # wakes any loop, however quiet


_interrupted: Any = None
"""The handler that ours replaced when the last interrupt came: that of the cell that ran then."""


@contextlib.contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """While the body runs, SIGINT calls `action` on the running loop, and nothing else happens.

    An interrupt is meant for the cell that runs now. A program that a task of an earlier cell awaits does not react to it:
    if it was started before this cell, because the kernel installs a new handler for each cell; if it is started only now,
    because then no handler is installed here. Nor is one outside the main thread (in a subshell), where Python allows none.
    """
    if threading.current_thread() is not threading.main_thread() or running_cell.number() != running_cell.current():
        yield
        return
    current = signal.getsignal(signal.SIGINT)
    if isinstance(current, _Handler):
        ours = current
    else:
        ours = _Handler(signal.SIG_DFL if current is None else current)
        signal.signal(signal.SIGINT, ours)
    # what the action prints belongs to this cell, but a signal is handled outside any cell's context
    entry = (asyncio.get_running_loop(), action, contextvars.copy_context())
    ours.actions.append(entry)
    try:
        yield
    finally:
        before = ours.before
        ours.actions.remove(entry)
        if not ours.actions and signal.getsignal(signal.SIGINT) is ours:
            signal.signal(signal.SIGINT, before)


class Wakeup:
    """From `begin` to `end`, each signal wakes the event loop that runs the cells, even if it is idle.

    A wakeup descriptor (`signal.set_wakeup_fd`) that somebody else has set is left in place. Does nothing on Windows,
    without a running loop, and outside the main thread (in a subshell).
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_end = self._write_end = -1

    def begin(self) -> None:
        """Call this before each cell: earlier there may have been no loop, or somebody has unset the descriptor since."""
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return
        if self._loop is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._read_end, self._write_end = os.pipe()
            for fd in (self._read_end, self._write_end):
                os.set_blocking(fd, False)
            loop.add_reader(self._read_end, os.read, self._read_end, 512)
            self._loop = loop
        _set_wakeup_fd(self._write_end, instead_of=-1)

    def end(self) -> None:
        """Undo `begin`."""
        if self._loop is None or threading.current_thread() is not threading.main_thread():
            return  # Python may still write to the descriptor, so it must stay open
        _set_wakeup_fd(-1, instead_of=self._write_end)
        self._loop.remove_reader(self._read_end)
        self._loop = None
        os.close(self._read_end)
        os.close(self._write_end)


def _set_wakeup_fd(fd: int, *, instead_of: int) -> None:
    if (before := signal.set_wakeup_fd(fd, warn_on_full_buffer=False)) != instead_of:
        with contextlib.suppress(OSError):  # it was closed
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)  # somebody else's, or ours already


def error(message: str) -> BaseException:
    """The exception to raise after an interrupt: KeyboardInterrupt in the cell's own task.

    In another task (gather, create_task) a KeyboardInterrupt would escape from the event loop and end the kernel. There
    it is a CancelledError, and the cell that ran when the interrupt came is interrupted by the kernel's own handler: a
    later cell may be running by now, if gather did not wait for a program that was slow to end.
    """
    if _in_cell():
        return KeyboardInterrupt(message)
    if callable(_interrupted) and _interrupted is not signal.default_int_handler:
        _interrupted(signal.SIGINT, None)
    return asyncio.CancelledError(message)


def _in_cell() -> bool:
    """Whether this was called from plain code or the cell's own task, not from another task of the event loop."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        if name == "run_code" and file.endswith("interactiveshell.py"):
            return True
        if name == "_run" and file.endswith("events.py"):
            return False
        frame = frame.f_back
    return True
