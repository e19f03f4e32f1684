"""A forked child has no programs: however it leaves, those of its parent go on, and its parent hears of them."""

import json
import re
import subprocess
import sys
import time

import psutil
import pytest

if sys.platform == "win32":
    pytest.skip("nothing forks there", allow_module_level=True)

PARENT = """
import asyncio, contextlib, gc, json, multiprocessing, os, sys, time
import ipyproc
from ipyproc._core import launch
from tests.starting import start_exec

if sys.platform == "linux":
    from ipyproc._core.launch import supervised

def leave(how, started):
    if how == "exit":
        sys.exit(0)
    elif how == "collect":
        started.clear()
        gc.collect()
    elif how == "raise":
        raise RuntimeError("an error of the child")
    elif how == "own":
        import threading  # its own programs, in a loop of its own
        thread = threading.Thread(target=lambda: ipyproc.run("echo", "mine").result())
        thread.start()
        thread.join()
    os._exit(0)

async def main(name, how, go, words):
    launcher = getattr(launch, "portable") if name == "portable" else supervised
    begin = lambda target: start_exec(launcher, *words, stdout=target, start_new_session=True)
    started = [await begin(ipyproc.LOG), await begin(ipyproc.PIPE)]
    logged, piped = started
    assert await piped.stdout.readline() == b"one\\n"
    await logged.log.changed(0)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(logged)
        if how == "multiprocessing":
            child = multiprocessing.get_context("fork").Process(target=leave, args=("collect", started[:]))
            child.start()
            child.join()
        elif not (child := os.fork()):
            del logged, piped
            leave(how, started)
        else:
            os.waitpid(child, 0)
        assert [each.returncode for each in started] == [None, None]
        open(go, "w").close()
        assert [await each.wait() for each in started] == [0, 0]
        assert (await piped.stdout.read(), logged.log.read()) == (b"two\\n", b"one\\ntwo\\n")
    print("all is well", flush=True)

asyncio.run(main(*sys.argv[1:4], json.loads(sys.argv[4])))
"""


@pytest.mark.parametrize("how", ["exit", "collect", "raise", "own", "multiprocessing"])
@pytest.mark.parametrize("launcher", ["portable", *["supervised"] * (sys.platform == "linux")])
def test_the_programs_of_the_parent_go_on(program, tmp_path, launcher, how):
    if launcher == "portable" and how in ("exit", "raise") and sys.version_info < (3, 12):
        pytest.skip(
            "the child closes the event loop, and asyncio of this version hears of no exit any more: it is shared"
        )
    words = program("out", "one", "wait", tmp_path / "go", "out", "two")
    call = [sys.executable, "-c", PARENT, launcher, how, tmp_path / "go", json.dumps(words)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    errors = re.findall(r"^\w*(?:Error|Lost|ignored)", done.stderr, re.MULTILINE)
    assert (done.stdout, errors) == ("all is well\n", ["RuntimeError"] * (how == "raise")), done.stderr


LEAVE = """
import os, sys, time
import ipyproc

async def main():
    started = await ipyproc.start("sleep", "600")
    print(started.pid, flush=True)
    sys.stdin.readline()  # it was seen alive
    if not os.fork():
        sys.stdin.read()  # lives on
        os._exit(0)

import asyncio
asyncio.run(main())
print(time.monotonic(), flush=True)
"""


def test_a_child_that_lives_on_holds_up_neither_its_parent_nor_the_end_of_its_programs():
    with subprocess.Popen([sys.executable, "-c", LEAVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        started = psutil.Process(int(parent.stdout.readline()))
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        ended = float(parent.stdout.readline())
        assert parent.wait(30) == 0
        lasted = time.monotonic() - ended
        print(f"the parent has ended after {lasted:.2f} s")
        assert lasted < 2.5  # it was 3.1 s, with nothing else to do
        started.wait(10)
