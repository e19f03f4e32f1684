"""What can go wrong with a program that was started.

::

    ProcessError                    the root
    ├── ProcessExitError            it ended with a status that is not 0   (also a subprocess.CalledProcessError)
    ├── ProcessTimeout              it was stopped because its time was up (also a subprocess.TimeoutExpired)
    └── ProcessLost                 nobody saw how it ended                (also a ConnectionError)

A program that cannot be started raises what asyncio raises (`FileNotFoundError`, `PermissionError`, `OSError`),
with a message that names the program or the directory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from . import status


class ProcessError(Exception):
    """The root of the errors of this package."""


class ProcessExitError(ProcessError, subprocess.CalledProcessError):
    """A program ended with a status that is not 0.

    Attributes are those of `subprocess.CalledProcessError`: `returncode` (negative: ended by that signal),
    `cmd`, `stdout`, `stderr`. `stderr` holds the last lines of standard error, bounded.
    """

    def __str__(self) -> str:
        sentence = f"{_quoted(self.cmd)} {status.describe(self.returncode)}"
        return f"{sentence}\n{self.stderr.rstrip()}" if self.stderr else sentence


class ProcessTimeout(ProcessError, subprocess.TimeoutExpired):
    """A program was stopped because it ran longer than its `timeout` (in seconds)."""

    def __str__(self) -> str:
        return f"{_quoted(self.cmd)} was stopped after its timeout of {self.timeout:g} s"


class ProcessLost(ProcessError, ConnectionError):
    """The connection to a program was lost. Its `returncode` stays None: an exit nobody saw is never invented."""


def _quoted(command: str | bytes | Sequence[object]) -> str:
    line = status.command_line(command)
    return f"`{line[:199]}…`" if len(line) > 200 else f"`{line}`"
