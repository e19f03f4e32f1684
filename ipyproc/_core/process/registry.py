"""The programs that are running, among those started by `run`, `start`, `parallel` and the magics."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable

from .process import Process

watchers: set[Callable[[Process], object]] = set()
"""Called with each process, on its event loop, when it has started."""

_started: weakref.WeakValueDictionary[int, Process] = weakref.WeakValueDictionary()  # in the order of their start


def add(process: Process) -> None:
    """List this process until it ends. The list holds no reference to it: the event loop keeps it alive until then."""
    _started[id(process)] = process
    process.add_done_callback(lambda ended: _started.pop(id(ended), None))
    for watcher in tuple(watchers):
        try:
            watcher(process)
        except Exception as error:  # noqa: BLE001  -- an error of a watcher must not lose a running program
            context = {"message": f"{watcher!r} failed for {process!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


def processes() -> list[Process]:
    """All programs that are running, in the order in which they were started.

    Each is a `Process`, even if you did not keep a reference to it: `ipyproc.processes()[-1].terminate()`. Programs
    started by the two factories that replace asyncio's are not included.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     await ipyproc.start("sleep", "60")
        ...     running = ipyproc.processes()
        ...     return [(each.name, await each.stop()) for each in running]
        >>> asyncio.run(main())
        [('sleep 60', -15)]
    """
    return [each for each in _started.values() if not each.is_over]
