"""What all tests share: the program they start, and the check that nothing is left of it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ipyproc._core import launch, storage

PROGRAM = Path(__file__).with_name("program.py")


@pytest.fixture
def program() -> Callable[..., tuple[str, ...]]:
    """The command line of `program.py` with these words."""

    def command(*words: object) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", str(PROGRAM), *map(str, words))

    return command


@pytest.fixture(scope="module")
def collected() -> None:
    """What the tests of other files have left to the garbage collector is gone; some of it opens event loops with its end."""
    gc.collect()


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
