"""One more card of a process, whether or not a cell shows it already."""

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
    """Make one more card of a process, which follows the process to its end. `limit`: bytes of output in its transcript."""
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
