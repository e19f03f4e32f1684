"""A process that still runs after all attempts to stop it, and why, as far as the operating system tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .output.screen import inert_line
from .process_table import may_signal

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True, slots=True)
class Survivor:
    """A process that could not be ended.

    Attributes:
        pid: its process id.
        name: what the operating system calls it.
        why: a clause that says what is known of the cause: `belongs to root, and may not be signalled from here`.
    """

    pid: int
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid}) {self.why}"

    @classmethod
    def of(cls, member: psutil.Process) -> Survivor:
        """Look up its name, and why it still runs."""
        import psutil  # late: the import of ipyproc loads the standard library only

        try:
            with member.oneshot():
                return cls(member.pid, inert_line(member.name()), _why(member))
        except psutil.Error:
            return cls(member.pid, "a process", "has just ended, or is hidden from here")


def is_traced(member: psutil.Process) -> bool:
    """Whether a debugger has stopped it (ptrace): it acts on no signal but SIGKILL."""
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        return bool(member.status() == psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def _why(member: psutil.Process) -> str:
    import psutil  # late: the import of ipyproc loads the standard library only

    status, tracer = member.status(), _tracer(member.pid)
    if tracer and status == psutil.STATUS_ZOMBIE:
        return f"was killed, but {tracer} traces it and does not let go of it"
    if tracer and status == psutil.STATUS_TRACING_STOP:
        return f"is held by {tracer}, which traces it"
    if not may_signal(member.pid):
        return f"belongs to {inert_line(member.username())}, and may not be signalled from here"
    if status == psutil.STATUS_DISK_SLEEP:
        return "is stuck in the operating system (uninterruptible sleep)"
    if status == psutil.STATUS_ZOMBIE:
        return "has ended, but its exit status was never collected"
    return "has not ended yet"


def _tracer(pid: int) -> str:
    """The name and pid of its debugger, on Linux; empty: it has none, or that is not known."""
    import psutil  # late: the import of ipyproc loads the standard library only

    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            tracer = next(int(line.split()[1]) for line in file if line.startswith("TracerPid:"))
        return f"{inert_line(psutil.Process(tracer).name())} (pid {tracer})" if tracer else ""
    except (OSError, StopIteration, ValueError, psutil.Error):
        return ""
