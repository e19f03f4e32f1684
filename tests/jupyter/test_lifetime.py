"""Nothing that a cell has started outlives its kernel, however that ends; and a cell says so when its program was lost."""

import os
import re
import signal

import psutil
import pytest

from .kernel_session import PROGRAMS, kernel_session


@pytest.mark.parametrize("how", ["kill", "exit", "shutdown", "now"])
def test_nothing_outlives_a_kernel(how):
    with kernel_session() as session:
        session.run("%aproc --bg --proc p sh -c 'trap \"\" TERM INT HUP; setsid sleep 600 & (sleep 600 &); sleep 600'")
        pids = session.run("import asyncio; await asyncio.sleep(0.3); [e.pid for e in p.family.alive()]").value
        family = [psutil.Process(int(pid)) for pid in re.findall(r"\d+", pids)]
        assert len(family) == 4
        if how == "kill":
            os.kill(session.manager.provisioner.process.pid, signal.SIGKILL)
        elif how == "exit":
            session.client.execute("import os; os._exit(3)")
        else:
            session.manager.shutdown_kernel(now=how == "now")
        assert psutil.wait_procs(family, timeout=5)[1] == []


def test_an_orderly_end_asks_first(tmp_path):
    told = tmp_path / "told"
    with kernel_session() as session:
        session.run(
            f"%%aproc --bg --proc p\ntrap 'echo asked > {told}; exit' TERM\necho ready; while true; do sleep 0.05; done"
        )
        session.run("await p.log.changed(0)")
        session.manager.shutdown_kernel(now=False)
    assert told.read_text() == "asked\n"


def test_a_program_whose_shim_was_killed_is_lost(kernel):
    def kill_shim(message):
        if message["msg_type"] == "display_data":  # the card is there
            pid = re.search(r"pid (\d+)", message["content"]["data"]["text/plain"])[1]
            psutil.Process(int(pid)).parent().kill()

    done = kernel.run("%aproc --proc p sleep 600", on_message=kill_shim)
    assert re.match(r"ProcessLost: process \d+ was lost: its shim was killed, and the program with it", done.error)
    assert done.displays[-1]["text/plain"].startswith("? Lost: nobody saw how it ended")
    assert kernel.run("p.returncode, p.launcher").value == "(None, 'supervised')"
    assert kernel.run("%aproc echo next").text() == "next\n"
    assert kernel.run(PROGRAMS).value == "[]"
