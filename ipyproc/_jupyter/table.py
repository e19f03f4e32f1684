"""The processes of this kernel: those that the magics started, and the tasks that follow them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from typing import Any

from .._core.process import Process

CLOSE_GRACE = 0.3  # seconds between SIGTERM and SIGKILL when the kernel ends


class Table:
    """Knows each process until it has ended, so that none outlives a kernel that ends in an orderly way."""

    def __init__(self) -> None:
        self._processes: set[Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Table of {len(self.running())} running processes>"

    def add(self, process: Process) -> None:
        """Know this process from now on."""
        self._processes = {known for known in self._processes if not _is_over(known)} | {process}

    def running(self) -> list[Process]:
        """The processes that have not ended."""
        return [process for process in self._processes if process.returncode is None]

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this in the background, and hold it: the event loop alone would not."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End every family: SIGTERM, and SIGKILL to what is left 0.3 s later. Blocks so long; needs no event loop."""
        families = [process.family for process in self._processes if not _is_over(process)]
        for family in families:
            family.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + CLOSE_GRACE
        while families and time.monotonic() < deadline:
            time.sleep(0.01)
            families = [family for family in families if family.alive()]
        for family in families:
            family.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))


def _is_over(process: Process) -> bool:
    """It has ended, and nobody holds its output open."""
    return process.returncode is not None and (process.log is None or process.log.ended)
