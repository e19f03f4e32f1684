"""A widget that nobody sees: a page that gets it says that it is there, before there is anything to show.

It stays as long as the extension is loaded: a page that is opened or loaded anew later asks the kernel for its widgets, and
then says so too. As every page of a living kernel has it, its code also hears clicks on the links of saved transcripts.
"""

from __future__ import annotations

from collections.abc import Callable

from . import front_end, messages
from .widget import Widget

OpenAgain = Callable[[str, Callable[[str], None]], None]
"""Opens the run of a saved transcript by its id and tells the id of its widget model, if there is such a run."""


class Greeting(Widget[messages.GreetingRequest, messages.GreetingMessage]):
    """Is in the pages, and in no cell."""

    _esm = front_end.GREETING
    requests = messages.GreetingRequest
    unlimited = ("here",)

    def __init__(self, open_again: OpenAgain = lambda name, tell: None, **_: object) -> None:
        super().__init__()
        self._open_again = open_again
        self._set_shown(messages.Shown(version=messages.VERSION, job=self._job, label="ipyproc", title="is loaded"))
        self._listen()

    def __repr__(self) -> str:
        return "<Greeting>"

    def _on_request(self, request: messages.GreetingRequest, page: str) -> None:
        """Open a run again; all else `presence` has heard."""
        if request["op"] == "open":
            view = request["view"]
            self._open_again(request["id"], lambda model: self._tell(view, model))

    def _tell(self, view: str, model: str) -> None:
        if self.comm is not None:
            self._send_message(messages.OpenedAgain(op="opened", view=view, model=model))
