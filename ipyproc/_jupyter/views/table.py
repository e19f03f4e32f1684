"""The processes of this kernel under their ids: those that run, the last ones that have ended, and what follows them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
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
from ..._core.process import registry
from ..._core.process.process import Process
from ..._core.program import family
from ..._core.program.ladder import StopLadder
from . import state as states
from .figures import Figures
from .untold import Untold

T = TypeVar("T")

MOST_FAMILIES = 1000  # that are known, for what may be left of them
MOST_ENDED = 100  # entries of processes that have ended
CLOSE_GRACE = 0.3  # seconds between SIGTERM and SIGKILL when the kernel ends

_cell: contextvars.ContextVar[int] = contextvars.ContextVar("_cell")
"""The number of the cell whose code runs now, also in a task of it that goes on when others run."""

_ids = itertools.count(1)  # of the kernel: a new table (`%reload_ext`) goes on, an id never means another process


@dataclass(frozen=True)
class Summary:
    """What there is to say about a process; `log` is where its output is, if it is still there."""

    state: states.State
    name: str
    pid: int
    launcher: str
    duration: float  # seconds
    lines: int
    log: Path | None
    figures: Figures | None = None  # of what runs


class Entry:
    """A process under its id. When all of it has ended its figures stay, and neither it nor its log is held."""

    def __init__(self, process: Process, cell: int) -> None:
        self.id = next(_ids)
        self.cell = cell  # the number of the cell that has started it
        self.started_at = time.time()
        self._held: Process | None = process
        self._process = weakref.ref(process)
        self._loop = asyncio.get_running_loop()
        self._figures: Figures | None = Figures(process)
        self._last = _summary(process)

    def __repr__(self) -> str:
        return f"<Entry {self.id}: {self.process or self._last.state.label}>"

    @property
    def process(self) -> Process | None:
        """The process, as long as anybody holds it."""
        return self._process()

    @property
    def ladder(self) -> StopLadder | None:
        """What stops it, or what is left of it; None when nothing is."""
        return self._held.ladder if self._held else None

    @property
    def measured_at(self) -> float:
        """When `measure` was called last, of `time.monotonic()`."""
        return self._figures.looked_at if self._figures else 0.0

    def measure(self) -> None:
        """Take its figures, which may take some milliseconds; `look` tells them."""
        if self._figures:
            self._figures.look()

    def look(self) -> Summary:
        """What there is to say at this moment, with the figures that were taken last."""
        if process := self.process:
            self._last = _summary(process, paused=bool(self._figures and self._figures.paused))
        return replace(self._last, figures=self._figures) if self.measured_at else self._last

    def sentence(self) -> str:
        """Its id, its state, and how long it has run: `3: ✔ Done, exit 0 · 1.2 s · make`."""
        told = self.look()
        took = phrases.duration_words(told.duration)
        return f"{self.id}: {told.state.mark} {told.state.label} · {took} · {told.name}"

    def set_paused(self, paused: bool) -> None:
        """Suspend the family, or let it go on.

        Raises:
            RuntimeError: it has ended, or this is Windows.
        """
        number = getattr(signal, "SIGSTOP" if paused else "SIGCONT", None)
        if number is None:
            raise RuntimeError("a program cannot be paused on Windows")
        if self._held is None:
            raise RuntimeError(f"{self.sentence()}; it can be paused no more")
        self._held.family.send_signal(number)

    def let_go(self) -> None:
        """Hold the process no longer."""
        self.look()
        self._held = self._figures = None

    async def on_its_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something of the process, which may belong to another event loop (of a subshell, or of a thread)."""
        if self._loop is asyncio.get_running_loop():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class Table:
    """Knows each process, and its family for longer, so that nothing outlives a kernel that ends in an orderly way.

    Attributes:
        shell: the IPython that it belongs to.
        watchers: called, on any event loop, when a process has started or ended.
        untold: what has failed in the background, where that can be told in a later cell only.
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
        """All that are known, by their ids: what runs first, and of that, and of the others, the last to start."""
        return self.running | dict(sorted(self._ended.items(), reverse=True))

    @property
    def running(self) -> dict[int, Entry]:
        """Those of which anything runs, by their ids."""
        return dict(sorted(self._running.items(), reverse=True))

    def begin_cell(self, info: Any) -> None:
        """Call it before each cell: what it starts from now on has its number."""
        if info.store_history:
            _cell.set(self._inputs())

    def _inputs(self) -> int:
        # `shell.execution_count` grows when a cell begins (IPython 9.18), or when it has ended (8.39)
        manager = self.shell.history_manager
        return len(manager.input_hist_parsed) if manager else self.shell.execution_count

    def add(self, process: Process) -> None:
        """Know this process from now on; its log goes with the last other reference when all of it has ended."""
        entry = Entry(process, _cell.get(self._inputs() - 1))
        self._running[entry.id] = entry
        self._families.append(process.family)  # one that is to be kept is never `may_be_left`
        if len(self._families) > MOST_FAMILIES:
            self._families = self._left()
        self.follow(self._see_out(entry, process))
        self._notify_watchers()

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this in the background, and hold it: the event loop alone would not."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End every family: SIGTERM, and SIGKILL to what is left 0.3 s later. Blocks so long; needs no event loop."""
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
        """The families whose program has not ended, and those of whose session something is left."""
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
    """Wait until the program, its output and its family have come to their end."""
    with contextlib.suppress(ProcessLost):
        await process.exited()
    await all_ended(process)


def _summary(process: Process, *, paused: bool = False) -> Summary:
    log = process.log
    return Summary(
        states.of(process, paused=paused),
        process.name,
        process.pid,
        f"{process.launcher} {process.where}".rstrip(),
        process.duration,
        log.lines if log else 0,
        log.path if log else None,
    )
