"""The launcher of Linux: one supervisor for this process, and for each program a shim that owns all its descendants.

Its promise: nothing of a program outlives this process, however that ends (see `supervisor`); its end is known when it
ends; a signal to the family reaches daemons too. The program is no child of this process but of its shim: `pid` is its
own all the same, and what asyncio gives (streams, back-pressure, return codes) is made of asyncio's own parts.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import functools
import json
import os
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .. import process_table
from ..errors import ProcessLost
from ..output import storage
from ..output.log import Log
from ..program.family import Family, runs
from ..program.program import Program
from ..program.spec import Fd, Spec, Stream, Target
from ..program.usage import Usage
from . import inheritance
from .held import descendants, mark
from .transport import Transport

if TYPE_CHECKING:
    import psutil

name = "supervised"

_AHEAD, _MOST_IDLE = 2, 4  # shims that wait for a program
_CLOSE_PATIENCE = 3.0  # seconds in which a supervisor has to end what it holds
_PATIENCE = 5.0  # seconds in which a supervisor has to answer
_REFUSED = 60.0  # seconds until a supervisor is tried again where two in turn could not run
_WAKE_AFTER = 0.5  # seconds
_START_PATIENCE = 60.0  # seconds in which a program has to start; it may come from a slow disk
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

    async def shim(self) -> socket.socket:
        """The job socket of a shim that waits for a program, as soon as there is one. Other tasks go on meanwhile.

        Raises:
            TimeoutError: it does not answer.
            BrokenPipeError: it is gone.
            BlockingIOError: it can make none now.
            OSError: this process can have no descriptor more.
        """
        self._waiting += 1
        try:
            while (job := self.take_shim()) is None:
                self._process.send_signal(signals.SIGCONT)  # somebody may have stopped it
                await _until_readable(self._control, _PATIENCE)
            return job
        finally:
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
            word, fds, _, _ = socket.recv_fds(self._control, 1, 1)
        except BlockingIOError:
            return None
        self._coming -= 1
        if word == b"E":
            raise BlockingIOError(errno.EAGAIN, "the supervisor can make no shim")
        if word != b"S":
            raise BrokenPipeError(errno.EPIPE, "the supervisor is gone")
        if not fds:  # lost, and with it the shim
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        job = socket.socket(fileno=fds[0])
        job.set_inheritable(False)
        job.setblocking(False)
        return job

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
                self._control.send(b"N")
            except BlockingIOError:
                break  # it has been told often enough
            self._coming += 1

    def retire(self) -> None:
        """Have it end when it holds no program any more. That is not waited for, and nobody may ask it for a shim then."""
        self._is_retired = True
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        with self._lock:
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
    with contextlib.suppress(OSError):  # which the first start meets
        _fitting(inheritance.look().rest)


def _fitting(inherited: tuple[Any, ...]) -> Supervisor | None:
    """The supervisor whose programs inherit this; started, if there is none. None: here none can be."""
    global _supervisor
    with _making:
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
    """Let another one take its place; what it holds must not end for that."""
    global _supervisor
    if supervisor and supervisor is _supervisor:  # else somebody else has done it
        supervisor.retire()
        _supervisor = None
        _leaving[:] = [each for each in (*_leaving, supervisor) if not each.is_gone]


def _refuse(inherited: tuple[Any, ...]) -> None:
    global _refused
    _refused = inherited, time.monotonic() + _REFUSED


async def _take() -> tuple[Supervisor, socket.socket, inheritance.Inheritance] | None:
    """A shim that waits for a program, and what that will inherit; None: none can be.

    A supervisor that was killed or does not answer is replaced, once.

    Raises:
        OSError: this process can have no descriptor more.
    """
    for is_first in (True, False):
        inherited = inheritance.look()
        if (supervisor := _fitting(inherited.rest)) is None:
            return None
        try:
            return supervisor, await supervisor.shim(), inherited
        except BlockingIOError:
            return None  # those that run are in no danger
        except TimeoutError:
            is_gone = False  # a busy machine refuses nothing
        except ConnectionError:
            is_gone = True
        with _making:
            _replace(supervisor)
        if is_gone and not is_first:  # this is a place where none can be, most likely
            _refuse(supervisor.inherited)
    return None


async def is_ready() -> bool:
    """Whether a program can be started now, by a shim that is there.

    Raises:
        OSError: this process can have no descriptor more.
    """
    if not os.access(".", os.X_OK, effective_ids=True):
        return False  # since it is another user, only a child of its own can begin where it is
    if taken := await _take():
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


class Held:
    """The line to the shim that holds a program."""

    pid = shim = 0  # until it has started

    def __init__(
        self,
        supervisor: Supervisor,
        job: socket.socket,
        loop: asyncio.AbstractEventLoop,
        log: Log | None,
        *,
        keep: bool,
    ) -> None:
        self._supervisor = supervisor
        self.keep = keep
        self.mark = mark.new()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when nothing of its family is left."""
        self._heard: Callable[[dict[str, Any]], object] | None = None
        self._job: socket.socket | None = job
        self._lock = threading.Lock()  # a signal may come from another thread
        self._loop = loop
        self._log = log
        self._begun = b""  # of a line
        self._messages: list[dict[str, Any]] = []  # that nobody has heard yet
        loop.add_reader(job.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<Held {self.pid} by shim {self.shim}>"

    @property
    def has_family(self) -> bool:
        """Whether anything of its family may be left."""
        return self._job is not None

    async def start(self, request: Mapping[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Have it started; the first message of the shim: what it could not start, or `pid`, `shim` and `at`."""
        assert self._job
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()

        def first(message: dict[str, Any]) -> None:
            self._heard = None  # the next ones wait for `hear`
            if not answer.done():
                answer.set_result(message)

        self._heard = first
        data = json.dumps({"start": request}).encode() + b"\n"
        try:
            sent = socket.send_fds(self._job, [data], fds)
        except ConnectionError:
            raise ProcessLost("the shim was killed before it started a program") from None
        # a large environment is more than a socket takes at once
        sending = asyncio.ensure_future(self._loop.sock_sendall(self._job, data[sent:]))
        sending.add_done_callback(_known_elsewhere)
        waking = self._loop.call_later(_WAKE_AFTER, self._supervisor.wake)  # somebody may have stopped it
        try:
            async with asyncio.timeout(_START_PATIENCE):
                message = await answer
        except TimeoutError:
            raise ProcessLost("the shim does not answer") from None
        finally:
            sending.cancel()
            waking.cancel()
        if not message:
            raise ProcessLost("the shim was killed while it started a program")
        self.pid, self.shim = message.get("pid", 0), message.get("shim", 0)
        return message

    def hear(self, heard: Callable[[dict[str, Any]], object]) -> None:
        """Call this with each message of the shim from here on; the last one is empty."""
        self._heard = heard
        self._pass_on()

    def close(self) -> None:
        """Leave the shim; it ends what it holds."""
        if job := self._let_go():
            self._supervisor.give_back(job, is_ready=False)

    def release(self) -> None:
        """Nothing is left of it: the shim is ready for another program, unless it was made for this one alone."""
        if job := self._let_go():
            self._supervisor.give_back(job, is_ready=not self.keep)

    def disown(self) -> None:
        """In a forked child: it is its parent's, and so is the event loop."""
        job, self._job, self._log = self._job, None, None
        if job:
            job.close()

    def _let_go(self) -> socket.socket | None:
        with self._lock:
            job, self._job = self._job, None
        if job:
            self._loop.remove_reader(job.fileno())
        if not self.gone.done():
            self.gone.set_result(None)
        if self._log:
            self._log.lose()  # unless it has come to its end
            self._log = None  # the table of processes knows families for longer than logs
        return job

    def _read(self) -> None:
        if self._job is None:
            return  # a forked child runs the loop of its parent
        try:
            data = self._job.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        if not data:
            self.close()
            lines.append(b"{}")
            mark.kill(self.mark[0])  # the supervisor does it too, unless it was killed with the shim
        messages = [json.loads(line) for line in lines]
        told = [message["log"] for message in messages if "log" in message]
        if told and self._log:
            self._log.take(told[-1])
        if any("gone" in message for message in messages):
            self.release()
        self._messages += [message for message in messages if "log" not in message]
        self._pass_on()

    def _pass_on(self) -> None:
        while self._messages and self._heard:
            self._heard(self._messages.pop(0))
        if self._job is None:
            self._heard = None  # the table of processes knows families for longer than programs and their logs

    def send_signal(self, number: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """Have the shim send a signal, and SIGKILL to the family after so many seconds. From any thread."""
        order = {"signal": {"number": number, "family": family, "kill_in": kill_in}}
        with self._lock, contextlib.suppress(OSError):  # the shim has just ended
            if self._job is not None and (number or kill_in is not None):
                is_there = self._supervisor.wake(self.shim)
                try:
                    self._job.send(json.dumps(order).encode() + b"\n")
                except BlockingIOError:  # it has not listened for long: what it would do now, we can do
                    if is_there:
                        self._send_ourselves(number, family=family)

    def _send_ourselves(self, number: int, *, family: bool) -> None:
        if family and number in (signals.SIGSTOP, signals.SIGKILL):
            descendants.freeze(self.shim)
        pids = descendants.of(self.shim) if family else {self.pid}.intersection(descendants.children(self.shim))
        descendants.send_signal(pids, number, wake=family)


def _known_elsewhere(task: asyncio.Future[None]) -> None:
    """That the shim is gone, `Held._read` meets too."""
    if not task.cancelled():
        task.exception()


async def start(spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
    """Start a program in the hands of a shim; see `base`."""
    args = ["/bin/sh", "-c", spec.args] if isinstance(spec.args, str) else list(spec.args)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours_if_it_fails:
        stdio, fds, pipes = _streams((spec.stdin, spec.stdout, spec.stderr), theirs, ours_if_it_fails)
        written = None
        if log:
            fd, written = log.handed_over()
            written["fd"] = len(fds)
            fds.append(fd)
        here = None
        if not os.path.isabs(directory := spec.cwd or ""):  # by a descriptor, for it may have no name any more
            here = len(fds)
            fds.append(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            theirs.callback(os.close, fds[here])
        first_lock = len(fds)
        if spec.keep:
            fds += storage.locks()  # while they are open, nobody clears the directory of the log
        if (taken := await _take()) is None:
            raise ProcessLost("no supervisor can be started")
        supervisor, job, inherited = taken
        held = Held(supervisor, job, loop, log, keep=spec.keep)
        theirs.callback(supervisor.replace_shim)
        ours_if_it_fails.callback(held.close)
        request = {
            "args": args,
            "cwd": directory or None,
            "here": here,
            "env": dict(os.environ if spec.env is None else spec.env),
            "umask": inherited.umask,
            "limits": inherited.limits,
            "mark": (mark.KIND, held.mark),
            "keep": [*range(first_lock, len(fds))] if spec.keep else None,
            "stdio": stdio,
            "log": written,
        }
        started = await held.start(request, fds)
        theirs.close()
        if "errno" in started:
            held.release()
            raise OSError(started["errno"], started["text"], started["file"])
        program = Program(spec.args, name, log, keep=spec.keep)
        program.started_at = started["at"]
        transport = Transport(program, protocol, pipes, held.send_signal, held.disown)
        await transport.connect(pipes)
        ours_if_it_fails.pop_all()
        program.begin(held.pid, transport, ShimFamily(held))
        transport.begin()
        held.hear(functools.partial(_hear, transport, held.pid))
    return program


def _hear(transport: Transport, pid: int, message: dict[str, Any]) -> None:
    """What the shim says."""
    if "exit" in message:
        transport.exit(message["exit"], Usage(*message["usage"]), message["at"])
    elif not message and transport.get_returncode() is None:
        transport.lose(ProcessLost(f"process {pid} was lost: its shim was killed, and the program with it"))


def _streams(
    targets: Sequence[Stream], theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[list[int | str], list[int], dict[int, BinaryIO]]:
    """For each stream what the shim makes of it (see `shim`); the descriptors for that; our ends of the pipes."""
    stdio: list[int | str] = []
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

    def __init__(self, held: Held) -> None:
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
