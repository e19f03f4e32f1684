"""`%%aproc --each NAME`: the body of a cell is run once for each item of a Python list, several at a time."""

from __future__ import annotations

import contextlib
import shlex
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from ..._core.batch.completed import CompletedProcess
from ..._core.batch.parallel import parallel
from ..._core.program.spec import Spec
from .. import kernel
from ..line import interpolation
from ..line.formats import FORMATS
from ..line.options import Options
from ..thread import in_thread
from ..views import jobs

_MOST_NAMED = 5  # failed items that the note of a `--quiet` cell names


class Each:
    """The runs of one cell. `command` is the shell with its options, which runs each script."""

    def __init__(
        self,
        shell: InteractiveShell,
        command: tuple[str, ...],
        body: str,
        options: Options,
        env: Mapping[str, str],
        names: interpolation.Names,
    ) -> None:
        assert options.each is not None
        assert options.grace is not None
        self._shell = shell
        self._options = options
        items = interpolation.value_of(options.each, names, "--each")
        if not interpolation.is_many(items):
            raise UsageError(f"--each: {options.each} is no list, but of type {type(items).__name__}")
        if interpolation.is_table(items):
            raise UsageError(f"--each: {options.each} is a table; give one of its columns, or a list of its rows")
        commands: list[tuple[str, Any]] = []
        for number, item in enumerate(items, 1):
            script = interpolation.body(body, ChainMap({"item": item}, names), options.secret, quote=True)  # type: ignore[arg-type]
            name = f"item {number}" if "item" in options.secret else _name(item)
            commands.append((name, Spec(command, script=script, grace=options.grace)))
        self._work = parallel(
            commands,
            options.jobs,
            progress=not options.quiet,
            timeout=options.timeout,
            on_failure="stop" if options.raise_error else "finish",
            check=bool(options.raise_error),
            cwd=options.cwd,
            env=env,
            on=options.on,
            retry_lost=options.retry_lost,
        )

    async def run(self) -> list[CompletedProcess]:
        """Run them all. After the first failure no more are started, unless `--no-raise-error` was given.

        Raises the error of the first that failed; the variable of `--out` still gets the results that there are.
        Cancelling this stops those that run.
        """
        plain = jobs.plain.set(bool(self._options.plain))
        try:
            results: list[CompletedProcess] = await self._work
        except BaseException:
            with contextlib.suppress(ValueError):  # the first error is the one to tell
                await self._hand_over()
            raise
        finally:
            jobs.plain.reset(plain)
        await self._hand_over()
        if self._options.quiet and (failed := [job.name for job in self._work.jobs if job.state == "failed"]):
            more = ", …" if len(failed) > _MOST_NAMED else ""
            kernel.note(f"✘ {len(failed)} of {len(results)} failed: {', '.join(failed[:_MOST_NAMED])}{more}")
        return results

    async def clean_up(self) -> None:
        """End what is left, before the event loop ends that was made for this run alone."""
        await self._work._clean_up()

    async def _hand_over(self) -> None:
        if self._options.out:
            self._shell.user_ns[self._options.out] = await in_thread(self._values)

    def _values(self) -> list[Any]:
        return [self._value(job.result) for job in self._work.jobs]

    def _value(self, done: CompletedProcess | None) -> Any:
        """What `--out` gets for one item; None if it was not run, or failed with output that `--format` cannot read."""
        try:
            return done and FORMATS[self._options.format or "text"](done)
        except ValueError:
            if done and done.failed:
                return None
            raise


def _name(item: Any) -> str:
    if interpolation.is_many(item):
        return shlex.join(interpolation.as_word(each, "{item}") for each in item)
    return interpolation.as_word(item, "{item}")
