"""`ShownRun`: what a view shows. A `Process` is the most common one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol, cast

from ..errors import ProcessLost
from ..failed_command import FailedCommand
from ..output.log import Log
from ..program.family import Family
from ..program.ladder import StopLadder
from ..program.program import Program
from ..program.usage import Usage


class ShownRun(Protocol):
    """A state, a way to stop it, and perhaps output in a log; the members are those of `Process`, and described there."""

    @property
    def program(self) -> Program: ...
    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def launcher(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def log(self) -> Log | None: ...

    # its state
    @property
    def is_over(self) -> bool: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def lost(self) -> ProcessLost | None: ...
    @property
    def duration(self) -> float: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def usage(self) -> Usage | None: ...
    @property
    def ok_codes(self) -> Collection[int]: ...
    @property
    def failed_command(self) -> FailedCommand | None: ...

    # what acts on it
    @property
    def ladder(self) -> StopLadder: ...
    @property
    def family(self) -> Family: ...
    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...


class LoggedRun(ShownRun, Protocol):
    """A run with a log, whose output can be shown."""

    @property
    def log(self) -> Log: ...


def logged(run: ShownRun) -> LoggedRun:
    """The same run, with the type of one that has a log.

    Raises:
        ValueError: none of its output goes to a log, so there is nothing to show.
    """
    if run.log is None:
        raise ValueError(f"{run!r} has no log, so its output cannot be shown")
    return cast(LoggedRun, run)
