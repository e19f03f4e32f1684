"""The family of a program: the program and all its descendants, as far as they can be found without a supervisor.

It finds the descendants that are still linked to the program through their parents, and (where the program has its own
session) everything in that session, even after the program itself has ended. It does not find a descendant that has
made a session of its own *and* lost its parent: that takes a supervisor.

A signal never hits an unrelated process that was later given a pid of the family: the program's own pid is used only
until the program has ended, every other process is known by pid and start time (`psutil`), and a session is no longer
taken for ours once its number is the pid of another process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from .. import process_table
from ..survivor import Survivor, is_traced

if TYPE_CHECKING:
    import psutil

_ROUNDS = 10  # how often a kill, or a pause, looks again for processes forked meanwhile
_PAUSE = 0.002  # seconds


class Family:
    """A program and its descendants.

    Args:
        pid: of the program.
        has_program: whether the program itself has not ended, so that the pid is still its own.
        own_session: whether it was started in a session of its own.

    Attributes:
        refused: why the last signal could not be sent to one of the processes; None: it could be sent to all.
    """

    is_threadsafe = False
    """Whether `send_signal` may be called from any thread, and not only on the event loop of the process."""
    kill_grace = 5.0
    """Seconds that its end may take after SIGKILL: giving back much memory is slow."""

    def __init__(self, pid: int, has_program: Callable[[], bool], *, own_session: bool) -> None:
        self.pid = pid
        self._has_program = has_program
        self._own_session = own_session
        self._known: set[psutil.Process] = set()
        self._is_blind = False  # the process table cannot be read here
        self._owner = os.getpid()  # a forked child has no families
        self.refused: OSError | None = None

    def __repr__(self) -> str:
        return f"<Family of process {self.pid}: {len(self.alive())} alive>"

    def measure(self) -> tuple[float, int, int, bool]:
        """CPU seconds, resident bytes and number of the processes that run now; and whether the program is paused.

        The CPU time of a child is counted with its parent's when it has ended and was waited for. Memory that processes
        share counts for each of them. A program that waits for a child to become another program is paused with that child.
        """
        import psutil  # late: the import of ipyproc loads the standard library only

        used, memory, own, others = 0.0, 0, "", []
        for member in self._recently_alive():
            try:
                with member.oneshot():
                    used += sum(member.cpu_times()[:4])
                    memory += member.memory_info().rss
                    status = member.status()
                if member.pid == self.pid:
                    own = status
                else:
                    others.append(status)
            except psutil.Error:
                continue  # it has just ended, or is another user's
        held = own == psutil.STATUS_DISK_SLEEP and others and set(others) == {psutil.STATUS_STOPPED}  # vfork(2)
        return used, memory, len(others) + bool(own), own == psutil.STATUS_STOPPED or bool(held)

    def is_alive(self) -> bool:
        """Whether any of it runs now. The whole process table is read only if none of the known processes runs."""
        if any(runs(member) for member in self._known) or self.alive():
            return True
        return self._is_blind and self._has_program()

    def survivors(self) -> list[Survivor]:
        """The processes that still run, the program first, and why."""
        import psutil  # late: the import of ipyproc loads the standard library only

        members = set(self.alive())
        if self._has_program():  # it may have ended, but we have not heard of it
            with contextlib.suppress(psutil.Error):
                members.add(psutil.Process(self.pid))
        return [Survivor.of(member) for member in sorted(members, key=self._place)]

    def is_out_of_reach(self) -> bool:
        """Whether some of its processes still run, and we may signal none of those."""
        members = [member for member in self._known if runs(member)] or self.alive()
        return bool(members) and not any(process_table.may_signal(member.pid) for member in members)

    def left(self) -> int:
        """How many of its processes are left after the end of the program; 0 where that cannot be told at once."""
        return 0

    async def gone(self) -> None:
        """Wait until none of its processes is left; return at once where that cannot be told."""

    def may_be_left(self, sessions: Collection[int | None]) -> bool:
        """Whether any of it may still run; `sessions` are those of all processes."""
        return self._has_program() or self.pid in sessions

    def alive(self) -> set[psutil.Process]:
        """Find all its processes that run now; zombies do not."""
        return self._look(process_table.now)

    def _recently_alive(self) -> set[psutil.Process]:
        """As `alive`, but by a table that may be a second old or more, as reading it costs much on a large machine."""
        return self._look(process_table.recent)

    def _look(self, table: Callable[[], process_table.Table]) -> set[psutil.Process]:
        import psutil  # late: the import of ipyproc loads the standard library only

        if os.getpid() != self._owner:
            return set()
        try:
            rows, self._is_blind = table(), False
        except OSError:
            self._known, self._is_blind = set(), True
            return self._known
        found = {member for member in self._known if runs(member)}
        ours = self._has_program()
        if ours:
            with contextlib.suppress(psutil.Error):
                found.add(psutil.Process(self.pid))
        # the table may be outdated, and a pid belong to another process: each is checked again before it is added
        if self._own_session and (ours or self.pid not in rows):
            for pid in [pid for pid, (_, session) in rows.items() if session == self.pid]:
                with contextlib.suppress(psutil.Error):
                    member = psutil.Process(pid)
                    if process_table.session_of(pid) == self.pid:
                        found.add(member)
        children: defaultdict[int, list[int]] = defaultdict(list)
        for pid, (parent_pid, _) in rows.items():
            children[parent_pid].append(pid)
        parents = list(found)
        while parents:
            parent = parents.pop()
            for pid in children[parent.pid]:
                with contextlib.suppress(psutil.Error):
                    child = psutil.Process(pid)
                    if child in found or child.ppid() != parent.pid:
                        continue
                    if child.create_time() >= parent.create_time():
                        found.add(child)
                        parents.append(child)
        self._known = {member for member in found if runs(member)}
        return self._known

    def send_signal(self, number: int, *, kill_in: float | None = None) -> int:
        """Send a signal to the whole family; return the number of processes that it reached, and see `refused`.

        `kill_in`: seconds after which whatever is left gets SIGKILL, where something outside this process holds the
        program and can send it even if this process is busy then. It is ignored here.

        SIGKILL and SIGSTOP are repeated until no new process is found. Any other signal is followed by SIGCONT, so that a
        stopped program gets it. Windows: every signal but CTRL_C_EVENT and CTRL_BREAK_EVENT ends the processes.
        """
        self.refused = None
        met: set[psutil.Process] = set()
        reached: list[psutil.Process] = []
        is_pause = number == getattr(signal, "SIGSTOP", None)
        for _ in range(_ROUNDS):
            # a process that is just forking stops after the fork, and its new child runs
            may_fork = is_pause and any(_can_run(member) for member in met)
            new = self.alive() - met
            met |= new
            # the program first: a shell whose child ended first would exit with a status of its own, not by the signal
            reached += [member for member in sorted(new, key=self._place) if self._send(member, number)]
            if not (is_pause or number == getattr(signal, "SIGKILL", None)) or not (new or may_fork):
                break
            if may_fork:
                time.sleep(_PAUSE)
        if self._is_blind and self._has_program():
            return self._send_blindly(number)
        if sys.platform != "win32" and number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            for member in reached:
                self._send(member, signal.SIGCONT)
        return len(reached)

    def _send_blindly(self, number: int) -> int:
        """Signal the process group that the program leads, or the program alone: no other process can be found."""
        if sys.platform == "win32":
            return 0
        send = os.killpg if self._own_session else os.kill
        try:
            send(self.pid, number)
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
                send(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            return 0
        except OSError as error:
            self.refused = error
            return 0
        return 1

    def _send(self, member: psutil.Process, number: int) -> bool:
        import psutil  # late: the import of ipyproc loads the standard library only

        if number == getattr(signal, "SIGKILL", None) and member.pid == self.pid and is_traced(member):
            # asyncio (3.12 and newer) would block the event loop until the debugger lets go of the dead process
            self.refused = BlockingIOError(errno.EBUSY, "a debugger holds it")
            return False
        try:
            member.send_signal(number)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            self.refused = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            return False
        except OSError as error:  # Windows: there is no console to deliver it
            self.refused = error
            return False
        return True

    def kill_in(self, seconds: float) -> None:
        """Bring forward the SIGKILL that was announced to `send_signal`. It does nothing here."""

    def _place(self, member: psutil.Process) -> tuple[bool, int]:
        return member.pid != self.pid, member.pid


def _can_run(member: psutil.Process) -> bool:
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        return member.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def runs(member: psutil.Process) -> bool:
    """Whether it exists and is not a zombie."""
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        return bool(member.is_running() and member.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
