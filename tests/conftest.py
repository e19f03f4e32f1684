"""What all tests share: the program they start, and the check that nothing is left of it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import psutil
import pytest

from ipyproc._core import launch
from ipyproc._core.output import storage
from ipyproc.testing import FakeProgram, programs

from .played import PLAYED

PROGRAM = Path(__file__).with_name("program.py")

# nbformat's jsonschema makes 38 parsers of it when it is imported (seconds in each worker), for a check that we do not use
sys.modules.setdefault("rfc3987_syntax", None)


# what takes longest: with the other tests beside it, it does not stand alone at the end
FIRST = (
    *(
        "tests/browser/",
        "tests/jupyter/test_notebooks.py",
        "tests/core/test_cpython.py",
        "tests/jupyter/test_gone_pages.py",
    ),
    *("tests/remote/", "tests/packaging/", "tests/core/test_supervised.py", "tests/jupyter/test_interrupt.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: next((n for n, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A worker takes a whole file of tests; of the browser's tests a half: each half has a JupyterLab and a browser."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # late: it need not be installed

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return f"tests/browser, {file < 'tests/browser/test_k'}" if file.startswith("tests/browser/") else file

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # to wait is no part of the test and of its timeout
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Each test takes one of the places that all runs of `dev.py test` share, and gives it back."""
    if not (path := os.environ.get("IPYPROC_TEST_PLACES")):
        return (yield)
    with open(path, "r+b", buffering=0) as places:
        place = places.read(1)
        try:
            return (yield)
        finally:
            places.write(place)


def pytest_collection_finish() -> None:
    """What is here now is here to the end: the garbage collector, which many tests ask, need not look at it each time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what has the mark `needs` for a program that is not installed; `dev.py test` names it."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if not shutil.which(name):
                pytest.skip(f"needs {name}")


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> Iterator[None]:
    """SIGINT does what it does in a terminal, to the tests and to what they start: started by a shell with `&`, we ignore it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def program() -> Callable[..., tuple[str, ...]]:
    """The command line of `program.py` with these words."""

    def command(*words: object) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", str(PROGRAM), *map(str, words))

    return command


@pytest.fixture
def played() -> Iterator[list[FakeProgram]]:
    """No process is started: what `program` gives, and some programs more, are played; for tests in which none is the point."""
    with programs(PLAYED) as started:
        yield started


@pytest.fixture(scope="module")
def collected() -> None:
    """What the tests of other files have left to the garbage collector is gone; some of it opens event loops with its end."""
    pytest_collection_finish()


@pytest.fixture
def nothing_left(collected: None) -> Iterator[None]:
    """Fails the test that leaves an open descriptor or a child behind."""
    storage.directory()  # this process keeps a lock on it
    launch.close()
    me = psutil.Process()
    before = _descriptors(), set(me.children(recursive=True))
    yield
    launch.close()
    gc.collect()
    assert _descriptors() - before[0] == set(), "descriptors were left open"
    assert set(me.children(recursive=True)) - before[1] == set(), "children were left"


def _descriptors() -> set[tuple[int, str]]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return set()
    found = set()
    for fd in os.listdir(folder):
        try:
            found.add((int(fd), os.readlink(folder / fd)))
        except OSError:
            continue  # the descriptor of the listing itself
    return found
