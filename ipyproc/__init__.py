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
from ._core.batch.parallel import Parallel, parallel
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
from ._core.launch import names as _names
from ._core.output.log import LOG
from ._core.process.factories import create_subprocess_exec, create_subprocess_shell
from ._core.process.process import Process
from ._core.process.registry import processes
from ._core.program.usage import Usage
from ._core.versions import __version__ as __version__
from ._core.versions import show_versions

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from ipywidgets import DOMWidget

    from ._remote.dask import DaskLauncher as DaskLauncher
    from ._remote.near import LinkLauncher
    from ._remote.ssh import SSHLauncher as SSHLauncher

# all public names, but for DaskLauncher and SSHLauncher: `from ipyproc import *` must not need their packages
__all__ = [
    "CompletedPipeline",
    "CompletedProcess",
    "DEVNULL",
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
    "widget",
]


_OF_EXTRAS = {"DaskLauncher": "dask", "SSHLauncher": "ssh"}


def __dir__() -> list[str]:
    """With the names that are loaded on first use, so that they are completed."""
    return sorted({*globals(), *__all__, *_OF_EXTRAS})


def __getattr__(name: str) -> Any:
    """Load `testing` and the launchers for other machines on first use; some launchers need extra packages."""
    if name in _OF_EXTRAS:
        return getattr(_names.module(_OF_EXTRAS[name]), name)
    if name == "LinkLauncher":
        from ._remote.near import LinkLauncher  # late: few need it

        return LinkLauncher
    if name == "testing":
        import ipyproc.testing  # late: only tests need it; `from . import` would call this function again

        return ipyproc.testing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def widget(shown: Process | Parallel | None = None) -> DOMWidget:
    """A live widget, to be put into a `VBox`, a tab, an `Output`, a dashboard: as often as you like.

    It shows output and figures while the program runs, with Stop and Kill, and stays when it has ended. Other programs are
    not touched by it. It holds the process and its log until you `close()` it.

    Args:
        shown: a process that runs or has ended; a batch of `parallel`, also one that was not started; None: the table of all
            processes, as `%aprocs` shows it, which is the same widget each time.

    Returns:
        An ipywidgets `DOMWidget` with traits to observe, which cannot be set. Of a process: `state` (its values are
        "running", "closed": it runs and its output is closed, "paused", "stopping", "ok", "failed", "signaled", "timeout",
        "left": it has ended and something that it started runs, and "lost"), `returncode` (an int or None), `elapsed`
        (seconds), `lines` (of its output). Of a batch: `state` ("waiting", "running", "ok", "failed"), `done` and `failed`
        (numbers of commands), `elapsed` (seconds). They change when a view would, at most 20 times a second.

    Raises:
        TypeError: it is something else.
        ValueError: the output of the process does not go to a log.
        RuntimeError: no event loop runs here; or the table is asked for, and this is no IPython.

    Example:
        In a notebook::

            from ipywidgets import VBox
            p = await ipyproc.start("ping", "localhost")
            card = ipyproc.widget(p)
            card.observe(lambda change: print(change.new), "state")
            VBox([card])
    """
    from ._jupyter import composed  # late: `import ipyproc` must not load Jupyter

    return composed.widget(shown)


def _notebook() -> _host.Host[Any, Any, Any] | None:
    if (marimo := sys.modules.get("marimo")) and marimo.running_in_notebook():
        from ._jupyter.marimo import Marimo  # late, as all below: `import ipyproc` must not load Jupyter

        return Marimo()
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

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
