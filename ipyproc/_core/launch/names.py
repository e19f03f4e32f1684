"""Launchers by their names, for programs on other machines: `run(..., on="ssh://me@box")`, `%%aproc --on dask`.

A name is looked up in this order: in `launchers`; among the variables of the notebook; as an address, by its scheme; as a
scheme alone; as a machine that SSH knows: a Host of ~/.ssh/config or of a file that it includes, a name that matches a
pattern or a Match there, or any name that has an address. For each scheme, a function makes a `RemoteLauncher` (see `base`) of an address. Other packages add
theirs by an entry point of the group `ipyproc.launchers`, whose name is the scheme::

    [project.entry-points."ipyproc.launchers"]
    k8s = "my_package:launcher"             # for on="k8s://namespace/pod" and on="k8s"
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import importlib
import importlib.metadata
import os
import re
import socket
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .base import RemoteLauncher
from .stand_in import current as stand_in

launchers: dict[str, Any] = {}
"""The user's own names, each for an address, a launcher, or a Dask Client or cluster."""

_SSH, _DASK = ("ipyproc._remote.ssh", "asyncssh", "ssh"), ("ipyproc._remote.dask", "distributed", "dask")
_OURS = {"ssh": _SSH, **dict.fromkeys(("dask", "tcp", "tls", "ucx", "ws", "wss"), _DASK)}
"""By scheme: the module, which is imported when it is used; the package it needs; the extra that installs it."""
_HOST = re.compile(r"(?=.*[A-Za-z:])[\w:][\w.:-]*")  # not a mere number, which would count as an IP address
_LOOK_UP = 2.0  # seconds that a name server may take
_DEEPEST = 16  # levels of files that include each other, as in OpenSSH
_used: weakref.WeakSet[RemoteLauncher] = weakref.WeakSet()
_cache: dict[str, RemoteLauncher] = {}  # by name, so that a name that is used again shares its connection


def named(on: Any, names: Mapping[str, Any] | None = None) -> RemoteLauncher:
    """The launcher that `on` stands for; `names`: variables of a notebook, which may hold a launcher, a Client or a cluster.

    Raises:
        ValueError: there is no launcher of this name; the message has the nearest name.
        TypeError: it is neither a name nor a launcher.
        ImportError: a package is missing; the message says how to install it.
    """
    if instead := stand_in.get():
        return instead.there(on)
    found = _find(on, names or {})
    _used.add(found)
    return found


def _find(on: Any, names: Mapping[str, Any]) -> RemoteLauncher:
    for _ in range(8):  # a name may stand for another name
        if not isinstance(on, str):
            return _of_object(on)
        if on in launchers:
            on = launchers[on]
        elif on in names and _is_place(names[on]):  # not `import dask`
            on = names[on]
        else:
            return _of_address(on, names)
    raise ValueError(f"on={on!r}: the names in ipyproc.launchers go round in a circle")


def _of_object(on: Any) -> RemoteLauncher:
    if _is_of_dask(on):
        found: RemoteLauncher = _module(_DASK).of_object(on)
        return found
    if _is_place(on):
        launcher: RemoteLauncher = on
        return launcher
    raise TypeError(f"on={on!r:.80}: allowed are a name, a launcher, and a Dask Client or cluster")


def _of_address(on: str, names: Mapping[str, Any]) -> RemoteLauncher:
    if on not in _cache:
        scheme = on.partition("://")[0]
        if scheme in _OURS:
            _cache[on] = _module(_OURS[scheme]).launcher(on)
        elif other := _others().get(scheme):
            _cache[on] = _of_package(other, on)
        elif on in ssh_hosts() or _is_host(on):
            _cache[on] = _module(_SSH).launcher(f"ssh://{on}")
        else:
            raise ValueError(_unknown(on, names))
    return _cache[on]


def module(scheme: str) -> Any:
    """The module of one of our own schemes.

    Raises:
        ImportError: a package is missing; the message says how to install it.
    """
    return _module(_OURS[scheme])


def _module(what: tuple[str, str, str]) -> Any:
    module, package, extra = what
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == package:
            raise ImportError(
                f"on: {extra} needs the package {package}; pip install 'ipyproc[{extra}]'", name=package
            ) from None
        raise


def _of_package(point: importlib.metadata.EntryPoint, on: str) -> RemoteLauncher:
    package = point.dist.name if point.dist else point.module
    try:
        make = point.load()
    except (ImportError, AttributeError) as error:
        raise ImportError(f"on={on!r}: the package {package} has no {point.value}: {error}") from error
    found: RemoteLauncher = make(on)
    if not _is_place(found):
        raise TypeError(f"on={on!r}: what {point.value} of the package {package} gives is no launcher")
    return found


def _others() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group="ipyproc.launchers")}


def ssh_hosts(config: Path | None = None) -> list[str]:
    """The names, without patterns, in the Host lines of ~/.ssh/config and the files that it includes."""
    with contextlib.suppress(RuntimeError):  # there is no home directory
        config = config or Path.home() / ".ssh" / "config"
        return list(dict.fromkeys(_hosts(config, config.parent, _DEEPEST)))
    return []


def _hosts(config: Path, folder: Path, deepest: int) -> Iterator[str]:
    text = ""
    with contextlib.suppress(OSError):
        text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    for keyword, rest in re.findall(r"(?im)^\s*(host|include)(?:\s*=\s*|\s+)(.+)$", text):
        for name in (word.strip('"') for word in rest.split()):
            if keyword.lower() == "host":
                if not re.search(r"[*?!]", name):
                    yield name
            elif deepest:
                for path in sorted(glob.glob(os.path.join(folder, os.path.expanduser(name)))):
                    yield from _hosts(Path(path), folder, deepest - 1)


def _is_host(name: str) -> bool:
    """Whether SSH would find a machine of this name: ~/.ssh/config has settings for it, or it has an address."""
    if not _HOST.fullmatch(name):
        return False
    with contextlib.suppress(ImportError):
        if _module(_SSH).is_configured(name):
            return True
    found: list[object] = []

    def look_up() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(name, None))

    looking = threading.Thread(target=look_up, name="ipyproc-look-up", daemon=True)  # `getaddrinfo` has no timeout
    looking.start()
    looking.join(_LOOK_UP)
    return bool(found)


def _unknown(on: str, names: Mapping[str, Any]) -> str:
    hosts, bound = ssh_hosts(), [name for name, value in names.items() if _is_place(value)]
    known = [*launchers, *bound, *_OURS, *_others(), *hosts]
    wanted = on.partition("://")[0] if "://" in on else on
    near = difflib.get_close_matches(wanted, known, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"on={on!r}: there is no such place{hint}\nAllowed are ssh://[USER@]HOST[:PORT], a Host of ~/.ssh/config, dask, "
        "the address of a Dask scheduler (tcp://, tls://), a variable that holds a Dask Client, cluster or launcher, and "
        "the names in ipyproc.launchers"
    )


def _is_place(value: Any) -> bool:
    # on the type, because reading an attribute of any variable of a notebook may have side effects
    return _is_of_dask(value) or all(hasattr(type(value), name) for name in ("start", "slots", "aclose"))


def _is_of_dask(value: Any) -> bool:
    """Whether it is a Dask Client or cluster, also one of a subclass in another package."""
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(value).__mro__}
    return not names.isdisjoint((("distributed", "Client"), ("distributed", "Cluster")))


async def disconnect() -> None:
    """Close the connections of the running event loop, which ends their programs."""
    for launcher in tuple(_used):
        await launcher.aclose()
