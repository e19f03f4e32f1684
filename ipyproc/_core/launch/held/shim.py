"""The shim: holds one program, reads its pipes and writes its log, and owns all its descendants. Linux, standard library.

The kernel may be busy for hours, or dead: no program waits for it, no output is lost, and nothing is left of a program
when the kernel or the supervisor has ended (see `supervisor`), unless it is to be kept.

What kernel and shim say to each other is in `protocol`, how they do so in `job`.
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
from .job import Job, ReportedLog
from .poll_loop import PollLoop

_ABOVE_OURS = 1.1  # times our memory: Linux counts it in pieces, for each core


def main(job: socket.socket, kernel: int) -> NoReturn:
    """Be the shim of one program."""
    try:
        Shim(job, kernel).run()
    except Exception:  # noqa: BLE001  -- there is nobody above us; it goes to the kernel's standard error
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


class Shim:
    """Holds one program and its family, and then another."""

    def __init__(self, job: socket.socket, kernel: int) -> None:
        guard.become_subreaper()
        guard.go_on_at_end_of_parent()
        guard.rename("ipyproc-shim")
        self._supervisor = os.getppid()
        self._loop = PollLoop()
        self._job = Job(job, self._loop)
        self._is_kept = False
        self._locks: list[int] = []  # of the directory of a log that is kept
        self._rest()
        guard.wake_on_child(self._loop)
        watches = [guard.watch(pid, self._loop, self._left_alone) for pid in (kernel, self._supervisor)]
        self._watches = [fd for fd in watches if fd is not None]
        self._loop.add_reader(job.fileno(), self._listen)
        _warm_up(job.fileno())

    def run(self) -> NoReturn:
        """Serve until the kernel has no use for us any more, or is gone and nothing is left of the program."""
        while self._program or not self._job.is_told or not self._is_kept:
            self._loop.run_once(guard.POLL)
            if os.getppid() != self._supervisor and not self._is_kept:
                self._left_alone()
            if self._program:
                self._reap()
            self._job.flush()
        for fd in self._locks:
            os.utime(fd)  # how long the log is kept counts from now
        os._exit(0)

    def _rest(self) -> None:
        """There is no program, or nothing is left of it."""
        self._program = 0
        self._has_ended = False
        self._kill_at = math.inf  # of `time.monotonic()`
        self._pipes: list[LogPipe] = []
        if self._job.log:
            self._job.log.close()
        self._job.log = None
        self._loop.cancel_timers()

    def _listen(self) -> None:
        """Do what the kernel wants."""
        try:
            messages = self._job.receive()
            for message in messages or ():
                if isinstance(message, Start):
                    if self._program:
                        raise protocol.ProtocolError("the other side starts a program where one runs")
                    self._start(message)
                elif self._program:  # else it crossed `Gone` on its way
                    self._send_signal(message)
        except protocol.ProtocolError as error:
            self._job.tell(Lost(str(error)))
            self._job.flush()
            messages = None
        if messages is None:
            self._job.close()
            self._left_alone()

    def _start(self, request: Start) -> None:
        """Start a program. What cannot be started is told."""
        fds, log, start = self._job.take_fds(), None, "/"
        try:
            if len(fds) <= max(_numbers(request), default=-1):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # some were lost on their way
            if (
                request.here is not None
            ):  # it may have no name any more; the program follows the link in its own /proc/self
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
        except Exception as error:  # noqa: BLE001  -- whatever it is, the kernel has to know, and the next program comes
            if not (isinstance(error, OSError) and error.errno):
                error = OSError(errno.EINVAL, str(error) or repr(error), *request.args[:1])
            file = request.cwd or "." if error.filename == os.path.join(start, request.cwd or "") else error.filename
            self._job.tell(NotStarted(error.errno or 0, error.strerror or str(error), file))
            for pipe in self._pipes:
                pipe.close()
            for fd in fds:
                os.close(fd)
            self._rest()
            return
        for place in (*request.stdio, request.here):
            if isinstance(place, int):
                os.close(fds[place])
        program.returncode = 0  # it is we who reap it
        self._program = program.pid
        self._job.log = log
        self._job.tell(Started(program.pid, os.getpid(), time.monotonic()))
        self._job.flush()
        for pipe in self._pipes:
            pipe.connect()
        if request.keep is not None:
            self._is_kept = True
            self._locks = [fds[number] for number in request.keep]  # which we hold from now on
            guard.rename(guard.KEPT)
            os.dup2(0, sys.stderr.fileno())  # the kernel's, which somebody may read to its end

    def _send_signal(self, order: Signal) -> None:
        number, family, kill_in = order
        if family and number == signal.SIGKILL:
            self._kill_all()
        elif family and number == signal.SIGSTOP:
            descendants.freeze(os.getpid())
        elif family and number:
            # the program first: a shell whose child has gone would end with a status of its own
            pids = sorted(descendants.of(os.getpid()), key=lambda pid: pid != self._program)
            descendants.send_signal(pids, number, wake=True)
        elif not self._has_ended:  # not reaped yet, so its pid can be no stranger's
            descendants.send_signal([self._program], number)
        if kill_in is not None and (kill_at := time.monotonic() + kill_in) < self._kill_at:
            self._kill_at = kill_at
            self._loop.call_later(kill_in, self._kill_in_time)

    def _kill_in_time(self) -> None:
        if self._kill_at <= time.monotonic():  # else it was brought forward, and is done
            self._kill_all()

    def _left_alone(self) -> None:
        """The kernel or the supervisor is gone, or has no use for us: what is not to be kept ends."""
        if not self._is_kept:
            if self._program:
                self._kill_all()
            os._exit(0)
        for fd in self._watches:
            self._loop.remove_reader(fd)

    def _reap(self) -> None:
        """Tell of the end of the program, and when nothing is left."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                ended_at = time.monotonic()
                if not pid:
                    return
                if pid == self._program and not self._has_ended:  # else it is a descendant that got its pid
                    self._has_ended = True
                    for pipe in self._pipes:
                        pipe.take()
                    self._job.tell_log()
                    used = (usage.ru_utime, usage.ru_stime, _peak(usage))
                    self._job.tell(Exited(os.waitstatus_to_exitcode(status), ended_at, used))
        except ChildProcessError:
            for pipe in self._pipes:
                pipe.finish()
            self._job.tell_log()
            self._job.tell(Gone())
            self._rest()

    def _kill_all(self) -> None:
        """Kill until no child is left: what a victim leaves behind becomes ours, and is met again."""
        self._kill_at = math.inf
        deadline = time.monotonic() + guard.KILL_PATIENCE
        while self._program and time.monotonic() < deadline:
            descendants.kill(there := descendants.of(os.getpid()))
            self._reap()
            self._job.flush()
            if there and not any(map(may_signal, there)):
                break  # they are another user's, and would be in a thousand years
            time.sleep(0.002)


def _numbers(request: Start) -> list[int]:
    """Of the descriptors that must have come with it."""
    log = (request.log.fd,) if request.log else ()
    places = (*request.stdio, request.here, *(request.keep or ()), *log)
    return [place for place in places if isinstance(place, int)]


def _limit(limits: list[protocol.Limit], mark: protocol.Limit) -> None:
    """Have these limits; those that are so already are let alone, for gVisor refuses most, whatever the value."""
    for kind, limit in limits:
        if resource.getrlimit(kind) != limit:
            resource.setrlimit(kind, limit)
    with contextlib.suppress(OSError, ValueError):  # then nobody but its guards finds the family
        resource.setrlimit(*mark)


def _peak(usage: resource.struct_rusage) -> int | None:
    """The peak memory of a program in bytes; None where it was not more than ours.

    Linux counts what the process was before its program began, and that was a part of us (getrusage(2), ru_maxrss).
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * 1024 if usage.ru_maxrss > _ABOVE_OURS * ours else None


def _warm_up(fd: int) -> None:
    """Do once what a start does, in vain: the memory for it, shared since the fork, becomes our own before it counts."""
    request = Start([os.devnull], None, None, dict(os.environ), 0, [], (0, (0, 0)), None, [0, "log"], None)
    protocol.TO_SHIM.decode(protocol.TO_SHIM.encode(request))
    with contextlib.suppress(OSError):  # there is no program of this name
        subprocess.Popen(request.args, env=request.env, umask=0, stdin=fd, stdout=fd, stderr=fd, start_new_session=True)
