"""The contract of a launcher: it starts a `Spec` and returns a `Program`.

A launcher decides where a program runs and what holds it. All else (`Process`, log, stop ladder, views) is the same for
every launcher, because each provides a transport that behaves like asyncio's own, and keeps the `Program` up to date.
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
        """Start it, in a session of its own and with default signal dispositions; nothing in this process changes.

        Args:
            spec: what to start; already checked, and with its `input` written to a file.
            protocol: asyncio's protocol, which gets the output of pipes, and is told of the end.
            log: gets the streams that are `Target.LOG`; None if there are none.

        Cancelling this while the program starts ends the program.

        Raises:
            OSError: it cannot be started.
            ValueError: this launcher cannot do what the spec asks for.
            ProcessLost: it is not known whether it was started.
        """


@runtime_checkable
class RemoteLauncher(Launcher, Protocol):
    """Starts programs on another machine; what `on=` takes.

    `start` waits until there is a place; `Program.where` names the machine for people. If the connection to it is lost, the
    launcher calls `Program.lose`.
    """

    async def slots(self) -> int:
        """How many programs should be started or waiting for a place at once."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop, which ends their programs."""
