"""The notebook as a `Host`: its cells show processes and results, and an interrupt of the kernel stops what is awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from .._core.batch.completed import CompletedProcess
from .._core.batch.parallel import Batch
from .._core.host import Host
from .._core.process.process import Process
from .cell import blocking
from .magics import magics
from .page import presence
from .views import jobs, transcript

T = TypeVar("T")


class Notebook(Host[Process, Batch, CompletedProcess]):
    """The cells of this IPython."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def show(self, process: Process) -> None:
        magics.loaded(self._shell).view(process)

    @property
    def has_page(self) -> bool:
        return presence.can_show(self._shell)

    def picture(self, result: CompletedProcess) -> str:
        return transcript.picture(result)

    def progress(self, batch: Batch) -> AbstractAsyncContextManager[None]:
        return jobs.shown(self._shell, batch)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return blocking.wait(self._shell, work)

    def interruptible(self, what: str, stop: Callable[[], None]) -> AbstractContextManager[None]:
        return blocking.interruptible(self._shell, what, stop)
