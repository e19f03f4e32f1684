"""The link in what is saved, by which a page opens the viewer again; see `kept`."""

from __future__ import annotations


def to(name: str, shows: str) -> str:
    """The link to the run that was kept by this name, as HTML; nothing without a name. `shows`: what is to be seen there.

    It is empty and hidden: the code of a page that can open it shows it, with words.
    """
    if not name:
        return ""
    return f'<a style="display:none" href="#ipyproc-{name}" title="Open the viewer here: {shows}"></a>'
