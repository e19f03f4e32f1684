"""Whoever dies, nothing of a program is left, it is reported as lost, and nothing ever starts twice."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time

import psutil
import pytest

import ipyproc
from ipyproc import ProcessLost

from ..campaigns import remote
from ..hostile_family import marked, script_of
from . import places

pytestmark = pytest.mark.timeout(120)
GONE_WITHIN = 10.0  # seconds, on a loaded machine; what was measured is printed
_CLIENT = """
import asyncio, sys
import ipyproc

async def main(script, kind, *words):
    options = {"host": words[0], "port": int(words[1]), "username": words[2], "client_keys": [words[3]],
               "known_hosts": words[4], "config": None} if kind == "ssh" else {}
    on = ipyproc.SSHLauncher(**options) if kind == "ssh" else ipyproc.DaskLauncher(words[0])
    process = await ipyproc.start("sh", "-c", script, on=on)
    async for line in process:
        print(line, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def family_on(on, program, marker):
    """A family that does not want to end, all of it there."""
    process = await ipyproc.start("sh", "-c", script_of(" ".join(program()), marker, stubborn=True), on=on)
    while process.log.tail(100).count(marker) < 6:
        await process.log.changed(process.log.bytes)
    assert len(marked(marker)) == 6
    return process


async def expect_lost(process, marker, began):
    """It is reported as lost, with no status, and nothing is left."""
    with pytest.raises(ProcessLost, match="was lost"):
        await process.wait()
    seen = time.monotonic() - began
    while marked(marker):
        assert time.monotonic() < began + GONE_WITHIN, f"{len(marked(marker))} processes are left"
        await asyncio.sleep(0.01)
    print(f"lost after {seen:.3f} s, gone after {time.monotonic() - began:.3f} s")
    assert process.returncode is None
    assert not process.family.is_alive()
    assert process.log.ended


@pytest.mark.parametrize("role", ["worker", "nanny", "scheduler"])
async def test_a_part_of_the_cluster_is_killed(role, program, tmp_path):
    marker = f"family-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        address, pids = await asyncio.to_thread(stack.enter_context, places.separate_cluster(tmp_path))
        on = ipyproc.DaskLauncher(address)
        process = await family_on(on, program, marker)
        began = time.monotonic()
        os.kill(pids[role], signal.SIGKILL)
        await expect_lost(process, marker, began)
        await on.aclose()


async def test_the_session_of_sshd_is_killed(sshd, program):
    marker = f"family-{secrets.token_hex(8)}"
    on = ipyproc.SSHLauncher(**sshd)
    process = await family_on(on, program, marker)
    session = psutil.Process(process.pid)
    while session.name() not in ("sshd", "sshd-session"):
        session = session.parent()
    began = time.monotonic()
    session.kill()
    await expect_lost(process, marker, began)
    assert (await ipyproc.run("echo", "again", on=on)).stdout == "again\n"
    await on.aclose()


@pytest.mark.parametrize("kind", ["dask", "ssh"])
def test_the_client_is_killed(kind, request, program):
    marker = f"family-{secrets.token_hex(8)}"
    if kind == "dask":
        words = [request.getfixturevalue("cluster")]
    else:
        options = request.getfixturevalue("sshd")
        words = [*map(str, list(options.values())[:3]), options["client_keys"][0], options["known_hosts"]]
    script = script_of(" ".join(program()), marker, stubborn=True)
    command = [sys.executable, "-c", _CLIENT, script, kind, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert [client.stdout.readline().strip() for _ in range(6)] == [marker] * 6
        began = time.monotonic()
        client.kill()
    while marked(marker):
        assert time.monotonic() < began + GONE_WITHIN, f"{len(marked(marker))} processes are left"
        time.sleep(0.01)
    print(f"gone after {time.monotonic() - began:.3f} s")


async def test_a_worker_that_closes_in_good_order_has_lost_its_programs(cluster, program):
    """The signal that ends them then is ours, and must not look like an end of their own."""
    on = ipyproc.DaskLauncher(cluster)
    marker = f"family-{secrets.token_hex(8)}"
    process = await family_on(on, program, marker)
    address = process.where.partition("(")[2].rstrip(")")
    began = time.monotonic()
    async with remote.Client(cluster, asynchronous=True, set_as_default=False) as client:
        await client.retire_workers([address], close_workers=True)
        await expect_lost(process, marker, began)
    await on.aclose()


@pytest.mark.parametrize("retry_lost", [0, 1])
def test_each_command_is_accounted_for_once_though_a_worker_is_killed(retry_lost):
    run = asyncio.run(remote.ours(32, 4, retry_lost))
    remote.report("short", run)
    assert run.faults == []
    assert run.ends == ({"ok": 31, "ok after retry": 1} if retry_lost else {"ok": 31, "lost": 1})


def test_the_naive_way_fails_the_same_checks():
    run = remote.naive(12, 2)
    remote.report("naive", run)
    assert any("nobody asked for that" in fault or "processes left" in fault for fault in run.faults)


async def test_run_again_when_lost(cluster, tmp_path):
    """`run` alone; the second attempt is another process with a log of its own."""
    script = f"echo x >> {tmp_path}/marks; echo one; [ $(wc -l < {tmp_path}/marks) = 2 ] || kill -9 $(cat /proc/$PPID/stat | cut -d' ' -f1)"
    on = ipyproc.DaskLauncher(cluster)
    done = await ipyproc.run("sh", "-c", script, on=on, retry_lost=2)  # the first one kills its own shim
    assert (done.stdout, (tmp_path / "marks").read_text()) == ("one\n", "x\nx\n")
    (tmp_path / "marks").write_text("")
    with pytest.raises(ProcessLost, match="shim was killed"):
        await ipyproc.run("sh", "-c", script, on=on)
    await on.aclose()
