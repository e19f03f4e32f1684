"""Whether there is a page that shows cards. What hears from a page records it here; what would show a card asks here."""

from __future__ import annotations

import time

from IPython.core.interactiveshell import InteractiveShell

from .. import kernel

PATIENCE = 5.0  # seconds to wait for a first message from any page
RETRY = 600.0  # seconds without cards if none came; a page may be opened later

_has_come = False
_not_before = 0.0  # `time.monotonic()`


def seen() -> None:
    """A page has said that it shows one of ipyproc's widgets; `jupyter console` never does."""
    global _has_come, _not_before
    _has_come, _not_before = True, 0.0


def missed() -> None:
    """No page has said so within `PATIENCE`: for `RETRY` seconds nothing that needs a page is tried."""
    global _not_before
    _not_before = time.monotonic() + RETRY


def has_come() -> bool:
    """Whether a page of this kernel has ever shown one of ipyproc's widgets."""
    return _has_come


def is_likely() -> bool:
    """Whether it is worth trying a card now."""
    return time.monotonic() >= _not_before


def reaches_page(shell: InteractiveShell, *, is_replaced: bool = False) -> bool:
    """Whether what is displayed now can reach a page; `is_replaced`: it is to be replaced by something else later."""
    nowhere = kernel.is_headless(shell) or kernel.captures_displays(shell) or kernel.is_apart()
    return not nowhere and not (is_replaced and kernel.is_in_output_widget(shell))  # which ignores replacements


def can_show(shell: InteractiveShell) -> bool:
    """Whether a page will probably show a card that is displayed now."""
    return reaches_page(shell) and is_likely()
