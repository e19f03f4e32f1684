"""One kernel for each test module; a fresh one for a test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .kernel_session import KernelSession, kernel_session

PROGRAM = Path(__file__).parents[1] / "program.py"


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelSession]:
    """A kernel with `ipyproc` loaded, shared by the tests of a module; `{program}` starts the test program."""
    with kernel_session() as session:
        session.run(f"import sys; program = [sys.executable, '-I', '-S', {str(PROGRAM)!r}]")
        yield session


@pytest.fixture
def silent_kernel() -> Iterator[KernelSession]:
    """A kernel of the test's own, whose page says nothing of our widgets."""
    with kernel_session(page="") as session:
        yield session


@pytest.fixture
def fresh_kernel() -> Iterator[KernelSession]:
    """A kernel of the test's own."""
    with kernel_session() as session:
        session.run(f"import sys; program = [sys.executable, '-I', '-S', {str(PROGRAM)!r}]")
        yield session
