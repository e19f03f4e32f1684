"""What a launcher does: it makes a `Program` of a `Spec`.

A launcher decides where a program runs and who holds it. All else (`Process`, log, stop ladder, views) is the same for
every launcher, because each gives a transport that behaves as asyncio's own, and tells the `Program` what it hears.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

from ..output.log import Log
from ..program.program import Program
from ..program.spec import Spec


class Launcher(Protocol):
    """Starts programs on the running event loop."""

    name: str

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Start it, in a session of its own and with default signal dispositions; nothing of this process changes.

        Args:
            spec: what to start; it was checked, and of its `input` a file was made.
            protocol: asyncio's, which gets the output that is piped, and is told of the end.
            log: where the streams go that are `Target.LOG`; None: there are none.

        Cancelling it while it starts ends the program.

        Raises:
            OSError: it cannot be started.
            ValueError: this launcher cannot do what the spec asks for.
            ProcessLost: nobody knows whether it was started.
        """


@runtime_checkable
class RemoteLauncher(Launcher, Protocol):
    """Starts programs on another machine; what `on=` takes.

    `start` waits until there is a place, `Program.where` is the machine, for people. If the way to it is lost, that is
    told by `Program.lose`.
    """

    async def slots(self) -> int:
        """How many programs to ask for at once."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the programs behind them end."""
