"""The launcher of Linux: one supervisor for this process, and for each program a shim that owns all its descendants.

Its promise: nothing of a program outlives this process, however that ends (see `held.supervisor`); its end is known when it
ends; a signal to the family reaches daemons too. The program is no child of this process but of its shim: `pid` is its
own all the same, and what asyncio gives (streams, back-pressure, return codes) is made of asyncio's own parts.
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
    """Start a program in the hands of a shim; see `base`."""
    args = ["/bin/sh", "-c", spec.args] if isinstance(spec.args, str) else list(spec.args)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours_if_it_fails:
        stdio, fds, pipes = _streams((spec.stdin, spec.stdout, spec.stderr), theirs, ours_if_it_fails)
        written = None
        if log:
            fd, more = log.handed_over()
            written = LogFile(len(fds), more["streams"], more["base"], more["index"], more["limit"])
            fds.append(fd)
        here = None
        if not os.path.isabs(directory := spec.cwd or ""):  # by a descriptor, for it may have no name any more
            here = len(fds)
            fds.append(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            theirs.callback(os.close, fds[here])
        first_lock = len(fds)
        if spec.keep:
            fds += storage.locks()  # while they are open, nobody clears the directory of the log
        if (taken := await client.take()) is None:
            raise ProcessLost("no supervisor can be started")
        supervisor, job, inherited = taken
        held = HeldProgram(supervisor, job, loop, log, keep=spec.keep)
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
    """What the shim says."""
    if isinstance(message, Exited):
        transport.exit(message.returncode, Usage(*message.usage), message.at)
    elif isinstance(message, Lost) and transport.get_returncode() is None:
        transport.lose(ProcessLost(f"process {pid} was lost: {message.why}"))


def _streams(
    targets: Sequence[Stream], theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[list[int | Literal["log", "stdout"]], list[int], dict[int, BinaryIO]]:
    """For each stream what the shim makes of it (see `shim`); the descriptors for that; our ends of the pipes."""
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
    """What a shim holds: the program and every descendant, daemons included."""

    is_threadsafe = True

    def __init__(self, held: HeldProgram) -> None:
        super().__init__(held.pid, lambda: held.has_family, own_session=True)
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
        return self.alive()  # only what the shim holds is looked at, and daemons are among it

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; the number of processes that were there. The shim does it, and the kill."""
        there = descendants.of(self.held.shim) if self.held.has_family else []
        self.held.send_signal(number, family=True, kill_in=kill_in)
        is_refused = bool(there) and not any(map(process_table.may_signal, there))
        self.refused = PermissionError(errno.EPERM, os.strerror(errno.EPERM)) if is_refused else None
        return 0 if is_refused else len(there)

    def kill_in(self, seconds: float) -> None:
        """Have the shim kill what is left then."""
        self.held.send_signal(0, family=True, kill_in=seconds)

    def left(self) -> int:
        """How many processes are left of it, now that the program has ended."""
        return len(self.alive())

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self.held.gone.done():
            await asyncio.wait([self.held.gone])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether anything of it may run; what is to be kept is let alone."""
        return self.held.has_family and not self.held.keep
