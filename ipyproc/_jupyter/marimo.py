"""marimo as a `Host` (0.25 seen): it has no magics, and shows the last expression of a cell, and what is appended to its output."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import marimo

from .._core.batch.completed import CompletedProcess
from .._core.batch.parallel import Batch
from .._core.host import Host
from .._core.process.process import Process
from .views import transcript
from .views.another_card import another_widget
from .views.batch_widget import BatchWidget


class Marimo(Host[Process, Batch, CompletedProcess]):
    """The cells of this marimo notebook."""

    def show(self, process: Process) -> None:
        marimo.output.append(self.widget(process))

    def widget(self, shown: Process) -> object:
        return another_widget(shown, is_held=False)

    def picture(self, result: CompletedProcess) -> str:
        return transcript.picture(result)

    @contextlib.asynccontextmanager
    async def progress(self, batch: Batch) -> AsyncIterator[None]:
        marimo.output.append(BatchWidget(batch))
        yield
