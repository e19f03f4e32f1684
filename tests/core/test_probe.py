"""What a place cannot do is found out, and `process.launcher` says it; programs can be stopped everywhere."""

import json
import os
import subprocess
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("elsewhere there are no supervisors", allow_module_level=True)

from ipyproc._core.launch import client
from ipyproc._core.launch.held import descendants

pytestmark = pytest.mark.pure

# one program, a script with a child, and one with two that takes no notice of SIGTERM
STOP = """
import asyncio, json, sys, time
import ipyproc

async def main():
    told = []
    for words in (["sleep", "30"], ["sh", "-c", "sleep 30; true"], ["sh", "-c", "trap '' TERM; sleep 30 & sleep 30"]):
        began, seen = time.monotonic(), []
        process = await ipyproc.start(*words)
        lasted = time.monotonic()
        try:
            with process.ladder.limit(1.0):
                process.ladder.grace = 0.3
                await process.wait()
        finally:
            await process.ladder.finished()
        told.append([process.launcher, process.returncode, process.ladder.cause, time.monotonic() - lasted])
    process = await ipyproc.start("sh", "-c", "sleep 30; true")
    process.kill(family=True)
    told.append([process.launcher, await process.wait(), process.ladder.cause, 0])
    try:
        await ipyproc.run("sleep", "30", timeout=0.5)
    except ipyproc.ProcessTimeout as error:
        told.append([process.launcher, error.returncode, str(error), 0])
    done = await ipyproc.run("sh", "-c", "echo out; exit 3", check=False)
    told.append([process.launcher, done.returncode, done.stdout, 0])
    print(json.dumps(told), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def stopped(*before, code=STOP, timeout=60):
    """What `STOP` tells in a place that these words make."""
    done = subprocess.run([*before, sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=timeout)
    if done.stderr.startswith(b"unshare:"):
        pytest.skip("this sandbox has no namespaces")
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def expect_all_was_stopped(told, launcher):
    assert {each[0] for each in told} == {launcher}
    assert [each[1:3] for each in told[:4]] == [[-15, "timeout"], [-15, "timeout"], [-9, "timeout"], [-9, "kill"]]
    assert all(0.9 < each[3] < 10 for each in told[:3]), told
    assert told[4][1:3] == [-15, "`sleep 30` was stopped after its timeout of 0.5 s"]
    assert told[5][1:3] == [3, "out\n"]


def test_where_nothing_is_missing():
    expect_all_was_stopped(stopped(), "supervised")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount anything")
def test_without_proc():
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"', "sh")
    expect_all_was_stopped(stopped(*hidden), "portable")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace")
def test_where_proc_is_that_of_another_namespace():
    """There the pids in it are those of strangers."""
    expect_all_was_stopped(stopped("unshare", "--pid", "--fork", "--kill-child"), "portable")


# a kernel without CONFIG_PROC_CHILDREN, and gVisor; both sides are made to believe it
WITHOUT_LISTS = """
import os
exists = os.path.exists
os.path.exists = lambda path: exists(path) and not str(path).endswith("/children")
"""
SUPERVISE = "import runpy\nrunpy.run_path({!r}, run_name='__main__')\n"


def in_place(tmp_path, fault, code=STOP, *, here=True):
    """Run it with this fault on the side of the supervisor, and `here` too."""
    script = tmp_path / "supervise.py"
    script.write_text(fault + SUPERVISE.format(client.script[0]))
    head = f"from ipyproc._core.launch import client\nclient.script = ({str(script)!r}, ())\n"
    return stopped(code=(fault if here else "") + head + code)


def test_where_the_kernel_has_no_lists_of_children(tmp_path):
    expect_all_was_stopped(in_place(tmp_path, WITHOUT_LISTS), "supervised")


REFUSED = """
import ctypes
class Libc:
    def __init__(self, *args, **keywords): pass
    def prctl(self, what, *args): return -1 if what == 36 else 0
ctypes.CDLL = Libc
"""


def test_where_nobody_may_adopt_orphans(tmp_path):
    expect_all_was_stopped(in_place(tmp_path, REFUSED, here=False), "portable")


# gVisor refuses to set most limits, to what they are already too
FEW_LIMITS = """
import resource
setrlimit = resource.setrlimit
def refuse(kind, limit):
    if kind not in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE):
        raise PermissionError(1, "Operation not permitted")
    setrlimit(kind, limit)
resource.setrlimit = refuse
"""


def test_where_limits_cannot_be_set(tmp_path):
    expect_all_was_stopped(in_place(tmp_path, FEW_LIMITS, here=False), "supervised")


def test_both_ways_to_find_descendants_find_the_same(monkeypatch):
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & echo; wait"], stdout=subprocess.PIPE) as parent:
        try:
            parent.stdout.readline()
            by_lists = sorted(descendants.of(os.getpid())), sorted(descendants.children(parent.pid))
            monkeypatch.setattr(descendants, "_has_lists", lambda: False)
            assert (sorted(descendants.of(os.getpid())), sorted(descendants.children(parent.pid))) == by_lists
            assert len(by_lists[1]) == 2 and {parent.pid, *by_lists[1]} <= set(by_lists[0])
            assert descendants.children(2**22) == descendants.of(2**22) == []
        finally:
            for pid in descendants.of(parent.pid):
                os.kill(pid, 9)
            parent.kill()
