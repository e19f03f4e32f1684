"""The runs whose transcripts stand in a page, kept so that a click there opens the viewer again.

Many commands that ran side by side count as one run. These are the last `MOST_RUNS`, and fewer if their logs take more than
`MOST_BYTES` on disk; the last one is always among them. Nothing is kept where there is no page, and nothing after the
extension was unloaded. Without this the log of a run is removed as soon as nobody holds the run any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._core.batch.ended import Ended
from ..._core.output.log import Log
from ..._core.process.process import Process
from ..._core.process.run import ShownRun
from ..guard import Guard
from ..page.messages import Picture

if TYPE_CHECKING:
    from .jobs_card import JobsCard
    from .process_widget import ProcessWidget

MOST_RUNS = 50
MOST_BYTES = 10**9


@dataclass(eq=False)
class _Kept:
    loop: asyncio.AbstractEventLoop
    make: Callable[[], ProcessWidget | JobsCard]
    bytes: Callable[[], int]  # of its logs
    log: Log | None = None
    widget: ProcessWidget | JobsCard | None = None

    def close(self) -> None:
        if self.widget:
            self.widget.close()


_kept: dict[str, _Kept] = {}  # by an id that cannot be guessed; the oldest first


def keep(run: ShownRun) -> str:
    """Keep a run that has ended; the id by which a page asks for it. Empty: it cannot be shown again."""
    if not isinstance(run, Process) or run.log is None:
        return ""
    process, log = run, run.log

    def make() -> ProcessWidget:
        from .process_widget import another_widget  # late: it loads anywidget

        return another_widget(process, is_held=False)

    return _keep(_Kept(asyncio.get_running_loop(), make, lambda: log.bytes - log.dropped, log))


def keep_batch(picture: Picture, ended: Ended) -> str:
    """Keep commands that have ended, and the last picture of them; the same id. Empty: there is no output to show."""
    if not ended:
        return ""

    def find(number: int) -> Process | None:
        command = ended.get(number)
        return command.logged if command else None

    def make() -> JobsCard:
        from .jobs_card import JobsCard  # late: it loads anywidget

        card = JobsCard(None, find)
        card.stay(picture)
        return card

    return _keep(_Kept(asyncio.get_running_loop(), make, lambda: ended.bytes))


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
    with Guard(found.log):
        tell(_model(found))


def _model(found: _Kept) -> str:
    if found.widget is None or found.widget.comm is None:  # there was none, or it was closed
        found.widget = found.make()
    return str(found.widget.model_id)


def _keep(run: _Kept) -> str:
    name = secrets.token_hex(16)
    _kept[name] = run
    while len(_kept) > 1 and (len(_kept) > MOST_RUNS or sum(each.bytes() for each in _kept.values()) > MOST_BYTES):
        _kept.pop(next(iter(_kept))).close()
    return name
