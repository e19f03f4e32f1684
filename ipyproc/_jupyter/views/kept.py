"""The runs whose transcripts stand in a page, kept so that a click there opens the viewer again.

These are the last `MOST_RUNS`, and fewer if their logs take more than `MOST_BYTES` on disk; the last one is always among
them. Nothing is kept where there is no page, and nothing after the extension was unloaded. Without this the log of a run
is removed as soon as nobody holds the run any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ..._core.process.process import Process
from ..._core.process.run import ShownRun, logged
from ..guard import Guard
from .process_widget import ProcessWidget

MOST_RUNS = 50
MOST_BYTES = 10**9


@dataclass(eq=False)
class _Kept:
    process: Process
    loop: asyncio.AbstractEventLoop
    widget: ProcessWidget | None = None

    @property
    def bytes(self) -> int:
        return self.process.log.bytes - self.process.log.dropped if self.process.log else 0

    def close(self) -> None:
        if self.widget:
            self.widget.close()


_kept: dict[str, _Kept] = {}  # by an id that cannot be guessed; the oldest first


def keep(run: ShownRun) -> str:
    """Keep a run that has ended; the id by which a page asks for it. Empty: it cannot be shown again."""
    if not isinstance(run, Process) or run.log is None:
        return ""
    name = secrets.token_hex(16)
    _kept[name] = _Kept(run, asyncio.get_running_loop())
    while len(_kept) > 1 and (len(_kept) > MOST_RUNS or sum(each.bytes for each in _kept.values()) > MOST_BYTES):
        _kept.pop(next(iter(_kept))).close()
    return name


def open_again(name: str, tell: Callable[[str], None]) -> None:
    """Make a widget of the run that was kept by this name, and tell its model's id; in any thread. Else nothing happens."""
    if found := _kept.get(name):
        with contextlib.suppress(RuntimeError):  # its event loop was closed
            found.loop.call_soon_threadsafe(_open, found, tell)


def clear() -> None:
    """Keep nothing any more."""
    while _kept:
        _kept.popitem()[1].close()


def _open(found: _Kept, tell: Callable[[str], None]) -> None:
    if found not in _kept.values():
        return
    with Guard(found.process.log):
        tell(_model(found))


def _model(found: _Kept) -> str:
    if found.widget is None or found.widget.comm is None:  # there was none, or it was closed
        found.widget = ProcessWidget(logged(found.process))
        found.widget.show()
        found.widget.follow(found.process)
    return str(found.widget.model_id)
