"""The directory that a program starts in: that of this process, by whatever name, or the one that was asked for."""

import asyncio
import os
import sys

import pytest

import ipyproc
from ipyproc._core import launch

from ..starting import start_exec

pytestmark = pytest.mark.pure

if sys.platform == "win32":
    pytest.skip("there no directory can be removed that somebody is in", allow_module_level=True)

LAUNCHERS = [launch.portable]
if sys.platform == "linux":
    from ipyproc._core.launch import client, supervised

    LAUNCHERS.append(supervised)


@pytest.fixture(params=LAUNCHERS, ids=lambda each: each.name)
def output_of(request):
    async def output_of(*words, **options):
        started = await start_exec(request.param, *words, stdout=ipyproc.LOG, start_new_session=True, **options)
        assert await started.wait() == 0
        return started.log.read().decode()

    return lambda *words, **options: asyncio.run(output_of(*words, **options))


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_it_is_that_of_this_process(output_of, here):
    assert output_of("pwd", "-P") == f"{here}\n"
    (here / "below").mkdir()
    os.chdir("below")
    assert output_of("pwd", "-P") == f"{here}/below\n"
    assert output_of("pwd", "-P", cwd="..") == f"{here}\n"
    assert output_of("pwd", "-P", cwd=here.parent) == f"{here.parent}\n"


def test_it_is_that_of_this_process_though_it_has_another_name_now(output_of, here):
    here.rename(here.parent / "there")
    assert output_of("pwd", "-P") == f"{here.parent}/there\n"


def test_programs_start_though_it_is_gone(output_of, here):
    here.rmdir()
    assert output_of("pwd", cwd="/") == "/\n"
    assert output_of("pwd", cwd=here.parent) == f"{here.parent}\n"
    assert output_of("echo", "hello") == "hello\n"
    with pytest.raises(FileNotFoundError) as caught:
        output_of("true", cwd="below")
    assert caught.value.filename == "below"
    done = ipyproc.run("sh", "-c", "echo out; echo err >&2", cwd="/").result()
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert ipyproc.run("echo", "hello").result().stdout == "hello\n"


def test_no_directory_is_held_but_that_of_the_program(here, program):
    if sys.platform != "linux":
        pytest.skip("elsewhere there are no guards")

    async def main():
        launch.close()
        started = await ipyproc.start(*program("stall"), cwd="/")
        guards = [client.supervisor_pid(), started.family.held.shim]
        assert [os.readlink(f"/proc/{pid}/cwd") for pid in (*guards, started.pid)] == ["/"] * 3
        await started.stop(0)
        started = await ipyproc.start(*program("stall"))
        assert [os.readlink(f"/proc/{pid}/cwd") for pid in (*guards, started.pid)] == ["/", "/", str(here)]
        await started.stop(0)

    asyncio.run(main())
