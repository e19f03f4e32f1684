"""The environment variables of a program: Python values (`-i`), and a virtual or conda environment without activation."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from IPython.core.error import UsageError

from ..._core.output import storage
from ..._core.output.new_file import open_new
from . import interpolation

_BIN = "Scripts" if sys.platform == "win32" else "bin"
_LONGEST = 120_000  # characters; Linux takes 128 KiB for one variable


def of_values(
    names: Iterable[str], values: interpolation.Names, remove_with: Callable[[Path], object]
) -> dict[str, str]:
    """The environment variables for these Python variables.

    A list becomes words quoted for bash (`eval "files=($files)"`), a DataFrame the path of a new CSV file, and anything else
    its text. `remove_with` is called with the path of each file, and has to see to its removal.

    Raises:
        UsageError: a name is not defined, or its value cannot be an environment variable.
    """
    found = {}
    for name in names:
        value = interpolation.value_of(name, values, "-i")
        if interpolation.is_table(value):
            path = storage.new_path(".csv")
            with open(open_new(path), "w", encoding="utf-8", newline="") as file:
                value.to_csv(file, index=False)
            remove_with(path)
            found[name] = str(path)
        elif interpolation.is_many(value):
            found[name] = " ".join(shlex.quote(interpolation.as_word(item, f"{{{name}}}")) for item in value)
        else:
            found[name] = interpolation.as_word(value, f"{{{name}}}")
        if "\0" in found[name]:
            raise UsageError(f"-i {name}: its value holds a NUL character; no environment variable can")
        if len(found[name]) > _LONGEST:
            raise UsageError(
                f"-i {name}: its value is {len(found[name]):,} characters long, too long for an environment variable; "
                "write it to a file"
            )
    return found


def of_venv(directory: str, env: Mapping[str, str]) -> dict[str, str | None]:
    """The environment variables that activating a virtual environment sets; None for one that it removes.

    Raises:
        UsageError: the directory is no virtual environment.
    """
    place = _absolute(directory)
    if not (place / "pyvenv.cfg").is_file():
        near = [child.parent.name for child in place.parent.glob("*/pyvenv.cfg")] if place.parent.is_dir() else []
        close = difflib.get_close_matches(place.name, near, 1, 0.4) or sorted(near)[:1]
        hint = f"; there is {place.parent / close[0]}" if close else ""
        raise UsageError(f"--venv: {directory!r} is no virtual environment: it has no pyvenv.cfg{hint}")
    return {"VIRTUAL_ENV": str(place), "PYTHONHOME": None, "PATH": _before(place / _BIN, env)}


def of_conda(name: str, env: Mapping[str, str]) -> dict[str, str | None]:
    """The environment variables that activating a conda environment sets, without its activation scripts; None: removed.

    Raises:
        UsageError: there is no conda environment of this name or at this path.
    """
    known = {place.name: place for place in _conda_environments(env)}
    place = _absolute(name) if os.sep in name else known.get(name)
    if place is None or not (place / "conda-meta").is_dir():
        near = difflib.get_close_matches(name, known, 1, 0.4)
        there = f"there are {', '.join(sorted(known))}" if known else "none was found"
        raise UsageError(f"--conda: there is no environment {name!r}; {f'did you mean {near[0]}?' if near else there}")
    return {
        "CONDA_PREFIX": str(place),
        "CONDA_DEFAULT_ENV": name,
        "PYTHONHOME": None,
        "PATH": _before(place if sys.platform == "win32" else place / _BIN, env),
    }


def _absolute(path: str) -> Path:
    place = Path(path).expanduser()
    try:
        return place.absolute()
    except OSError:
        return place  # the current directory was removed, so a relative path leads nowhere


def _conda_environments(env: Mapping[str, str]) -> list[Path]:
    """Those that conda has registered for this user, and those next to the active one or to conda's own."""
    found = []
    noted = Path.home() / ".conda" / "environments.txt"
    if noted.is_file():
        found += [Path(line) for line in noted.read_text(encoding="utf-8", errors="replace").split("\n") if line]
    for root in (env.get("CONDA_PREFIX"), env.get("CONDA_EXE") and Path(env["CONDA_EXE"]).parents[1]):
        if root:
            top = Path(root).parents[1] if Path(root).parent.name == "envs" else Path(root)
            found += [top, *(top / "envs").glob("*")]
    return [place for place in found if (place / "conda-meta").is_dir()]


def _before(place: Path, env: Mapping[str, str]) -> str:
    return os.pathsep.join(filter(None, (str(place), env.get("PATH", os.defpath))))
