"""The shim: holds one program, reads its pipes and writes its log, and owns all its descendants. Linux, standard library.

The kernel may be busy for hours, or dead: no program waits for it, no output is lost, and nothing is left of a program
when the kernel or the supervisor has ended (see `supervisor`), unless it is to be kept.

On the job socket both speak in lines of JSON. From kernel to shim, the first with descriptors::

    {"start": {args, env, umask, limits, mark,
               keep: null, or numbers of the descriptors that hold the locks of the log's directory,
               cwd: null or a path, here: null or the number of a descriptor, the directory that it starts from,
               stdio: [number of a descriptor, "log" or, for stderr, "stdout"],
               log: null or {fd: number of a descriptor, and the other arguments of LogWriter}}}
    {"signal": {number: N, family: true or false, kill_in: null or seconds until SIGKILL to the family}}

SIGKILL to the family is repeated until nothing is left that may be signalled. The end of the socket means the same. Number 0 is
no signal; of several `kill_in` the one that ends first counts. From shim to kernel::

    {"pid": P, "shim": S, "at": T}      the program runs, since T, as `time.monotonic()` tells it
    {"errno": N, "text": T, "file": F}  it could not be started
    {"log": LogWriter.pack()}           what the log holds now; told at most every `_PERIOD`
    {"exit": CODE, "at": T,             the program itself has ended, as `Process.returncode` tells it, at T; seconds of CPU
     "usage": [U, S, M]}                for itself and in the system, and its peak memory in bytes, or null (see `_peak`)
    {"gone": true}                      nothing is left of its family; the shim is ready for another program
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from typing import Any, NoReturn

from ..log_writer import STDOUT_FD, LogWriter
from ..pipe import LogPipe
from ..process_table import may_signal
from . import descendants, guard
from .poll_loop import PollLoop

_MOST_FDS = 7  # of one start: three streams, the log, the directory it starts from, two locks of the log's directory
_PERIOD = 0.004  # seconds between two words about the log
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
        self._job: socket.socket | None = job
        job.setblocking(False)
        self._loop = PollLoop()
        self._heard = b""  # the begin of a line
        self._fds: list[int] = []  # that came with it
        self._outbox = bytearray()
        self._is_kept = False
        self._locks: list[int] = []  # of the directory of a log that is kept
        self._log: _Log | None = None
        self._rest()
        guard.wake_on_child(self._loop)
        watches = [guard.watch(pid, self._loop, self._left_alone) for pid in (kernel, self._supervisor)]
        self._watches = [fd for fd in watches if fd is not None]
        self._loop.add_reader(job.fileno(), self._listen)
        _warm_up(job.fileno())

    def run(self) -> NoReturn:
        """Serve until the kernel has no use for us any more, or is gone and nothing is left of the program."""
        while self._program or self._outbox or not self._is_kept:
            self._loop.run_once(guard.POLL)
            if os.getppid() != self._supervisor and not self._is_kept:
                self._left_alone()
            if self._program:
                self._reap()
            self._tell()
        for fd in self._locks:
            os.utime(fd)  # how long the log is kept counts from now
        os._exit(0)

    def _rest(self) -> None:
        """There is no program, or nothing is left of it."""
        self._program = 0
        self._has_ended = False
        self._kill_at = math.inf  # of `time.monotonic()`
        self._pipes: list[LogPipe] = []
        if self._log:
            self._log.close()
        self._log = None
        self._loop.cancel_timers()

    def _listen(self) -> None:
        """Do what the kernel says."""
        assert self._job
        try:
            data, fds, _, _ = socket.recv_fds(self._job, 65536, _MOST_FDS)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._loop.remove_reader(self._job.fileno())
            self._loop.remove_writer(self._job.fileno())
            self._job = None
            self._left_alone()
        self._fds += fds
        *lines, self._heard = (self._heard + data).split(b"\n")
        for message in map(json.loads, lines):
            if "start" in message:
                self._start(**message["start"])
            elif self._program:
                self._send_signal(**message["signal"])

    def _start(
        self,
        *,
        args: list[str],
        cwd: str | None,
        here: int | None,
        env: dict[str, str],
        umask: int,
        limits: list[tuple[int, tuple[int, int]]],
        mark: tuple[int, tuple[int, int]],
        keep: list[int] | None,
        stdio: list[int | str],
        log: dict[str, Any] | None,
    ) -> None:
        """Start a program. What cannot be started is told."""
        fds, self._fds = self._fds, []
        # by the descriptor, for it may have no name any more; the program follows the link in its own /proc/self
        start = f"/proc/self/fd/{fds[here]}" if here is not None else "/"
        try:
            _limit(limits, mark)
            if log:
                self._log = _Log(fds=[fds[log.pop("fd")]], **log)
            given: list[int] = []
            for stream, target in enumerate(stdio):
                if target == "log":
                    assert self._log
                    self._pipes.append(LogPipe(self._log, stream, self._loop, self._pipes))
                    given.append(self._pipes[-1].write_end)
                else:
                    given.append(given[STDOUT_FD] if target == "stdout" else fds[int(target)])
            program = subprocess.Popen(
                args,
                cwd=os.path.join(start, cwd or ""),
                env=env,
                umask=umask,
                stdin=given[0],
                stdout=given[1],
                stderr=given[2],
                start_new_session=True,
            )
        except Exception as error:  # noqa: BLE001  -- whatever it is, the kernel has to know, and the next program comes
            if not (isinstance(error, OSError) and error.errno):
                error = OSError(errno.EINVAL, str(error) or repr(error), args[0])
            file = cwd or "." if error.filename == os.path.join(start, cwd or "") else error.filename
            self._say(errno=error.errno, text=error.strerror, file=file)
            for pipe in self._pipes:
                pipe.close()
            self._log = None  # its descriptor is one of these
            for fd in fds:
                os.close(fd)
            self._rest()
            return
        for number in (*stdio, here):
            if isinstance(number, int):
                os.close(fds[number])
        program.returncode = 0  # it is we who reap it
        self._program = program.pid
        self._say(pid=program.pid, shim=os.getpid(), at=time.monotonic())
        self._tell()
        for pipe in self._pipes:
            pipe.connect()
        if keep is not None:
            self._is_kept = True
            self._locks = [fds[number] for number in keep]  # which we hold from now on
            guard.rename(guard.KEPT)
            os.dup2(0, sys.stderr.fileno())  # the kernel's, which somebody may read to its end

    def _send_signal(self, *, number: int, family: bool, kill_in: float | None) -> None:
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
                    self._tell_log()
                    used = [usage.ru_utime, usage.ru_stime, _peak(usage)]
                    self._say(exit=os.waitstatus_to_exitcode(status), at=ended_at, usage=used)
        except ChildProcessError:
            for pipe in self._pipes:
                pipe.finish()
            self._tell_log()
            self._say(gone=True)
            self._rest()

    def _kill_all(self) -> None:
        """Kill until no child is left: what a victim leaves behind becomes ours, and is met again."""
        self._kill_at = math.inf
        deadline = time.monotonic() + guard.KILL_PATIENCE
        while self._program and time.monotonic() < deadline:
            descendants.kill(there := descendants.of(os.getpid()))
            self._reap()
            self._tell()
            if there and not any(map(may_signal, there)):
                break  # they are another user's, and would be in a thousand years
            time.sleep(0.002)

    # --- what is told --------------------------------------------------------------------------------------------

    def _say(self, **message: Any) -> None:
        if self._job:
            self._outbox += json.dumps(message).encode() + b"\n"

    def _tell_log(self) -> None:
        if self._log and self._log.is_news:
            self._log.is_news = False
            self._log.told_at = time.monotonic()
            self._say(log=self._log.pack())

    def _tell_of_log(self) -> None:
        assert self._log
        self._log.is_due = False
        self._tell()

    def _tell(self) -> None:
        """Send what was said. A kernel that is busy may let us wait: of the log it gets the last word then."""
        if not self._job:
            self._outbox.clear()
            return
        if self._log and self._log.is_news and not self._outbox:
            wait = self._log.told_at + _PERIOD - time.monotonic()
            if wait <= 0:
                self._tell_log()
            elif not self._log.is_due:
                self._log.is_due = True
                self._loop.call_later(wait, self._tell_of_log)
        try:
            while self._outbox:
                del self._outbox[: self._job.send(self._outbox)]
        except BlockingIOError:
            self._loop.add_writer(self._job.fileno(), self._tell)
        except OSError:
            self._outbox.clear()  # nobody is there any more, which is met elsewhere
        else:
            self._loop.remove_writer(self._job.fileno())


def _limit(limits: list[tuple[int, tuple[int, int]]], mark: tuple[int, tuple[int, int]]) -> None:
    """Have these limits; those that are so already are let alone, for gVisor refuses most, whatever the value."""
    for kind, limit in limits:
        if resource.getrlimit(kind) != tuple(limit):
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
    request = json.loads(json.dumps({"env": dict(os.environ), "stdio": [None, 1, "log"]}))
    with contextlib.suppress(OSError):  # there is no program of this name
        subprocess.Popen(
            [os.devnull], env=request["env"], umask=0, stdin=fd, stdout=fd, stderr=fd, start_new_session=True
        )


class _Log(LogWriter):
    """The log, and whether there is something to tell of it."""

    is_news = False
    is_due = False  # it will be told when its time has come
    told_at = 0.0

    def write(self, stream: int, data: bytes | bytearray, size: int | None = None) -> None:
        super().write(stream, data, size)
        self.is_news = True

    def end(self, stream: int) -> None:
        super().end(stream)
        self.is_news = True

    def close(self) -> None:
        """Close its descriptors."""
        while self._fds:
            os.close(self._fds.pop())
