"""What a child of this thread would inherit, and a message cannot hand over. Linux, standard library.

A program is not a child of this process but of a shim, which was forked by a supervisor that was started some time ago. So
the program would miss what has changed here since: the priority, the cores it may run on, the user. A process cannot adopt
most of that from another one, nor undo all of it. So a supervisor is used as long as a child of this thread would inherit
the same as it did; after that, another one is started.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import resource
import sys
from typing import Any, NamedTuple

from .held import mark

_LIMITS = sorted({getattr(resource, each) for each in dir(resource) if each.startswith("RLIMIT_")} - {mark.KIND})
_OF_STATUS = (b"Uid", b"Gid", b"Groups", b"Cap", b"NoNewPrivs", b"Seccomp", b"Spec", b"Cpus_", b"Mems_", b"THP_")
_USUAL_IO_PRIORITIES = ((0, 0), (2, 4))  # none, and the default that none stands for
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children", "user", "uts")


class Inheritance(NamedTuple):
    """What a child would inherit now."""

    umask: int
    limits: list[tuple[int, tuple[int, int]]]
    """Pairs of a kind and its soft and hard limit. These and the umask can be handed over in a message."""
    rest: tuple[Any, ...]
    """All else, to be compared with what a supervisor has inherited."""


def look() -> Inheritance:
    """What a child of this thread would inherit now.

    Raises:
        OSError: this process has too many open files to find out.
    """
    status = _read("thread-self/status").splitlines()
    umask = next((int(line.split()[1], 8) for line in status if line.startswith(b"Umask:")), 0o022)
    limits = [(kind, resource.getrlimit(kind)) for kind in _LIMITS]
    rest = (
        *(line for line in status if line.startswith(_OF_STATUS)),
        *(hard for _, (_, hard) in limits),  # a hard limit that was raised from outside cannot be raised in a shim
        os.getresuid(),
        os.getresgid(),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getscheduler(0),
        os.sched_getparam(0).sched_priority,
        _io_priority(os.getpid()),
        _read("self/oom_score_adj"),
        _read("self/cgroup"),
        os.stat("/")[1:3],  # inode and device: chroot(2)
        *map(_namespace, _NAMESPACES),
    )
    return Inheritance(umask, limits, rest)


def _read(name: str) -> bytes:
    try:
        fd = os.open(f"/proc/{name}", os.O_RDONLY | os.O_CLOEXEC)  # `open` takes three times as long
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # else it would look as if something had changed
            raise
        return b""
    try:
        return os.read(fd, 1 << 16)
    finally:
        os.close(fd)


def _namespace(kind: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/thread-self/ns/{kind}")
    return ""


def _io_priority(pid: int) -> tuple[int, int] | None:
    """Class and value of the I/O priority; None if it is the usual one.

    Also None if psutil is not loaded: importing it takes long, and whoever has set the priority most likely used psutil.
    """
    if "psutil" not in sys.modules:
        return None
    import psutil

    with contextlib.suppress(psutil.Error):  # refused by a sandbox
        known = tuple(_process(pid).ionice())
        return known if known not in _USUAL_IO_PRIORITIES else None
    return None


@functools.lru_cache(maxsize=1)  # a forked child has another pid
def _process(pid: int) -> Any:
    import psutil

    return psutil.Process(pid)
