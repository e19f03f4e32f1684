"""Where a program runs: the launchers, and which one is the best here."""

from __future__ import annotations

import sys

from ..program.spec import Spec
from . import portable, stand_in
from .base import Launcher, RemoteLauncher
from .names import disconnect, launchers, named, ssh_hosts

__all__ = [
    "Launcher",
    "RemoteLauncher",
    "best",
    "choose",
    "close",
    "disconnect",
    "launchers",
    "look_up",
    "named",
    "prepare",
    "ssh_hosts",
]


def prepare() -> None:
    """Get ready in the background what the best launcher needs, so that the first program need not wait for it."""
    if sys.platform == "linux":
        from . import client  # late: it needs what only Linux has

        client.prepare()


async def best() -> Launcher:
    """The launcher that promises most and works here: supervised on Linux, else portable.

    Raises:
        OSError: this process can have no descriptor more.
        ProcessLost: ipyproc was updated after this process had begun, and its supervisor is of the new version.
    """
    if sys.platform == "linux":
        from . import client, supervised  # late: they need what only Linux has

        if await client.is_ready():
            return supervised
    return portable


async def choose(launcher: Launcher | None) -> Launcher:
    """The launcher to start with: this one, or None for the best; in a test, what stands in for it.

    Raises:
        OSError: this process can have no descriptor more.
    """
    if instead := stand_in.current.get():
        return instead.there(launcher) if launcher else instead.here()
    return launcher or await best()


def look_up(spec: Spec) -> None:
    """Look whether it can be started on this machine; a stand-in alone knows what that can start.

    Raises:
        OSError: there is no such directory or program, or it is not executable.
    """
    if not stand_in.current.get():
        spec.check()


def close() -> None:
    """End what `prepare` began, and every program that was started by it."""
    if sys.platform == "linux":
        from . import client  # late: it needs what only Linux has

        client.close()
