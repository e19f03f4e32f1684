"""The stand-in: what starts programs in the place of every launcher, for tests; see `ipyproc.testing`.

It is a context variable, so it holds for the code inside a `with`, and for the tasks that this code makes, and for nobody else.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

from .base import Launcher, RemoteLauncher


class StandIn(Protocol):
    """Gives launchers of its own."""

    def here(self) -> Launcher:
        """In the place of the one that promises most here."""

    def there(self, on: Any) -> RemoteLauncher:
        """In the place of the one that `on` stands for; one of its own is given back as it is."""


current: ContextVar[StandIn | None] = ContextVar("ipyproc stand-in", default=None)
