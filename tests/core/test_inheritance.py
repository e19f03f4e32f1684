"""What a child of this process would have, a program has, also when that has changed since its supervisor was started."""

import json
import subprocess
import sys

import pytest

from .unprivileged import run_python

if sys.platform != "linux":
    pytest.skip("elsewhere programs are children of this process", allow_module_level=True)

REPORT = """
import ctypes, json, os, resource

def namespaces():
    try:
        return {kind: os.readlink("/proc/self/ns/" + kind) for kind in sorted(os.listdir("/proc/self/ns"))}
    except PermissionError:  # the real user is root, and the effective one is not
        return {}

keys = "Umask Uid Gid Groups Cap NoNewPrivs Seccomp Cpus_allowed_list Mems_allowed_list THP_enabled Spec".split()
lines = [line.strip() for line in open("/proc/self/status") if line.startswith(tuple(keys))]
libc = ctypes.CDLL(None)
number = {"x86_64": 252, "aarch64": 31, "riscv64": 31}.get(os.uname().machine)  # ioprio_get
print(json.dumps([
    lines,
    os.nice(0), os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, sorted(os.sched_getaffinity(0)),
    number and libc.syscall(number, 1, 0),
    open("/proc/self/oom_score_adj").read(), open("/proc/self/cgroup").read(),
    namespaces(),
    {kind: resource.getrlimit(kind) for kind in range(15)},
    os.getcwd(), os.stat("/").st_ino,
    sorted(os.environ.items()),
]))
"""
COMPARE = """
import asyncio, ctypes, json, os, resource, subprocess, sys
import ipyproc
libc = ctypes.CDLL(None, use_errno=True)

async def main(change, report):
    first = await ipyproc.run("true")
    exec(change)
    by_child = subprocess.check_output([sys.executable, "-I", "-S", "-c", report])
    process = await ipyproc.start(sys.executable, "-I", "-S", "-c", report)
    code = await process.wait()
    await process.log.finished()
    other = await ipyproc.start("true")  # nothing has changed since
    await other.wait()
    told = [json.loads(by_child), json.loads(process.log.read())]
    print(json.dumps([process.launcher, code, *told, other.launcher, process.log.tail()]))

asyncio.run(main(*sys.argv[1:]))
"""
CHANGES = {
    "nothing": "",
    "nice": "os.nice(5)",
    "affinity": "os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})",
    "scheduler": "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "priority of input and output": "import psutil; psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)",
    "oom_score_adj": "open('/proc/self/oom_score_adj', 'w').write('500')",
    "no_new_privs": "assert libc.prctl(38, 1, 0, 0, 0) == 0",
    "umask": "os.umask(0o027)",
    "soft limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
    "hard limit": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "directory": "os.chdir('/usr')",
    "environment": "os.environ['IPYPROC_TEST'] = 'caf\\xe9'",
    # a filter that lets everything pass
    "seccomp": """
class Filter(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
one = (ctypes.c_uint64 * 1)(0x7FFF000000000006)
assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(one)))) == 0
""",
}
CHANGES_BY_ROOT = {
    "user": "os.setgroups([7]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)",
    "effective user": "os.setegid(65534); os.seteuid(65534)",
    "groups": "os.setgroups([7, 8])",
    "capabilities": "assert libc.prctl(24, 13, 0, 0, 0) == 0",  # CAP_NET_RAW, from the bounding set
    "real-time": "os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))",
    "less nice": "os.setpriority(os.PRIO_PROCESS, 0, -3)",
    "network": "assert libc.unshare(0x40000000) == 0",
    "name of the host": "assert libc.unshare(0x04000000) == 0",
}


def expect_inherited(output):
    launcher, code, by_child, by_program, other, text = json.loads(output)
    assert (launcher, code, other) == ("supervised", 0, "supervised"), text
    assert by_program == by_child


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_has_changed(change):
    words = [sys.executable, "-c", COMPARE, change, REPORT]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    expect_inherited(done.stdout)


@pytest.mark.parametrize("change", CHANGES_BY_ROOT.values(), ids=CHANGES_BY_ROOT)
def test_what_root_has_changed(change):
    expect_inherited(run_python(COMPARE, change, REPORT, is_root=True))


UNSEARCHABLE = """
import asyncio, os, sys
import ipyproc

async def main(folder):
    await ipyproc.run("true")
    os.chdir(folder)
    os.setgroups([]), os.setresgid(*[65534] * 3), os.setresuid(*[65534] * 3)
    process = await ipyproc.start("sh", "-c", "echo here; id -u")
    code = await process.wait()
    print(process.launcher, code, process.log.tail().split())
    print((await ipyproc.run("pwd", cwd="/")).lines)

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_directory_that_only_a_child_can_be_in(tmp_path):
    """Another user's, which we are in and may not enter."""
    tmp_path.chmod(0o700)
    assert run_python(UNSEARCHABLE, tmp_path, is_root=True) == "portable 0 ['here', '65534']\n['/']\n"
