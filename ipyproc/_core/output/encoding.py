"""The one encoding of all text that programs get and write: that of the locale, as for file names.

Arguments, environment variables and file names are in it anyway (`os.fsencode`), and so is the output of most programs.
So we use it for scripts, typed input and output too. It is UTF-8 nearly everywhere.
"""

from __future__ import annotations

import os
import sys
from typing import Final

ENCODING: Final = sys.getfilesystemencoding()


def encode(text: str) -> bytes:
    """Text for a program.

    Raises:
        ValueError: it has a character that is not in the encoding.
    """
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{text[error.start]!r} is not a character of {ENCODING}, the encoding here; a kernel that is started with "
            "LC_ALL=C.UTF-8 has all characters"
        ) from None


def decode(data: bytes) -> str:
    """What a program wrote, as text; invalid bytes become U+FFFD."""
    return data.decode(ENCODING, "replace")
