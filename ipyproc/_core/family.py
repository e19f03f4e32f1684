"""The family of a program: the program and all its descendants, as far as they can be found without a supervisor.

Found are the descendants that are still linked to the program by parent, and (where the program has its own
session) everything in that session, also when the program itself has ended. A descendant that has made a session
of its own *and* lost its parent is not found: that takes a supervisor.

A signal never hits a stranger that was given a pid of the family later: the program's own pid counts only while the
program has not ended, every other process is remembered by pid and start time (`psutil`), and a session whose number
is a living process that is not the program is not ours any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

    from .process import Process

_ROUNDS = 10  # how often a kill looks again for processes forked meanwhile


class Family:
    """A program and its descendants. `own_session`: it was started in a session of its own."""

    is_threadsafe = False
    """Whether `send_signal` may be called in any thread, and not on the event loop of the process alone."""

    def __init__(self, process: Process, *, own_session: bool) -> None:
        self.pid = process.pid
        self._process = weakref.ref(process)  # a family may be known longer than its process, and must not hold its log
        self._own_session = own_session
        self._known: set[psutil.Process] = set()

    def __repr__(self) -> str:
        return f"<Family of process {self.pid}: {len(self.alive())} alive>"

    @property
    def has_program(self) -> bool:
        """Whether the program itself has not ended, so that its pid is its own."""
        process = self._process()
        return process is not None and not process.is_over

    def measure(self) -> tuple[float, int, int, bool]:
        """Seconds of CPU, resident bytes and number of all that run now; whether the program is paused.

        CPU is with that of children that were waited for: what a child took moves there when it ends. What processes
        share counts for each.
        """
        import psutil  # late: the import of ipyproc loads the standard library only

        used, memory, count, paused = 0.0, 0, 0, False
        for member in self.alive():
            try:
                with member.oneshot():
                    used += sum(member.cpu_times()[:4])
                    memory += member.memory_info().rss
                    if member.pid == self.pid:
                        paused = member.status() == psutil.STATUS_STOPPED
                count += 1
            except psutil.Error:
                continue  # it has just ended, or is another user's
        return used, memory, count, paused

    def is_alive(self) -> bool:
        """Whether anything of it runs now."""
        return bool(self.alive())

    def left(self) -> int:
        """How many processes are left of it, now that the program has ended; 0 where nobody can tell at once."""
        return 0

    async def gone(self) -> None:
        """Wait until nothing of it is left; at once where nobody can tell."""

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether anything of it may run; `sessions` are those that any process is in."""
        return self.has_program or self.pid in sessions

    def alive(self) -> set[psutil.Process]:
        """Look for the family now: all its processes that still run (zombies do not)."""
        import psutil  # late: the import of ipyproc loads the standard library only

        found = {member for member in self._known if runs(member)}
        children: dict[int, list[psutil.Process]] = {}
        ours = self.has_program
        session = self.pid if self._own_session and (ours or not psutil.pid_exists(self.pid)) else None
        for process in psutil.process_iter(["ppid"]):
            children.setdefault(process.info["ppid"], []).append(process)
            if (process.pid == self.pid and ours) or (session is not None and session_of(process.pid) == session):
                found.add(process)
        parents = list(found)
        while parents:
            parent = parents.pop()
            with contextlib.suppress(psutil.Error):
                born = parent.create_time()
                new = [child for child in children.get(parent.pid, ()) if child.create_time() >= born]
                parents += [child for child in new if child not in found]
                found.update(new)
        self._known = {member for member in found if runs(member)}
        return self._known

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; the number of processes that were reached.

        `kill_in`: seconds after which what is left gets SIGKILL, from a launcher whose programs somebody else holds; he
        does so even if this process is busy by then. Here nobody does.

        SIGKILL is repeated until nobody new is found. Any other signal is followed by SIGCONT, so that a stopped
        program gets it. Windows: every signal but CTRL_C_EVENT and CTRL_BREAK_EVENT ends the processes.
        """
        reached: set[psutil.Process] = set()
        for _ in range(_ROUNDS):
            new = self.alive() - reached
            # the program first: a shell whose child has gone would end with a status of its own, and not by the signal
            reached |= {member for member in sorted(new, key=self._is_descendant) if _send(member, number)}
            if not new or number != getattr(signal, "SIGKILL", None):
                break
        if sys.platform != "win32" and number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            for member in reached:
                _send(member, signal.SIGCONT)
        return len(reached)

    def kill_in(self, seconds: float) -> None:
        """Bring forward the SIGKILL that was announced to `send_signal`. Here nobody does it."""

    def _is_descendant(self, member: psutil.Process) -> bool:
        return bool(member.pid != self.pid)


def session_of(pid: int) -> int | None:
    """The session of a process; None when it has just ended, or where there are no sessions."""
    try:
        return os.getsid(pid) if sys.platform != "win32" else None
    except OSError:
        return None


def sessions() -> set[int | None]:
    """The sessions that any process is in."""
    import psutil  # late: the import of ipyproc loads the standard library only

    return {session_of(pid) for pid in psutil.pids()}


def _send(member: psutil.Process, number: int) -> bool:
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        member.send_signal(number)
    except psutil.Error:
        return False  # it has just ended, or runs as another user now
    return True


def runs(member: psutil.Process) -> bool:
    """Whether it is there, and no zombie."""
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
