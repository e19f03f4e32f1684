"""What the place where this code runs can do: show things, wait, be interrupted.

`Host` is the plain default: it shows nothing, and nobody can interrupt it. A notebook provides a subclass, and `use`
says how to find it. It is the only place in `_core` that knows about showing things.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ProcessT = TypeVar("ProcessT")
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class Host(Generic[ProcessT, JobT, ResultT]):
    """A script, a server, a plain Python prompt.

    It is generic because it must not import what it shows: `Process`, `Job` and `CompletedProcess`.
    """

    def show(self, process: ProcessT) -> None:
        """Show a process in the cell that runs now.

        Raises:
            RuntimeError: this is no notebook.
        """
        raise RuntimeError("view() shows a process in a cell, and this is no notebook")

    def picture(self, result: ResultT) -> dict[str, str]:
        """A result as a MIME bundle, to be shown in addition to its text; empty: the text alone."""
        return {}

    def progress(
        self, jobs: Sequence[JobT], halt: Callable[[int], None]
    ) -> contextlib.AbstractAsyncContextManager[Callable[[JobT], object]]:
        """Show the progress of jobs: `async with host.progress(jobs, halt) as changed`, and `changed(job)` at each change.

        `halt(rung)` stops them all, see `ladder`; it may be called from any thread.
        """
        return nothing_shown()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end although the event loop of this thread is already running.

        Raises:
            RuntimeError: that loop cannot be run from inside itself.
        """
        work.close()
        raise RuntimeError("the event loop of this thread is running: write `await` instead of `.result()`")

    def interruptible(self, what: str, stop: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        """While the body is awaited, an interrupt calls `stop`; `what` names, for people, what is interrupted."""
        return contextlib.nullcontext()


def nothing_shown() -> contextlib.AbstractAsyncContextManager[Callable[[Any], object]]:
    """A `progress` that shows nothing."""
    return contextlib.nullcontext(lambda job: None)


def use(find: Callable[[], Host[Any, Any, Any] | None]) -> None:
    """Ask `find` for the host from now on; if it gives None, the plain default is the host."""
    global _find
    _find = find


def current() -> Host[Any, Any, Any]:
    """The host of the code that runs now."""
    return _find() or _PLAIN


def _nowhere() -> None:
    return None


_PLAIN: Host[Any, Any, Any] = Host()
_find: Callable[[], Host[Any, Any, Any] | None] = _nowhere
