"""What a supervisor and a shim have in common: both guard processes, and watch others. Linux, standard library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from .poll_loop import Callback, PollLoop

POLL = 1.0
"""Seconds between two looks at the parent, for where nothing wakes us."""
KILL_PATIENCE = 5.0
"""Seconds; what is stuck in the operating system by then is left."""
KEPT = "ipyproc-kept"
"""The name of a shim (proc_pid_comm(5)) whose program is to be kept."""
_SET_PDEATHSIG, _SET_NAME, _SET_CHILD_SUBREAPER = 1, 15, 36  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """From now on, whatever of our descendants loses its parent becomes our child. Raises OSError where it may not be."""
    if _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) is refused")


def go_on_at_end_of_parent() -> None:
    """If somebody has stopped us (SIGSTOP), let us go on when our parent ends: then there is something to do."""
    _libc.prctl(_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def rename(name: str) -> None:
    """Be called this in lists of processes: 15 characters at most."""
    _libc.prctl(_SET_NAME, name.encode(), 0, 0, 0)


def watch(pid: int, loop: PollLoop, gone: Callback) -> int | None:
    """Call `gone` when this process ends; the descriptor, or None where there is none to have: there we poll."""
    try:
        fd = os.pidfd_open(pid)
    except (OSError, AttributeError):  # refused by a sandbox; no part of a Python built for an older Linux (conda, uv)
        return None
    loop.add_reader(fd, gone)
    return fd


def wake_on_child(loop: PollLoop) -> tuple[int, int]:
    """Let the loop wake up when a child has ended; the two descriptors. SIGCHLD must have a handler."""
    read_end, write_end = os.pipe()
    for fd in (read_end, write_end):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def empty() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(read_end, 512)

    loop.add_reader(read_end, empty)
    return read_end, write_end
