"""The code that runs in the page: a loader in each widget, which fetches the code of all widgets once for each page.

A widget's code (`_esm`) is sent with every instance and kept in the page for each, so it is only a loader. The real code
comes from the files in `static` and from nowhere else. Its name in the page contains its digest, so a kernel with another
version of ipyproc brings its own.
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
    """The code that each widget carries; `view`: card, table or jobs."""
    return _LOADER.replace("VIEW", view)


@functools.cache
def packed() -> list[bytes]:
    """Script and style, each compressed by gzip, as they are sent."""
    return [gzip.compress(part, mtime=0) for part in _CODE]
