"""The supervisor: holds the programs of a kernel, in an interpreter of its own. Linux, standard library.

The kernel runs it as `python -I -S supervise.py FD PID`, in a session of its own: FD is its end of a socket pair, PID the
kernel. It forks *shims* (see `shim`); each waits for one program, starts it, and owns all its descendants, daemons included,
because supervisor and shims are sub-reapers: a descendant that loses its parent becomes their child (prctl(2),
PR_SET_CHILD_SUBREAPER). Nothing of a program survives

- the kernel: the supervisor and each shim watch it by a pidfd, by the end of their sockets, and by polling where there are
  no pidfds;
- the supervisor: each shim watches it too;
- its shim: what that leaves becomes a child of the supervisor, which kills it;

unless the program is to be kept: then its shim goes on alone.

Kernel and supervisor talk in the words of `protocol`.
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

_MOST_WORDS = 64  # that are read at once
_PASSED_BY = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


def main(control_fd: int, kernel: int) -> NoReturn:
    """Be the supervisor of this kernel."""
    _take_signals()
    try:
        guard.become_subreaper()
    except OSError:
        os._exit(1)  # the kernel falls back to the portable launcher
    guard.go_on_at_end_of_parent()
    guard.rename("ipyproc-superv.")
    os.chdir("/")  # the directory of the kernel may be removed, or its file system unmounted
    supervisor = _Supervisor(socket.socket(fileno=control_fd), kernel)
    while True:
        supervisor.run_once()


class _Supervisor:
    """Forks shims when the kernel asks for them, and watches the kernel."""

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
        ]  # descriptors that a shim must not have
        if watched := guard.watch(kernel, self._loop, self._end):
            self._own.append(watched)
        self._loop.add_reader(control.fileno(), self._serve)
        protocol.TO_SHIM.prepare()
        gc.freeze()  # so that memory stays shared with the shims

    def run_once(self) -> None:
        """Serve the kernel, and kill what shims have left behind."""
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
        with contextlib.suppress(OSError):  # the kernel is gone, as `recv` will find out next
            try:
                wanted = protocol.decode_words(data)
            except protocol.ProtocolError:  # the kernel sees why by the version of the answer
                self._refuse()
                return
            for _ in wanted:
                try:
                    self._fork_shim()
                except OSError:  # too many processes or open files; running programs are in no danger
                    self._refuse()

    def _refuse(self) -> None:
        self._control.send(protocol.encode_word(Word.REFUSED))

    def _fork_shim(self) -> None:
        """Fork a shim and hand its socket to the kernel."""
        sock, kernels = socket.socketpair()
        if not (pid := os.fork()):
            signal.set_wakeup_fd(-1)
            for fd in (kernels.detach(), *self._own):
                os.close(fd)
            shim.main(sock, self._kernel)
        self._shims.add(pid)
        with sock, kernels:
            socket.send_fds(self._control, [protocol.encode_word(Word.READY)], [kernels.fileno()])

    def _reap(self) -> bool:
        """Reap children, which are shims or what a shim left behind; returns whether there was one."""
        has_ended = False
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                self._shims.discard(ended)
                has_ended = True
        return has_ended

    def _end(self) -> NoReturn:
        """The kernel is gone: kill everything that is not to be kept, and end."""
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
    """Do nothing at signals meant for the kernel. They are handled, not ignored or blocked, which a program would inherit."""
    for number in (
        *_PASSED_BY,
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # the last two make a write fail instead of ending this
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes the loop, here and in the shims
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
