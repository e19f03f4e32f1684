"""The pages of the documentation: every example runs, and gives what stands below it.

A block in `python` or `bash` is a cell; a `text` block below it is what it shows. One in `sh` is for a terminal. One in `py`
needs what this machine has not, or is a file: it is compiled.
"""

import ast
import os
import re
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest

import ipyproc
from docs import tables

from .kernel_session import kernel_session

pytestmark = pytest.mark.pure

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    path for path in DOCS.glob("*.md") if re.search("^```(python|bash)$", path.read_text("utf-8"), re.MULTILINE)
)
_BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A kernel that has read the first page, in an empty directory."""
    with kernel_session(cwd=tmp_path_factory.mktemp("docs")) as session:
        session.run("import ipyproc")
        yield session


def shown(done):
    framed, error = "", done.error
    for data in done.displays[-1:]:
        lines, _, end = data["text/plain"].rpartition("\n")
        if end.startswith("✘"):  # the transcript of a failure: then the error does not say it again
            framed = f"{lines}\n"
            error = error and re.sub(r"\x1b\[[\d;]*m", "", done.reply["traceback"][-1])
    told = "".join([done.text("stderr"), framed, done.text(), done.value])
    return f"{told}{error if error not in told else ''}".strip()  # IPython writes a UsageError to stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(reader, page):
    for _, cell, expected in _BLOCK.findall(page.read_text(encoding="utf-8")):
        done = reader.run(cell.rstrip("\n"))
        if expected or done.status == "error":
            same = OutputChecker().check_output(f"{expected.strip()}\n", f"{shown(done)}\n", ELLIPSIS)
            assert same, f"{cell}\nshows\n{shown(done)}\nand not\n{expected}"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_examples_that_are_no_cells(page):
    for language, code in re.findall(
        r"^```(sh|py)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        if language == "py":
            compile(code, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        else:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(["bash", "-e", "-c", code], check=True, env={**os.environ, "PATH": path})


def test_every_page_with_a_magic_is_run():
    """No example escapes by its language."""
    for path in DOCS.glob("*.md"):
        for language in re.findall(r"^```(\S*)\n%", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert language in ("python", "bash"), path.name


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    names = (*ipyproc.__all__, "DaskLauncher", "SSHLauncher")
    assert not [name for name in names if not re.search(rf"(:: |``){name}\b", text)]


@pytest.mark.parametrize("name", ["options", "configuration", "background"])
def test_tables_are_as_the_code_is(name):
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert "<!-- table of" in text
    assert text == tables.fresh(text), "run `python docs/tables.py`"
