"""Find the descendants of a process in /proc, signal them, and kill them. Linux, standard library.

An operating system may lack the lists of children (proc_pid_task_children(5) needs CONFIG_PROC_CHILDREN, and gVisor has
none): then the parent of every process is looked up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Iterable

from ... import process_table

_ROUNDS = 100  # attempts to read lists that change meanwhile
_FREEZE_PATIENCE = 0.5  # seconds that processes have to stop


def children(pid: int) -> list[int]:
    """The children of a process, by any of its threads; empty if the process is gone."""
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
    """Send a signal to each of these processes; `wake`: also SIGCONT, because a stopped process would not react."""
    for pid in pids:
        try:
            os.kill(pid, number)
            if wake and number not in (signal.SIGSTOP, signal.SIGCONT):
                os.kill(pid, signal.SIGCONT)
        except OSError:
            pass  # it has just ended, or runs as another user


def freeze(pid: int) -> None:
    """Stop all descendants of a process (SIGSTOP), and what they fork meanwhile; returns when all have stopped.

    A process that is just forking stops only after that, and its new child runs on: so this looks again until all have
    stopped. It gives up after `_FREEZE_PATIENCE`.
    """
    told: set[int] = set()
    deadline = time.monotonic() + _FREEZE_PATIENCE
    while True:
        there = set(of(pid))
        send_signal(there - told, signal.SIGSTOP)
        if there <= told and all(map(_has_stopped, there)) and set(of(pid)) <= told:
            break  # all had stopped before the last look, so there can be no new ones
        told |= there
        if time.monotonic() > deadline:
            break  # one is held by a debugger, or stuck in the operating system
        time.sleep(0.0005)


def kill(pids: list[int]) -> None:
    """Stop all of these processes, then kill them, so that none can fork meanwhile."""
    send_signal(pids, signal.SIGSTOP)
    send_signal(pids, signal.SIGKILL)


def _has_stopped(pid: int) -> bool:
    """Whether a process cannot fork now; also true if it may not be signalled, because it will never stop."""
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
            continue  # this thread has just ended, and another one has its children now
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
