"""The kernel that a worker keeps for its tests: as new for each borrower, and never with something of ipyproc left in it."""

import pytest

from .conftest import KeptKernel

USE = (
    "import os, sys; os.environ['OURS'] = 'x'; os.chdir('/'); sys.path.append('/x')",
    "from ipyproc._jupyter.page import widget; widget.LINGER = 0.1",
    "%config AProcMagics.log_limit = 2_000_000",
    "import ipywidgets; slider = ipywidgets.IntSlider(); slider",
    "async def f(): await __import__('asyncio').sleep(600)\ntask = __import__('asyncio').create_task(f())",
    "%aproc --bg --proc p {program} stall",
    "%aproc sh -c 'echo a; sleep 0.4'",
)
LOOK = (
    "import os, sys, asyncio, psutil\nfrom ipyproc._jupyter.page import widget",
    "[name for name in ('f', 'p', 'slider', 'task') if name in globals()], 'OURS' in os.environ, os.getcwd() == '/', '/x' in sys.path",
    "widget.LINGER > 1, get_ipython().magics_manager.registry['AProcMagics'].log_limit > 2_000_000",
    "[each for each in asyncio.all_tasks() if each.get_coro().__name__ == 'f']",
    "len(get_ipython().magics_manager.registry['AProcMagics'].table.entries)",
)


@pytest.fixture
def kept():
    kept = KeptKernel()
    yield kept
    kept.close()


def test_it_is_as_new(kept):
    with kept.lent() as first:
        pid = first.json("__import__('os').getpid()")
        assert [first.run(code).error for code in USE] == [""] * len(USE)
    with kept.lent() as second:
        assert second.json("__import__('os').getpid()") == pid
        shown = [second.run(code).value for code in LOOK]
    assert shown == ["", "([], False, False, False)", "(True, True)", "[]", "0"]


def left_by(kept, code):
    with kept.lent() as session:
        session.run("import sys; sys.modules['as_new'].PATIENCE = 0")
        return session.run(code).value


def test_what_is_left_is_told_and_the_kernel_is_replaced(kept):
    with kept.lent() as first:
        pid = first.json("__import__('os').getpid()")
    with pytest.raises(AssertionError, match="what the tests with this kernel have left"):
        left_by(kept, "get_ipython().input_transformers_post.append(list)")
    with kept.lent() as second:
        assert second.json("__import__('os').getpid()") != pid
