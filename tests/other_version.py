"""A copy of this package in which something is changed, as another release of it would be."""

import shutil
from pathlib import Path

import ipyproc

PACKAGE = Path(ipyproc.__file__).parent


def changed_copy(place: Path, file: str, old: str, new: str, name: str = "ipyproc") -> Path:
    """The package of this name in that directory."""
    copy = place / name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "static"))
    text = (copy / file).read_text()
    assert text.count(old) == 1, old
    (copy / file).write_text(text.replace(old, new))
    return copy


def of_version_99(place: Path, name: str = "ipyproc") -> Path:
    """One that speaks another version of the protocol."""
    return changed_copy(place, "_core/protocol.py", "VERSION: Final = 2\n", "VERSION: Final = 99\n", name)
