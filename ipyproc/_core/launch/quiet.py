"""A fix for asyncio's transport of a child process in older versions of Python."""

from __future__ import annotations

import contextlib
import functools
from asyncio.base_subprocess import BaseSubprocessTransport
from typing import Any


class QuietTransport(BaseSubprocessTransport):
    """Can be closed after its event loop, as in Python 3.13.4 and newer (gh-114177).

    Older versions raise `RuntimeError: Event loop is closed` from `__del__`, and the program lives on.
    """

    def close(self) -> None:
        """Close its pipes, and kill the program if it runs."""
        if self._loop and self._loop.is_closed():  # `_loop` is None once the protocol was told of the end
            for stream in range(3):
                with contextlib.suppress(RuntimeError, AttributeError):  # the loop is closed; there is no such pipe
                    self.get_pipe_transport(stream).close()  # type: ignore[union-attr]
        super().close()


def make_quiet(transport: Any) -> None:
    """Turn a transport of asyncio's own into a `QuietTransport`."""
    kind: Any = type(transport)
    if issubclass(kind, BaseSubprocessTransport):
        transport.__class__ = _quiet(kind)


@functools.cache
def _quiet(kind: type) -> type:
    return type(kind.__name__, (QuietTransport, kind), {})
