"""One more view of a process, whether or not a cell shows it already; it follows the process to its end."""

from __future__ import annotations

from ..._core.output import log
from ..._core.process.process import Process
from ..._core.process.run import logged
from ..page import presence
from .card import Card


def another_card(process: Process, client: presence.Client, limit: int) -> Card:
    """Make a card for the cell that runs now, which `client` runs. `limit`: bytes of output in its transcript."""
    made = Card(logged(process), log.BOTH, transcript_limit=limit, client=client)
    made.follow(process)
    return made
