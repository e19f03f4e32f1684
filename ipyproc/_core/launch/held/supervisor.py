"""The supervisor: what holds the programs of a kernel, in an interpreter of its own. Linux, standard library.

Run by the kernel as `python -I -S supervise.py FD PID`, in a session of its own: FD is its end of a socket pair, PID the
kernel. It forks *shims* (see `shim`); each waits for one program, starts it, and owns every descendant of it, daemons included, for
supervisor and shims are sub-reapers: what loses its parent becomes their child (prctl(2), PR_SET_CHILD_SUBREAPER).
Nothing of a program survives

- the kernel: the supervisor and each shim watch it by a pidfd, by the end of their sockets, and by polling where there are
  no pidfds;
- the supervisor: each shim watches it too;
- its shim: what that leaves becomes the supervisor's, which kills it;

unless the program is to be kept: then its shim goes on alone.

What it says to the kernel, and the kernel to it, is in `protocol`: words.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import time
from typing import NoReturn

from ... import protocol
from ...protocol import Word
from . import descendants, guard, shim
from .poll_loop import PollLoop

_MOST_WORDS = 64  # that are looked at in one go
_PASSED_BY = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


def main(control_fd: int, kernel: int) -> NoReturn:
    """Be the supervisor of this kernel."""
    _take_signals()
    try:
        guard.become_subreaper()
    except OSError:
        os._exit(1)  # the kernel does without us
    guard.go_on_at_end_of_parent()
    guard.rename("ipyproc-superv.")
    os.chdir("/")  # the directory of the kernel may be removed, or its file system unmounted
    supervisor = _Supervisor(socket.socket(fileno=control_fd), kernel)
    while True:
        supervisor.run_once()


class _Supervisor:
    """Forks shims, some ahead; watches the kernel."""

    def __init__(self, control: socket.socket, kernel: int) -> None:
        control.set_inheritable(False)
        self._control = control
        self._kernel = kernel
        self._loop = PollLoop()
        self._shims: set[int] = set()
        self._own = [
            control.fileno(),
            self._loop.fileno(),
            *guard.wake_on_child(self._loop),
        ]  # descriptors that are nothing to a shim
        if watched := guard.watch(kernel, self._loop, self._end):
            self._own.append(watched)
        self._loop.add_reader(control.fileno(), self._serve)
        protocol.TO_SHIM.prepare()
        gc.freeze()  # what shims share with us stays shared

    def run_once(self) -> None:
        """Serve the kernel, and look after what shims have left."""
        self._loop.run_once(guard.POLL)
        if os.getppid() != self._kernel:
            self._end()
        while self._reap():
            if orphans := set(descendants.children(os.getpid())) - self._shims:  # their shim was killed
                descendants.kill([*descendants.of(*orphans), *orphans])

    def _serve(self) -> None:
        try:
            data = self._control.recv(_MOST_WORDS * protocol.WORD_SIZE)
        except OSError:
            data = b""
        if not data:
            self._end()
        with contextlib.suppress(OSError):  # the kernel is gone, which is met in a moment
            try:
                wanted = protocol.decode_words(data)
            except protocol.ProtocolError:  # the kernel sees by our version why
                self._tell_none()
                return
            for _ in wanted:
                try:
                    self._fork_shim()
                except OSError:  # no more processes, or descriptors; those that run are in no danger
                    self._tell_none()

    def _tell_none(self) -> None:
        self._control.send(protocol.encode_word(Word.REFUSED))

    def _fork_shim(self) -> None:
        """Fork a shim and hand its job socket to the kernel."""
        job, kernels = socket.socketpair()
        if not (pid := os.fork()):
            signal.set_wakeup_fd(-1)
            for fd in (kernels.detach(), *self._own):
                os.close(fd)
            shim.main(job, self._kernel)
        self._shims.add(pid)
        with job, kernels:
            socket.send_fds(self._control, [protocol.encode_word(Word.READY)], [kernels.fileno()])

    def _reap(self) -> bool:
        """Whether any child has ended: a shim, or what one has left."""
        has_ended = False
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                self._shims.discard(ended)
                has_ended = True
        return has_ended

    def _end(self) -> NoReturn:
        """The kernel is gone: nothing stays but what is to be kept."""
        deadline = time.monotonic() + guard.KILL_PATIENCE
        while time.monotonic() < deadline:
            there = [pid for pid in descendants.children(os.getpid()) if pid not in self._shims or not _is_kept(pid)]
            if not there:
                os._exit(0)
            descendants.kill([*descendants.of(*there), *there])
            self._reap()
            time.sleep(0.002)
        os._exit(1)


def _is_kept(shim: int) -> bool:
    try:
        with open(f"/proc/{shim}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip() == guard.KEPT
    except OSError:
        return False


def _take_signals() -> None:
    """Let signals meant for the kernel pass us by; none is ignored or blocked, for a program would inherit that."""
    for number in (*_PASSED_BY, signal.SIGPIPE, signal.SIGXFSZ):  # the last two: a write is an error, and no end
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes us, and in their turn the shims
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
