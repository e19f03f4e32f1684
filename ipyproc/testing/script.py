"""`Script`: what a fake program does, as plain data."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .._core.errors import ProcessLost
from .._core.program import arguments
from .program import FakeProgram, check_returncode


@dataclass(frozen=True)
class Script:
    r"""A fake program that writes some output, takes some time, and ends.

    For more than that (it reads, waits for your test, handles a signal), write an async function; see `programs`.

    Args:
        stdout, stderr: what it writes, at once; a string is written as UTF-8.
        returncode: how it ends: 0 to 255; or `-N`, as if signal N had ended it.
        duration: seconds from its output to its end.
        lost: at its end it is lost, so nobody sees its return code: `wait()` raises `ProcessLost`.

    Raises:
        TypeError, ValueError: the message names the argument, its value, and what is allowed.

    Example:
        >>> import ipyproc
        >>> with ipyproc.testing.programs({"make": ipyproc.testing.Script(stderr="no rule\n", returncode=2)}):
        ...     done = ipyproc.run("make", "all", check=False).result()
        >>> done.returncode, done.stderr
        (2, 'no rule\n')
    """

    stdout: str | bytes = b""
    stderr: str | bytes = b""
    returncode: int = 0
    duration: float = 0.0
    lost: bool = False

    def __post_init__(self) -> None:
        for name in ("stdout", "stderr"):
            if not isinstance(value := getattr(self, name), str | bytes):
                raise TypeError(f"{name}={value!r:.80}: allowed are a string and bytes")
        check_returncode(self.returncode)
        if arguments.seconds("duration", self.duration) is None:
            raise TypeError("duration=None: allowed is a number of seconds")

    async def __call__(self, program: FakeProgram) -> int:
        """Play it."""
        await program.stdout.write(self.stdout)
        await program.stderr.write(self.stderr)
        await asyncio.sleep(self.duration)
        if self.lost:
            raise ProcessLost(f"process {program.pid} ({program.name}) was lost, as its script says")
        return self.returncode
