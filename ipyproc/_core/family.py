"""The family of a program: the program and all its descendants, as far as they can be found without a supervisor.

Found are the descendants that are still linked to the program by parent, and (where the program has its own
session) everything in that session, also when the program itself has ended. A descendant that has made a session
of its own *and* lost its parent is not found: that takes a supervisor.

A process is remembered by pid and start time (`psutil`), so that a signal never hits a stranger that was given the
same pid later.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_ROUNDS = 10  # how often a kill looks again for processes forked meanwhile


class Family:
    """The program with this pid and its descendants. `own_session`: it was started in a session of its own."""

    def __init__(self, pid: int, *, own_session: bool) -> None:
        self.pid = pid
        self._own_session = own_session
        self._known: set[psutil.Process] = set()

    def __repr__(self) -> str:
        return f"<Family of process {self.pid}: {len(self.alive())} alive>"

    def alive(self) -> set[psutil.Process]:
        """Look for the family now: all its processes that still run (zombies do not)."""
        import psutil  # late: the import of ipyproc loads the standard library only

        found = {member for member in self._known if _runs(member)}
        for pid in psutil.pids():
            try:
                if pid == self.pid or (self._own_session and os.getsid(pid) == self.pid):
                    found.add(psutil.Process(pid))
            except (psutil.Error, OSError):
                continue  # it has just ended
        for member in tuple(found):
            try:
                found.update(member.children(recursive=True))
            except psutil.Error:
                continue
        self._known = {member for member in found if _runs(member)}
        return self._known

    def send_signal(self, number: int) -> int:
        """Send a signal to the whole family; the number of processes that were reached.

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

    def _is_descendant(self, member: psutil.Process) -> bool:
        return bool(member.pid != self.pid)


def _send(member: psutil.Process, number: int) -> bool:
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        member.send_signal(number)
    except psutil.Error:
        return False  # it has just ended, or runs as another user now
    return True


def _runs(member: psutil.Process) -> bool:
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
