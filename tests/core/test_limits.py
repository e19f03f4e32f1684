"""Where no more processes can be started, the error names the limit that is reached, and what to do."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from .unprivileged import run_python

pytestmark = pytest.mark.pure

if sys.platform == "win32":
    pytest.skip("there are no such limits", allow_module_level=True)

AT_LIMIT = """
import asyncio, resource, sys
import ipyproc
from ipyproc._core import launch

async def main():
    if sys.argv[1] == "supervised":
        assert (await ipyproc.run("echo", "before")).stdout == "before\\n"
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    try:
        await ipyproc.start("sleep", "60")
    except BlockingIOError as error:
        print(error)

asyncio.run(main())
"""


@pytest.mark.parametrize("before", ["", *["supervised"] * (sys.platform == "linux")])
def test_the_limit_of_the_user(before):
    assert run_python(AT_LIMIT, before) == (
        "[Errno 11] no more processes can be started: this user may have 1 processes and threads "
        "(ulimit -u, RLIMIT_NPROC); end some, or raise the limit: 'sleep'\n"
    )


@pytest.fixture
def pids_cgroup():
    """A cgroup of its own that counts processes; gone at the end."""
    for top in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        folder = top / f"ipyproc-test-{secrets.token_hex(4)}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / "pids.max").exists():
            break
        folder.rmdir()
    else:
        pytest.skip("no cgroup that counts processes can be made here")
    yield folder
    folder.rmdir()


IN_CONTAINER = """
import asyncio, os, sys, ipyproc

async def main(folder):
    with open(folder + "/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
    with open(folder + "/pids.max", "w") as most:
        most.write("2")
    try:
        for _ in range(3):
            await ipyproc.start("sleep", "60")
    except BlockingIOError as error:
        print(error)

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_limit_of_a_container(pids_cgroup):
    done = subprocess.run([sys.executable, "-c", IN_CONTAINER, pids_cgroup], capture_output=True, text=True, timeout=60)
    assert (
        "this container may have 2, and has 2 (pids.max of its cgroup); end some, or raise the limit: 'sleep'"
        in done.stdout
    )
