"""A mark that all descendants of a program inherit, by which the kernel finds them when supervisor and shim were killed.

A daemon may have its own session and environment, and has lost its parent when both were killed; but it has kept its
limits. So the mark is a limit: the soft RLIMIT_RTTIME (microseconds of CPU time in real-time scheduling without a blocking
call), set to a unique number that no process could ever reach. Linux, standard library.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal

KIND = 15  # RLIMIT_RTTIME of Linux; a number, because a Mac imports this too, whose `resource` does not have it
_LEAST = 1 << 62  # microseconds, 146,000 years; a mark is at least this, and less than twice as much
_ROUNDS = 100


def new() -> tuple[int, int]:
    """The soft and the hard limit for a new mark; if a hard limit is set already, that one as both, which is no mark."""
    hard = resource.getrlimit(KIND)[1]
    return (_LEAST | secrets.randbits(61) if hard == resource.RLIM_INFINITY else hard, hard)


def kill(mark: int) -> int:
    """Kill all processes with this mark, and what they start meanwhile; returns how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS if _LEAST <= mark < 2 * _LEAST else 0):
        found = {pid for pid in _pids() if _has(pid, mark)} - killed
        if not found:
            break
        killed |= found
        for pid in found:
            if _has(pid, mark):  # checked again, as another process may have got the pid
                with contextlib.suppress(OSError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
    return len(killed)


def _pids() -> list[int]:
    with contextlib.suppress(OSError):  # too many open files; or there is no /proc any more
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return []


def _has(pid: int, mark: int) -> bool:
    try:
        return resource.prlimit(pid, KIND)[0] == mark
    except OSError:  # it has just ended, or is another user's
        return False
