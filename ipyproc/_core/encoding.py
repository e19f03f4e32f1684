"""The one encoding of all text that programs get and write: that of the locale, as for the names of files.

Arguments, variables of the environment and file names are in it anyway (`os.fsencode`), and so is what most programs
write. So a script, typed input and output are too; in nearly all places it is UTF-8.
"""

from __future__ import annotations

import os
import sys
from typing import Final

ENCODING: Final = sys.getfilesystemencoding()


def encode(text: str) -> bytes:
    """Text for a program.

    Raises:
        ValueError: it has a character that the encoding does not have.
    """
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{text[error.start]!r} is no character of {ENCODING}, the encoding here; a kernel that is started with "
            "LC_ALL=C.UTF-8 has all characters"
        ) from None


def decode(data: bytes) -> str:
    """What a program wrote, as text; bytes that are none become U+FFFD."""
    return data.decode(ENCODING, "replace")
