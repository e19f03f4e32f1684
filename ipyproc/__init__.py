"""Run external programs from a notebook, awaited, live, and really stopped.

In Jupyter or IPython::

    %load_ext ipyproc
    %%aproc
    for i in 1 2 3; do echo $i; sleep 1; done

From Python, with the keywords of `subprocess.run`::

    done = await ipyproc.run("ls", "-l")
    done.stdout, done.lines, done.duration

Importing this package loads the standard library only; the Jupyter half is loaded by `%load_ext ipyproc`.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from ._core import completed as _completed
from ._core import parallel as _parallel
from ._core import process as _process
from ._core import waiting as _waiting
from ._core.completed import CompletedPipeline, CompletedProcess
from ._core.errors import (
    ProcessError,
    ProcessExitError,
    ProcessLost,
    ProcessNotStopped,
    ProcessStopped,
    ProcessTimeout,
)
from ._core.launch import launchers
from ._core.parallel import parallel
from ._core.process import (
    DEVNULL,
    LOG,
    PIPE,
    STDOUT,
    Process,
    create_subprocess_exec,
    create_subprocess_shell,
)
from ._core.registry import processes
from ._core.run import run, start
from ._core.status import Usage
from ._core.versions import show_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from IPython.core.interactiveshell import InteractiveShell

    from ._core.parallel import Job
    from ._remote.dask import DaskLauncher
    from ._remote.near import LinkLauncher
    from ._remote.ssh import SSHLauncher

__version__ = "0.1.0"

__all__ = [
    "CompletedPipeline",
    "CompletedProcess",
    "DEVNULL",
    "DaskLauncher",
    "LOG",
    "LinkLauncher",
    "PIPE",
    "Process",
    "ProcessError",
    "ProcessExitError",
    "ProcessLost",
    "ProcessNotStopped",
    "ProcessStopped",
    "ProcessTimeout",
    "SSHLauncher",
    "STDOUT",
    "Usage",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "launchers",
    "parallel",
    "processes",
    "run",
    "show_versions",
    "start",
]


def __getattr__(name: str) -> Any:
    """Launchers for other machines are loaded when they are asked for; some need packages of their own."""
    if name == "DaskLauncher":
        from ._remote.dask import DaskLauncher  # late: `ipyproc[dask]`

        return DaskLauncher
    if name == "LinkLauncher":
        from ._remote.near import LinkLauncher

        return LinkLauncher
    if name == "SSHLauncher":
        from ._remote.ssh import SSHLauncher  # late: `ipyproc[ssh]`

        return SSHLauncher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _wait_in_running_loop(work: Coroutine[Any, Any, Any]) -> Any:
    from ._jupyter import waiting  # late: `import ipyproc` must not load Jupyter

    return waiting.wait(work)


def _interruptible(what: str, stop: Callable[[], None]) -> AbstractContextManager[None]:
    if _shell() is None:
        return contextlib.nullcontext()
    from ._jupyter import waiting  # late: `import ipyproc` must not load Jupyter

    return waiting.interruptible(what, stop)


def _shell() -> InteractiveShell | None:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # late, as all below: `import ipyproc` must not load Jupyter

    shell: InteractiveShell | None = get_ipython()
    return shell


def _show_progress(
    jobs: Sequence[Job], halt: Callable[[int], None]
) -> AbstractAsyncContextManager[Callable[[Job], Any]]:
    if (shell := _shell()) is None:
        return contextlib.nullcontext(lambda job: None)
    from ._jupyter import jobs as view

    return view.shown(shell, jobs, halt)


def _show(process: Process) -> None:
    if (shell := _shell()) is None:
        raise RuntimeError("view() shows a process in a cell, and this is no notebook")
    from ._jupyter import magics

    magics.loaded(shell).view(process)


def _picture(done: CompletedProcess) -> dict[str, str]:
    if _shell() is None:
        return {}
    from ._jupyter import transcript

    return transcript.picture(done)


for _error in (ProcessError, ProcessExitError, ProcessLost, ProcessNotStopped, ProcessStopped, ProcessTimeout):
    _error.__module__ = __name__  # as users know them, in the traceback of a script

_completed.picture = _picture
_parallel.show_progress = _show_progress
_process.show = _show
_waiting.in_running_loop = _wait_in_running_loop
_waiting.interruptible = _interruptible


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%aproc` and `%aproc` to this IPython; called by `%load_ext ipyproc`. Prints nothing."""
    from ._jupyter import magics  # late: `import ipyproc` must not load Jupyter

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take back all that loading added, and kill the programs that still run; called by `%unload_ext ipyproc`."""
    from ._jupyter import magics  # late: `import ipyproc` must not load Jupyter

    magics.unload(shell)
