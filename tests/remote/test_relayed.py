"""Workers that only the scheduler can reach: it carries the messages, and all else is as ever."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest
from distributed import Client
from distributed.comm import connect

import ipyproc
from ipyproc import DEVNULL, PIPE
from ipyproc._remote import dask, parcel

from ..hostile_family import marked, script_of
from .test_lost import expect_lost, family_on

pytestmark = pytest.mark.timeout(60)


async def unreachable(*_args, **_keywords):
    raise OSError("no route to that worker")


@pytest.fixture
async def on(cluster, monkeypatch):
    monkeypatch.setattr(dask, "connect", unreachable)
    launcher = ipyproc.DaskLauncher(cluster)
    yield launcher
    await launcher.aclose()


async def test_output_input_signals_and_place(on, program):
    async with await ipyproc.start(*program("stall"), on=on) as process:
        assert process.where.endswith(", through the scheduler)")
        assert await process.stop() == -signal.SIGTERM
    assert not process.family.is_alive()
    done = await ipyproc.run(*program("out", "one", "err", "two", "lines", 3, "exit", 3), on=on, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "one\nline 0\nline 1\nline 2\n", "two\n")
    with pytest.raises(FileNotFoundError, match=r"no such program on .*through the scheduler"):
        await ipyproc.run("nope-nope", on=on)
    text = "x" * 3_000_000  # many times what may be on the way
    assert (await ipyproc.run(*program("cat"), input=text, on=on)).stdout == text
    results = await ipyproc.parallel([[*program("out", number)] for number in range(8)], on=on)
    assert [done.stdout for done in results] == [f"{number}\n" for number in range(8)]


async def test_a_stranger_at_the_address_of_the_worker(on, monkeypatch):
    """Of Dask too, but without our part: it says nothing that we understand."""

    async def to_the_scheduler(_address, **keywords):
        return await connect(on._address, **keywords)

    monkeypatch.setattr(dask, "connect", to_the_scheduler)
    process = await ipyproc.start("true", on=on)
    assert process.where.endswith(", through the scheduler)")
    assert await process.wait() == 0


async def test_silence_is_no_end(on):
    """A call that waits for messages is answered without any, again and again."""
    await ipyproc.run("true", on=on)
    name = parcel.packed().name

    def hasten(dask_worker):
        vars(sys.modules[f"{name}._remote.far_dask"])["HEAR_PATIENCE"] = 0.05

    async with Client(on._address, asynchronous=True, set_as_default=False) as client:
        await client.run(hasten)
    assert (await ipyproc.run("sh", "-c", "sleep 0.5; echo there", on=on)).stdout == "there\n"


async def test_a_reader_that_does_not_read_holds_the_program(on):
    process = await ipyproc.start("cat", "/dev/zero", stdout=PIPE, stderr=DEVNULL, on=on)
    sizes = [await process.stdout.readexactly(1)]
    while len(sizes) < 20 or sizes[-1] != sizes[-20]:  # until no more comes
        sizes.append(len(process.stdout._buffer))
        await asyncio.sleep(0.02)
    assert sizes[-1] < 1 << 20
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def test_closing_ends_all_and_that_is_no_exit(on, program):
    marker = f"family-{secrets.token_hex(8)}"
    process = await family_on(on, program, marker)
    began = time.monotonic()
    await on.aclose()
    await expect_lost(process, marker, began)
    assert (await ipyproc.run(*program("out", "again"), on=on)).stdout == "again\n"


_CLIENT = """
import asyncio, sys
import ipyproc
from ipyproc._remote import dask

async def unreachable(*_args, **_keywords):
    raise OSError

async def main(script, address):
    dask.connect = unreachable
    async for line in await ipyproc.start("sh", "-c", script, on=ipyproc.DaskLauncher(address)):
        print(line, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_client_is_killed(cluster, program):
    """The scheduler notices."""
    marker = f"family-{secrets.token_hex(8)}"
    script = script_of(" ".join(program()), marker, stubborn=True)
    with subprocess.Popen(
        [sys.executable, "-c", _CLIENT, script, cluster], stdout=subprocess.PIPE, text=True
    ) as client:
        assert [client.stdout.readline().strip() for _ in range(6)] == [marker] * 6
        client.kill()
    while marked(marker):  # the timeout of the test is its bound
        time.sleep(0.01)


async def test_the_worker_is_killed(on, program):
    marker = f"family-{secrets.token_hex(8)}"
    process = await family_on(on, program, marker)
    async with Client(on._address, asynchronous=True, set_as_default=False) as client:
        pids = await client.run(os.getpid)
    [address] = [address for address in pids if address in process.where]
    began = time.monotonic()
    os.kill(pids[address], signal.SIGKILL)
    await expect_lost(process, marker, began)
