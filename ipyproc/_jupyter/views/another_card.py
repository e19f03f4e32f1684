"""One more view of a process, whether or not a cell shows it already; it follows the process to its end."""

from __future__ import annotations

from ..._core.output import log
from ..._core.process.process import Process
from ..._core.process.run import logged
from ..page import presence
from .card import Card
from .process_widget import ProcessWidget


def another_card(process: Process, client: presence.Client, limit: int) -> Card:
    """Make a card for the cell that runs now, which `client` runs. `limit`: bytes of output in its transcript."""
    made = Card(logged(process), log.BOTH, transcript_limit=limit, client=client)
    made.follow(process)
    return made


def another_widget(process: Process, *, is_held: bool) -> ProcessWidget:
    """Make a widget to be put anywhere. `is_held`: it is closed by whoever holds it, and not by itself after the end."""
    made = ProcessWidget(logged(process), is_held=is_held)
    made.show()
    made.follow(process)
    return made
