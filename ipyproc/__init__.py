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

import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

from ._core import host as _host
from ._core.batch.completed import CompletedPipeline, CompletedProcess
from ._core.batch.parallel import parallel
from ._core.batch.run import run, start
from ._core.errors import (
    ProcessError,
    ProcessExitError,
    ProcessLost,
    ProcessNotStopped,
    ProcessStopped,
    ProcessTimeout,
)
from ._core.launch import launchers
from ._core.output.log import LOG
from ._core.process.factories import create_subprocess_exec, create_subprocess_shell
from ._core.process.process import Process
from ._core.process.registry import processes
from ._core.program.usage import Usage
from ._core.versions import __version__ as __version__
from ._core.versions import show_versions

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ._remote.dask import DaskLauncher
    from ._remote.near import LinkLauncher
    from ._remote.ssh import SSHLauncher

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
    "testing",
]


def __getattr__(name: str) -> Any:
    """Load `testing` and the launchers for other machines on first use; some launchers need extra packages."""
    if name == "DaskLauncher":
        from ._remote.dask import DaskLauncher  # late: `ipyproc[dask]`

        return DaskLauncher
    if name == "LinkLauncher":
        from ._remote.near import LinkLauncher

        return LinkLauncher
    if name == "SSHLauncher":
        from ._remote.ssh import SSHLauncher  # late: `ipyproc[ssh]`

        return SSHLauncher
    if name == "testing":
        import ipyproc.testing  # late: only tests need it; `from . import` would call this function again

        return ipyproc.testing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _notebook() -> _host.Host[Any, Any, Any] | None:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # late, as all below: `import ipyproc` must not load Jupyter

    shell: InteractiveShell | None = get_ipython()
    if shell is None:
        return None
    from ._jupyter.host import Notebook

    return Notebook(shell)


for _error in (ProcessError, ProcessExitError, ProcessLost, ProcessNotStopped, ProcessStopped, ProcessTimeout):
    _error.__module__ = __name__  # the name that users know, in the traceback of a script too

_host.use(_notebook)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%aproc` and `%aproc` to this IPython; called by `%load_ext ipyproc`. Prints nothing."""
    from ._jupyter.magics import magics  # late: `import ipyproc` must not load Jupyter

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Undo what loading did, and kill the programs that still run; called by `%unload_ext ipyproc`."""
    from ._jupyter.magics import magics  # late: `import ipyproc` must not load Jupyter

    magics.unload(shell)
