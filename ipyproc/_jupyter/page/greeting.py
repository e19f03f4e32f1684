"""A widget that nobody sees: a page that gets it says that it is there, before there is anything to show.

It stays as long as the extension is loaded: a page that is opened or loaded anew later asks the kernel for its widgets, and
then says so too.
"""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from .. import kernel
from ..guard import Guard
from . import front_end, messages
from .widget import Widget


class Greeting(Widget[messages.GreetingRequest, messages.GreetingMessage]):
    """Is in the pages, and in no cell."""

    _esm = front_end.loader("card")
    requests = messages.GreetingRequest
    unlimited = ("here",)

    def __init__(self, **_: object) -> None:
        super().__init__()
        self._set_shown(messages.Shown(version=messages.VERSION, job=self._job, label="ipyproc", title="is loaded"))
        self._listen()

    def __repr__(self) -> str:
        return "<Greeting>"

    def _on_request(self, request: messages.GreetingRequest, page: str) -> None:
        """Nothing: `presence` has heard it."""


class Greeter:
    """Greets the pages when the first cell runs that somebody may look at, and again after `Widget.close_all()`."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._guard = Guard()
        self._greeting: Greeting | None = None

    def __repr__(self) -> str:
        return f"<Greeter: {self._greeting or 'silent'}>"

    def begin(self) -> None:
        """Call it before each cell."""
        is_open = self._greeting and self._greeting.comm
        if not is_open and kernel.session_of(self._shell) and not kernel.is_headless(self._shell):
            with self._guard:
                self._greeting = Greeting()

    def end(self) -> None:
        """The extension is unloaded."""
        if self._greeting:
            self._greeting.close()
        self._greeting = None
