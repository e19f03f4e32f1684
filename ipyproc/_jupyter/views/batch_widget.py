"""The live widget of commands that run side by side. It stays where it is put."""

from __future__ import annotations

import asyncio
import contextlib

import traitlets

from ..._core.batch import ended
from ..._core.batch.parallel import Batch
from ..guard import Guard, guarded
from .jobs_card import JobsCard
from .tally import Tally

_PERIOD = 0.25  # seconds between two pictures, at least


class BatchWidget(JobsCard):
    """Shows a batch, from its start or from now on to its end.

    Attributes:
        state: "waiting", "running", "ok", or "failed": all is over, and not every command has succeeded.
        done: how many commands have succeeded, in an earlier run or in this one.
        failed: how many have failed.
        elapsed: seconds since the start, or from the start to the end.
    """

    state = traitlets.Unicode("waiting", read_only=True)
    done = traitlets.Int(read_only=True)
    failed = traitlets.Int(read_only=True)
    elapsed = traitlets.Float(read_only=True)

    def __init__(self, batch: Batch | None = None, **_: object) -> None:
        if batch is None:
            super().__init__()
            return
        self._tally = Tally(batch)
        super().__init__(batch.halt_at, self._tally.process)
        self._guard = Guard()
        self._batch = batch
        batch.ended.most = ended.MOST
        self._next_at = 0.0  # by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._drawing: asyncio.Task[None] | None = None
        batch.watchers.add(self._change)
        self._change()

    def close(self) -> None:
        """Close the widget; the commands go on."""
        if self._halt is not None:
            self._rest()
        super().close()

    def _rest(self) -> None:
        self._batch.watchers.discard(self._change)
        for each in (self._timer, self._drawing):
            if each:
                each.cancel()

    @guarded
    def _change(self) -> None:
        if self._batch.is_over:
            self._tell()  # at once, for whoever has awaited the batch
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._look_soon)  # the commands may run on another one

    def _look_soon(self) -> None:
        if self._timer is None and self._halt is not None:
            self._timer = self._loop.call_at(self._next_at, self._look)

    def _look(self) -> None:
        self._next_at = self._loop.time() + _PERIOD
        self._drawing = self._loop.create_task(self._draw())

    @guarded
    async def _draw(self) -> None:
        batch, self._timer = self._batch, None
        await self._tally.look()
        self.draw(self._tally.picture(self.opened, all_kept=batch.is_over))
        with self._guard:
            self._tell()
        if batch.is_over:
            batch.watchers.discard(self._change)
        elif self._tally.running():  # nobody is told when their last lines change
            self._next_at += 3 * _PERIOD
            self._look_soon()

    def _tell(self) -> None:
        counts, batch = self._tally.counts, self._batch
        done = counts["done"] + counts["skipped"]
        end = "ok" if done == len(batch.jobs) else "failed"
        with self.hold_trait_notifications():
            self.set_trait("state", end if batch.is_over else "running" if batch.duration else "waiting")
            self.set_trait("done", done)
            self.set_trait("failed", counts["failed"])
            self.set_trait("elapsed", round(batch.duration, 3))
