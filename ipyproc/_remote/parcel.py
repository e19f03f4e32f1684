"""The code that is sent to another machine: `far` and what it needs, as a package with a name of its own, in one zip file."""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]
_FIRST = ("_remote/far.py", "_remote/far_dask.py", "_remote/far_ssh.py", "_core/launch/held/supervisor.py")

BOOT = '''\
def load(name, data):
    """Import the package of this name from a zip file in memory, or in a file without a name: nothing is left behind."""
    import importlib, importlib.util, os, sys, zipimport
    if name in sys.modules:
        return sys.modules[name]
    if sys.platform != "linux" or sys.version_info < (3, 11):
        raise OSError(0, "Linux and Python 3.11 or newer are needed, and not %s and %d.%d" % (sys.platform, *sys.version_info[:2]))
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("ipyproc")
    else:  # Python was built for an older Linux, as those of conda and uv are
        import tempfile
        with tempfile.TemporaryFile() as file:  # it has no name
            fd = os.dup(file.fileno())
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    path = "/proc/self/fd/%d" % fd
    spec = zipimport.zipimporter(path).find_spec(name)
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    importlib.import_module(name + "._core.launch.client").script = path, (fd,)
    return package
'''
"""Defines `load(name, zip file)`, which the other machine runs first."""

_MAIN = """\
import sys
from {name}._core.launch.held import supervisor
supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
"""  # the script of a supervisor there


class Parcel(NamedTuple):
    """The zip file, and the name of the package in it, which depends on its contents, so that versions never mix."""

    name: str
    data: bytes


@functools.cache
def packed() -> Parcel:
    """The parcel of this version."""
    sources = _sources()
    name = f"ipyproc_{hashlib.sha256(b''.join(sources.values())).hexdigest()[:12]}"
    sources |= {
        f"{folder / '__init__.py'}": b"" for folder in _folders(sources)
    }  # empty, because the real ones import what is not needed there
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, source in sources.items():
            archive.writestr(f"{name}/{path}", source)
        archive.writestr("__main__.py", _MAIN.format(name=name))
    return Parcel(name, file.getvalue())


def _sources() -> dict[str, bytes]:
    """The sources that run there, and all modules of this package that they import, directly or not; by path."""
    found: dict[str, bytes] = {}
    todo = [*_FIRST]
    while todo:
        if (path := todo.pop()) not in found:
            found[path] = (_ROOT / path).read_bytes()
            todo += _imports(path, found[path])
    return dict(sorted(found.items()))


def _imports(path: str, source: bytes) -> list[str]:
    """The paths of this package's modules that a module imports when it runs, without those for type checkers alone."""
    found = []
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.level:
            base = PurePosixPath(path).parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found += [f"{base}.py", *(f"{base / alias.name}.py" for alias in node.names)]
    return [each for each in found if (_ROOT / each).is_file()]


def _folders(paths: Iterable[str]) -> set[PurePosixPath]:
    return {folder for path in paths for folder in PurePosixPath(path).parents}
