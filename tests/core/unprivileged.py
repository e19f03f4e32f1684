"""Runs Python code that an ordinary user could run, or that becomes one: a test that is run by root needs somebody else."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

NOBODY = 65534
"""A user, and a group, that owns nothing."""


def run_python(code: str, *args: object, is_root: bool = False, timeout: float = 60) -> str:
    """The output of this code, run by root or by nobody; skips the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    env = _environment()
    words = [_python(), "-c", code, *map(str, args)]
    user = {} if is_root else {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, timeout=timeout, **user)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    """With this package, and with psutil, wherever they are."""
    places = [str(Path(__file__).parents[2]), str(Path(psutil.__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


@functools.cache
def _python() -> str:
    """An interpreter that everybody may run, with all that is imported."""
    test = "import sys, psutil, ipyproc; sys.exit(sys.version_info < (3, 11))"
    for each in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            words = [each, "-c", test]
            done = subprocess.run(
                words, env=_environment(), cwd="/", user=NOBODY, group=NOBODY, stderr=subprocess.DEVNULL
            )
        except OSError:
            continue
        if done.returncode == 0:
            return each
    pytest.skip("no interpreter of Python 3.11 that everybody may run")
