"""The state of a program in one word and one phrase, the same on the card and in the transcript."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .._core import status
from .._core.ladder import KILL, RUNGS, TERMINATE, StopLadder
from .._core.process import Process

_WHO = {
    "stop": "Stopped by you",
    "kill": "Killed by you",
    "interrupt": "Interrupted",
    "timeout": "Timed out, stopped",
    "cancel": "Cancelled, stopped",
}


@dataclass(frozen=True)
class State:
    """`name`: running, stopping, ok, failed, signaled, left or lost; `label`: what a person reads."""

    name: str
    label: str

    @property
    def mark(self) -> str:
        """A character that says the state without colour."""
        return {"ok": "✔", "failed": "✘", "signaled": "■", "left": "⋯", "lost": "?"}.get(self.name, "▶")


def of(process: Process) -> State:
    """The state of a process now."""
    code, ladder = process.returncode, process.ladder
    if process.lost:
        return State("lost", "Lost: nobody saw how it ended")
    if code is None:
        if ladder.sent:
            return State("stopping", f"Stopping ({ladder.sent.name} sent)")
        return State("running", "Running")
    ended = _ended(code, ladder, process.ok_codes)
    if left := process.family.left():
        count = status.count_words(left, "process", "processes")
        now = f"stopping {count} ({ladder.sent.name} sent)" if ladder.sent else f"{count} left"
        return State("left", f"{ended.label}; {now}")
    if ladder.sent and not ladder.cause:
        return State(ended.name, f"{ended.label}; what was left was ended by you with {ladder.sent.name}")
    return ended


def _ended(code: int, ladder: StopLadder, ok_codes: Collection[int]) -> State:
    if ladder.cause:
        return State("signaled", _stopped(ladder, code))
    if code < 0:
        name = status.signal_name(-code)
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return State("signaled", f"Ended by {name}{hint}")
    return State("ok", f"Done, exit {code}") if code in ok_codes else State("failed", f"Failed, exit {code}")


def _stopped(ladder: StopLadder, code: int) -> str:
    """Who stopped it and with what; how it ended, if in another way; how many ended, if it was not alone."""
    # whoever holds the program kills it by himself when the kernel is busy at that time
    last = RUNGS[KILL] if code == -RUNGS[KILL] else ladder.sent or RUNGS[TERMINATE]
    said = f"{_WHO[ladder.cause]} with {last.name}"
    if code != -last:
        said += f", ended by {status.signal_name(-code)}" if code < 0 else f", exit {code}"
    return f"{said}; {ladder.reached} processes ended" if ladder.reached > 1 else said
