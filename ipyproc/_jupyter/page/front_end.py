"""What runs in the page: a loader that each widget carries, and the code of all of them, which it fetches once for a page.

A widget's code is sent with each instance of it and kept in the page for each; so it is only the loader. The code comes
from the files beside this one and from nowhere else. Its name in the page holds its digest: a kernel with another version
of ipyproc brings its own.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import pathlib

_STATIC = pathlib.Path(__file__).parents[1] / "static"
_CODE = tuple((_STATIC / name).read_bytes() for name in ("page.js", "page.css"))

_LOADER = (
    (_STATIC / "loader.js").read_text(encoding="utf-8").replace("CODE", hashlib.sha256(b"".join(_CODE)).hexdigest())
)


def loader(view: str) -> str:
    """The code that each widget carries; `view`: card or table."""
    return _LOADER.replace("VIEW", view)


@functools.cache
def packed() -> list[bytes]:
    """Script and style as they travel."""
    return [gzip.compress(part, mtime=0) for part in _CODE]
