"""The Python reference is made from docstrings: they are complete, and their examples run."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import ipyproc
from ipyproc._core.batch import parallel, run
from ipyproc._core.output import log

pytestmark = pytest.mark.pure

PACKAGE = Path(ipyproc.__file__).parent
API = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
GIVEN = (run.Run, parallel.Parallel, parallel.Job, log.Log, log.LogReader)  # by functions; nobody makes one
ELSEWHERE = {"LinkLauncher"}  # takes a machine of its own
DOCUMENTED = [
    *(each for name in ipyproc.__all__ if name not in ELSEWHERE and callable(each := getattr(ipyproc, name))),
    *GIVEN,
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples(path):
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("each", DOCUMENTED, ids=lambda each: each.__name__)
def test_every_public_name_has_its_place_and_an_example(each):
    assert re.search(rf":: (\S*\.)?{each.__name__}\b", API)
    text = inspect.getdoc(each)
    assert ">>> " in text or each in (ipyproc.ProcessStopped, ipyproc.ProcessLost, parallel.Job, log.LogReader)


@pytest.mark.parametrize("each", [*filter(inspect.isclass, DOCUMENTED)], ids=lambda each: each.__name__)
def test_every_public_member_is_told(each):
    members = {
        name: member
        for name, member in vars(each).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }
    assert not [name for name, member in members.items() if not inspect.getdoc(member)]


@pytest.mark.parametrize("function", [*filter(inspect.isfunction, DOCUMENTED)], ids=lambda each: each.__name__)
def test_every_argument_has_a_type(function):
    arguments = inspect.signature(function).parameters.values()
    assert not [each.name for each in arguments if each.annotation is each.empty]
