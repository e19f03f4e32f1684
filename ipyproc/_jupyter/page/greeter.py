"""When the pages are greeted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from .. import kernel
from ..guard import Guard

if TYPE_CHECKING:
    from .greeting import Greeting, OpenAgain


class Greeter:
    """Greets the pages when the first cell runs that somebody may look at, and again after `Widget.close_all()`."""

    def __init__(self, shell: InteractiveShell, open_again: OpenAgain) -> None:
        self._shell = shell
        self._open_again = open_again
        self._guard = Guard()
        self._greeting: Greeting | None = None

    def __repr__(self) -> str:
        return f"<Greeter: {self._greeting or 'silent'}>"

    def begin(self) -> None:
        """Call it before each cell."""
        is_open = self._greeting and self._greeting.comm
        if not is_open and kernel.session_of(self._shell) and not kernel.is_headless(self._shell):
            with self._guard:
                from .greeting import Greeting  # late: it loads anywidget

                self._greeting = Greeting(self._open_again)

    def end(self) -> None:
        """The extension is unloaded."""
        if self._greeting:
            self._greeting.close()
        self._greeting = None
