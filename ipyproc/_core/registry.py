"""Which programs run: those that were started by `run`, `start`, `parallel` and the magics."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable

from .process import Process

watchers: set[Callable[[Process], object]] = set()
"""Called with each process, on its event loop, when it has started."""

_started: weakref.WeakValueDictionary[int, Process] = weakref.WeakValueDictionary()  # in the order of their start


def add(process: Process) -> None:
    """Know this process up to its end. The event loop holds it so long, and nobody here."""
    _started[id(process)] = process
    process.add_done_callback(lambda ended: _started.pop(id(ended), None))
    for watcher in tuple(watchers):
        try:
            watcher(process)
        except Exception as error:  # noqa: BLE001  -- a program that has started is not lost for whoever only looks on
            context = {"message": f"{watcher!r} could not take {process!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


def processes() -> list[Process]:
    """All programs that run now, in the order in which they were started.

    Each is a `Process`, also when nobody has kept it: `ipyproc.processes()[-1].terminate()`. Those of the two factories
    that replace asyncio's are not among them.

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
