"""The wheel and the sdist, as built on a machine without node."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import ipyproc

ROOT = Path(__file__).parents[2]
NAME = f"ipyproc-{ipyproc.__version__}"
FRONT_END = tuple(f"ipyproc/_jupyter/static/{name}" for name in ("greeting.js", "loader.js", "page.css", "page.js"))
DIST_INFO = ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the sdist, and the wheel that was built from the sdist."""
    place = tmp_path_factory.mktemp("dist")
    empty = tmp_path_factory.mktemp("path")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(place), str(ROOT)],
        check=False,
        env={**os.environ, "PATH": str(empty)},  # no node, no npm, nothing
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return place


def test_nothing_else_is_built(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"}


def test_the_wheel_holds_these_files_and_no_others(built: Path) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ipyproc").rglob("*.py")}
    expected = {*sources, "ipyproc/py.typed", *FRONT_END, *(f"{NAME}.dist-info/{name}" for name in DIST_INFO)}
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        assert sorted(wheel.namelist()) == sorted(expected)


def test_the_front_end_is_in_the_wheel(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        for name in FRONT_END:
            assert wheel.read(name) == (ROOT / name).read_bytes()
            assert wheel.read(name).strip()


def test_the_sdist_holds_the_sources_of_both_halves(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        names = {name.removeprefix(f"{NAME}/") for name in sdist.getnames()}
    assert names >= {"pyproject.toml", "README.md", "LICENSE", "js/package.json", "js/package-lock.json"}
    sources = [*(ROOT / "ipyproc").rglob("*.py"), *(ROOT / "js/src").iterdir()]
    assert names >= {path.relative_to(ROOT).as_posix() for path in sources}
    assert not [name for name in names if "node_modules" in name]
