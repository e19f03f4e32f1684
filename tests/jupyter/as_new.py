"""Part of the kernel that a worker keeps for its tests: makes it what it was before them, and tells what ipyproc left.

The tests of a module may leave variables, widgets, settings and running programs, as a user does. After `%unload_ext` nothing
of ipyproc may be left: what is, is told. Its modules are forgotten, so that the next tests find them as they are written.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import sys
import threading
import time
from typing import Any

import comm
import ipywidgets
import psutil
from IPython.core.interactiveshell import InteractiveShell

PATIENCE = 30  # seconds; what was told to end may need some on a loaded machine


class AsNew:
    """What the kernel is like now; `restored` makes it so again."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.variables = {**os.environ}
        self.directory = os.getcwd()
        self.path = [*sys.path]
        self.before: dict[str, Any] = {}

    async def taken(self) -> AsNew:
        """In a cell that awaits, as `restored` is: the handler of SIGINT is another in one that does not."""
        self.before = self.state()
        return self

    def state(self) -> dict[str, Any]:
        """What ipyproc changes while it is loaded or while its programs run."""
        shell = self.shell
        return {
            "magics": sorted(
                name for names in shell.magics_manager.lsmagic().values() for name in names if "aproc" in name
            ),
            "transformers": [repr(each) for each in shell.input_transformers_post],
            "events": {name: len(found) for name, found in shell.events.callbacks.items()},
            "exceptions": repr(shell.custom_exceptions),
            "comm targets": sorted(comm.get_comm_manager().targets),
            "comms": len(comm.get_comm_manager().comms),
            "interrupt": re.sub(" at 0x[0-9a-f]+", "", repr(signal.getsignal(signal.SIGINT))),  # one for each cell
            "woken by signals": [fd := signal.set_wakeup_fd(-1), signal.set_wakeup_fd(fd)][0] >= 0,
            "children": [each.cmdline() for each in psutil.Process().children(recursive=True) if _lives(each)],
            "tasks": [repr(each) for each in asyncio.all_tasks() if f"{os.sep}ipyproc{os.sep}" in _file(each)],
            "threads": sorted(each.name for each in threading.enumerate() if "ipyproc" in each.name),
        }

    async def restored(self) -> dict[str, Any]:
        """Unload ipyproc and undo what tests did; what is left of it then, or nothing."""
        os.chdir(self.directory)
        if "ipyproc" in sys.modules:
            sys.modules["ipyproc"].unload_ipython_extension(self.shell)
        for task in asyncio.all_tasks():
            if f"{os.sep}ipykernel_" in _file(task):  # a cell's own
                task.cancel()
        ipywidgets.Widget.close_all()
        self.shell.reset(new_session=True)
        self.shell.config.pop("AProcMagics", None)  # what `%config` has set holds for what is loaded later too
        os.environ.clear()
        os.environ.update(self.variables)
        sys.path[:] = self.path
        deadline = time.monotonic() + PATIENCE
        while left := {name: value for name, value in self.state().items() if value != self.before[name]}:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        for name in [name for name in sys.modules if name.partition(".")[0] == "ipyproc"]:
            del sys.modules[name]
        self.shell.extension_manager.loaded.discard("ipyproc")
        gc.collect()
        return left


def _file(task: asyncio.Task[Any]) -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return code.co_filename if code else ""


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
