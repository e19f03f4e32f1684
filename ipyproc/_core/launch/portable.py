"""The launcher of every platform and every event loop: the loop's own `subprocess_exec` and `subprocess_shell`.

Its promise: the program is a child of this process. On POSIX nobody watches over it when this process dies of SIGKILL;
on Windows a program in a process group of its own ends with this process (see `job_object`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..family import Family
from ..log import LOG, STDERR_FD, STDOUT_FD, Log
from ..pipe import LogPipe
from .base import P
from .trampoline import SCRIPT, SIGNALS
from .transport import make_quiet

if TYPE_CHECKING:
    from ..process import Process

name = "portable"

_NO_PROGRAMS = (  # of which asyncio says nothing at all
    "this event loop cannot start programs: on Windows it must be a ProactorEventLoop; that of ipykernel 6 is none, "
    "that of ipykernel 7.4 is one (pip install --upgrade ipykernel, and restart the kernel)"
)


async def exec(
    protocol: Callable[[], P], program: Any, *args: Any, default_signals: bool = False, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a program as a child of this process.

    `default_signals`: no signal that asks a program to end is ignored in it because it is ignored here (POSIX).
    """
    launch = (
        _exec_by_trampoline if default_signals and _is_any_ignored() else asyncio.get_running_loop().subprocess_exec
    )
    return await _start(launch, protocol, program, *args, **popen)


async def shell(
    protocol: Callable[[], P], cmd: str | bytes, *, default_signals: bool = False, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a command line with the shell, as a child of this process; `default_signals` as for `exec`."""
    if default_signals and _is_any_ignored():
        return await _start(_exec_by_trampoline, protocol, "/bin/sh", "-c", cmd, **popen)
    return await _start(asyncio.get_running_loop().subprocess_shell, protocol, cmd, **popen)


async def _start(
    launch: Callable[..., Coroutine[Any, Any, tuple[asyncio.SubprocessTransport, P]]],
    protocol: Callable[[], P],
    *command: Any,
    log: Log | None = None,
    keep: bool = False,
    **popen: Any,
) -> tuple[asyncio.SubprocessTransport, P]:
    """Streams that are LOG get a pipe each, which is read on this loop; on Windows asyncio's own."""
    if keep:
        raise ValueError("keep=True: a program can outlive this process only where it is supervised (Linux)")
    pipes: list[LogPipe] = []
    try:
        for stream, name in ((STDOUT_FD, "stdout"), (STDERR_FD, "stderr")):
            if popen.get(name) == LOG:
                assert log
                popen[name] = subprocess.PIPE
                if sys.platform != "win32":
                    pipes.append(LogPipe(log, stream, asyncio.get_running_loop(), pipes))
                    popen[name] = pipes[-1].write_end
        try:
            started = await launch(protocol, *command, **popen)
            make_quiet(started[0])
        except NotImplementedError as error:
            raise NotImplementedError(error.args[0] if error.args else _NO_PROGRAMS) from None
    except BaseException:
        for pipe in pipes:
            pipe.close()
        raise
    for pipe in pipes:
        pipe.connect()
    if sys.platform == "win32" and popen.get("creationflags", 0) & subprocess.CREATE_NEW_PROCESS_GROUP:
        from . import job_object  # late: Windows only

        with contextlib.suppress(OSError):  # it may be in a job that allows no other
            job_object.hold(started[0].get_pid())
    return started


def _is_any_ignored() -> bool:
    ignored = [signal.getsignal(number) is signal.SIG_IGN for number in SIGNALS]
    return sys.platform != "win32" and bool(sys.executable) and any(ignored)


async def _exec_by_trampoline(
    protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """As the loop's `subprocess_exec`, errors included."""
    loop, env = asyncio.get_running_loop(), popen.get("env")
    read_end, write_end = os.pipe()
    lc_ctype = (os.environ if env is None else env).get("LC_CTYPE", "")
    by = (sys.executable, "-I", "-S", SCRIPT, str(write_end), lc_ctype)
    try:
        try:
            started = await loop.subprocess_exec(protocol, *by, program, *args, pass_fds=[write_end], **popen)
        except OSError as error:
            if error.errno == errno.E2BIG:
                error.filename = program
            raise
        finally:
            os.close(write_end)
        try:
            if number := await _read(read_end):
                raise OSError(int(number), os.strerror(int(number)), program)
        except BaseException:
            transport: Any = started[0]
            transport.close()
            await transport._wait()  # as asyncio does where a start fails
            raise
    finally:
        os.close(read_end)
    return started


async def _read(fd: int) -> bytes:
    """The first that is written to a pipe; nothing, if it is closed before."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    return os.read(fd, 64)


def family(process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
    """What can be found by parents and sessions."""
    return Family(process, own_session=own_session)
