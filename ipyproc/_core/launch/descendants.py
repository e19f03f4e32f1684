"""The descendants of a process by /proc, and what is done to them. Linux, standard library."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable


def children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads has forked them; none if it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has just ended
    return found


def of(*pids: int) -> list[int]:
    """All descendants of these processes, children before grandchildren."""
    found: list[int] = []
    todo = list(pids)
    while todo:
        new = children(todo.pop(0))
        found += new
        todo += new
    return found


def send_signal(pids: Iterable[int], number: int, *, wake: bool = False) -> None:
    """Send a signal; `wake`: and SIGCONT, for what is stopped could not act on it."""
    for pid in pids:
        try:
            os.kill(pid, number)
            if wake and number not in (signal.SIGSTOP, signal.SIGCONT):
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass  # it has just ended, or runs as another user now


def kill(pids: list[int]) -> None:
    """Freeze them all, then kill them: none can fork meanwhile."""
    send_signal(pids, signal.SIGSTOP)
    send_signal(pids, signal.SIGKILL)
