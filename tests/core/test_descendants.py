"""No descendant escapes a signal, whatever forks meanwhile and whoever listens; and none is overlooked."""

import asyncio
import contextlib
import os
import signal
import sys
import threading

import psutil
import pytest

import ipyproc
from ipyproc._core import launch

if sys.platform != "linux":
    pytest.skip("elsewhere there are no supervisors", allow_module_level=True)

from ipyproc._core import protocol
from ipyproc._core.launch import client, supervised
from ipyproc._core.launch.held import descendants

from ..starting import start_exec

pytestmark = pytest.mark.usefixtures("nothing_left")

# it ends by itself: nothing else would, if this test were killed with all that holds it
COMET = "import os, time\nos.write(1, b'go')\nend = time.monotonic() + 60\nwhile time.monotonic() < end:\n    if os.fork(): os._exit(0)\n"
TREE = """
f() { [ $1 = 0 ] && exec sleep 600; f $(($1 - 1)) & f $(($1 - 1)) & wait; }
echo ready; f 7
"""


async def started(*words, launcher=supervised):
    options = {"stdout": ipyproc.LOG, "stderr": ipyproc.LOG, "start_new_session": True}
    begun = await start_exec(launcher, *words, **options)
    await begun.log.changed(0)
    return begun


async def until_all_are_stopped(pids):
    """Once all are, none can go on by itself; `pids` looks for them anew."""
    async with asyncio.timeout(20):
        while True:
            states = set()
            for pid in pids():
                try:
                    states.add(psutil.Process(pid).status())
                except psutil.NoSuchProcess:
                    continue
            if states - {psutil.STATUS_ZOMBIE} == {psutil.STATUS_STOPPED}:
                return
            await asyncio.sleep(0.01)


def test_pausing_stops_what_forks_meanwhile():
    async def main():
        for _ in range(5):  # a chain of processes each of which forks the next and ends
            comet = await started(sys.executable, "-I", "-S", "-c", COMET)
            comet.family.send_signal(signal.SIGSTOP)
            await until_all_are_stopped(lambda comet=comet: descendants.of(comet.family.held.shim))
            await comet.stop(0)

    asyncio.run(main())


@pytest.mark.parametrize("launcher", [supervised, launch.portable])
def test_pausing_stops_a_tree_that_grows(launcher):
    async def main():
        tree = await started("sh", "-c", TREE, launcher=launcher)
        while len(tree.family.alive()) < 30:
            await asyncio.sleep(0)
        tree.pause()
        await until_all_are_stopped(lambda: [member.pid for member in tree.family.alive()])
        await tree.stop(0)

    asyncio.run(main())


@contextlib.contextmanager
def made_deaf(started, monkeypatch):
    """Its shim does not listen for a while, and its socket is full."""
    held = started.family.held
    monkeypatch.setattr(client.Supervisor, "wake", lambda *_: True)  # nobody wakes it
    os.kill(held.shim, signal.SIGSTOP)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                held._socket.send(protocol.TO_SHIM.encode(protocol.Signal(0, False, None)))
        yield held.shim
    finally:
        os.kill(held.shim, signal.SIGCONT)


@pytest.mark.parametrize(("number", "family"), [(9, True), (15, True), (15, False), (9, False)])
def test_a_signal_goes_out_although_the_shim_does_not_listen(program, monkeypatch, number, family):
    async def main():
        one = await started(*program("out", "ready", "stall"))
        with made_deaf(one, monkeypatch):
            child = psutil.Process(one.pid)
            send = threading.Thread(target=one.family.held.send_signal, args=(number,), kwargs={"family": family})
            send.start()
            await asyncio.to_thread(send.join)
            while child.status() != psutil.STATUS_ZOMBIE:  # its shim will reap it
                await asyncio.sleep(0.01)
        assert await one.wait() == -number

    asyncio.run(main())


def test_pausing_and_resuming_go_out_although_the_shim_does_not_listen(monkeypatch):
    async def main():
        one = await started("sh", "-c", "sleep 600 & echo ready; wait")
        with made_deaf(one, monkeypatch) as shim:
            one.pause()
            await until_all_are_stopped(lambda: descendants.of(shim))
            one.resume()
            while psutil.STATUS_STOPPED in [psutil.Process(pid).status() for pid in descendants.of(shim)]:
                await asyncio.sleep(0.01)
        assert await one.stop(0) == -9

    asyncio.run(main())


def test_a_thread_that_ends_while_it_is_looked_at_hides_no_child(monkeypatch):
    listdir, asked = os.listdir, []

    def with_one_that_ended(path):
        asked.append(path)
        ended = ["999999999"] if len(asked) == 1 and path.endswith("/task") else []
        return [*ended, *listdir(path)]

    child = os.fork()
    if not child:
        signal.pause()
    try:
        monkeypatch.setattr(os, "listdir", with_one_that_ended)
        assert child in descendants.children(os.getpid()) and len(asked) == 2
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
