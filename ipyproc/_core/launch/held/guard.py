"""What supervisor and shim have in common: they become sub-reapers, and watch other processes. Linux, standard library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from .poll_loop import Callback, PollLoop

POLL = 1.0
"""Seconds between two checks that the parent is alive, in case nothing else tells of its end."""
KILL_PATIENCE = 5.0
"""Seconds to go on killing; what has not ended by then is stuck in the operating system, and is left alone."""
KEPT = "ipyproc-kept"
"""The name of a shim (proc_pid_comm(5)) whose program is to be kept."""
_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER = 1, 15, 36  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """From now on, a descendant of this process that loses its parent becomes its child. Raises OSError if that is refused."""
    if _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) is refused")


def go_on_at_end_of_parent() -> None:
    """If this process was stopped (SIGSTOP), resume it when its parent ends, because then it has work to do."""
    _libc.prctl(_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def rename(name: str) -> None:
    """Set the name of this process in lists of processes: at most 15 characters."""
    _libc.prctl(_SET_NAME, name.encode(), 0, 0, 0)


def watch(pid: int, loop: PollLoop, gone: Callback) -> int | None:
    """Call `gone` when this process ends. Returns the pidfd for that, or None where there are none, and polling has to do."""
    try:
        fd = os.pidfd_open(pid)
    except (OSError, AttributeError):  # refused by a sandbox; missing in a Python built for an older Linux (conda, uv)
        return None
    loop.add_reader(fd, gone)
    return fd


def wake_on_child(loop: PollLoop) -> tuple[int, int]:
    """Wake the loop when a child has ended; returns the two descriptors for that. SIGCHLD must have a handler."""
    read_end, write_end = os.pipe()
    for fd in (read_end, write_end):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def empty() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(read_end, 512)

    loop.add_reader(read_end, empty)
    return read_end, write_end
