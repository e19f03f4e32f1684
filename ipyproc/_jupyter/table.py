"""The processes of this kernel: those that the magics started, and the tasks that follow them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any

from .._core import family
from .._core.process import Process

MOST = 1000  # families that are known, for what may be left of them
CLOSE_GRACE = 0.3  # seconds between SIGTERM and SIGKILL when the kernel ends


class Table:
    """Knows each process, and its family for longer, so that nothing outlives a kernel that ends in an orderly way."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._processes: set[Process] = set()
        self._families: list[family.Family] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Table of {len(self.running())} running processes>"

    def add(self, process: Process) -> None:
        """Know this process from now on; its log goes with the last other reference when it has ended."""
        self._processes = {*self.running(), process}
        self._families.append(process.family)  # one that is to be kept is never `may_be_left`
        if len(self._families) > MOST:
            self._families = self._left()

    def running(self) -> list[Process]:
        """The processes that have not ended."""
        return [process for process in self._processes if not process.is_over]

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this in the background, and hold it: the event loop alone would not."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End every family: SIGTERM, and SIGKILL to what is left 0.3 s later. Blocks so long; needs no event loop."""
        if os.getpid() != self._pid:
            return  # a forked child must not end its parent's programs
        families = self._left()
        for each in families:
            each.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + CLOSE_GRACE
        while families and time.monotonic() < deadline:
            time.sleep(0.01)
            families = [each for each in families if each.alive()]
        for each in families:
            each.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _left(self) -> list[family.Family]:
        """The families whose program has not ended, and those of whose session something is left."""
        sessions = family.sessions()
        return [each for each in self._families if each.may_be_left(sessions)]
