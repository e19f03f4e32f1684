"""A kernel for each test module, or for a test of its own: one that the worker keeps, made as new for those that follow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .kernel_session import KernelSession, kernel_session

PROGRAM = Path(__file__).parents[1] / "program.py"
AS_NEW = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("as_new", {str(Path(__file__).with_name("as_new.py"))!r})
sys.modules["as_new"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["as_new"])
sys.modules["as_new"].kernel = await sys.modules["as_new"].AsNew(get_ipython()).taken()
"""


class KeptKernel:
    """A kernel that is lent to one borrower at a time; it lives until it comes back with something left in it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._kept: KernelSession | None = None

    @contextlib.contextmanager
    def lent(self) -> Iterator[KernelSession]:
        """The kernel with `ipyproc` loaded, as new."""
        kept = self._kept or self._stack.enter_context(kernel_session(load=False))
        if self._kept is None:
            kept.run("%load_ext ipyproc\n%unload_ext ipyproc")  # what it imports has its own part in it, once
            assert kept.run(AS_NEW).status == "ok"
        session = KernelSession(kept.manager, kept.client)
        self._kept = None
        try:
            loaded = session.run("%load_ext ipyproc")
            assert (loaded.status, loaded.of_type("stream", "display_data")) == ("ok", []), loaded.reply
            session.run(f"import sys; program = [sys.executable, '-I', '-S', {str(PROGRAM)!r}]")
            yield session
            # IPython 8 counts a cell at its end, which the reset of the count in it does not outlive
            left = session.run("import sys; await sys.modules['as_new'].kernel.restored()", store_history=False)
            assert (left.value, left.error) == ("{}", ""), "what the tests with this kernel have left"
            self._kept = session
        finally:
            if self._kept is None:
                self.close()

    def close(self) -> None:
        """End the kernel."""
        self._kept = None
        self._stack.close()


@pytest.fixture(scope="session")
def kept_kernels() -> Iterator[tuple[KeptKernel, KeptKernel]]:
    """Those of this worker: for a module, and for a test beside it."""
    kept = KeptKernel(), KeptKernel()
    yield kept
    for each in kept:
        each.close()


@pytest.fixture(scope="module")
def kernel(kept_kernels: tuple[KeptKernel, KeptKernel]) -> Iterator[KernelSession]:
    """A kernel with `ipyproc` loaded, shared by the tests of a module; `{program}` starts the test program."""
    with kept_kernels[0].lent() as session:
        yield session


@pytest.fixture
def fresh_kernel(kept_kernels: tuple[KeptKernel, KeptKernel]) -> Iterator[KernelSession]:
    """One for the test alone, in which nothing has run."""
    with kept_kernels[1].lent() as session:
        yield session


@pytest.fixture
def silent_kernel() -> Iterator[KernelSession]:
    """A kernel of the test's own, whose page says nothing of our widgets."""
    with kernel_session(page="") as session:
        yield session


@pytest.fixture
def new_kernel() -> Iterator[KernelSession]:
    """A kernel that nobody had before and nobody will have: for what is done to the kernel itself, or counted in it."""
    with kernel_session() as session:
        session.run(f"import sys; program = [sys.executable, '-I', '-S', {str(PROGRAM)!r}]")
        yield session
