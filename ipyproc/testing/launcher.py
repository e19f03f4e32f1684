"""The launcher that plays programs, and the `with` in which it stands in for every other one."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._core.errors import ProcessLost
from .._core.launch import stand_in
from .._core.launch.base import Launcher, RemoteLauncher
from .._core.output import phrases
from .._core.output.log import Log
from .._core.output.screen import inert_line
from .._core.program.program import Program
from .._core.program.spec import Spec
from .program import FakeProgram, Play
from .script import Script

Fake = Play | OSError | ProcessLost
"""What stands for a program: what it does, or why it cannot be started."""

_ALLOWED = "allowed are a Script, an async function, and an OSError or ProcessLost, which the start raises then"


@contextlib.contextmanager
def programs(scripts: Mapping[str, Fake] | Callable[[FakeProgram], Fake]) -> Iterator[list[FakeProgram]]:
    r"""Play fake programs instead of real ones: `with ipyproc.testing.programs({"sox": Script(...)}) as started:`.

    It holds for the code in the `with`, for the tasks that this code makes, and for `asyncio.to_thread`; not for other tasks,
    other threads, and programs that were started before. No program is looked for, neither here nor, with `on=`, elsewhere;
    so a test needs no tool, no other machine and no connection. In a `with` inside of another one, the inner one alone
    counts. At its end, programs that still run are killed; what is started later by a task of that code is an error.

    Args:
        scripts: for each program, by its name with or without its directory, one of:

            - a `Script`: what it writes, how long it takes and how it ends, as plain data;
            - an async function that is called with a `FakeProgram`, each time one is started; it gives the return code (None
              is 0). An error in it ends the program with status 1 and the traceback on its standard error, as of a Python
              program; it is raised at the end of the `with` too, so that no `assert` in it is lost;
            - an OSError: it cannot be started; or a `ProcessLost`: it is lost while it is started.

            Or a function that is called with each `FakeProgram` before it starts, and gives, or raises, one of these.

    Returns:
        A context manager (a decorator of functions that are not async, too) that gives the list of the programs that were
        started, in that order: `started[0].args`.

    Raises:
        TypeError: `scripts` is wrong; before anything starts.
        LookupError: where a program is started for which there is no script; the message names the nearest.
        RuntimeError: where one is started by a task that has outlived the `with`.

    Example:
        >>> import asyncio, signal, ipyproc
        >>> from ipyproc.testing import Script, programs
        >>> async def server(program):
        ...     asked = asyncio.Event()
        ...     program.on_signal(signal.SIGTERM, asked.set)
        ...     await program.stdout.write("ready\n")
        ...     await asked.wait()
        ...     return 0
        >>> async def main():
        ...     async with await ipyproc.start("server", "--port", "8000") as process:
        ...         async for line in process:
        ...             return line, await process.stop()
        >>> with programs({"server": server, "sox": Script(returncode=2)}) as started:
        ...     asyncio.run(main())
        ('ready', 0)
        >>> started  # doctest: +ELLIPSIS
        [<FakeProgram ... (server --port 8000) exited with status 0>]
    """
    cast = _Cast(scripts)
    token = stand_in.current.set(cast)
    try:
        yield cast.started
    except BaseException as error:
        cast.tell(error)
        raise
    finally:
        try:
            stand_in.current.reset(token)
        except ValueError:  # a fixture that ends in another context than it began in
            stand_in.current.set(cast.outer)
        cast.close()
    cast.check()


class _Cast:
    """All programs of one `with`."""

    def __init__(self, scripts: Mapping[str, Fake] | Callable[[FakeProgram], Fake]) -> None:
        if isinstance(scripts, Mapping):
            for name, fake in scripts.items():
                if not isinstance(name, str):
                    raise TypeError(f"scripts: {name!r:.80} is no name of a program: allowed are strings")
                _check(name, fake)
        elif not callable(scripts):
            raise TypeError(f"scripts={scripts!r:.80}: allowed are a mapping of names to scripts, and a function")
        elif isinstance(scripts, Script) or inspect.iscoroutinefunction(scripts):
            raise TypeError(
                f"scripts={scripts!r:.80}: this is what one program does; give a mapping of names to scripts, or for all "
                "programs a function that gives it: `lambda program: ...`"
            )
        self.outer = stand_in.current.get()
        self.started: list[FakeProgram] = []
        self._scripts = scripts
        self._errors: list[Exception] = []
        self._is_over = False

    def here(self) -> Launcher:
        return FakeLauncher(self)

    def there(self, on: Any) -> RemoteLauncher:
        is_own = isinstance(on, FakeRemoteLauncher) and on.cast is self
        return on if is_own else FakeRemoteLauncher(self, on)

    def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None, on: Any = None) -> Program:
        if self._is_over:
            raise RuntimeError(
                f"{spec}: this is started after the end of the `with ipyproc.testing.programs(...)` that it began in"
            )
        fake = FakeProgram(spec, on)
        play = self._play_of(fake)
        program = fake.begin(spec, protocol, log, play, self._errors.append)
        self.started.append(fake)
        return program

    def _play_of(self, program: FakeProgram) -> Play:
        try:
            found = self._find(program)
            _check(program.name, found)
        except (OSError, ProcessLost):
            raise
        except Exception as error:
            self._errors.append(error)  # the code under test may handle it, and the test must not
            raise
        if isinstance(found, OSError | ProcessLost):
            raise found
        return found

    def _find(self, program: FakeProgram) -> Fake:
        if not isinstance(self._scripts, Mapping):
            return self._scripts(program)
        for name in (program.args[0], program.name):
            if name in self._scripts:
                return self._scripts[name]
        near = difflib.get_close_matches(program.name, self._scripts, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        there = ", ".join(map(repr, self._scripts)) or "no program"
        command = phrases.command_line(program.args)
        raise LookupError(
            f"no script for the program {program.name!r} (`{command:.200}`): {hint}There are scripts for {there}"
        )

    def tell(self, error: BaseException) -> None:
        """Add to an error of the test what has failed in the scripts, which may be its reason."""
        for each in self._errors:
            if each is not error:
                error.add_note(f"In the script of a fake program: {each!r}")

    def check(self) -> None:
        """Raise the first error of a script."""
        if self._errors:
            first, *others = self._errors
            for each in others:
                first.add_note(f"In the script of another fake program: {each!r}")
            raise first

    def close(self) -> None:
        self._is_over = True
        for program in self.started:
            if program.is_running:
                program.kill()


class FakeLauncher:
    """Plays programs in this process."""

    name = "fake"

    def __init__(self, cast: _Cast) -> None:
        self.cast = cast

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Play it; see `_core.launch.base`."""
        return self.cast.start(spec, protocol, log)


class FakeRemoteLauncher:
    """Plays programs in the place of another machine."""

    def __init__(self, cast: _Cast, on: Any) -> None:
        self.cast = cast
        self.on = on
        self.name = inert_line(on if isinstance(on, str) else str(getattr(on, "name", type(on).__name__)))

    async def start(self, spec: Spec, protocol: asyncio.SubprocessProtocol, log: Log | None) -> Program:
        """Play it; see `_core.launch.base`."""
        program = self.cast.start(spec, protocol, log, self.on)
        program.where = self.name
        return program

    async def slots(self) -> int:
        """As many as this machine has cores."""
        return os.cpu_count() or 1

    async def aclose(self) -> None:
        """There is no connection."""


def _check(name: str, fake: object) -> None:
    if not callable(fake) and not isinstance(fake, OSError | ProcessLost):
        hint = f"; write Script(stdout={fake!r:.40})" if isinstance(fake, str | bytes) else ""
        raise TypeError(f"the script of {name!r} is {fake!r:.80}: {_ALLOWED}{hint}")
