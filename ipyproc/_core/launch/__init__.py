"""Where a program runs: the launchers, and which one is the best here."""

from __future__ import annotations

import sys

from . import portable
from .base import Launcher, RemoteLauncher
from .names import disconnect, launchers, named, ssh_hosts

__all__ = ["Launcher", "RemoteLauncher", "best", "close", "disconnect", "launchers", "named", "prepare", "ssh_hosts"]


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


def close() -> None:
    """End what `prepare` began, and every program that was started by it."""
    if sys.platform == "linux":
        from . import client  # late: it needs what only Linux has

        client.close()
