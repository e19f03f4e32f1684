"""`%%aproc --each NAME`: the body of a cell is run for each item of a Python list, some at once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from .._core.completed import CompletedProcess
from .._core.parallel import parallel
from . import interpolation
from .options import Options


class Each:
    """The runs of one cell. `command` is the shell with its options, to which each script is added."""

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
        self._shell = shell
        self._options = options
        items = interpolation.value_of(options.each, names, "--each")
        if not interpolation.is_many(items):
            raise UsageError(f"--each: {options.each} is a {type(items).__name__}, and no list")
        commands = []
        for item in items:
            script = interpolation.body(body, ChainMap({"item": item}, names), options.secret, quote=True)  # type: ignore[arg-type]
            commands.append((interpolation.as_word(item, "item"), [*command, "-c", script]))
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
        """Run them all; at the first failure no more are started, unless failures are no errors here.

        Raises the error of the first that failed. Cancelling it stops those that run.
        """
        results: list[CompletedProcess] = await self._work
        if self._options.out:
            self._shell.user_ns[self._options.out] = [done.stdout for done in results]
        return results
