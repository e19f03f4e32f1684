"""The processes of this machine: their parents and sessions, and whether we may signal them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

Table = Mapping[int, tuple[int, int | None]]
"""For each pid: the pid of its parent, and its session (None where the system has no sessions)."""

_RECENT = 1.0  # seconds
_SHARE = 0.02  # of the time that may be spent on reading the table

_latest: tuple[float, float, Table] = (0.0, 0.0, {})  # when it was read, in `time.monotonic()`; how long that took


def now() -> Table:
    """The table as it is now; reading it takes some 15 µs for each process of the machine.

    Raises:
        OSError: it cannot be read here.
    """
    global _latest
    began = time.monotonic()
    if not is_ours():
        raise FileNotFoundError("the process table cannot be read")
    table = _read_proc() if sys.platform == "linux" else _ask_psutil()
    _latest = began, time.monotonic() - began, table
    return table


def is_ours() -> bool:
    """Whether the table shows the processes that we can signal: there may be no /proc, or that of another namespace."""
    try:
        return sys.platform != "linux" or os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def recent() -> Table:
    """A table that may be a little old: it is read again at most once a second, and less often where that takes long.

    Raises:
        OSError: it cannot be read here.
    """
    taken_at, took, table = _latest
    return table if table and time.monotonic() < taken_at + max(_RECENT, took / _SHARE) else now()


def _read_proc() -> Table:
    """Read /proc, see proc_pid_stat(5). psutil does so too but reads more, and takes five times as long."""
    table: dict[int, tuple[int, int | None]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
            try:
                words = os.read(fd, 512).rpartition(b")")[2].split(maxsplit=4)
            finally:
                os.close(fd)
        except OSError:
            continue  # it has just ended
        table[int(name)] = int(words[1]), int(words[3])
    return table


def _ask_psutil() -> Table:
    import psutil  # late: the import of ipyproc loads the standard library only

    return {each.pid: (each.info["ppid"] or 0, session_of(each.pid)) for each in psutil.process_iter(["ppid"])}


def session_of(pid: int) -> int | None:
    """The session of a process; None when it has just ended, or where there are no sessions."""
    try:
        return os.getsid(pid) if sys.platform != "win32" else None
    except OSError:
        return None


def may_signal(pid: int) -> bool:
    """Whether the operating system lets us send this process a signal; True also if it has ended."""
    try:
        if sys.platform != "win32":
            os.kill(pid, 0)
    except PermissionError:
        return False
    except OSError:
        pass
    return True


def sessions() -> set[int | None]:
    """The sessions that any process is in; none where the process table cannot be read."""
    try:
        return {session for _, session in now().values()}
    except OSError:
        return set()
