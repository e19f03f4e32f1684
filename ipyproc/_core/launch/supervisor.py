"""The supervisor and its shims: what holds the programs of a kernel, in an interpreter of its own. Linux, standard library.

Run by the kernel as `python -I -S supervisor.py FD PID`, in a session of its own: FD is its end of a socket pair, PID the
kernel. It forks *shims*; each waits for one program, starts it, and owns every descendant of it, daemons included, for
supervisor and shims are sub-reapers: what loses its parent becomes their child (prctl(2), PR_SET_CHILD_SUBREAPER).
Nothing of a program survives

- the kernel: the supervisor and each shim watch it by a pidfd, by the end of their sockets, and by polling where a
  sandbox refuses pidfds;
- the supervisor: each shim watches it too;
- its shim: what that leaves becomes the supervisor's, which kills it.

From supervisor to kernel: one byte and a descriptor, the job socket of a shim that is ready. From kernel to supervisor:
one byte when it has taken that shim, and wants the next.
On the job socket, from kernel to shim: 4 bytes of length, JSON {args, cwd, env, umask, limits}, and the descriptors
[stdin, stdout, stderr]. From shim to kernel, JSON lines::

    {"pid": P, "shim": S}       the program runs
    {"errno": N, "file": F}     it could not be started
    {"exit": CODE}              the program itself has ended, as `Process.returncode` tells it
    {"gone": true}              nothing is left of its family; the shim ends

From kernel to shim, two bytes: b"p" or b"f" (the program, its family), and the number of a signal. SIGKILL to the family
is repeated until nothing is left. The end of the job socket means the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, NoReturn

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_POLL = 1.0  # seconds between two looks at the parent, for where nothing wakes us
_KILL_PATIENCE = 5.0  # seconds; what is stuck in the operating system by then is left to the supervisor
_libc = ctypes.CDLL(None, use_errno=True)


def main(control_fd: int, kernel: int) -> NoReturn:
    """Be the supervisor of this kernel."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    _take_signals()
    _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeful = _wake_on_child()
    watched = _watch(kernel)
    poll = select.poll()
    for fd in filter(None, (control.fileno(), wakeful[0], watched)):
        poll.register(fd, select.POLLIN)
    gc.freeze()  # what shims share with us stays shared
    shims = {_fork_shim(control, kernel, (*wakeful, watched or -1))}
    while True:
        for fd, _ in poll.poll(_POLL * 1000):
            if fd == wakeful[0]:
                _empty(fd)
            elif fd == watched:
                _end()
            else:
                shims |= {_fork_shim(control, kernel, (*wakeful, watched or -1)) for _ in _receive(control) or _end()}
        if os.getppid() != kernel:
            _end()
        while (ended := _reap()) and ended[0]:
            shims.discard(ended[0])
        # a shim that was killed leaves its family to us: whatever child of ours is no shim
        for orphan in set(_children(os.getpid())) - shims:
            _kill([*_descendants(orphan), orphan])


def _fork_shim(control: socket.socket, kernel: int, unneeded: tuple[int, ...]) -> int:
    """Fork a shim and hand its job socket to the kernel; its pid."""
    job, kernels = socket.socketpair()
    shim = os.fork()
    if not shim:
        kernels.close()
        control.close()
        for fd in unneeded:
            if fd >= 0:
                os.close(fd)
        _as_shim(job, kernel)
    socket.send_fds(control, [b"S"], [kernels.fileno()])
    job.close()
    kernels.close()
    return shim


class _Shim:
    """One program and its family."""

    def __init__(self, program: int, job: socket.socket) -> None:
        self._program = program
        self._job = job
        self._ended = False

    def say(self, **message: Any) -> None:
        with contextlib.suppress(OSError):  # nobody is there any more; the end of the socket is met elsewhere
            self._job.sendall(json.dumps(message).encode() + b"\n")

    def obey(self) -> None:
        """Do what the kernel says."""
        commands = _receive(self._job) or self.end()
        for target, number in zip(commands[::2], commands[1::2], strict=False):
            if target == ord("p"):
                if not self._ended:  # not reaped yet, so its pid can be no stranger's
                    _signal([self._program], number, wake=False)
            elif number == signal.SIGKILL:
                self._kill_all()
            else:
                # the program first: a shell whose child has gone would end with a status of its own
                _signal(sorted(_descendants(os.getpid()), key=lambda pid: pid != self._program), number, wake=True)

    def reap(self) -> None:
        """Tell of the end of the program; end when nothing is left."""
        while True:
            ended = _reap()
            if ended is None:
                return
            if not ended[0]:
                self.say(gone=True)
                os._exit(0)
            if ended[0] == self._program:
                self._ended = True
                self.say(exit=os.waitstatus_to_exitcode(ended[1]))

    def end(self) -> NoReturn:
        self._kill_all()
        os._exit(0)

    def _kill_all(self) -> None:
        """Freeze, then kill, until no child is left: what a victim leaves behind becomes ours, and is met again."""
        end = time.monotonic() + _KILL_PATIENCE
        while time.monotonic() < end:
            _kill(_descendants(os.getpid()))
            self.reap()
            time.sleep(0.002)


def _as_shim(job: socket.socket, kernel: int) -> NoReturn:
    """Be the shim of one program."""
    try:
        supervisor = os.getppid()
        _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        watched = [fd for fd in (_watch(kernel), _watch(supervisor)) if fd]
        wakeful = _wake_on_child()
        poll = select.poll()
        for fd in (job.fileno(), *watched):
            poll.register(fd, select.POLLIN)
        ready: list[int] = []
        while job.fileno() not in ready:
            if ready or os.getppid() != supervisor:
                os._exit(0)
            ready = [fd for fd, _ in poll.poll(_POLL * 1000)]
        poll.register(wakeful[0], select.POLLIN)
        program = _start(job)
        shim = _Shim(program, job)
        shim.say(pid=program, shim=os.getpid())
        while True:
            for fd, _ in poll.poll(_POLL * 1000):
                if fd == wakeful[0]:
                    _empty(fd)
                elif fd in watched:
                    shim.end()
                else:
                    shim.obey()
            if os.getppid() != supervisor:
                shim.end()
            shim.reap()
    finally:
        os._exit(1)


def _start(job: socket.socket) -> int:
    """Start what the kernel asks for; its pid. What cannot be started is told, and the shim ends."""
    data, stdio, _, _ = socket.recv_fds(job, 65536, 3)
    size = struct.unpack(">I", data[:4])[0] + 4 if data else 0
    while len(data) < size:
        data += job.recv(size - len(data)) or os._exit(0)
    if not data:
        os._exit(0)  # the kernel had no use for us
    request: dict[str, Any] = json.loads(data[4:])
    for kind, limits in request["limits"]:
        resource.setrlimit(kind, limits)
    try:
        program = subprocess.Popen(
            request["args"],
            cwd=request["cwd"],
            env=request["env"],
            umask=request["umask"],
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            start_new_session=True,
        )
    except OSError as error:
        job.sendall(json.dumps({"errno": error.errno, "file": error.filename}).encode() + b"\n")
        os._exit(0)
    for fd in stdio:
        os.close(fd)
    program.returncode = 0  # it is we who reap it
    return program.pid


def _take_signals() -> None:
    """Let signals meant for the kernel pass us by; no signal is ignored or blocked, for a program would inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _receive(end: socket.socket) -> bytes:
    """What the kernel has sent; nothing at the end."""
    try:
        return end.recv(64)
    except OSError:
        return b""


def _end() -> NoReturn:
    """The kernel is gone: nothing stays."""
    end = time.monotonic() + _KILL_PATIENCE
    while time.monotonic() < end:
        _kill(_descendants(os.getpid()))
        while ended := _reap():
            if not ended[0]:
                os._exit(0)
        time.sleep(0.002)
    os._exit(1)


def _reap() -> tuple[int, int] | None:
    """(pid, status) of a child that has ended; (0, 0) if there is no child at all, None if none has ended."""
    try:
        ended = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
    return ended if ended[0] else None


def _kill(pids: list[int]) -> None:
    _signal(pids, signal.SIGSTOP, wake=False)
    _signal(pids, signal.SIGKILL, wake=False)


def _signal(pids: list[int], number: int, *, wake: bool) -> None:
    """Send a signal; `wake`: and SIGCONT, for what is stopped could not act on it."""
    for pid in pids:
        try:
            os.kill(pid, number)
            if wake and number not in (signal.SIGSTOP, signal.SIGCONT):
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass  # it has just ended, or runs as another user now


def _descendants(pid: int) -> list[int]:
    found, todo = [], _children(pid)
    while todo:
        found.append(todo.pop())
        todo += _children(found[-1])
    return found


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _watch(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # a sandbox refuses it: the end of the socket and polling are left


def _wake_on_child() -> tuple[int, int]:
    """A pipe that becomes readable when a child has ended."""
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
    return ends


def _empty(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 512)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
