"""The stand-in that replaces every launcher in tests; see `ipyproc.testing`.

It is a context variable, so it applies only to the code inside a `with` and to the tasks that this code creates.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

from .base import Launcher, RemoteLauncher


class StandIn(Protocol):
    """Provides launchers of its own."""

    def here(self) -> Launcher:
        """The launcher that replaces the best one of this machine."""

    def there(self, on: Any) -> RemoteLauncher:
        """The launcher that replaces the one that `on` stands for; one of its own is returned as it is."""


current: ContextVar[StandIn | None] = ContextVar("ipyproc stand-in", default=None)
