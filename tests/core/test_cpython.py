"""CPython's own tests of asyncio's subprocesses pass against our factories as they do against asyncio's."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("cpython_suite.py")


pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test.test_asyncio") is None, reason="this Python was installed without CPython's tests"
)


@pytest.fixture(scope="module")
def results() -> dict[str, dict]:
    """Of each pair of factories; all suites run at once, for they mostly wait."""
    kinds = ("asyncio", "ipyproc", "supervised") if sys.platform == "linux" else ("asyncio", "ipyproc")
    pipe = subprocess.PIPE
    suites = [subprocess.Popen([sys.executable, SUITE, kind], stdout=pipe, stderr=pipe, text=True) for kind in kinds]
    outputs = [suite.communicate() for suite in suites]
    assert [suite.returncode for suite in suites] == [0] * len(suites), outputs
    return {
        kind: json.loads(output.splitlines()[-1]) | {"noise": [line for line in errors.splitlines() if _is_noise(line)]}
        for kind, (output, errors) in zip(kinds, outputs, strict=True)
    }


def _is_noise(line):
    """What is printed beside the verdict; of Python 3.11 but for what it prints of asyncio too, and not each time.

    Its test_close_dont_kill_finished waits for a process by itself, and so does the child watcher in its thread: the loser says so.
    """
    race = r"Unknown child process pid \d+, will report returncode 255|Loop <\S+ .*> that handles pid \d+ is closed"
    expected = rf"-*|Ran \d+ tests in .*|OK( \(skipped=\d+\))?|{race}"
    return re.fullmatch(expected, line) is None


def test_cpython_suite_passes_as_for_asyncio(results):
    theirs, ours = results["asyncio"], results["ipyproc"]
    assert ours["failed"] == theirs["failed"] == []
    assert (ours["ran"], ours["skipped"]) == (theirs["ran"], theirs["skipped"])
    assert ours["noise"] == theirs["noise"] == []
    assert ours["made"] > 80 and theirs["made"] == 0, "the suite did not use our factories"


# what differs by nature: the program is no child of this process
DIFFERENT = {
    "test_create_subprocess_fails_with_inactive_watcher": "there is no child to watch (Python before 3.14)",
    "test_popen_error": "subprocess.Popen, which the test makes fail, is called by the shim",
    "test_popen_error_with_stdin_pipe": "the same",
    "test_stdin_broken_pipe": "pass_fds: the number of a descriptor of this process means nothing to the shim",
}


@pytest.mark.skipif(sys.platform != "linux", reason="supervisors are for Linux")
def test_cpython_suite_with_the_supervised_launcher(results):
    supervised = results["supervised"]
    assert {name.rpartition(".")[2] for name in supervised["failed"]} <= DIFFERENT.keys()
    assert supervised["made"] > 80
    assert not [line for line in supervised["noise"] if "Event loop is closed" in line or "ignored" in line]
