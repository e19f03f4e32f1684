"""What a Dask cluster is asked for, and what it can do to us."""

import asyncio
import gc
import sys

import pytest
from distributed import Client, LocalCluster, Security

import ipyproc
from ipyproc._remote import dask, parcel

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def client(cluster):
    async with Client(cluster, asynchronous=True, set_as_default=False) as client:
        yield client


@pytest.fixture
async def on(client):
    launcher = ipyproc.DaskLauncher(client)
    yield launcher
    await launcher.aclose()


async def test_programs_wait_for_slots_and_none_is_stuck(on, program, tmp_path):
    running = [await ipyproc.start(*program("stall"), on=on) for _ in range(2)]  # as many as there are slots
    waiting = [asyncio.ensure_future(ipyproc.run(*program("out", number), on=on)) for number in range(3)]
    given_up = asyncio.ensure_future(ipyproc.run("touch", str(tmp_path / "never"), on=on))
    while len(on._connections._open[asyncio.get_running_loop()][1].result()._waiting) < 4:
        await asyncio.sleep(0.01)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert not any(each.done() for each in waiting)
    await running[0].stop()
    assert [(await each).stdout for each in waiting] == ["0\n", "1\n", "2\n"]
    await running[1].stop()
    assert not (tmp_path / "never").exists()


async def test_workers_can_be_chosen(client, program):
    for address in await client.run(lambda: None):
        on = ipyproc.DaskLauncher(client, workers=[address])
        process = await ipyproc.start(*program("exit", 0), on=on)
        assert address in process.where
        await process.wait()
        await on.aclose()


async def test_an_offer_that_nobody_waits_for_starts_nothing(on, client):
    """It is what Dask makes of a task that was lost; the slot is free when the task is not wanted any more."""
    await ipyproc.run("true", on=on)
    connection = await on._connections.get()
    name, keys = parcel.packed().name, ["ipyproc-nobody-1", "ipyproc-nobody-2"]
    futures = [client.submit(dask._hold(), name, connection._topic, key, key=key) for key in keys]
    while sum((await client.run(lambda dask_worker: dask_worker.state.executing_count)).values()) < 2:
        await asyncio.sleep(0.01)
    assert {future.status for future in futures} == {"pending"}  # they hold both slots
    for future in futures:
        future.release()
    assert (await ipyproc.run("echo", "free", on=on)).stdout == "free\n"


async def test_an_interrupted_start_frees_its_slot_at_once(on, monkeypatch):
    """The permit may have been given: then the worker has to hear that nobody is there."""
    await ipyproc.run("true", on=on)
    connect, attached = dask.connect, []

    async def and_cancel(*args, **keywords):
        comm = await connect(*args, **keywords)
        attached.append(comm)
        asyncio.current_task().cancel()
        return comm

    with monkeypatch.context() as patch:
        patch.setattr(dask, "connect", and_cancel)
        for _ in range(4):  # twice as many as there are slots
            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(ipyproc.run("true", on=on))
    assert len(attached) == 4
    assert (await ipyproc.run("echo", "free", on=on)).stdout == "free\n"


async def test_an_attempt_can_be_taken_once(on, client):
    process = await ipyproc.start("sleep", "60", on=on)
    address = process.where.partition("(")[2].rstrip(")")
    name = parcel.packed().name
    comm = await dask.connect(address, **client.connection_args)
    await comm.write({"op": f"{name}_attach", "attempt": "an old one", "reply": False})
    assert bytes(await comm.read()) == b""
    comm.abort()
    await process.stop()


async def test_it_keeps_nothing_on_the_cluster(on, client, program):
    await ipyproc.parallel([[*program("out", number)] for number in range(4)], on=on)

    async def left():
        stories = await client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks])
        return [key for key in stories if key.startswith("ipyproc-")]

    while await left():  # the timeout of the test is its bound
        await asyncio.sleep(0.02)


async def test_tls_and_a_cluster_object():
    security = Security.temporary()

    def start():
        return LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", security=security)

    cluster = await asyncio.to_thread(start)
    try:
        process = await ipyproc.start("cat", stdin=ipyproc.PIPE, stdout=ipyproc.PIPE, on=cluster)
        assert "tls://" in process.where
        assert await process.communicate(b"secret") == (b"secret", None)
    finally:
        await dask.of_object(cluster).aclose()
        await asyncio.to_thread(cluster.close)
        del cluster
        gc.collect()


async def test_workers_that_cannot_take_our_part(cluster, monkeypatch):
    """Also those that come later, and say so only when they get a task."""
    for turn in ("programs cannot be started on the Dask cluster", "the cluster gives no slot"):
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "packed", lambda: parcel.Parcel("ipyproc_of_a_test", b""))
            patch.setattr(parcel, "BOOT", parcel.BOOT.replace("(3, 11)", "(3, 99)"))
            on = ipyproc.DaskLauncher(cluster)
            with pytest.raises(ConnectionError, match=rf"{turn}.*: Linux and Python 3\.11 or newer are needed"):
                await ipyproc.run("true", on=on)
            await on.aclose()
    on = ipyproc.DaskLauncher(cluster)  # it is another version of our part
    assert (await ipyproc.run("echo", "there", on=on)).stdout == "there\n"
    await on.aclose()


FORKING = """
import os, sys
from ipyproc._remote import dask
dask._LOCAL = "import sys; print('tcp://here:1', flush=True); sys.stdin.read()"
address, process = dask._start_local()
if not (child := os.fork()):
    sys.exit(0)
os.waitpid(child, 0)
print(address, process.poll())
"""


async def test_a_forked_child_does_not_wait_for_the_cluster_of_its_parent():
    words = (sys.executable, "-W", "ignore", "-c", FORKING)
    there = await asyncio.create_subprocess_exec(*words, stdout=ipyproc.PIPE)
    try:
        assert await asyncio.wait_for(there.communicate(), 30) == (b"tcp://here:1 None\n", None)
    finally:
        if there.returncode is None:
            there.kill()
            await there.wait()


async def test_a_cluster_that_is_not_there(monkeypatch):
    monkeypatch.setattr(dask, "CONNECT_PATIENCE", 0.2)
    for address, said in (
        ("tcp://127.0.0.1:1", "no connection to the Dask cluster tcp://127.0.0.1:1: Timed out"),
        ("tls://127.0.0.1:1", r"give it certificates, by DaskLauncher\(\.\.\., security=\.\.\.\)"),
    ):
        with pytest.raises(ConnectionError, match=said):
            await asyncio.wait_for(ipyproc.run("true", on=ipyproc.DaskLauncher(address)), 50)
    gc.collect()  # a client that has not been closed would warn now
