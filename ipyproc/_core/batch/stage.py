"""`Stage`: a command to be run to its end, and how its result is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import launch
from ..errors import ProcessExitError, ProcessLost, ProcessNotStopped
from ..launch.base import RemoteLauncher
from ..launch.names import named
from ..output.encoding import ENCODING
from ..process.process import Process
from ..process.start import start
from ..program import arguments
from ..program.spec import Fd, Spec, Word
from .completed import CompletedProcess

DRAIN_GRACE = 0.1
"""Seconds to wait for the rest of the output and of the family after the end of a program; a descendant may live longer."""
VALUE_GRACE = 1.0
"""Seconds to wait for the rest of output that is a value, so that it is complete after `exec > >(tee log)` too."""


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """A command and how its result is made: one program of a `Run` or a `Parallel`."""

    spec: Spec
    on: RemoteLauncher | None  # the other machine that it runs on
    timeout: float | None
    check: bool
    encoding: str | None  # None: bytes
    errors: str
    retry_lost: int

    @classmethod
    def of(
        cls,
        cmd: Word | Sequence[Word],
        args: Sequence[Word] = (),
        *,
        timeout: float | None = None,
        check: bool = True,
        text: bool | None = True,
        encoding: str | None = None,
        errors: str | None = None,
        on: Any = None,
        retry_lost: int = 0,
        **keywords: Any,
    ) -> Stage:
        """Check the arguments, and make a `Stage` of them; `keywords` are those of `Spec.of`."""
        timeout = arguments.seconds("timeout", timeout)
        text = text is None or text  # subprocess.run says None for "not given"
        if not text and (encoding or errors):
            raise ValueError(f"text=False: encoding={encoding!r} and errors={errors!r} are for text")
        of_input = errors or "strict"  # bad characters do no harm in a log, but much in an input
        encoding, errors = encoding or ENCODING, errors or "replace"
        arguments.check_encoding(encoding, errors)
        retry_lost = arguments.count("retry_lost", retry_lost, 0)
        spec = Spec.of(cmd, args, encoding=encoding, errors=of_input, **keywords)
        return cls(
            spec, None if on is None else named(on), timeout, check, encoding if text else None, errors, retry_lost
        )

    def __str__(self) -> str:
        return str(self.spec)

    def look_up(self) -> None:
        """Check that it can be started. Whether it can on another machine is known only there.

        Raises:
            OSError: there is no such directory or program, or it is not executable.
        """
        if not self.on:
            launch.look_up(self.spec)

    async def start(self, *, stdin: int | None = None, stdout: int | None = None) -> Process:
        """Start it; `stdin`, `stdout`: descriptors of pipes, instead of those in the spec. Raises as `process.start`."""
        spec = self.spec
        if stdin is not None:
            spec = replace(spec, stdin=Fd(stdin))
        if stdout is not None:
            spec = replace(spec, stdout=Fd(stdout))
        return await start(spec, self.on)

    def completed(self, process: Process) -> CompletedProcess:
        """The result, when the process has ended, or cannot be stopped."""
        return CompletedProcess.of(process, self.encoding, self.errors)

    def error_of(self, done: CompletedProcess) -> Exception | None:
        """The error of this result, unless there is none, or `check` is off and it only says that the program failed."""
        error = done.error()
        return error if self.check or not isinstance(error, ProcessExitError) else None


async def finish(process: Process, seconds: float | None = None, *, grace: float = DRAIN_GRACE) -> None:
    """Wait until the program ends or is lost, and then briefly for the rest of its output and its family.

    If it cannot be stopped, it returns all the same, see `ladder.failure`.

    `seconds`: time after which it is stopped; None: no limit. `grace`: seconds to wait for the rest of the output.
    """
    with process.ladder.limit(seconds), contextlib.suppress(ProcessLost, ProcessNotStopped):
        await process.ladder.finished()
    with contextlib.suppress(TimeoutError):
        if process.log:
            async with asyncio.timeout(grace):
                await process.log.finished()
        async with asyncio.timeout(DRAIN_GRACE):
            await process.family.gone()


async def all_ended(process: Process) -> None:
    """Wait for the end of the output and of the whole family."""
    if process.log:
        await process.log.finished()
    await process.family.gone()
