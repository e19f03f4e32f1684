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

        `log`: where the streams go whose keyword is LOG; `keep`: the program outlives this process. It changes nothing of this
        process, and no signal is ignored in the program because it is ignored here (portable: with `default_signals=True`).
        """

    def family(self, process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
        """The program and all its descendants."""

    async def shell(
        self, protocol: Callable[[], P], cmd: str | bytes, **popen: Any
    ) -> tuple[asyncio.SubprocessTransport, P]:
        """Start a command line with the shell."""


class RemoteLauncher(Launcher, Protocol):
    """Starts programs on another machine; what `on=` takes.

    `exec` waits until there is a place. Of the keywords of Popen it gets `stdin`, `stdout`, `stderr`, `cwd`, `env` (in
    addition to what that machine gives its programs) and `start_new_session`, which is True; and `script`: a text that the
    shell in the arguments is to run, from a file there (see `script`). `transport.get_extra_info("where")` is the machine, for people. If the way to
    it is lost, it calls `process_lost` of the protocol in the place of `process_exited`, with a `ProcessLost`.
    """

    async def slots(self) -> int:
        """How many programs to ask for at once."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the programs behind them end."""
