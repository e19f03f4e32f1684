"""Run external programs from a notebook, awaited, live, and really stopped.

In Jupyter or IPython::

    %load_ext ipyproc
    %%aproc
    for i in 1 2 3; do echo $i; sleep 1; done

From Python, with asyncio's own names::

    process = await ipyproc.create_subprocess_exec("ls", stdout=ipyproc.LOG)
    await process.wait()

Importing this package loads the standard library only; the Jupyter half is loaded by `%load_ext ipyproc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core.errors import ProcessError, ProcessExitError, ProcessLost, ProcessTimeout
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
from ._core.run import CompletedProcess

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

__all__ = [
    "CompletedProcess",
    "DEVNULL",
    "LOG",
    "PIPE",
    "Process",
    "ProcessError",
    "ProcessExitError",
    "ProcessLost",
    "ProcessTimeout",
    "STDOUT",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "processes",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%aproc` and `%aproc` to this IPython; called by `%load_ext ipyproc`. Prints nothing."""
    from ._jupyter import magics  # late: `import ipyproc` must not load Jupyter

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take back all that loading added, and kill the programs that still run; called by `%unload_ext ipyproc`."""
    from ._jupyter import magics  # late: `import ipyproc` must not load Jupyter

    magics.unload(shell)
