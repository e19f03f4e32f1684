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

KIND = 15  # RLIMIT_RTTIME of Linux; a Mac that starts programs elsewhere imports this too, and its `resource` has none
_LEAST = 1 << 62  # microseconds: 146,000 years; a mark is less than twice that
_ROUNDS = 100


def new() -> tuple[int, int]:
    """A limit that is a mark; where somebody has set a hard limit, that, which is none."""
    hard = resource.getrlimit(KIND)[1]
    return (_LEAST | secrets.randbits(61) if hard == resource.RLIM_INFINITY else hard, hard)


def kill(mark: int) -> int:
    """Kill all processes that have this mark, and what they start meanwhile; how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS if _LEAST <= mark < 2 * _LEAST else 0):
        found = {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has(pid, mark)} - killed
        if not found:
            break
        killed |= found
        for pid in found:
            if _has(pid, mark):  # now, so it is no stranger who got its pid
                with contextlib.suppress(OSError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
    return len(killed)


def _has(pid: int, mark: int) -> bool:
    try:
        return resource.prlimit(pid, KIND)[0] == mark
    except OSError:  # it has just ended, or is another user's
        return False
