"""What a bug report should contain: versions, system and launcher."""

from __future__ import annotations

import asyncio
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from . import launch

__version__ = "0.1.0"
PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "notebook", "psutil", "nest-asyncio2")
"""The packages that matter for a bug report, by the names under which they are installed."""


def show_versions() -> None:
    """Print what a bug report should contain: versions of this package, Python, the system and Jupyter, and the launcher.

    It prints no names of users, machines or directories.

    Example:
        >>> import ipyproc
        >>> ipyproc.show_versions()  # doctest: +ELLIPSIS
        ipyproc        ...
        python         ...
    """
    rows = {
        "ipyproc": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: _version(name) for name in PACKAGES},
        "launcher": _launcher(),
    }
    sys.stdout.writelines(f"{name:14} {text}\n" for name, text in rows.items())


def _launcher() -> str:
    """The name of the best launcher here, found in another thread because the event loop of this one may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, launch.best()).result().name


def _version(name: str) -> str:
    """The version of a package. JupyterLab may run in another environment than the kernel, and is not found then."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed here"
