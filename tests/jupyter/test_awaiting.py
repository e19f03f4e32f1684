"""The cell's source gets its `await` where that is legal, and only there."""

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from ipyproc._jupyter.line import awaiting


def transformed(cell, monkeypatch, *, autoawait=True):
    class Shell:
        pass

    Shell.autoawait = autoawait
    monkeypatch.setattr(awaiting, "get_ipython", lambda: Shell)
    source = TransformerManager().transform_cell(cell)
    return "".join(awaiting.transform(source.splitlines(keepends=True)))


AWAITED = "(await get_ipython().run_line_magic('aproc_awaited', 'x'))"
PLAIN = "get_ipython().run_line_magic('aproc', 'x')"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%aproc x", f"{AWAITED} and None or None\n"),
        ("r = %aproc x", f"r = {AWAITED}\n"),
        ("é = '€'; r = 1\nr = %aproc x", f"é = '€'; r = 1\nr = {AWAITED}\n"),
        (
            "if a:\n    %aproc x\nelse:\n    %aproc x",
            f"if a:\n    {AWAITED} and None or None\nelse:\n    {AWAITED} and None or None\n",
        ),
        ("for i in y:\n    r = %aproc x", f"for i in y:\n    r = {AWAITED}\n"),
        (
            "async def f():\n    return 1\n    %aproc x",
            f"async def f():\n    return 1\n    {AWAITED} and None or None\n",
        ),
        ("def f():\n    %aproc x", f"def f():\n    {PLAIN} and None or None\n"),
        (
            "def f():\n    async def g():\n        %aproc x",
            f"def f():\n    async def g():\n        {AWAITED} and None or None\n",
        ),
        ("%aprocs wait 1", "(await get_ipython().run_line_magic('aprocs_awaited', 'wait 1')) and None or None\n"),
        ("def f():\n    %aprocs", "def f():\n    get_ipython().run_line_magic('aprocs', '') and None or None\n"),
        ("%%aprocs\nx", "get_ipython().run_cell_magic('aprocs', '', 'x\\n')\n"),
        ("class C:\n    r = %aproc x", f"class C:\n    r = {PLAIN}\n"),
        (f"'\f\u2028'\nr = {PLAIN}", f"'\f\u2028'\nr = {AWAITED}\n"),
        (f"f = lambda: {PLAIN}", f"f = lambda: {PLAIN}\n"),
        (f"list({PLAIN} for _ in y)", f"list({PLAIN} for _ in y)\n"),
        (f"[{PLAIN} for _ in y]", f"[{AWAITED} for _ in y]\n"),
        (f"await {PLAIN}", "await get_ipython().run_line_magic('aproc_awaited', 'x') and None or None\n"),
        ("%%aproc\na\nb", "(await get_ipython().run_cell_magic('aproc_awaited', '', 'a\\nb\\n')) and None or None\n"),
        ("%time x", "get_ipython().run_line_magic('time', 'x')\n"),
        ("print('aproc')", "print('aproc')\n"),
    ],
)
def test_transform(cell, expected, monkeypatch):
    assert transformed(cell, monkeypatch) == expected
    compile(expected, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_without_autoawait(monkeypatch):
    assert transformed("%aproc x", monkeypatch, autoawait=False) == f"{PLAIN} and None or None\n"


def test_broken_code_is_left_to_ipython(monkeypatch):
    assert transformed("%aproc x\n)", monkeypatch).startswith("get_ipython().run_line_magic('aproc'")
