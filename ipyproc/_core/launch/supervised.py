"""The launcher for Linux: one supervisor for this process, and for each program a shim that owns all its descendants.

Its promise: nothing of a program outlives this process, however that ends (see `held.supervisor`); the end of a program is
known as soon as it ends; a signal to the family reaches daemons too. The program is a child of its shim, not of this
process, but `pid` is its real pid, and streams, back-pressure and return codes are those of asyncio's own parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, BinaryIO, Literal

from .. import process_table
from ..errors import ProcessLost
from ..output import storage
from ..output.log import Log
from ..program.family import Family, runs
from ..program.program import Program
from ..program.spec import Fd, Spec, Stream, Target
from ..program.usage import Usage
from ..protocol import Exited, FromShim, LogFile, Lost, NotStarted, Start
from . import client
from .held import descendants, mark
from .held_program import HeldProgram
from .transport import Transport

if TYPE_CHECKING:
    import psutil

name = "supervised"


async def start(spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
    """Start a program that a shim holds; see `base`."""
    args = ["/bin/sh", "-c", spec.args] if isinstance(spec.args, str) else list(spec.args)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours_if_it_fails:
        stdio, fds, pipes = _streams((spec.stdin, spec.stdout, spec.stderr), theirs, ours_if_it_fails)
        written = None
        if log:
            fd, more = log.hand_over()
            written = LogFile(len(fds), more["streams"], more["base"], more["index"], more["limit"])
            fds.append(fd)
        here = None
        if not os.path.isabs(directory := spec.cwd or ""):  # a descriptor, because the directory may have been removed
            here = len(fds)
            fds.append(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            theirs.callback(os.close, fds[here])
        first_lock = len(fds)
        if spec.keep:
            fds += storage.locks()  # while they are open, the directory of the log is not cleared
        if (taken := await client.take()) is None:
            raise ProcessLost("no supervisor can be started")
        supervisor, sock, inherited = taken
        held = HeldProgram(supervisor, sock, loop, log, keep=spec.keep)
        theirs.callback(supervisor.replace_shim)
        ours_if_it_fails.callback(held.close)
        request = Start(
            args=args,
            cwd=directory or None,
            here=here,
            env=dict(os.environ if spec.env is None else spec.env),
            umask=inherited.umask,
            limits=inherited.limits,
            mark=(mark.KIND, held.mark),
            keep=[*range(first_lock, len(fds))] if spec.keep else None,
            stdio=stdio,
            log=written,
        )
        started = await held.start(request, fds)
        theirs.close()
        if isinstance(started, NotStarted):
            held.release()
            raise OSError(*started)
        program = Program(spec.args, name, log, keep=spec.keep)
        program.started_at = started.at
        transport = Transport(program, protocol, pipes, held.send_signal, held.disown)
        await transport.connect(pipes)
        ours_if_it_fails.pop_all()
        program.begin(held.pid, transport, ShimFamily(held))
        transport.begin()
        held.hear(functools.partial(_hear, transport, held.pid))
    return program


def _hear(transport: Transport, pid: int, message: FromShim) -> None:
    """Handle a message of the shim."""
    if isinstance(message, Exited):
        transport.exit(message.returncode, Usage(*message.usage), message.at)
    elif isinstance(message, Lost) and transport.get_returncode() is None:
        transport.lose(ProcessLost(f"process {pid} was lost: {message.why}"))


def _streams(
    targets: Sequence[Stream], theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[list[int | Literal["log", "stdout"]], list[int], dict[int, BinaryIO]]:
    """The `stdio` of a `Start` message, its descriptors, and this process's ends of the pipes.

    `theirs` closes what only the shim needs; `ours` closes the rest.
    """
    stdio: list[int | Literal["log", "stdout"]] = []
    fds: list[int] = []
    pipes: dict[int, BinaryIO] = {}
    for number, target in enumerate(targets):
        if target in (Target.LOG, Target.STDOUT):
            stdio.append("log" if target is Target.LOG else "stdout")
            continue
        if target is Target.PIPE:
            read_end, write_end = os.pipe()
            fds.append(read_end if number == 0 else write_end)
            theirs.callback(os.close, fds[-1])
            pipe = open(write_end if number == 0 else read_end, "wb" if number == 0 else "rb", buffering=0)  # noqa: SIM115
            ours.callback(pipe.close)
            pipes[number] = pipe
        elif target is Target.NULL:
            fds.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            theirs.callback(os.close, fds[-1])
        else:
            fds.append(target.number if isinstance(target, Fd) else number)
        stdio.append(len(fds) - 1)
    return stdio, fds, pipes


class ShimFamily(Family):
    """The family that a shim holds: the program and all its descendants, daemons included."""

    is_threadsafe = True

    def __init__(self, held: HeldProgram) -> None:
        super().__init__(held.pid, lambda: held.has_family and held.has_program, own_session=True)
        self.held = held

    def alive(self) -> set[psutil.Process]:
        """Look for the family now: all its processes that still run (zombies do not)."""
        import psutil  # late: the import of ipyproc loads the standard library only

        found = set()
        if self.held.has_family:
            for pid in descendants.of(self.held.shim):
                with contextlib.suppress(psutil.Error):
                    found.add(psutil.Process(pid))
        return {each for each in found if runs(each)}

    def _recently_alive(self) -> set[psutil.Process]:
        return self.alive()  # this is quick, because only the shim's descendants are looked at

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Have the shim send a signal to the whole family, and SIGKILL after `kill_in` seconds.

        Returns the number of processes that there were, or 0 if none of them may be signalled.
        """
        there = descendants.of(self.held.shim) if self.held.has_family else []
        self.held.send_signal(number, family=True, kill_in=kill_in)
        is_refused = bool(there) and not any(map(process_table.may_signal, there))
        self.refused = PermissionError(errno.EPERM, os.strerror(errno.EPERM)) if is_refused else None
        return 0 if is_refused else len(there)

    def kill_in(self, seconds: float) -> None:
        """Have the shim kill what is left after so many seconds."""
        self.held.send_signal(0, family=True, kill_in=seconds)

    def left(self) -> int:
        """How many processes of the family are left, now that the program has ended."""
        return len(self.alive())

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self.held.gone.done():
            await asyncio.wait([self.held.gone])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether anything of the family may still run; false for a kept program, which is left alone."""
        return self.held.has_family and not self.held.keep
