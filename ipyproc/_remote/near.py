"""This end of programs on other machines: what their launchers share."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import os
import stat

from .._core.output.log import Log
from .._core.program.program import Program
from .._core.program.spec import Fd, Spec, Stream, Target
from .channel import Channel, Link


class LinkLauncher(abc.ABC):
    """Starts programs on another machine, over a link that carries messages to a Python there.

    For packages that add a way to other machines: a subclass opens the link, and all else is done here. At the other end
    `ipyproc._remote.far.Session` takes the messages. A launcher may be used on any event loop, and connects when it is first
    used. `docs/other-machines.md` has an example.

    Attributes:
        name: what it is called in tables.
    """

    name: str

    @abc.abstractmethod
    async def open(self, channel: Channel) -> Link:
        """A place for one program, when one is free. Nothing is started yet: no message was sent.

        The link hands each message that comes from there to `channel.receive`, and its own end to `channel.lost`.

        Raises:
            OSError: there will be none.
        """

    @abc.abstractmethod
    async def slots(self) -> int:
        """How many programs to ask for at once."""

    async def aclose(self) -> None:  # noqa: B027  -- there may be nothing
        """Close what was opened on the running event loop; the programs behind it end."""

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Start a program, when there is a place for it; see `_core.launch.base`.

        `spec.env` is added to the environment that programs get there; `spec.script` is a text that the shell in
        the arguments is to run, from a file there (see `_core.program.script`).
        """
        if spec.keep:
            raise ValueError("keep=True: a program on another machine ends with the connection to it")
        _check_streams(spec)
        channel = Channel(spec, protocol, log, self.name)
        try:
            await channel.start(await self.open(channel))
        except BaseException:
            channel.abandon()
            raise
        return channel.program


def _check_streams(spec: Spec) -> None:
    """Refuse what cannot be carried to another machine."""
    for name in ("stdin", "stdout", "stderr"):
        target: Stream = getattr(spec, name)
        if isinstance(target, Target) and target is not Target.INHERIT:
            continue
        if name == "stdin" and isinstance(target, Fd):
            with contextlib.suppress(OSError, ValueError):
                if stat.S_ISREG(os.fstat(target.number).st_mode):
                    continue
        allowed = "PIPE, DEVNULL and an ordinary file" if name == "stdin" else "LOG, PIPE and DEVNULL"
        given = (target.file or target.number) if isinstance(target, Fd) else None
        raise ValueError(f"{name}={given!r}: with a program on another machine, allowed are {allowed}")
