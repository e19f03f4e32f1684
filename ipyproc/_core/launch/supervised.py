"""The launcher of Linux: one supervisor for this process, and for each program a shim that owns all its descendants.

Its promise: nothing of a program outlives this process, however that ends (see `supervisor`); its end is known when it
ends; a signal to the family reaches daemons too. The program is no child of this process but of its shim: `pid` is its
own all the same, and what asyncio gives (streams, back-pressure, return codes) is made of asyncio's own parts.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import resource
import signal as signals
import socket
import struct
import subprocess
import sys
import threading
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ProcessLost
from ..family import Family, runs
from .base import P

if TYPE_CHECKING:
    import psutil

    from ..process import Process

name = "supervised"

_PATIENCE = 5.0  # seconds in which a supervisor or a shim has to answer
_SCRIPT = Path(__file__).with_name("supervisor.py")
_LIMITS = [getattr(resource, each) for each in dir(resource) if each.startswith("RLIMIT_")]


class Supervisor:
    """The supervisor of this process, as seen from here. Started at once; ready a little later."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self.pid = os.getpid()  # whose it is: a forked child has none
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT), str(theirs.fileno()), str(self.pid)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # no interrupt for the kernel reaches it
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._control.settimeout(_PATIENCE)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Supervisor {self._process.pid} of process {self.pid}>"

    @property
    def process(self) -> int:
        """Its pid."""
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether a shim waits for a program; blocks for the moment that none is ready yet."""
        with self._lock, contextlib.suppress(OSError):
            return self._process.poll() is None and self._control.recv(1, socket.MSG_PEEK) == b"S"
        return False

    def take_shim(self) -> socket.socket:
        """The job socket of a shim that waits for a program. Raises OSError if there is none: the supervisor is gone."""
        with self._lock:
            word, fds, _, _ = socket.recv_fds(self._control, 1, 1)
            if not word:
                raise BrokenPipeError("the supervisor is gone")
            job = socket.socket(fileno=fds[0])
            job.set_inheritable(False)
            job.setblocking(False)
            with contextlib.suppress(OSError):  # the supervisor is gone, which the next start will notice
                self._control.send(b"N")
        return job

    def close(self) -> None:
        """End it, and every program with it; blocks until it has ended, for one second at most. Idempotent."""
        if os.getpid() != self.pid:
            return  # a forked child must not end what is its parent's
        atexit.unregister(self.close)
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)


_supervisor: Supervisor | None = None


def prepare() -> None:
    """Start the supervisor of this process, if there is none; it gets ready in the background."""
    global _supervisor
    if _supervisor is None or _supervisor.pid != os.getpid():
        with contextlib.suppress(OSError):
            _supervisor = Supervisor()
            atexit.register(_supervisor.close)


def is_ready() -> bool:
    """Whether a program can be started now; a supervisor that was killed or does not answer is replaced, once."""
    for _ in range(2):
        prepare()
        if _supervisor is not None and _supervisor.is_ready():
            return True
        close()
    return False


def close() -> None:
    """End the supervisor of this process, and with it every program that it started."""
    global _supervisor
    if _supervisor is not None:
        _supervisor.close()
    _supervisor = None


def supervisor_pid() -> int | None:
    """The pid of the supervisor of this process."""
    return _supervisor.process if _supervisor is not None and _supervisor.pid == os.getpid() else None


async def exec(
    protocol: Callable[[], P], program: Any, *args: Any, **popen: Any
) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a program, in a session of its own always. Of the keywords of Popen it takes `cwd` and `env`."""
    return await _start(protocol, [os.fsdecode(word) for word in (program, *args)], **popen)


async def shell(protocol: Callable[[], P], cmd: str | bytes, **popen: Any) -> tuple[asyncio.SubprocessTransport, P]:
    """Start a command line with /bin/sh."""
    return await _start(protocol, ["/bin/sh", "-c", os.fsdecode(cmd)], **popen)


class Program:
    """A program that a shim holds; stands where asyncio expects a `subprocess.Popen`."""

    pid = shim = 0  # until it has started

    def __init__(self, job: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.returncode: int | None = None
        self.stdin: BinaryIO | None = None
        self.stdout: BinaryIO | None = None
        self.stderr: BinaryIO | None = None
        self._heard: Callable[[dict[str, Any]], object] | None = None
        self._job: socket.socket | None = job
        self._lock = threading.Lock()  # a signal may come from another thread
        self._loop = loop
        self._begun = b""  # of a line
        self._messages: list[dict[str, Any]] = []  # that nobody has heard yet
        loop.add_reader(job.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<Program {self.pid} held by shim {self.shim}>"

    @property
    def has_family(self) -> bool:
        """Whether anything of its family may be left."""
        return self._job is not None

    async def started(self) -> dict[str, Any]:
        """The first message of the shim."""
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()

        def first(message: dict[str, Any]) -> None:
            self._heard = None  # the next ones wait for `hear`
            if not answer.done():
                answer.set_result(message)

        self._heard = first
        try:
            async with asyncio.timeout(_PATIENCE):
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
        with self._lock:
            if self._job is not None:
                self._loop.remove_reader(self._job.fileno())
                self._job.close()
                self._job = None

    def _read(self) -> None:
        assert self._job is not None
        try:
            data = self._job.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        if not data:
            self.close()
            lines.append(b"{}")
        self._messages += map(json.loads, lines)
        while self._messages and self._heard:
            self._heard(self._messages.pop(0))

    def poll(self) -> int | None:
        """Its return code; None while it runs."""
        return self.returncode

    def send_signal(self, number: int, *, family: bool = False) -> None:
        """Have the shim send a signal."""
        with self._lock, contextlib.suppress(OSError):  # the shim has just ended
            if self._job is not None and number:
                self._job.send((b"f" if family else b"p") + bytes([number]))

    def kill(self) -> None:
        """SIGKILL to the program."""
        self.send_signal(signals.SIGKILL)


class _Transport(BaseSubprocessTransport):
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

    def hear(self, message: dict[str, Any]) -> None:
        """What the shim says."""
        if "exit" in message:
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
    **others: Any,
) -> tuple[asyncio.SubprocessTransport, P]:
    if wrong := [f"{name}={value!r}" for name, value in others.items() if value or name == "text"]:
        raise ValueError(f"{', '.join(wrong)}: the supervised launcher takes stdin, stdout, stderr, cwd and env")
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours_if_it_fails:
        fds, pipes = _streams((stdin, stdout, stderr), theirs, ours_if_it_fails)
        if not is_ready() or _supervisor is None:
            raise ProcessLost("no supervisor can be started")
        job = _supervisor.take_shim()
        program = Program(job, loop)
        ours_if_it_fails.callback(program.close)
        where = os.path.join(os.getcwd(), os.fsdecode(cwd or ""))
        request = {
            "args": args,
            "cwd": where,
            "env": {
                os.fsdecode(key): os.fsdecode(value) for key, value in (os.environ if env is None else env).items()
            },
            "umask": _umask(),
            "limits": [(kind, resource.getrlimit(kind)) for kind in _LIMITS],
        }
        _ask(job, request, fds)
        theirs.close()
        started = await program.started()
        if "errno" in started:
            raise OSError(started["errno"], os.strerror(started["errno"]), started["file"])
        program.stdin, program.stdout, program.stderr = pipes
        made = protocol()
        waiter = loop.create_future()
        transport = _Transport(loop, made, args, False, stdin, stdout, stderr, 0, waiter=waiter, program=program)
        ours_if_it_fails.pop_all()
        program.hear(transport.hear)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
    return transport, made


def _ask(job: socket.socket, request: Mapping[str, Any], fds: Sequence[int]) -> None:
    """Have the program started; a large environment is more than a socket takes at once."""
    body = json.dumps(request).encode()
    job.settimeout(_PATIENCE)
    data = struct.pack(">I", len(body)) + body
    sent = socket.send_fds(job, [data], fds)
    if sent < len(data):
        job.sendall(data[sent:])
    job.setblocking(False)


def _streams(
    targets: Sequence[Any], theirs: contextlib.ExitStack, ours: contextlib.ExitStack
) -> tuple[list[int], list[BinaryIO | None]]:
    """The descriptors for the program, and our ends of the pipes."""
    fds: list[int] = []
    pipes: list[BinaryIO | None] = []
    for number, target in enumerate(targets):
        pipe: BinaryIO | None = None
        if target == subprocess.PIPE:
            read_end, write_end = os.pipe()
            fds.append(read_end if number == 0 else write_end)
            theirs.callback(os.close, fds[-1])
            pipe = open(write_end if number == 0 else read_end, "wb" if number == 0 else "rb", buffering=0)  # noqa: SIM115
            ours.callback(pipe.close)
        elif target == subprocess.DEVNULL:
            fds.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            theirs.callback(os.close, fds[-1])
        elif target == subprocess.STDOUT:
            fds.append(fds[1])
        elif target is None:
            fds.append(number)
        else:
            fds.append(target if isinstance(target, int) else target.fileno())
        pipes.append(pipe)
    return fds, pipes


def _umask() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
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
        with contextlib.suppress(psutil.Error):
            if self._program.has_family:
                found = {each for each in psutil.Process(self._program.shim).children(recursive=True) if runs(each)}
        return found

    def send_signal(self, number: int, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; the number of processes that were there. The shim does it.

        `kill_in`: seconds after which what is left gets SIGKILL.
        """
        there = len(_descendants(self._program.shim)) if self._program.has_family else 0
        self._program.send_signal(number, family=True)
        return there

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether anything of it may run."""
        return self._program.has_family


def _descendants(pid: int) -> list[int]:
    """All that descends from a process, in few steps: beside a busy thread each may wait (psutil needs 1 s and more)."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):  # what a thread has forked is listed there alone
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                children = file.read().split()
            for child in map(int, children):
                found += [child, *_descendants(child)]
    return found


def family(process: Process, transport: asyncio.SubprocessTransport, *, own_session: bool) -> Family:
    """What the shim holds."""
    assert isinstance(transport, _Transport)
    return ShimFamily(process, transport.program)
