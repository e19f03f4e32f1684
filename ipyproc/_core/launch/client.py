"""The supervisor of this process, as seen from here: it is started, asked for shims that wait for a program, replaced and left.

A supervisor that was killed, does not answer, or has inherited something else than a program is to inherit now is replaced by
another one; what it holds goes on. Where none can be, that is found out once, and not at each start. Linux.
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

_AHEAD, _MOST_IDLE = 2, 4  # shims that wait for a program
_CLOSE_PATIENCE = 3.0  # seconds in which a supervisor has to end what it holds
_PATIENCE = 5.0  # seconds in which a supervisor has to answer
_REFUSED = 60.0  # seconds until a supervisor is tried again where two in turn could not run
script: tuple[str, tuple[int, ...]] = (str(Path(__file__).with_name("held") / "supervise.py"), ())
"""What the interpreter of a supervisor runs, and the descriptors that it needs for that."""
_UTF8_MODE = f"-Xutf8={sys.flags.utf8_mode}"  # so that words have the encoding there that they have here


class Supervisor:
    """A supervisor of this process, as seen from here. Started at once; ready a little later.

    Attributes:
        inherited: what it has inherited, and so its programs do: see `inheritance`.
        pid: whose it is: a forked child has none.
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
                stdout=subprocess.DEVNULL,  # a program that is kept must not hold ours open
                start_new_session=True,  # no interrupt for the kernel reaches it
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._control.setblocking(False)
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []  # job sockets of shims that had a program before
        self._coming = 0  # shims that the supervisor has been asked for, and nobody has taken
        self._waiting = 0  # starts that wait for a shim
        self._held = 0  # shims that somebody has taken
        self._is_retired = False
        with contextlib.suppress(ConnectionError):  # it has ended already, which the first start will notice
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
        """Announce a call of `shim`: until that returns, the supervisor does not end although it is retired."""
        with self._lock:
            self._waiting += 1

    async def shim(self) -> socket.socket:
        """The job socket of a shim that waits for a program, as soon as there is one. Other tasks go on meanwhile.

        `reserve` must be called before.

        Raises:
            TimeoutError: it does not answer.
            BrokenPipeError: it is gone.
            BlockingIOError: it can make none now.
            ProtocolError: it is of another version.
            OSError: this process can have no descriptor more.
        """
        try:
            while (job := self.take_shim()) is None:
                self._process.send_signal(signals.SIGCONT)  # somebody may have stopped it
                await _until_readable(self._control, _PATIENCE)
            return job
        finally:
            with self._lock:
                self._waiting -= 1
                self._end_if_idle()

    def take_shim(self) -> socket.socket | None:
        """The same, but None if there is none yet."""
        with self._lock:
            if self.is_gone:  # and its shims are ending
                raise BrokenPipeError(errno.EPIPE, "the supervisor is gone")
            while True:
                job = self._idle.pop() if self._idle else self._receive()
                if job is None:
                    return None
                try:
                    job.recv(1)
                except BlockingIOError:
                    self._held += 1
                    return job
                job.close()  # it was at its end: this shim was killed meanwhile

    def _receive(self) -> socket.socket | None:
        if self._control.fileno() < 0:
            raise BrokenPipeError(errno.EPIPE, "another thread has left the supervisor")
        self._want(max(1, self._waiting) - self._coming)
        try:
            data, fds, _, _ = socket.recv_fds(self._control, protocol.WORD_SIZE, 1)
        except BlockingIOError:
            return None
        jobs = [socket.socket(fileno=fd) for fd in fds]
        try:
            self._coming -= 1
            if not data:
                raise BrokenPipeError(errno.EPIPE, "the supervisor is gone")
            [word] = protocol.decode_words(data)
            if word is Word.REFUSED:
                raise BlockingIOError(errno.EAGAIN, "the supervisor can make no shim")
            if not jobs:  # lost, and with it the shim
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            jobs[0].set_inheritable(False)
            jobs[0].setblocking(False)
            return jobs.pop()
        finally:
            for job in jobs:
                job.close()

    def replace_shim(self) -> None:
        """Have another shim made ready in the place of one that has got a program.

        Not when it is taken: the cores have enough to do when a program starts.
        """
        with self._lock, contextlib.suppress(OSError):  # it is gone, which the next start will notice; or was left
            self._want(_AHEAD - len(self._idle) - self._coming)

    def give_back(self, job: socket.socket, *, is_ready: bool) -> None:
        """Let go of a shim that was taken; `is_ready`: for another program. Else it ends what it holds, and itself."""
        with self._lock:
            self._held -= 1
            if is_ready and len(self._idle) < _MOST_IDLE and not self._is_retired:
                self._idle.append(job)
            else:
                _hang_up(job)
            self._end_if_idle()

    def wake(self, shim: int | None = None) -> bool:
        """Let its shims, or this one, go on if somebody has stopped them (SIGSTOP); whether there are such."""
        found = [
            each for each in descendants.children(self.process) if shim in (None, each)
        ]  # else it may be a stranger
        descendants.send_signal(found, signals.SIGCONT)
        return bool(found)

    def _want(self, count: int) -> None:
        for _ in range(count):
            try:
                self._control.send(protocol.encode_word(Word.WANTED))
            except BlockingIOError:
                break  # it has been told often enough
            self._coming += 1

    def retire(self) -> None:
        """Have it end when it holds no program any more. That is not waited for, and nobody may `reserve` a shim then."""
        with self._lock:
            self._is_retired = True
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        """With the lock."""
        if self._is_retired and not (self._held or self._waiting):
            self._hang_up()

    def _hang_up(self) -> None:
        for each in (*self._idle, self._control):
            _hang_up(each)
        self._idle.clear()

    def leave(self) -> None:
        """Have it end, and every program with it; that is not waited for."""
        with self._lock:
            self._is_retired = True
            self._hang_up()
        with contextlib.suppress(OSError):  # another user's: it was started before this process has changed
            self._process.send_signal(signals.SIGCONT)  # somebody may have stopped it

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, so long at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def disown(self) -> None:
        """In a forked child: it is its parent's."""
        self._process.returncode = 0  # so nobody is told that it still runs
        for each in (self._control, *self._idle):
            each.close()


def _hang_up(end: socket.socket) -> None:
    """Close a socket for good, although a forked child may have it too."""
    with contextlib.suppress(OSError):  # the other end is gone
        end.shutdown(socket.SHUT_RDWR)
    end.close()


async def _until_readable(sock: socket.socket, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    fd = os.dup(sock.fileno())  # others may wait for the same one

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
_leaving: list[Supervisor] = []  # that start no programs any more, and hold some, or have just been left
_refused: tuple[tuple[Any, ...] | None, float] = (None, 0.0)  # what was inherited, and until when it is not tried again
_making = threading.Lock()  # several threads may start the first program at once
os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


def prepare() -> None:
    """Start the supervisor of this process, if there is none; it gets ready in the background."""
    with contextlib.suppress(OSError), _making:  # an error is met by the first start too
        _fitting(inheritance.look().rest)


def _fitting(inherited: tuple[Any, ...]) -> Supervisor | None:
    """The supervisor whose programs inherit this; started, if there is none. None: here none can be. With `_making`."""
    global _supervisor
    if _supervisor and _supervisor.inherited == inherited:
        return _supervisor
    if (_refused[0] == inherited and time.monotonic() < _refused[1]) or not process_table.is_ours():
        return None
    _replace(_supervisor)
    try:
        _supervisor = Supervisor(inherited)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):  # which may be over soon
            _refuse(inherited)
    return _supervisor


def _replace(supervisor: Supervisor | None) -> None:
    """Let another one take its place; what it holds must not end for that. With `_making`."""
    global _supervisor
    if supervisor and supervisor is _supervisor:  # else somebody else has done it
        supervisor.retire()
        _supervisor = None
        _leaving[:] = [each for each in (*_leaving, supervisor) if not each.is_gone]


def _refuse(inherited: tuple[Any, ...]) -> None:
    global _refused
    _refused = inherited, time.monotonic() + _REFUSED


async def take() -> tuple[Supervisor, socket.socket, inheritance.Inheritance] | None:
    """A shim that waits for a program, and what that will inherit; None: none can be.

    A supervisor that was killed or does not answer is replaced, once.

    Raises:
        OSError: this process can have no descriptor more.
        ProcessLost: the supervisor is of another version: ipyproc was updated after this process had begun.
    """
    for is_first in (True, False):
        inherited = inheritance.look()
        with _making:
            if (supervisor := _fitting(inherited.rest)) is None:
                return None
            supervisor.reserve()  # at once: another thread may replace it
        why, is_gone = "", False
        try:
            return supervisor, await supervisor.shim(), inherited
        except BlockingIOError:
            return None  # those that run are in no danger
        except TimeoutError:
            pass  # a busy machine refuses nothing
        except ConnectionError:
            is_gone = True
        except protocol.ProtocolError as error:
            why = str(error)
        with _making:
            _replace(supervisor)
        if why:
            raise ProcessLost(f"no program can be started: {why}; if ipyproc was updated, restart this kernel")
        if is_gone and not is_first:  # this is a place where none can be, most likely
            _refuse(supervisor.inherited)
    return None


async def is_ready() -> bool:
    """Whether a program can be started now, by a shim that is there.

    Raises:
        OSError: this process can have no descriptor more.
        ProcessLost: the supervisor is of another version.
    """
    if not os.access(".", os.X_OK, effective_ids=True):
        return False  # since it is another user, only a child of its own can begin where it is
    if taken := await take():
        supervisor, job, _ = taken
        supervisor.give_back(job, is_ready=True)
    return taken is not None


def close() -> None:
    """End the supervisors of this process, and with them every program that they started; waits 3 s for that at most."""
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
    """In a forked child: it has no supervisors, and must not end what is its parent's."""
    global _supervisor, _making
    _making = threading.Lock()  # another thread may have had it
    for each in (*_leaving, *filter(None, [_supervisor])):
        each.disown()
    _supervisor = None
    _leaving.clear()


atexit.register(close)  # now, and so behind what is registered later
os.register_at_fork(after_in_child=_disown)
