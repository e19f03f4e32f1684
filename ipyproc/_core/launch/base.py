"""What a launcher must do: start a program and hand over asyncio's transport of it.

A launcher decides where a program runs and who holds it. All else (`Process`, log, stop ladder, views) is the same
for every launcher, because each gives a transport that behaves as asyncio's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from ..family import Family
    from ..process import Process

P = TypeVar("P", bound=asyncio.SubprocessProtocol)


class Launcher(Protocol):
    """Starts programs on the running event loop."""

    name: str

    async def exec(
        self, protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start a program with its arguments; `popen` are the keywords of `subprocess.Popen`, and two more.

        `log`: where the streams go whose keyword is LOG; `keep`: the program outlives this process.
        """

    def family(self, process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
        """The program and all its descendants."""

    async def shell(
        self, protocol: Callable[[], P], cmd: str | bytes, **popen: Any
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start a command line with the shell."""
