"""What travels to another machine: `far` and what it needs, as a package of its own name in one zip file."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("", "_core/", "_core/launch/", "_remote/")  # empty there: ours import what is not needed
_CORE = (
    *("encoding", "errors", "family", "log", "log_writer", "pipe", "process_table"),
    *("screen", "script", "status", "storage", "survivor", "turns", "value"),
)
_LAUNCH = (
    *("base", "descendants", "guard", "inheritance", "mark", "poll_loop"),
    *("shim", "supervised", "supervisor", "transport"),
)
_MODULES = (
    *(f"_core/{name}.py" for name in _CORE),
    *(f"_core/launch/{name}.py" for name in _LAUNCH),
    *(f"_remote/{name}.py" for name in ("far", "far_dask", "far_ssh")),
)

BOOT = '''\
def load(name, data):
    """The package of this name, out of a zip file that is held in memory, or has no name: none stays behind."""
    import importlib, importlib.util, os, sys, zipimport
    if name in sys.modules:
        return sys.modules[name]
    if sys.platform != "linux" or sys.version_info < (3, 11):
        raise OSError(0, "Linux and Python 3.11 or newer are needed, and not %s and %d.%d" % (sys.platform, *sys.version_info[:2]))
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("ipyproc")
    else:  # Python was built for an older Linux, as conda's and uv's are
        import tempfile
        with tempfile.TemporaryFile() as file:  # it has no name
            fd = os.dup(file.fileno())
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    path = "/proc/self/fd/%d" % fd
    spec = zipimport.zipimporter(path).find_spec(name)
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    importlib.import_module(name + "._core.launch.supervised").script = path, (fd,)
    return package
'''
"""Defines `load(name, zip file)`, which the other machine runs first."""

_MAIN = """\
import sys
from {name}._core.launch import supervisor
supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
"""  # what the interpreter of a supervisor runs there


class Parcel(NamedTuple):
    """The zip file, and the name of the package in it. What is in it makes the name: no two versions ever meet."""

    name: str
    data: bytes


@functools.cache
def packed() -> Parcel:
    """The parcel of this version."""
    sources = {path: (_ROOT / path).read_bytes() for path in _MODULES}
    name = f"ipyproc_{hashlib.sha256(b''.join(sources.values())).hexdigest()[:12]}"
    sources |= {f"{package}__init__.py": b"" for package in _PACKAGES}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, source in sources.items():
            archive.writestr(f"{name}/{path}", source)
        archive.writestr("__main__.py", _MAIN.format(name=name))
    return Parcel(name, file.getvalue())
