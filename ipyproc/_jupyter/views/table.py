"""The processes of this kernel by their ids: those that run, and the last ones that have ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from ..._core import process_table
from ..._core.batch.stage import all_ended
from ..._core.errors import ProcessLost
from ..._core.output import phrases
from ..._core.output.log import BOTH, Log
from ..._core.output.rows import Rows
from ..._core.process import registry
from ..._core.process.process import Process
from ..._core.program import family
from ..._core.program.ladder import StopLadder
from .. import running_cell
from . import state as states
from .figures import Figures
from .untold import Untold

T = TypeVar("T")

MOST_FAMILIES = 1000  # families to remember before those of which nothing is left are forgotten
MOST_ENDED = 100  # entries of processes that have ended
CLOSE_GRACE = 0.3  # seconds between SIGTERM and SIGKILL when the kernel ends

_ids = itertools.count(1)  # a new table (`%reload_ext`) goes on counting, so that an id never means another process


@dataclass(frozen=True)
class Summary:
    """What the table shows of a process.

    Attributes:
        log: the path of its log, which may have been removed.
        opens: whether its output can be shown.
    """

    state: states.State
    name: str
    pid: int
    origin: str  # the other machine that it runs on, or a launcher that promises less; mostly empty
    duration: float  # seconds
    lines: int
    log: Path | None
    opens: bool = False
    figures: Figures | None = None  # None if nothing runs, or nothing was measured


class Entry:
    """A process and its id. When all of it has ended, its summary stays, but it and its log are no longer held."""

    def __init__(self, process: Process, cell: int) -> None:
        self.id = next(_ids)
        self.cell = cell  # the number of the cell that started it
        self.started_at = time.time()
        self._held: Process | None = process
        self._process = weakref.ref(process)
        self._loop = asyncio.get_running_loop()
        self._figures: Figures | None = Figures(process)
        self._rows: Rows | None = None  # of its output, to count them; not held longer than the process
        self._counted = -1, 0  # bytes of the log when its lines were counted last, and how many there were
        self._has_counted = False  # all of them
        self._last = _summary(process)

    def __repr__(self) -> str:
        return f"<Entry {self.id}: {self.process or self._last.state.label}>"

    @property
    def process(self) -> Process | None:
        """The process; None if it has ended and is referenced nowhere any more."""
        return self._process()

    @property
    def ladder(self) -> StopLadder | None:
        """The stop ladder of the process and its family; None when all of it has ended."""
        return self._held.ladder if self._held else None

    @property
    def measured_at(self) -> float:
        """When `measure` was called last, by `time.monotonic()`; 0 if never, or if all of it has ended."""
        return self._figures.looked_at if self._figures else 0.0

    def measure(self) -> None:
        """Measure CPU and memory, and count lines, which may take some milliseconds; `look` returns them."""
        if self._figures:
            self._figures.look()
        process = self.process
        if process and process.log and not self._has_counted and self._loop is asyncio.get_running_loop():
            self._count(process.log)

    def look(self) -> Summary:
        """The summary at this moment, with the figures that were measured last."""
        if process := self.process:
            self._last = _summary(process, paused=bool(self._figures and self._figures.paused))
            size, lines = self._counted
            if process.log and process.log.bytes == size:
                self._last = replace(self._last, lines=lines)
        else:
            self._last = replace(self._last, opens=False)
        return replace(self._last, figures=self._figures) if self.measured_at else self._last

    def sentence(self) -> str:
        """Its id, its state, and how long it has run: `3: ✔ Done, exit 0 · 1.2 s · make`."""
        told = self.look()
        took = phrases.duration_words(told.duration)
        return f"{self.id}: {told.state.mark} {told.state.label} · {took} · {told.name}"

    def set_paused(self, paused: bool) -> None:
        """Suspend the family, or resume it.

        Raises:
            RuntimeError: all of it has ended, or this is Windows.
        """
        number = getattr(signal, "SIGSTOP" if paused else "SIGCONT", None)
        if number is None:
            raise RuntimeError("a program cannot be paused on Windows")
        if self._held is None:
            raise RuntimeError(f"{self.sentence()}; it can no longer be paused")
        self._held.family.send_signal(number)

    def let_go(self) -> None:
        """Hold the process no longer, only its summary."""
        self.look()
        self._held = self._figures = self._rows = None

    def _count(self, log: Log) -> None:
        """Count lines as its card does: also the last one, which may be open, and a bar once, however often it was drawn."""
        rows = self._rows or Rows(log, BOTH)
        if self._held:
            self._rows = rows
        with contextlib.suppress(OSError):  # somebody has removed the log
            more = rows.follow()
            if not more:
                self._counted, self._has_counted = (log.bytes, rows.total), log.ended

    async def on_its_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine of the process on the process's event loop, which may be that of a subshell or another thread."""
        if self._loop is asyncio.get_running_loop():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class Table:
    """The processes of a kernel, and their families for longer, so that nothing outlives a kernel that ends in an orderly way.

    Attributes:
        shell: the IPython that it belongs to.
        watchers: called, on any event loop, when a process has started or ended.
        untold: background programs whose failure only a later cell can report.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.watchers: set[Callable[[], object]] = set()
        self.untold = Untold()
        self._pid = os.getpid()
        self._running: dict[int, Entry] = {}  # by their ids
        self._ended: dict[int, Entry] = {}  # the last one at the end
        self._families: list[family.Family] = []
        self._tasks: set[asyncio.Task[None]] = set()
        registry.watchers.add(self.add)

    def __repr__(self) -> str:
        return f"<Table of {len(self._running)} running processes>"

    @property
    def entries(self) -> dict[int, Entry]:
        """All entries by their ids: first those that run, then those that have ended, each with the newest first."""
        return self.running | dict(sorted(self._ended.items(), reverse=True))

    @property
    def running(self) -> dict[int, Entry]:
        """The entries of which anything runs, by their ids, the newest first."""
        return dict(sorted(self._running.items(), reverse=True))

    def add(self, process: Process) -> None:
        """Add a process. When all of it has ended, the table does not keep its log from being removed."""
        entry = Entry(process, running_cell.number())
        self._running[entry.id] = entry
        self._families.append(process.family)  # `may_be_left` is false for one that is to be kept
        if len(self._families) > MOST_FAMILIES:
            self._families = self._left()
        self.follow(self._see_out(entry, process))
        self._notify_watchers()

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background, in a task that is held here: an event loop holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End every family: SIGTERM, then SIGKILL to what is left after `CLOSE_GRACE`. Blocks meanwhile; needs no event loop."""
        registry.watchers.discard(self.add)
        if os.getpid() != self._pid:
            return  # a forked child must not end its parent's programs
        families = self._left()
        for each in families:
            each.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + CLOSE_GRACE
        while families and time.monotonic() < deadline:
            time.sleep(0.01)
            families = [each for each in families if each.is_alive()]
        for each in families:
            each.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _left(self) -> list[family.Family]:
        """The families of which something may be left: the program, or a process of its session."""
        sessions = process_table.sessions()
        return [each for each in self._families if each.may_be_left(sessions)]

    async def _see_out(self, entry: Entry, process: Process) -> None:
        try:
            await over(process)
        finally:
            entry.let_go()
            self._ended[entry.id] = self._running.pop(entry.id)
            while len(self._ended) > MOST_ENDED:
                del self._ended[next(iter(self._ended))]
            self._notify_watchers()

    def _notify_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()


async def over(process: Process) -> None:
    """Wait until the program, its output and its family have ended."""
    with contextlib.suppress(ProcessLost):
        await process.exited()
    await all_ended(process)


def _summary(process: Process, *, paused: bool = False) -> Summary:
    log = process.log
    return Summary(
        states.of(process, paused=paused),
        process.name,
        process.pid,
        process.where or (process.launcher if process.launcher == "portable" else ""),
        process.duration,
        log.lines if log else 0,
        log.path if log else None,
        log is not None and log.is_there(),
    )
