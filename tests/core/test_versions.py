"""`show_versions`: what a report of a bug should say."""

import asyncio
import os
import platform
from importlib import metadata
from pathlib import Path

import pytest

import ipyproc
from ipyproc._core import launch, versions

pytestmark = pytest.mark.pure


def test_it_names_what_has_a_part_in_it(capsys, nothing_left):
    assert ipyproc.show_versions() is None
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["ipyproc"] == ipyproc.__version__
    assert told["python"].startswith(platform.python_version())
    assert told["launcher"] == asyncio.run(launch.best()).name
    assert {name: told[name] for name in ("ipython", "ipykernel", "psutil")} == {
        name: metadata.version(name) for name in ("ipython", "ipykernel", "psutil")
    }


def test_what_is_not_installed_is_told_too(capsys, monkeypatch):
    monkeypatch.setattr(versions, "PACKAGES", ("psutil", "no-such-package"))
    ipyproc.show_versions()
    assert "no-such-package not installed here\n" in capsys.readouterr().out


def test_it_tells_nothing_about_the_user(capsys):
    ipyproc.show_versions()
    told = capsys.readouterr().out
    assert os.getcwd() not in told
    assert str(Path.home()) not in told
    assert platform.node() not in told
