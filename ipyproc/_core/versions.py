"""What a report of a bug should say: versions, system and launcher."""

from __future__ import annotations

import asyncio
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from . import launch

__version__ = "0.1.0"
PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "notebook", "psutil", "nest-asyncio2")
"""Those that have a part in what is seen, by the names under which they are installed."""


def show_versions() -> None:
    """Print what a report of a bug should say: this package, Python, the system, Jupyter's packages, the launcher.

    It holds no names of users, machines or directories.

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
    """The name of the best one here; asked in a thread of its own, for the event loop of this one may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, launch.best()).result().name


def _version(name: str) -> str:
    """JupyterLab may run elsewhere than the kernel: then it is not known here."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed here"
