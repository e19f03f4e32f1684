"""The notebook as a `Host`: its cells show processes and results, and an interrupt of the kernel stops what is awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from .._core.batch.completed import CompletedProcess
from .._core.batch.parallel import Job
from .._core.host import Host
from .._core.process.process import Process
from .cell import blocking
from .magics import magics
from .views import jobs as progress
from .views import transcript

T = TypeVar("T")


class Notebook(Host[Process, Job, CompletedProcess]):
    """The cells of this IPython."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def show(self, process: Process) -> None:
        magics.loaded(self._shell).view(process)

    def picture(self, result: CompletedProcess) -> dict[str, str]:
        return transcript.picture(result)

    def progress(
        self, jobs: Sequence[Job], halt: Callable[[int], None]
    ) -> AbstractAsyncContextManager[Callable[[Job], object]]:
        return progress.shown(self._shell, jobs, halt)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return blocking.wait(self._shell, work)

    def interruptible(self, what: str, stop: Callable[[], None]) -> AbstractContextManager[None]:
        return blocking.interruptible(self._shell, what, stop)
