"""asyncio's transport of a program, where Python's own is not as we need it."""

from __future__ import annotations

import contextlib
import functools
from asyncio.base_subprocess import BaseSubprocessTransport
from typing import Any


class QuietTransport(BaseSubprocessTransport):
    """Can be closed when its event loop is closed, as that of Python 3.13.4 and newer (gh-114177).

    Older ones raise `RuntimeError: Event loop is closed` from `__del__`, and the program lives on.
    """

    def close(self) -> None:
        """Close its pipes, and kill the program if it runs."""
        if self._loop and self._loop.is_closed():  # it is None when the protocol was told of the end
            for stream in range(3):
                with contextlib.suppress(RuntimeError, AttributeError):  # the loop is closed; there is no such pipe
                    self.get_pipe_transport(stream).close()  # type: ignore[union-attr]
        super().close()


def make_quiet(transport: Any) -> None:
    """Make a transport of asyncio's own a quiet one."""
    kind: Any = type(transport)
    if issubclass(kind, BaseSubprocessTransport):
        transport.__class__ = _quiet(kind)


@functools.cache
def _quiet(kind: type) -> type:
    return type(kind.__name__, (QuietTransport, kind), {})
