"""Is there a page that shows cards? The one answer: whoever hears a page tells it here, whoever would show a card asks here."""

from __future__ import annotations

import time

from IPython.core.interactiveshell import InteractiveShell

from .. import kernel

PATIENCE = 5.0  # seconds in which the first page of a kernel has to say that it is there
RETRY = 600.0  # seconds without cards after that; a page may be opened later

_has_come = False
_not_before = 0.0  # `time.monotonic()`


def seen() -> None:
    """A page has said that it shows something of ours; `jupyter console` never does."""
    global _has_come, _not_before
    _has_come, _not_before = True, 0.0


def missed() -> None:
    """None has said so in all the time that it had: for a while nothing is tried that needs one."""
    global _not_before
    _not_before = time.monotonic() + RETRY


def has_come() -> bool:
    """Whether a page of this kernel has ever shown something of ours."""
    return _has_come


def is_likely() -> bool:
    """Whether a card is worth a try now."""
    return time.monotonic() >= _not_before


def reaches_page(shell: InteractiveShell, *, is_replaced: bool = False) -> bool:
    """Whether what is displayed now can reach a page; `is_replaced`: something is to be put into its place later."""
    nowhere = kernel.is_headless(shell) or kernel.captures_displays(shell) or kernel.is_apart()
    return not nowhere and not (is_replaced and kernel.is_in_output_widget(shell))  # there nothing is ever replaced


def can_show(shell: InteractiveShell) -> bool:
    """Whether a card that is displayed now will be seen, as far as one can know."""
    return reaches_page(shell) and is_likely()
