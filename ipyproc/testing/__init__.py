"""Test code that runs programs, without running any: fake programs, played from a script.

Inside `with programs(...)`, whatever `ipyproc.run`, `start`, `parallel`, a pipe, the two asyncio factories and the magics
would start is played in this process instead, also with `on=`. All else is as with a real program: the log, streams that are
PIPE, return codes, errors, timeouts, Stop and Kill.
"""

from __future__ import annotations

from .launcher import programs
from .program import FakeProgram
from .script import Script

__all__ = ["FakeProgram", "Script", "programs"]
