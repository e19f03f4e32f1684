"""A mark that a program hands down to all its descendants, and by which this process finds them when nobody else can.

A daemon may have a session and an environment of its own, and has no parent any more when its guards were killed. Its limits
it has kept. So the mark is a limit, the soft one for CPU time in real-time scheduling without a pause (RLIMIT_RTTIME, in
microseconds): a number that nobody else has, and beyond any time that could be reached. Linux, standard library.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal

KIND = resource.RLIMIT_RTTIME
_LEAST = 1 << 62  # microseconds: 146,000 years
_ROUNDS = 100


def new() -> tuple[int, int]:
    """A limit that is a mark; where somebody has set a hard limit, that, which is none."""
    hard = resource.getrlimit(KIND)[1]
    return (_LEAST | secrets.randbits(61) if hard == resource.RLIM_INFINITY else hard, hard)


def kill(mark: int) -> int:
    """Kill all processes that have this mark, and what they start meanwhile; how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has(pid, mark)} - killed
        if mark < _LEAST or not found:
            break
        killed |= found
        for pid in found:
            with contextlib.suppress(OSError):  # it has just ended
                process = os.pidfd_open(pid)
                try:
                    if _has(pid, mark):  # so the one that we hold is no stranger, who got its pid
                        signal.pidfd_send_signal(process, signal.SIGKILL)
                finally:
                    os.close(process)
    return len(killed)


def _has(pid: int, mark: int) -> bool:
    try:
        return resource.prlimit(pid, KIND)[0] == mark
    except OSError:  # it has just ended, or is another user's
        return False
