"""A new file that only its owner may open.

Standard library only, and nothing of this package: a shim (see `launch.held`) runs it in an interpreter of its own.
"""

from __future__ import annotations

import os


def open_new(path: str | os.PathLike[str]) -> int:
    """Create this file, which must not exist; only its owner may open it, whatever the umask."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)  # a umask can take bits away from what was asked for
    return fd
