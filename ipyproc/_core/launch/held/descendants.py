"""The descendants of a process by /proc, and what is done to them. Linux, standard library.

A kernel may lack the lists of children (proc_pid_task_children(5) needs CONFIG_PROC_CHILDREN, and gVisor has none): then the
parent of every process is looked up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Iterable

from ... import process_table

_ROUNDS = 100  # how often is looked again, where something changes all the time
_FREEZE_PATIENCE = 0.5  # seconds in which processes have to stop


def children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads has forked them; none if it is gone."""
    return _listed(pid) if _has_lists() else _all_children().get(pid, [])


def of(*pids: int) -> list[int]:
    """All descendants of these processes, children before grandchildren."""
    children_of = _listed if _has_lists() else functools.partial(_lookup, _all_children())
    found: list[int] = []
    todo = list(pids)
    while todo:
        new = children_of(todo.pop(0))
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


def freeze(pid: int) -> None:
    """Stop all descendants of a process (SIGSTOP), and what they fork meanwhile; returns when they have stopped.

    A process that is just forking stops behind that, and the new one goes on: so they are looked at until all have stopped.
    """
    told: set[int] = set()
    deadline = time.monotonic() + _FREEZE_PATIENCE
    while True:
        there = set(of(pid))
        send_signal(there - told, signal.SIGSTOP)
        if there <= told and all(map(_has_stopped, there)) and set(of(pid)) <= told:
            break  # none of them was running when it was looked for more
        told |= there
        if time.monotonic() > deadline:
            break  # a debugger has it, or the operating system
        time.sleep(0.0005)


def kill(pids: list[int]) -> None:
    """Freeze them all, then kill them: none can fork meanwhile."""
    send_signal(pids, signal.SIGSTOP)
    send_signal(pids, signal.SIGKILL)


def _has_stopped(pid: int) -> bool:
    """Whether it can fork nothing now; so is what we may not signal, for it will never stop."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split(maxsplit=1)[0]  # proc_pid_stat(5)
    except OSError:
        return True  # it has just ended
    return state in b"TtZX" or not process_table.may_signal(pid)


@functools.cache
def _has_lists() -> bool:
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _listed(pid: int) -> list[int]:
    found: list[int] = []
    for _ in range(_ROUNDS):
        found = []
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return []
        try:
            for thread in threads:
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # this thread has just ended, and its children are another one's now
        break
    return found


def _all_children() -> dict[int, list[int]]:
    """The children of every process."""
    found: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):  # there is no /proc any more
        for pid, (parent, _) in process_table.now().items():
            found.setdefault(parent, []).append(pid)
    return found


def _lookup(table: dict[int, list[int]], pid: int) -> list[int]:
    return table.get(pid, [])
