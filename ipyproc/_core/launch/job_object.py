"""Windows: a job object, which ends its programs with this process, however that ends.

Written from Microsoft's documentation ("Job Objects", JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE) and never run, for lack of a
Windows to try it on. One job object holds all programs of this process. Its only handle closes when this process ends, and
then Windows ends whatever is in it, descendants included. What a program starts before it is put into the job object escapes.
"""

from __future__ import annotations

import ctypes
import functools
import sys

assert sys.platform == "win32"  # else it is not imported

_EXTENDED_LIMIT_INFORMATION = 9
_KILL_ON_JOB_CLOSE = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


def hold(pid: int) -> None:
    """Put a process into the job object.

    Raises:
        OSError: Windows refuses it; then the program may outlive this process.
    """
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.OpenProcess.restype = ctypes.c_void_p
    terminate_and_set_quota = 0x0101
    process = ctypes.c_void_p(kernel32.OpenProcess(terminate_and_set_quota, False, pid))
    try:
        if not kernel32.AssignProcessToJobObject(ctypes.c_void_p(_job()), process):
            raise ctypes.WinError(ctypes.get_last_error())
    finally:
        kernel32.CloseHandle(process)


@functools.cache
def _job() -> int:
    """The handle of the one job object of this process."""
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.CreateJobObjectW.restype = ctypes.c_void_p
    limits = _ExtendedLimits()
    limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
    job: int = kernel32.CreateJobObjectW(None, None)
    if not job or not kernel32.SetInformationJobObject(
        ctypes.c_void_p(job), _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
    ):
        raise ctypes.WinError(ctypes.get_last_error())
    return job
