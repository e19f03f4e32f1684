"""The launcher of every platform and every event loop: the loop's own `subprocess_exec` and `subprocess_shell`.

Its promise: the program is a child of this process. Nobody watches over it when this process dies of SIGKILL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..family import Family
from .base import P

if TYPE_CHECKING:
    from ..process import Process

name = "portable"


async def exec(
    protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a program as a child of this process."""
    return await asyncio.get_running_loop().subprocess_exec(protocol, program, *args, **popen)


async def shell(protocol: Callable[[], P], cmd: str | bytes, **popen: Any) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a command line with the shell, as a child of this process."""
    return await asyncio.get_running_loop().subprocess_shell(protocol, cmd, **popen)


def family(process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
    """What can be found by parents and sessions."""
    return Family(process, own_session=own_session)
