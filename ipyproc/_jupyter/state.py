"""The state of a program in one word and one phrase, the same on the card and in the transcript."""

from __future__ import annotations

from dataclasses import dataclass

from .._core import status
from .._core.process import Process

_WHO = {
    "stop": "Stopped by you",
    "kill": "Killed by you",
    "interrupt": "Interrupted",
    "timeout": "Timed out",
    "cancel": "Cancelled",
}


@dataclass(frozen=True)
class State:
    """`name`: running, stopping, ok, failed, signaled or lost; `label`: what a person reads."""

    name: str
    label: str

    @property
    def mark(self) -> str:
        """A character that says the state without colour."""
        return {"ok": "✔", "failed": "✘", "signaled": "■", "lost": "?"}.get(self.name, "▶")


def of(process: Process) -> State:
    """The state of a process now."""
    code, ladder = process.returncode, process.ladder
    if process.lost:
        return State("lost", "Lost: nobody saw how it ended")
    if code is None:
        if ladder.sent:
            return State("stopping", f"Stopping ({ladder.sent.name} sent)")
        return State("running", "Running")
    if ladder.cause:
        how = status.signal_name(-code) if code < 0 else f"exit {code}"
        return State("signaled", f"{_WHO[ladder.cause]} ({how})")
    if code < 0:
        name = status.signal_name(-code)
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return State("signaled", f"Ended by {name}{hint}")
    return State("failed", f"Failed, exit {code}") if code else State("ok", "Done, exit 0")
