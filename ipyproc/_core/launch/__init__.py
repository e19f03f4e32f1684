"""Where a program runs: the launchers, and which of them is best here."""

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
    """Prepare in the background what the best launcher needs, so that the first program need not wait for it."""
    if sys.platform == "linux":
        from . import client  # late: Linux only

        client.prepare()


async def best() -> Launcher:
    """The launcher that promises most of those that work here: supervised on Linux, else portable.

    Raises:
        OSError: this process has too many open files.
        ProcessLost: ipyproc was updated while this process ran, so a new supervisor is of another version.
    """
    if sys.platform == "linux":
        from . import client, supervised  # late: Linux only

        if await client.is_ready():
            return supervised
    return portable


async def choose(launcher: Launcher | None) -> Launcher:
    """The launcher to start with: the given one, the best one for None, or in a test the one that stands in for it.

    Raises:
        OSError: this process has too many open files.
        ProcessLost: see `best`.
    """
    if instead := stand_in.current.get():
        return instead.there(launcher) if launcher else instead.here()
    return launcher or await best()


def look_up(spec: Spec) -> None:
    """Check that the program can be started on this machine; under a stand-in, nothing is checked.

    Raises:
        OSError: there is no such directory or program, or it is not executable.
    """
    if not stand_in.current.get():
        spec.check()


def close() -> None:
    """End the supervisor that `prepare` started, and every program that it started."""
    if sys.platform == "linux":
        from . import client  # late: Linux only

        client.close()
