"""marimo as a `Host` (0.25 seen): it has no magics, and shows the last expression of a cell, and what is appended to its output."""

from __future__ import annotations

import contextlib
import html
from collections.abc import AsyncIterator

import marimo

from .._core.batch.completed import CompletedProcess
from .._core.batch.parallel import Batch
from .._core.host import Host
from .._core.process.process import Process
from .guard import Guard
from .views import transcript
from .views.process_widget import another_widget
from .views.tally import Tally


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
        """Use marimo's own bar: a widget of ours would get its code from the kernel, which hears no page while a cell runs."""
        tally, guard = Tally(batch), Guard()

        with marimo.status.progress_bar(
            total=max(1, len(batch.jobs)), title=tally.sentence(), show_eta=False, show_rate=False
        ) as bar:
            shown = 0

            def change() -> None:
                nonlocal shown
                with guard:
                    picture = tally.picture()
                    ended = picture["done"] + picture["failed"]
                    failed = [
                        f"{row['mark']} {row['name']} {row['what']}"
                        for row in picture["rows"]
                        if row["state"] == "failed"
                    ]
                    # marimo takes both for markup
                    bar.update(
                        ended - shown, title=html.escape(picture["sentence"]), subtitle=html.escape("; ".join(failed))
                    )
                    shown = ended

            batch.watchers.add(change)
            try:
                yield
            finally:
                batch.watchers.discard(change)
