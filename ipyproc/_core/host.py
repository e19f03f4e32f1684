"""Where this code runs, as far as showing and waiting go: a notebook, or a place without one.

`Host` is the place without one: nothing is shown, and nobody can interrupt. A notebook brings a subclass of it, and
`use` says how it is found. Nothing else of `_core` knows of a screen.
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

    It is generic, because it stands below what it shows: `Process`, `Job` and `CompletedProcess`.
    """

    def show(self, process: ProcessT) -> None:
        """Show a process in the cell that runs now.

        Raises:
            RuntimeError: this is no notebook.
        """
        raise RuntimeError("view() shows a process in a cell, and this is no notebook")

    def picture(self, result: ResultT) -> dict[str, str]:
        """A result as a MIME bundle, beside its text."""
        return {}

    def progress(
        self, jobs: Sequence[JobT], halt: Callable[[int], None]
    ) -> contextlib.AbstractAsyncContextManager[Callable[[JobT], object]]:
        """Show how far these jobs have come: `async with host.progress(jobs, halt) as changed`, then `changed(job)` each time.

        `halt(rung)` stops them all, see `ladder`; it may be called in any thread.
        """
        return nothing_shown()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end inside the event loop that is running in this thread.

        Raises:
            RuntimeError: that loop cannot be used from inside.
        """
        work.close()
        raise RuntimeError("the event loop of this thread is running: write `await` instead of `.result()`")

    def interruptible(self, what: str, stop: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        """While the body is awaited, an interrupt calls `stop`; `what` says to a person what was interrupted."""
        return contextlib.nullcontext()


def nothing_shown() -> contextlib.AbstractAsyncContextManager[Callable[[Any], object]]:
    """The progress that nobody sees."""
    return contextlib.nullcontext(lambda job: None)


def use(find: Callable[[], Host[Any, Any, Any] | None]) -> None:
    """Ask `find` for the host from now on; where it gives None, there is no notebook."""
    global _find
    _find = find


def current() -> Host[Any, Any, Any]:
    """The host of the code that runs now."""
    return _find() or _PLAIN


def _nowhere() -> None:
    return None


_PLAIN: Host[Any, Any, Any] = Host()
_find: Callable[[], Host[Any, Any, Any] | None] = _nowhere
