"""Programs that their kernel cannot stop: of a user whom it may not signal, and held by a debugger. Linux, as root.

`sudo` is the usual case, and a test cannot have it: so here the kernel is root without the right to signal others (CAP_KILL),
as in a container that has dropped it, and the program becomes another user.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

CAP_KILL = 5  # linux/capability.h
NOBODY = 65534
NO_RIGHTS = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from tests import unstoppable; unstoppable.give_up()"
"""Python code after which a process of root, and all that it starts, may signal processes of its own user only."""

_AS_NOBODY = f"import os, time; os.setresuid({NOBODY}, {NOBODY}, {NOBODY}); print('ready', flush=True); time.sleep(600)"
FOREIGN = (sys.executable, "-I", "-S", "-c", _AS_NOBODY)
"""The command line of a program that becomes another user, says so, and stalls."""

_HELD = """
import ctypes, os, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_long(-1), 0, 0, 0)  # any process may debug us (PR_SET_PTRACER)
print("ready", flush=True)
time.sleep(600)
"""
HELD = (sys.executable, "-I", "-S", "-c", _HELD)
"""The command line of a program that may be debugged."""

_DEBUGGER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, int(sys.argv[1]), None, None):  # PTRACE_ATTACH
    sys.exit(os.strerror(ctypes.get_errno()))
with open(f"/proc/{sys.argv[1]}/status") as status:
    while not any(line.startswith("State:\\tt") for line in status):
        status.seek(0)
print("held", flush=True)
sys.stdin.read()
"""
DEBUGGER = (sys.executable, "-I", "-S", "-c", _DEBUGGER)
"""The command line, but for a pid, of what holds a process until its standard input ends, and says "held" or ends."""


def can_be_had() -> bool:
    """Whether this place lets us make such a kernel and such a program: it takes root, with the rights that a container has."""
    probe = f"import os; {NO_RIGHTS}; os.setresuid({NOBODY}, {NOBODY}, {NOBODY})"
    return subprocess.run([sys.executable, "-c", probe], stderr=subprocess.DEVNULL).returncode == 0


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up() -> None:
    """Give up CAP_KILL for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(0x20080522, 0), (_Data * 2)()
    for call in (
        lambda: libc.prctl(24, CAP_KILL, 0, 0, 0),  # PR_CAPBSET_DROP: or what it starts would have it again
        lambda: libc.capget(ctypes.byref(header), data),
        lambda: _without(data) or libc.capset(ctypes.byref(header), data),
    ):
        if call():
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _without(data: ctypes.Array) -> None:
    for name in ("effective", "permitted", "inheritable"):
        setattr(data[0], name, getattr(data[0], name) & ~(1 << CAP_KILL))
