"""The shim: holds one program, reads its pipes, writes its log, and owns all its descendants. Linux, standard library.

The kernel may be busy for hours, or dead: no program waits for it, no output is lost, and nothing is left of a program
when the kernel or the supervisor has ended (see `supervisor`), unless it is to be kept.

The messages between kernel and shim are in `protocol`, the shim's end of the connection is in `connection`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from typing import NoReturn

from ... import protocol
from ...output.pipe import LogPipe
from ...output.writer import STDOUT_FD
from ...process_table import may_signal
from ...protocol import Exited, Gone, Lost, NotStarted, Signal, Start, Started
from . import descendants, guard
from .connection import Connection, ReportedLog
from .poll_loop import PollLoop

_ABOVE_OURS = 1.1  # times the shim's memory, because Linux counts memory for each core, and in batches


def main(sock: socket.socket, kernel: int) -> NoReturn:
    """Be the shim of one program."""
    try:
        Shim(sock, kernel).run()
    except Exception:  # noqa: BLE001  -- nothing above catches it; it goes to the kernel's standard error
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


class Shim:
    """Holds one program and its family; when nothing of that is left, another one."""

    def __init__(self, sock: socket.socket, kernel: int) -> None:
        guard.become_subreaper()
        guard.go_on_at_end_of_parent()
        guard.rename("ipyproc-shim")
        self._supervisor = os.getppid()
        self._loop = PollLoop()
        self._connection = Connection(sock, self._loop)
        self._is_kept = False
        self._locks: list[int] = []  # descriptors of the locks on the directory of a kept log
        self._rest()
        guard.wake_on_child(self._loop)
        watches = [guard.watch(pid, self._loop, self._left_alone) for pid in (kernel, self._supervisor)]
        self._watches = [fd for fd in watches if fd is not None]
        self._loop.add_reader(sock.fileno(), self._listen)
        _warm_up(sock.fileno())

    def run(self) -> NoReturn:
        """Serve until the kernel hangs up or is gone; for a kept program, until nothing of it is left."""
        while self._program or not self._connection.is_flushed or not self._is_kept:
            self._loop.run_once(guard.POLL)
            if os.getppid() != self._supervisor and not self._is_kept:
                self._left_alone()
            if self._program:
                self._reap()
            self._connection.flush()
        for fd in self._locks:
            os.utime(fd)  # the time for which the log is kept begins now
        os._exit(0)

    def _rest(self) -> None:
        """Reset: there is no program yet, or nothing is left of it."""
        self._program = 0
        self._has_ended = False
        self._kill_at = math.inf  # of `time.monotonic()`
        self._pipes: list[LogPipe] = []
        if self._connection.log:
            self._connection.log.close()
        self._connection.log = None
        self._loop.cancel_timers()

    def _listen(self) -> None:
        """Handle messages of the kernel."""
        try:
            messages = self._connection.receive()
            for message in messages or ():
                if isinstance(message, Start):
                    if self._program:
                        raise protocol.ProtocolError("the other side starts a program where one runs")
                    self._start(message)
                elif self._program:  # else it was sent before the kernel got `Gone`
                    self._send_signal(message)
        except protocol.ProtocolError as error:
            self._connection.send(Lost(str(error)))
            self._connection.flush()
            messages = None
        if messages is None:
            self._connection.close()
            self._left_alone()

    def _start(self, request: Start) -> None:
        """Start a program, and tell the kernel whether it could be started."""
        fds, log, start = self._connection.take_fds(), None, "/"
        try:
            if len(fds) <= max(_numbers(request), default=-1):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # some descriptors were lost on the way
            if (
                request.here is not None
            ):  # it may have been removed; the new process resolves the link in its own /proc/self
                start = f"/proc/self/fd/{fds[request.here]}"
            _limit(request.limits, request.mark)
            if request.log:
                number, streams, base, index_path, limit = request.log
                log = ReportedLog(streams, [fds[number]], base=base, index=index_path, limit=limit)
            given: list[int] = []
            for stream, target in enumerate(request.stdio):
                if target == "log":
                    assert log
                    self._pipes.append(LogPipe(log, stream, self._loop, self._pipes))
                    given.append(self._pipes[-1].write_end)
                else:
                    given.append(given[STDOUT_FD] if target == "stdout" else fds[target])
            program = subprocess.Popen(
                request.args,
                cwd=os.path.join(start, request.cwd or ""),
                env=request.env,
                umask=request.umask,
                stdin=given[0],
                stdout=given[1],
                stderr=given[2],
                start_new_session=True,
            )
        except Exception as error:  # noqa: BLE001  -- whatever it is, tell the kernel, and be ready for the next program
            if not (isinstance(error, OSError) and error.errno):
                error = OSError(errno.EINVAL, str(error) or repr(error), *request.args[:1])
            file = request.cwd or "." if error.filename == os.path.join(start, request.cwd or "") else error.filename
            self._connection.send(NotStarted(error.errno or 0, error.strerror or str(error), file))
            for pipe in self._pipes:
                pipe.close()
            for fd in fds:
                os.close(fd)
            self._rest()
            return
        for place in (*request.stdio, request.here):
            if isinstance(place, int):
                os.close(fds[place])
        program.returncode = 0  # it is reaped by `_reap`, not by Popen
        self._program = program.pid
        self._connection.log = log
        if (
            request.keep is not None
        ):  # before the kernel is told: it may end at once, and the supervisor looks at the name
            self._is_kept = True
            self._locks = [fds[number] for number in request.keep]  # held from now on
            guard.rename(guard.KEPT)
            os.dup2(0, sys.stderr.fileno())  # let go of the kernel's, of which somebody may await the end
        self._connection.send(Started(program.pid, os.getpid(), time.monotonic()))
        self._connection.flush()
        for pipe in self._pipes:
            pipe.connect()

    def _send_signal(self, order: Signal) -> None:
        number, family, kill_in = order
        if family and number == signal.SIGKILL:
            self._kill_all()
        elif family and number == signal.SIGSTOP:
            descendants.freeze(os.getpid())
        elif family and number:
            # the program first: a shell whose child has ended first would exit with a status of its own
            pids = sorted(descendants.of(os.getpid()), key=lambda pid: pid != self._program)
            descendants.send_signal(pids, number, wake=True)
        elif not self._has_ended:  # not reaped yet, so the pid cannot be another process's
            descendants.send_signal([self._program], number)
        if kill_in is not None and (kill_at := time.monotonic() + kill_in) < self._kill_at:
            self._kill_at = kill_at
            self._loop.call_later(kill_in, self._kill_in_time)

    def _kill_in_time(self) -> None:
        if self._kill_at <= time.monotonic():  # else it was brought forward, and was done earlier
            self._kill_all()

    def _left_alone(self) -> None:
        """The kernel has hung up, or the kernel or the supervisor is gone: end, unless the program is to be kept."""
        if not self._is_kept:
            if self._program:
                self._kill_all()
            os._exit(0)
        for fd in self._watches:
            self._loop.remove_reader(fd)

    def _reap(self) -> None:
        """Reap children; tell the kernel when the program has ended, and when nothing of it is left."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                ended_at = time.monotonic()
                if not pid:
                    return
                if (
                    pid == self._program and not self._has_ended
                ):  # else it is a descendant, perhaps one that got its pid
                    self._has_ended = True
                    for pipe in self._pipes:
                        pipe.read_available()
                    self._connection.send_log()
                    used = (usage.ru_utime, usage.ru_stime, _peak(usage))
                    self._connection.send(Exited(os.waitstatus_to_exitcode(status), ended_at, used))
        except ChildProcessError:
            for pipe in self._pipes:
                pipe.finish()
            self._connection.send_log()
            self._connection.send(Gone())
            self._rest()

    def _kill_all(self) -> None:
        """Kill until no child is left: orphans of what was killed become children of the shim, and are killed next."""
        self._kill_at = math.inf
        deadline = time.monotonic() + guard.KILL_PATIENCE
        while self._program and time.monotonic() < deadline:
            descendants.kill(there := descendants.of(os.getpid()))
            self._reap()
            self._connection.flush()
            if there and not any(map(may_signal, there)):
                break  # all belong to another user, so trying again is useless
            time.sleep(0.002)


def _numbers(request: Start) -> list[int]:
    """The numbers of the descriptors that must have come with a message."""
    log = (request.log.fd,) if request.log else ()
    places = (*request.stdio, request.here, *(request.keep or ()), *log)
    return [place for place in places if isinstance(place, int)]


def _limit(limits: list[protocol.Limit], mark: protocol.Limit) -> None:
    """Set these limits, except those that are so already, because gVisor refuses most, whatever the value."""
    for kind, limit in limits:
        if resource.getrlimit(kind) != limit:
            resource.setrlimit(kind, limit)
    with contextlib.suppress(OSError, ValueError):  # without a mark, only shim and supervisor find the family
        resource.setrlimit(*mark)


def _peak(usage: resource.struct_rusage) -> int | None:
    """The peak memory of a program in bytes; None if it was not more than the shim's.

    Linux also counts the memory of the process before it executed the program, when it was a copy of the shim
    (getrusage(2), ru_maxrss).
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * 1024 if usage.ru_maxrss > _ABOVE_OURS * ours else None


def _warm_up(fd: int) -> None:
    """Fail to start a program once, so that memory shared since the fork is copied now, and not when a start is waited for."""
    request = Start([os.devnull], None, None, dict(os.environ), 0, [], (0, (0, 0)), None, [0, "log"], None)
    protocol.TO_SHIM.decode(protocol.TO_SHIM.encode(request))
    with contextlib.suppress(OSError):  # there is no program of this name
        subprocess.Popen(request.args, env=request.env, umask=0, stdin=fd, stdout=fd, stderr=fd, start_new_session=True)
