"""The part that launchers for other machines share on this side."""

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

    For packages that add a way to other machines: a subclass opens the link, all else is done here. On the far side,
    `ipyproc._remote.far.Session` handles the messages. A launcher may be used on any event loop, and connects when it is
    first used. `docs/other-machines.md` has an example.

    Attributes:
        name: the launcher's name in tables.
    """

    name: str

    @abc.abstractmethod
    async def open(self, channel: Channel) -> Link:
        """Wait for a place for one program, and return the link to it. Nothing is started yet, and no message sent.

        The link passes each message from there to `channel.receive`, and calls `channel.lost` at its end.

        Raises:
            OSError: there will be no place.
        """

    @abc.abstractmethod
    async def slots(self) -> int:
        """How many programs should be started or waiting for a place at once."""

    async def aclose(self) -> None:  # noqa: B027  -- there may be nothing to close
        """Close what was opened on the running event loop, which ends its programs."""

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Start a program as soon as there is a place for it; see `_core.launch.base`.

        `spec.env` is added to the environment that programs get there; `spec.script` is a text that the shell in
        the arguments is to run from a file there (see `_core.program.script`).
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
