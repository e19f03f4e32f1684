"""Is there a page that shows cards? The one answer, for each client of the kernel: who hears a page tells it here, who would show a card asks here.

A client is known by the session in its messages: a console beside a page of the same kernel is another one. What a page
says counts, and not what it is: that it has one of our widgets and runs its code (`here`), that it has drawn one
(`shown`). Nobody waits for that: until it is said, there is text.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from IPython.core.interactiveshell import InteractiveShell

from .. import kernel

PATIENCE = 1.0  # seconds in which a page has to say that it has drawn its first card
_MOST_CLIENTS = 1000
_LONGEST = 100  # characters of the name of a session


class Client:
    """Somebody who runs cells.

    Attributes:
        is_page: numbers its messages as a page does, which puts one display in the place of another when it is told to.
        is_here: has said that it runs the code of our widgets.
        has_drawn: has said that it has drawn one.
    """

    def __init__(self) -> None:
        self.is_page = True
        self.is_here = self.has_drawn = False
        self._tried_at: float | None = None  # `time.monotonic()`

    def __repr__(self) -> str:
        said = "has drawn" if self.has_drawn else "is here" if self.is_here else "silent"
        return f"<Client: {'page' if self.is_page else 'written in Python'}, {said}>"

    @property
    def may_draw(self) -> bool:
        """Whether a card is worth a try: it has said so, or is a page that has not been silent for long."""
        if self.is_here:
            return True
        return self.is_page and (self._tried_at is None or time.monotonic() < self._tried_at + PATIENCE)

    def try_widget(self) -> None:
        """It gets a widget now: from here on its silence means something."""
        if self._tried_at is None:
            self._tried_at = time.monotonic()


_clients: OrderedDict[str, Client] = OrderedDict()  # by their sessions; who spoke last stands last


def client(shell: InteractiveShell) -> Client:
    """Who runs the cell that runs now."""
    found = _client(kernel.session_of(shell))
    found.is_page = not kernel.is_python_client(shell)
    return found


def hear(session: object, operation: str) -> None:
    """A client has said this about one of our widgets."""
    if not isinstance(session, str) or operation not in ("here", "shown"):
        return
    found = _client(session)
    found.is_here = True
    found.has_drawn = found.has_drawn or operation == "shown"


def _client(session: str) -> Client:
    name = session[:_LONGEST]
    found = _clients.setdefault(name, Client())
    _clients.move_to_end(name)
    if len(_clients) > _MOST_CLIENTS:
        _clients.popitem(last=False)
    return found


def reaches_page(shell: InteractiveShell, *, is_replaced: bool = False) -> bool:
    """Whether what is displayed now can reach a page; `is_replaced`: it is to be replaced by something else later."""
    nowhere = kernel.is_headless(shell) or kernel.captures_displays(shell) or kernel.is_apart()
    return not nowhere and not (is_replaced and kernel.is_in_output_widget(shell))  # which ignores replacements


def can_show(shell: InteractiveShell) -> bool:
    """Whether a card that is displayed now will be seen, as far as one can know."""
    return reaches_page(shell) and client(shell).may_draw
