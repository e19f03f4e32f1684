"""Widgets that users put together with others: see `ipyproc.widget`."""

from __future__ import annotations

import asyncio

from IPython import get_ipython

from .._core.batch.parallel import Parallel
from .._core.process.process import Process
from .magics import magics
from .views.batch_widget import BatchWidget
from .views.live_table import LiveTable
from .views.process_widget import ProcessWidget, another_widget


def widget(shown: Process | Parallel | None) -> ProcessWidget | BatchWidget | LiveTable:
    """See `ipyproc.widget`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("widget(): no event loop runs here, so nothing would keep it up to date") from None
    if isinstance(shown, Process):
        return another_widget(shown, is_held=True)
    if isinstance(shown, Parallel):
        return BatchWidget(shown.batch)
    if shown is not None:
        raise TypeError(
            f"widget(): {shown!r:.80} cannot be shown; allowed are a Process (of start()), a batch of parallel(), "
            "and nothing, for the table of all processes"
        )
    shell = get_ipython()
    if shell is None:
        raise RuntimeError("widget(): the table of all processes is IPython's, and this is none; give a process")
    return magics.loaded(shell).live_table
