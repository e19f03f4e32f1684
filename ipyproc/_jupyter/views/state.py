"""The state of a program as a word and a phrase, the same on the card and in the transcript."""

from __future__ import annotations

from dataclasses import dataclass

from ..._core.batch.completed import CompletedProcess
from ..._core.errors import ProcessNotStopped
from ..._core.failed_command import FailedCommand
from ..._core.output import phrases
from ..._core.process.run import ShownRun
from ..._core.program.ladder import KILL, RUNGS, TERMINATE, StopLadder
from ..page.messages import StateName

_WHY = {
    "stop": "Stopped",
    "kill": "Killed",
    "interrupt": "Interrupted",
    "timeout": "Timed out",
    "cancel": "Cancelled",
}


_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS")
_MOST_NAMED = 2  # processes that could not be stopped; the error has more
_MUCH = 0.25  # of the machine's memory; the program's container may have less


@dataclass(frozen=True)
class State:
    """`name`: the state as one word; `label`: the text that people read."""

    name: StateName
    label: str

    @property
    def mark(self) -> str:
        """A character that shows the state without colour."""
        return _MARKS.get(self.name, "▶")


_MARKS = {
    "closed": "▷",
    "paused": "‖",
    "stopping": "□",
    "ok": "✔",
    "failed": "✘",
    "signaled": "■",
    "timeout": "◔",
    "left": "⋯",
    "lost": "?",
}


def of(run: ShownRun, *, paused: bool = False) -> State:
    """The state of a run now; `paused`: whether its program was last seen stopped by SIGSTOP or the like."""
    code, ladder = run.returncode, run.ladder
    if run.lost:
        return State("lost", "Lost: nobody saw how it ended")
    if code is None:
        if failure := ladder.failure:
            return State("running", f"Could not be stopped: {_names(failure)}")
        if ladder.sent:
            return State("stopping", f"Stopping ({ladder.sent.name} sent)")
        if paused:
            return State("paused", "Paused")
        if run.log and run.log.ended:
            return State("closed", "Running, output closed")
        return State("running", "Running")
    ended = _ended(code, run)
    if failure := ladder.failure:
        return State("left", f"{ended.label}; not stopped: {_names(failure)}")
    if left := run.family.left():
        count = phrases.count_words(left, "process", "processes")
        now = f"stopping {count} ({ladder.sent.name} sent)" if ladder.sent else f"{count} left"
        return State("left", f"{ended.label}; {now}")
    if ladder.sent and not ladder.cause:
        return State(ended.name, f"{ended.label}; the rest was stopped ({ladder.sent.name})")
    return ended


def _names(failure: ProcessNotStopped) -> str:
    return "; ".join(map(str, failure.survivors[:_MOST_NAMED]))


def has_failed(run: ShownRun) -> bool:
    """Whether `%aproc` counts this program, which has ended or was lost, as a failure."""
    return run.returncode not in run.ok_codes or run.ladder.cause == "timeout"


def of_result(done: CompletedProcess) -> State:
    """The state of a program that has ended, from its result."""
    if not done.failed:
        return State("ok", "Done, exit 0")
    name: StateName
    if done.lives_on:
        name = "left"
    elif done.returncode is None:
        name = "lost"
    else:
        name = "timeout" if done.timed_out else "signaled" if done.signal else "failed"
    return State(name, f"{done.outcome[0].upper()}{done.outcome[1:]}{_where(done.failed_command)}")


def _ended(code: int, run: ShownRun) -> State:
    ladder = run.ladder
    if ladder.cause:
        return State("timeout" if ladder.cause == "timeout" else "signaled", _stopped(ladder, code))
    if code < 0:
        name = phrases.signal_name(-code)
        hint = _memory_hint(run) if name == "SIGKILL" else ""
        if name in _CRASHES:
            return State("failed", f"Crashed ({name})")
        return State("signaled", f"Ended by {name} from outside{hint}")
    if code in run.ok_codes:
        return State("ok", f"Done, exit {code}")
    return State("failed", f"Failed, exit {code}{_where(run.failed_command)}")


def _where(command: FailedCommand | None) -> str:
    """Where a script failed, as a note to add; empty if unknown."""
    return f" · {command.where}" if command else ""


def _stopped(ladder: StopLadder, code: int) -> str:
    """Why it was stopped and by which signal; how it ended, if by another one."""
    # if the kernel is busy when the time for SIGKILL comes, the shim sends it, and the ladder does not know
    last = RUNGS[KILL] if code == -RUNGS[KILL] else ladder.sent or RUNGS[TERMINATE]
    said = f"{_WHY[ladder.cause]} ({last.name})"
    if code != -last:
        said += f", ended by {phrases.signal_name(-code)}" if code < 0 else f", exit {code}"
    return said


def _memory_hint(run: ShownRun) -> str:
    """A hint at the cause of a SIGKILL. Its sender is unknown; Linux sends one when memory runs out, mostly to a large process."""
    import psutil  # late: the import of ipyproc loads the standard library only

    usage = run.usage
    if usage is None:
        return " (out of memory?)"
    peak = usage.peak_bytes or 0
    try:
        is_much = peak > _MUCH * psutil.virtual_memory().total
    except OSError:
        return ""  # there is no /proc
    return f" (out of memory? It had {phrases.size_words(peak)})" if is_much else ""
