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
import json
import os
import resource
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .. import storage
from ..errors import ProcessLost
from ..family import Family, runs
from ..log import LOG, Log
from ..status import Usage
from . import descendants, mark
from .base import P

if TYPE_CHECKING:
    import psutil

    from ..process import Process

name = "supervised"

_AHEAD, _MOST_IDLE = 2, 4  # shims that wait for a program
_CLOSE_PATIENCE = 3.0  # seconds in which a supervisor has to end what it holds
_PATIENCE = 5.0  # seconds in which a supervisor has to answer
_REFUSED = 60.0  # seconds until a supervisor is tried again where two in turn could not run
_START_PATIENCE = 60.0  # seconds in which a program has to start; it may come from a slow disk
script: tuple[str, tuple[int, ...]] = (str(Path(__file__).with_name("supervise.py")), ())
"""What the interpreter of a supervisor runs, and the descriptors that it needs for that."""
_UTF8_MODE = f"-Xutf8={sys.flags.utf8_mode}"  # so that words have the encoding there that they have here
_LIMITS = [getattr(resource, each) for each in dir(resource) if each.startswith("RLIMIT_")]


class Supervisor:
    """The supervisor of this process, as seen from here. Started at once; ready a little later."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self.pid = os.getpid()  # whose it is: a forked child has none
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
        self._control.settimeout(_PATIENCE)
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []  # job sockets of shims that had a program before
        self._coming = 0  # shims that the supervisor has been asked for, and nobody has taken
        for _ in range(_AHEAD):
            self._want()

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

    def is_ready(self) -> bool:
        """Whether a shim waits for a program; blocks for the moment that none is ready yet.

        Raises:
            OSError: the supervisor is gone, or does not answer.
        """
        with self._lock:
            if self.is_gone:
                raise BrokenPipeError("the supervisor is gone")
            if self._idle:
                return True
            if not self._coming:
                self._want()
            if (word := self._control.recv(1, socket.MSG_PEEK)) == b"E":  # it could make none
                self._control.recv(1)
                self._coming -= 1
            return word == b"S"

    def take_shim(self) -> socket.socket:
        """The job socket of a shim that waits for a program. Raises OSError if there is none: the supervisor is gone."""
        with self._lock:
            while True:
                if self._idle:
                    job = self._idle.pop()
                else:
                    if not self._coming:  # another thread was quicker to take the one that was ready
                        self._want()
                    word, fds, _, _ = socket.recv_fds(self._control, 1, 1)
                    self._coming -= 1
                    if word != b"S":
                        raise BrokenPipeError("the supervisor is gone, or can make no shim")
                    if not fds:  # lost, and with it the shim
                        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                    job = socket.socket(fileno=fds[0])
                    job.set_inheritable(False)
                    job.setblocking(False)
                try:
                    job.recv(1)
                except BlockingIOError:
                    return job
                job.close()  # it was at its end: this shim was killed meanwhile

    def give_back(self, job: socket.socket | None) -> None:
        """A shim is ready for another program; or None: it is in use, have another one made ready in its place.

        Not when it is taken: the cores have enough to do when a program starts.
        """
        with self._lock, contextlib.suppress(OSError):  # the supervisor is gone, which the next start will notice
            if job and len(self._idle) < _MOST_IDLE:
                self._idle.append(job)
            elif job:
                job.close()
            elif len(self._idle) + self._coming < _AHEAD:
                self._want()

    def wake(self, shim: int) -> None:
        """Let a shim of its that somebody has stopped (SIGSTOP) go on."""
        if shim in descendants.children(self.process):  # else its pid may be a stranger's
            descendants.send_signal([shim], signals.SIGCONT)

    def _want(self) -> None:
        self._control.send(b"N")
        self._coming += 1

    def close(self) -> None:
        """End it, and every program with it; blocks until it has ended, for three seconds at most. Idempotent."""
        if os.getpid() != self.pid:
            return  # a forked child must not end what is its parent's
        atexit.unregister(self.close)
        self._control.close()
        while self._idle:
            self._idle.pop().close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_PATIENCE)


_supervisor: Supervisor | None = None
_refused_until = 0.0  # of `time.monotonic()`
_retired: list[Supervisor] = []  # that did not answer, and may hold programs
_preparing = threading.Lock()
os.register_at_fork(before=_preparing.acquire, after_in_parent=_preparing.release, after_in_child=_preparing.release)


def prepare() -> None:
    """Start the supervisor of this process, if there is none; it gets ready in the background."""
    global _supervisor
    with _preparing:  # several threads may start the first program at once
        if _supervisor is None or _supervisor.pid != os.getpid():
            with contextlib.suppress(OSError):
                _supervisor = Supervisor()
                atexit.register(_supervisor.close)


def is_ready() -> bool:
    """Whether a program can be started now; a supervisor that was killed or does not answer is replaced, once."""
    global _supervisor, _refused_until
    if time.monotonic() < _refused_until:
        return False
    is_refused = False
    for _ in range(2):
        prepare()
        if _supervisor is None:
            return False
        try:
            return _supervisor.is_ready()
        except OSError as error:
            is_refused = not isinstance(error, TimeoutError)  # a busy machine refuses nothing
            if _supervisor.is_gone:
                _supervisor.close()
            else:  # what it holds must not end for that
                _retired.append(_supervisor)
            _supervisor = None
    if is_refused:  # this is a place where none can be, most likely
        _refused_until = time.monotonic() + _REFUSED
    return False


def close() -> None:
    """End the supervisor of this process, and with it every program that it started."""
    global _supervisor
    for each in (_supervisor, *_retired):
        if each is not None:
            each.close()
    _supervisor = None
    _retired.clear()


def supervisor_pid() -> int | None:
    """The pid of the supervisor of this process."""
    return _supervisor.process if _supervisor is not None and _supervisor.pid == os.getpid() else None


async def exec(
    protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a program, in a session of its own always.

    Of the keywords of Popen it takes stdin, stdout, stderr, `cwd` and `env`. Of its own: `log`, which the shim writes
    where a stream is LOG, and `keep`: it outlives this process.
    """
    return await _start(protocol, [os.fsdecode(word) for word in (program, *args)], **popen)


async def shell(protocol: Callable[[], P], cmd: str | bytes, **popen: Any) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a command line with /bin/sh."""
    return await _start(protocol, ["/bin/sh", "-c", os.fsdecode(cmd)], **popen)


class Program:
    """A program that a shim holds; stands where asyncio expects a `subprocess.Popen`."""

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
        self.returncode: int | None = None
        self.stdin: BinaryIO | None = None
        self.stdout: BinaryIO | None = None
        self.stderr: BinaryIO | None = None
        self._heard: Callable[[dict[str, Any]], object] | None = None
        self._job: socket.socket | None = job
        self._lock = threading.Lock()  # a signal may come from another thread
        self._loop = loop
        self._log = log
        self._begun = b""  # of a line
        self._messages: list[dict[str, Any]] = []  # that nobody has heard yet
        loop.add_reader(job.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<Program {self.pid} held by shim {self.shim}>"

    @property
    def has_family(self) -> bool:
        """Whether anything of its family may be left."""
        return self._job is not None

    def ask(self, request: Mapping[str, Any], fds: Sequence[int]) -> None:
        """Have it started; a large environment is more than a socket takes at once."""
        assert self._job
        data = json.dumps(request).encode() + b"\n"
        self._job.settimeout(_PATIENCE)
        sent = socket.send_fds(self._job, [data], fds)
        if sent < len(data):
            self._job.sendall(data[sent:])
        self._job.setblocking(False)

    async def started(self) -> dict[str, Any]:
        """The first message of the shim."""
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()

        def first(message: dict[str, Any]) -> None:
            self._heard = None  # the next ones wait for `hear`
            if not answer.done():
                answer.set_result(message)

        self._heard = first
        try:
            async with asyncio.timeout(_START_PATIENCE):
                message = await answer
        except TimeoutError:
            raise ProcessLost("the shim does not answer") from None
        if not message:
            raise ProcessLost("the shim was killed while it started a program")
        self.pid, self.shim = message.get("pid", 0), message.get("shim", 0)
        return message

    def hear(self, heard: Callable[[dict[str, Any]], object]) -> None:
        """Call this with each message of the shim from here on; the last one is empty."""
        self._heard = heard
        while self._messages:
            heard(self._messages.pop(0))

    def close(self) -> None:
        """Leave the shim; it ends what it holds."""
        if job := self._let_go():
            job.close()

    def release(self) -> None:
        """Nothing is left of it: the shim is ready for another program."""
        if self.keep:
            self.close()
        elif job := self._let_go():
            self._supervisor.give_back(job)

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
        assert self._job is not None
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
        while self._messages and self._heard:
            self._heard(self._messages.pop(0))

    def poll(self) -> int | None:
        """Its return code; None while it runs."""
        return self.returncode

    def send_signal(self, number: int, *, family: bool = False, kill_in: float | None = None) -> None:
        """Have the shim send a signal, and SIGKILL to the family after so many seconds. From any thread."""
        order = {"signal": {"number": number, "family": family, "kill_in": kill_in}}
        with self._lock, contextlib.suppress(OSError):  # the shim has just ended
            if self._job is not None and number:
                self._job.send(json.dumps(order).encode() + b"\n")
                self._supervisor.wake(self.shim)

    def kill(self) -> None:
        """SIGKILL to the program."""
        self.send_signal(signals.SIGKILL)


class Transport(BaseSubprocessTransport):
    """asyncio's transport, of a program that is no child of ours."""

    _protocol: Any
    _proc: Any
    _returncode: int | None

    def _start(self, args: Any, shell: Any, stdin: Any, stdout: Any, stderr: Any, bufsize: Any, **kwargs: Any) -> None:
        self._proc = kwargs["program"]
        self.program: Program = kwargs["program"]

    def send_signal(self, signal: int) -> None:
        if self._proc is None:
            raise ProcessLookupError
        self._proc.send_signal(signal)

    def terminate(self) -> None:
        self.send_signal(signals.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signals.SIGKILL)

    def close(self) -> None:
        if self.program.keep:
            self._proc = None  # asyncio's close would kill it
        super().close()

    def hear(self, message: dict[str, Any]) -> None:
        """What the shim says."""
        if "exit" in message:
            self._protocol.usage = Usage(*message["usage"])
            self._process_exited(message["exit"])
        elif not message and self._returncode is None:
            self.close()
            self._protocol.process_lost(
                ProcessLost(f"process {self.get_pid()} was lost: its shim was killed, and the program with it")
            )


async def _start(
    protocol: Callable[[], P],
    args: list[str],
    *,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    cwd: Any = None,
    env: Mapping[str, str] | None = None,
    start_new_session: bool = True,
    log: Log | None = None,
    keep: bool = False,
    **others: Any,
) -> tuple[asyncio.SubprocessTransport, P]:
    if wrong := [f"{name}={value!r}" for name, value in others.items() if value or name == "text"]:
        raise ValueError(f"{', '.join(wrong)}: the supervised launcher takes cwd and env")
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours_if_it_fails:
        stdio, fds, pipes = _streams((stdin, stdout, stderr), theirs, ours_if_it_fails)
        written = None
        if log:
            fd, written = log.handed_over()
            written["fd"] = len(fds)
            fds.append(fd)
        first_lock = len(fds)
        if keep:
            fds += storage.locks()  # while they are open, nobody clears the directory of the log
        if not is_ready() or _supervisor is None:
            raise ProcessLost("no supervisor can be started")
        ours = _supervisor
        program = Program(ours, ours.take_shim(), loop, log, keep=keep)
        theirs.callback(ours.give_back, None)
        ours_if_it_fails.callback(program.close)
        where = os.path.join(os.getcwd(), os.fsdecode(cwd or ""))
        request = {
            "args": args,
            "cwd": where,
            "env": dict(os.environ) if env is None else {os.fsdecode(k): os.fsdecode(v) for k, v in env.items()},
            "umask": _umask(),
            "limits": [*((kind, resource.getrlimit(kind)) for kind in _LIMITS), (mark.KIND, program.mark)],
            "keep": [*range(first_lock, len(fds))] if keep else None,
            "stdio": stdio,
            "log": written,
        }
        program.ask({"start": request}, fds)
        started = await program.started()
        theirs.close()
        if "errno" in started:
            program.release()
            raise OSError(started["errno"], started["text"], started["file"])
        program.stdin, program.stdout, program.stderr = pipes
        made = protocol()
        waiter = loop.create_future()
        transport = Transport(loop, made, args, False, stdin, stdout, stderr, 0, waiter=waiter, program=program)
        ours_if_it_fails.pop_all()
        program.hear(transport.hear)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
    return transport, made


def _streams(
    targets: Sequence[Any], theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[list[int | str], list[int], list[BinaryIO | None]]:
    """For each stream what the shim makes of it (see `shim`); the descriptors for that; our ends of the pipes."""
    stdio: list[int | str] = []
    fds: list[int] = []
    pipes: list[BinaryIO | None] = []
    for number, target in enumerate(targets):
        pipe: BinaryIO | None = None
        if target in (LOG, subprocess.STDOUT):
            stdio.append("log" if target == LOG else "stdout")
            pipes.append(pipe)
            continue
        if target == subprocess.PIPE:
            read_end, write_end = os.pipe()
            fds.append(read_end if number == 0 else write_end)
            theirs.callback(os.close, fds[-1])
            pipe = open(write_end if number == 0 else read_end, "wb" if number == 0 else "rb", buffering=0)  # noqa: SIM115
            ours.callback(pipe.close)
        elif target == subprocess.DEVNULL:
            fds.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            theirs.callback(os.close, fds[-1])
        elif target is None:
            fds.append(number)
        else:
            fds.append(target if isinstance(target, int) else target.fileno())
        stdio.append(len(fds) - 1)
        pipes.append(pipe)
    return stdio, fds, pipes


def _umask() -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)  # `open` takes thrice as long
        try:
            return int(os.read(status, 256).split(b"Umask:")[1].split(maxsplit=1)[0], 8)
        finally:
            os.close(status)
    return 0o022


class ShimFamily(Family):
    """What a shim holds: the program and every descendant, daemons included."""

    is_threadsafe = True

    def __init__(self, process: Process, program: Program) -> None:
        super().__init__(process, own_session=True)
        self._program = program

    def alive(self) -> set[psutil.Process]:
        """Look for the family now: all its processes that still run (zombies do not)."""
        import psutil  # late: the import of ipyproc loads the standard library only

        found = set()
        if self._program.has_family:
            for pid in descendants.of(self._program.shim):
                with contextlib.suppress(psutil.Error):
                    found.add(psutil.Process(pid))
        return {each for each in found if runs(each)}

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; the number of processes that were there. The shim does it, and the kill."""
        there = len(descendants.of(self._program.shim)) if self._program.has_family else 0
        self._program.send_signal(number, family=True, kill_in=kill_in)
        return there

    def left(self) -> int:
        """How many processes are left of it, now that the program has ended."""
        return len(self.alive())

    async def gone(self) -> None:
        """Wait until nothing of it is left."""
        if not self._program.gone.done():
            await asyncio.wait([self._program.gone])

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether anything of it may run; what is to be kept is let alone."""
        return self._program.has_family and not self._program.keep


def family(process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
    """What the shim holds."""
    assert isinstance(transport, Transport)
    return ShimFamily(process, transport.program)
