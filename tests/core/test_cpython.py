"""CPython's own tests of asyncio's subprocesses pass against our factories as they do against asyncio's."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("cpython_suite.py")


def run_suite(factories: str) -> dict:
    done = subprocess.run([sys.executable, SUITE, factories], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(f"{factories}: {done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(
    importlib.util.find_spec("test.test_asyncio") is None, reason="this Python was installed without CPython's tests"
)
def test_cpython_suite_passes_as_for_asyncio():
    theirs, ours = run_suite("asyncio"), run_suite("ipyproc")
    assert ours["failed"] == theirs["failed"] == []
    assert (ours["ran"], ours["skipped"]) == (theirs["ran"], theirs["skipped"])
    assert ours["made"] > 80 and theirs["made"] == 0, "the suite did not use our factories"
