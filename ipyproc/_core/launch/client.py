"""This process's side of its supervisors: starting one, asking it for shims that wait for a program, replacing it. Linux.

A supervisor is replaced if it was killed, does not answer, or has inherited something else than a program would inherit now;
the programs that it holds go on. If none can run here, that is remembered, and not tried again at each start.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .. import process_table, protocol
from ..errors import ProcessLost
from ..protocol import Word
from . import inheritance
from .held import descendants

_AHEAD, _MOST_IDLE = 2, 4  # shims that are made in advance, and that are kept for another program
_CLOSE_PATIENCE = 3.0  # seconds that a supervisor has to end its programs
_PATIENCE = 5.0  # seconds that a supervisor has to answer
_REFUSED = 60.0  # seconds until a supervisor is tried again after two could not run
script: tuple[str, tuple[int, ...]] = (str(Path(__file__).with_name("held") / "supervise.py"), ())
"""The script that the interpreter of a supervisor runs, and the descriptors that it must inherit for that."""
_UTF8_MODE = f"-Xutf8={sys.flags.utf8_mode}"  # so that arguments are encoded there as they are here


class Supervisor:
    """A supervisor of this process. It is started at once, and ready a little later.

    Attributes:
        inherited: what it has inherited, and so its programs will; see `inheritance`.
        pid: that of the process it belongs to.
    """

    def __init__(self, inherited: tuple[Any, ...]) -> None:
        self.inherited = inherited
        self.pid = os.getpid()
        self._control, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _UTF8_MODE, script[0], str(theirs.fileno()), str(self.pid)],
                pass_fds=[theirs.fileno(), *script[1]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # else a kept program would hold the kernel's open
                start_new_session=True,  # so that no interrupt for the kernel reaches it
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._control.setblocking(False)
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []  # sockets of shims whose program has ended
        self._coming = 0  # shims that the supervisor was asked for and that were not received yet
        self._waiting = 0  # starts that wait for a shim
        self._held = 0  # shims that are in use
        self._is_retired = False
        with contextlib.suppress(ConnectionError):  # it has ended already; the first start will find that out
            self._want(_AHEAD)

    def __repr__(self) -> str:
        return f"<Supervisor {self._process.pid} of process {self.pid}>"

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    @property
    def process(self) -> int:
        """Its pid."""
        return self._process.pid

    def reserve(self) -> None:
        """Announce a call of `shim`: until that returns, the supervisor does not end even if it is retired."""
        with self._lock:
            self._waiting += 1

    async def shim(self) -> socket.socket:
        """Wait for a shim without a program, and return its socket. `reserve` must be called before.

        Raises:
            TimeoutError: the supervisor does not answer.
            BrokenPipeError: the supervisor is gone.
            BlockingIOError: the supervisor cannot make a shim now.
            ProtocolError: the supervisor is of another version.
            OSError: this process has too many open files.
        """
        try:
            while (sock := self.take_shim()) is None:
                self._process.send_signal(signals.SIGCONT)  # it may have been stopped
                await _until_readable(self._control, _PATIENCE)
            return sock
        finally:
            with self._lock:
                self._waiting -= 1
                self._end_if_idle()

    def take_shim(self) -> socket.socket | None:
        """The socket of a shim without a program, or None if there is none yet; raises as `shim`."""
        with self._lock:
            if self.is_gone:  # so its shims are ending
                raise BrokenPipeError(errno.EPIPE, "the supervisor is gone")
            while True:
                sock = self._idle.pop() if self._idle else self._receive()
                if sock is None:
                    return None
                try:
                    sock.recv(1)
                except BlockingIOError:
                    self._held += 1
                    return sock
                sock.close()  # it could be read, so the shim has hung up: it was killed

    def _receive(self) -> socket.socket | None:
        if self._control.fileno() < 0:
            raise BrokenPipeError(errno.EPIPE, "another thread has closed the supervisor")
        self._want(max(1, self._waiting) - self._coming)
        try:
            data, fds, _, _ = socket.recv_fds(self._control, protocol.WORD_SIZE, 1)
        except BlockingIOError:
            return None
        socks = [socket.socket(fileno=fd) for fd in fds]
        try:
            self._coming -= 1
            if not data:
                raise BrokenPipeError(errno.EPIPE, "the supervisor is gone")
            [word] = protocol.decode_words(data)
            if word is Word.REFUSED:
                raise BlockingIOError(errno.EAGAIN, "the supervisor can make no shim")
            if not socks:  # the descriptor was lost, and with it the shim
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            socks[0].set_inheritable(False)
            socks[0].setblocking(False)
            return socks.pop()
        finally:
            for sock in socks:
                sock.close()

    def replace_shim(self) -> None:
        """Ask for another shim in place of one that has got a program.

        Done after the start rather than when the shim is taken, so that both do not compete for the cores.
        """
        with self._lock, contextlib.suppress(OSError):  # it is gone, as the next start will find out; or it was closed
            self._want(_AHEAD - len(self._idle) - self._coming)

    def give_back(self, sock: socket.socket, *, is_ready: bool) -> None:
        """Give back a shim that was taken. `is_ready`: it can have another program; else it ends its program and itself."""
        with self._lock:
            self._held -= 1
            if is_ready and len(self._idle) < _MOST_IDLE and not self._is_retired:
                self._idle.append(sock)
            else:
                _hang_up(sock)
            self._end_if_idle()

    def wake(self, shim: int | None = None) -> bool:
        """Resume its shims, or the one with this pid, in case they were stopped (SIGSTOP); whether there are any."""
        found = [
            each for each in descendants.children(self.process) if shim in (None, each)
        ]  # only children: the pid may be a stranger's by now
        descendants.send_signal(found, signals.SIGCONT)
        return bool(found)

    def _want(self, count: int) -> None:
        for _ in range(count):
            try:
                self._control.send(protocol.encode_word(Word.WANTED))
            except BlockingIOError:
                break  # it has been asked often enough
            self._coming += 1

    def retire(self) -> None:
        """Let it end once it holds no program, without waiting for that. `reserve` must not be called afterwards."""
        with self._lock:
            self._is_retired = True
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        """End it if it is retired and not in use; the caller holds the lock."""
        if self._is_retired and not (self._held or self._waiting):
            self._hang_up()

    def _hang_up(self) -> None:
        for each in (*self._idle, self._control):
            _hang_up(each)
        self._idle.clear()

    def leave(self) -> None:
        """End it, and with it all its programs, without waiting for that."""
        with self._lock:
            self._is_retired = True
            self._hang_up()
        with contextlib.suppress(OSError):  # this process has changed its user since
            self._process.send_signal(signals.SIGCONT)  # it may have been stopped

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def disown(self) -> None:
        """Forget it in a forked child, because it belongs to the parent."""
        self._process.returncode = 0  # so that Popen does not warn that it still runs
        for each in (self._control, *self._idle):
            each.close()


def _hang_up(end: socket.socket) -> None:
    """Close a socket for good, even if a forked child has it too."""
    with contextlib.suppress(OSError):  # the other end is gone
        end.shutdown(socket.SHUT_RDWR)
    end.close()


async def _until_readable(sock: socket.socket, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    fd = os.dup(sock.fileno())  # other starts may wait for the same socket

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, tell)
    try:
        async with asyncio.timeout(seconds):
            await ready
    finally:
        loop.remove_reader(fd)
        os.close(fd)


_supervisor: Supervisor | None = None
_leaving: list[Supervisor] = []  # those that start no more programs but may hold some
_refused: tuple[tuple[Any, ...] | None, float] = (None, 0.0)  # the `inherited` that failed, and until when not to retry
_making = threading.Lock()  # several threads may start the first program at once
os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


def prepare() -> None:
    """Start the supervisor of this process, if there is none; it gets ready in the background."""
    with contextlib.suppress(OSError), _making:  # the first start will have the same error
        _fitting(inheritance.look().rest)


def _fitting(inherited: tuple[Any, ...]) -> Supervisor | None:
    """The supervisor that has inherited this, started if necessary; None if none can run here. The caller holds `_making`."""
    global _supervisor
    if _supervisor and _supervisor.inherited == inherited:
        return _supervisor
    is_refused = _refused[0] == inherited and time.monotonic() < _refused[1]
    if is_refused or not process_table.is_ours() or not sys.executable:  # a program that embeds Python may have none
        return None
    _replace(_supervisor)
    try:
        _supervisor = Supervisor(inherited)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):  # which may soon pass
            _refuse(inherited)
    return _supervisor


def _replace(supervisor: Supervisor | None) -> None:
    """Retire a supervisor, so that the next start makes another one; its programs go on. The caller holds `_making`."""
    global _supervisor
    if supervisor and supervisor is _supervisor:  # else another start has done it
        supervisor.retire()
        _supervisor = None
        _leaving[:] = [each for each in (*_leaving, supervisor) if not each.is_gone]


def _refuse(inherited: tuple[Any, ...]) -> None:
    global _refused
    _refused = inherited, time.monotonic() + _REFUSED


async def take() -> tuple[Supervisor, socket.socket, inheritance.Inheritance] | None:
    """A shim without a program (the supervisor, and the shim's socket), and what its program will inherit.

    Returns None if none can run here. A supervisor that was killed or does not answer is replaced, once.

    Raises:
        OSError: this process has too many open files.
        ProcessLost: the supervisor is of another version, because ipyproc was updated while this process ran.
    """
    for is_first in (True, False):
        inherited = inheritance.look()
        with _making:
            if (supervisor := _fitting(inherited.rest)) is None:
                return None
            supervisor.reserve()  # under the lock, because another thread may replace it
        why, is_gone = "", False
        try:
            return supervisor, await supervisor.shim(), inherited
        except BlockingIOError:
            return None  # its programs are in no danger, so it is not replaced
        except TimeoutError:
            pass  # the machine may only be busy, so no refusal is remembered
        except ConnectionError:
            is_gone = True
        except protocol.ProtocolError as error:
            why = str(error)
        with _making:
            _replace(supervisor)
        if why:
            raise ProcessLost(f"no program can be started: {why}; if ipyproc was updated, restart this kernel")
        if is_gone and not is_first:  # most likely none can run here
            _refuse(supervisor.inherited)
    return None


async def is_ready() -> bool:
    """Whether a shim can start a program now.

    Raises:
        OSError: this process has too many open files.
        ProcessLost: the supervisor is of another version.
    """
    if not os.access(".", os.X_OK, effective_ids=True):
        return False  # it has changed its user, and may not enter its own directory: only a child can start there
    if taken := await take():
        supervisor, sock, _ = taken
        supervisor.give_back(sock, is_ready=True)
    return taken is not None


def close() -> None:
    """End the supervisors of this process, and with them all their programs; waits at most 3 s for that."""
    global _supervisor
    left = [*_leaving, *filter(None, [_supervisor])]
    _supervisor = None
    _leaving.clear()
    for each in left:
        each.leave()
    until = time.monotonic() + _CLOSE_PATIENCE
    for each in left:
        each.wait(max(0.0, until - time.monotonic()))


def supervisor_pid() -> int | None:
    """The pid of the supervisor of this process."""
    return _supervisor.process if _supervisor else None


def _disown() -> None:
    """Forget all supervisors in a forked child, because they belong to the parent."""
    global _supervisor, _making
    _making = threading.Lock()  # another thread of the parent may hold it
    for each in (*_leaving, *filter(None, [_supervisor])):
        each.disown()
    _supervisor = None
    _leaving.clear()


atexit.register(close)  # registered early, so called after what is registered later
os.register_at_fork(after_in_child=_disown)
