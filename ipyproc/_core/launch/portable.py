"""The launcher of every platform and every event loop: the loop's own `subprocess_exec` and `subprocess_shell`.

The program is a child of this process. On POSIX it goes on if this process is killed by SIGKILL; on Windows a program in a
process group of its own ends with this process (see `job_object`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..output.log import LOG, STDERR_FD, STDOUT_FD, Log
from ..output.pipe import LogPipe
from ..program.family import Family
from ..program.program import Program
from ..program.spec import Fd, Spec, Stream, Target
from ..program.streams import Streams
from .held.trampoline import SCRIPT, SIGNALS
from .quiet import make_quiet

name = "portable"

_NO_PROGRAMS = (  # asyncio's own error has no message
    "this event loop cannot start programs: on Windows it must be a ProactorEventLoop; that of ipykernel 6 is none, "
    "that of ipykernel 7.4 is one (pip install --upgrade ipykernel, and restart the kernel)"
)
_TARGETS = {
    Target.LOG: LOG,
    Target.PIPE: subprocess.PIPE,
    Target.NULL: subprocess.DEVNULL,
    Target.INHERIT: None,
    Target.STDOUT: subprocess.STDOUT,
}


async def start(spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
    """Start a program as a child of this process; see `base`."""
    if spec.keep:
        raise ValueError("keep=True: a program can outlive this process only where it is supervised (Linux)")
    own: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    popen = {
        **{each: _of_popen(getattr(spec, each)) for each in ("stdin", "stdout", "stderr")},
        "cwd": spec.cwd,
        "env": spec.env,
        **own,
    }
    command = spec.args
    by_trampoline = _is_any_ignored()
    if by_trampoline and isinstance(command, str):
        command = ("/bin/sh", "-c", command)
    program = await start_child(command, protocol, log, popen, by_trampoline=by_trampoline)
    program.args = spec.args
    return program


async def start_child(
    command: str | bytes | Sequence[Any],
    protocol: asyncio.SubprocessProtocol,
    log: Log | None,
    popen: Mapping[str, Any],
    *,
    by_trampoline: bool = False,
) -> Program:
    """Start a command, or a line for the shell, as asyncio does: with the keywords of `subprocess.Popen`.

    Each stream that is LOG gets a pipe, which is read on this loop; on Windows that is asyncio's own pipe.

    Args:
        by_trampoline: signals that ask a program to end have their default action in it, even if they are ignored in this
            process (POSIX).
    """
    loop = asyncio.get_running_loop()
    program = Program(command, name, log)
    assert isinstance(protocol, Streams)  # that of a `Process`, through which the end of a child is noticed
    protocol.on_exit, protocol.on_close = program.exit, program.close
    popen = dict(popen)
    pipes: list[LogPipe] = []
    try:
        for stream, which in ((STDOUT_FD, "stdout"), (STDERR_FD, "stderr")):
            if popen.get(which) == LOG:
                assert log
                popen[which] = subprocess.PIPE
                if sys.platform != "win32":
                    pipes.append(LogPipe(log, stream, loop, pipes))
                    popen[which] = pipes[-1].write_end
        try:
            if isinstance(command, str | bytes):
                transport, _ = await loop.subprocess_shell(lambda: protocol, command, **popen)
            else:
                launch = _exec_by_trampoline if by_trampoline else loop.subprocess_exec
                transport, _ = await launch(lambda: protocol, *command, **popen)
            make_quiet(transport)
        except NotImplementedError as error:
            raise NotImplementedError(error.args[0] if error.args else _NO_PROGRAMS) from None
    except BaseException:
        for pipe in pipes:
            pipe.close()
        raise
    for pipe in pipes:
        pipe.connect()
    pid = transport.get_pid()
    assert pid is not None
    if sys.platform == "win32" and popen.get("creationflags", 0) & subprocess.CREATE_NEW_PROCESS_GROUP:
        from . import job_object  # late: Windows only

        with contextlib.suppress(OSError):  # it may be in a job object that allows no other one
            job_object.hold(pid)
    there = weakref.ref(program)  # a family may be held for longer than its program, and must not hold its log

    def has_program() -> bool:
        found = there()
        return found is not None and not found.is_over

    program.begin(pid, transport, Family(pid, has_program, own_session=bool(popen.get("start_new_session"))))
    return program


def _is_any_ignored() -> bool:
    ignored = [signal.getsignal(number) is signal.SIG_IGN for number in SIGNALS]
    return sys.platform != "win32" and bool(sys.executable) and any(ignored)


async def _exec_by_trampoline(
    protocol: Callable[[], asyncio.SubprocessProtocol], program: Any, *args: Any, **popen: Any
) -> tuple[asyncio.SubprocessTransport, asyncio.SubprocessProtocol]:
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
            await transport._wait()  # as asyncio does when a start fails
            raise
    finally:
        os.close(read_end)
    return started


async def _read(fd: int) -> bytes:
    """Wait for the first bytes in a pipe; empty if it is closed before."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    return os.read(fd, 64)


def _of_popen(stream: Stream) -> Any:
    if not isinstance(stream, Fd):
        return _TARGETS[stream]
    return stream.number
