"""One more card of a process that a cell shows already, or of one that no cell shows."""

from __future__ import annotations

import asyncio

from ..._core.output import log
from ..._core.process.process import Process
from ..._core.process.run import logged
from ..page import presence
from .card import Card
from .table import Table, over
from .view import keep_updated


def another_card(process: Process, table: Table, limit: int) -> Card:
    """One more card of a process; it follows it to its end."""
    run = logged(process)
    made = Card(run, log.BOTH, transcript_limit=limit, client=presence.client(table.shell))
    table.follow(_follow(process, run.log, made))
    return made


async def _follow(process: Process, output: log.Log, shown: Card) -> None:
    ending = asyncio.ensure_future(over(process))
    try:
        await keep_updated(shown, output, ending)
    finally:
        ending.cancel()
    await shown.finish()
