"""Six processes that do not want to end with their kernel; the roles are those of the fact sheet on lifetime."""

from __future__ import annotations

import contextlib

import psutil

_SCRIPT = """
{program} out {marker} stall &
{program} ignore INT ignore TERM ignore HUP out {marker} stall &
{program} setsid out {marker} stall &
{program} fork setsid fork out {marker} close stall
env -i {program} fork setsid fork out {marker} close stall
exec {program} {stubborn} out {marker} stall
"""
KERNEL = """
import asyncio, json, os, sys, time
from ipyproc._core.batch import run
from ipyproc._core.launch import client

async def main(script, marker, fork=""):
    process = await run.start("sh", "-c", script)
    while process.log.tail(100).count(marker) < 6:
        await process.log.changed(process.log.bytes)
    if fork and not os.fork():
        time.sleep(60)  # as a worker of multiprocessing: it has all descriptors of the kernel, and lives on
        os._exit(0)
    print(json.dumps([client.supervisor_pid(), process.family.held.shim]), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""


def script_of(program: str, marker: str, *, stubborn: bool = False) -> str:
    """A shell script that becomes the family; each of its processes has the marker among its arguments."""
    return _SCRIPT.format(program=program, marker=marker, stubborn="ignore INT ignore TERM" if stubborn else "")


def marked(marker: str) -> list[psutil.Process]:
    """The processes that have this among their arguments, but for the kernel and the shell that has the script."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        words = each.info["cmdline"] or []
        with contextlib.suppress(psutil.NoSuchProcess):
            if marker in words and "stall" in words and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found
