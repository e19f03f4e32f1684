"""Nothing that a cell has started outlives its kernel, however that ends; and a cell says so when its program was lost."""

import os
import re
import secrets
import signal
import time
from pathlib import Path

import psutil
import pytest

from ipyproc._core.output import storage
from ipyproc._core.program import family

from ..hostile_family import marked, script_of
from .kernel_session import PROGRAMS, kernel_session
from .test_card import Page, is_tail, shown


@pytest.mark.parametrize("how", ["kill", "terminate", "exit", "shutdown", "now", "restart"])
def test_nothing_outlives_a_kernel(how, program):
    marker = f"family-{secrets.token_hex(8)}"
    with kernel_session() as session:
        session.run(f"%%aproc --bg --proc p\n{script_of(' '.join(program()), marker, stubborn=True)}")
        session.run(f"while p.log.tail(100).count({marker!r}) < 6: await p.log.changed(p.log.bytes)")
        left = session.run("%%aproc --out silent\nsleep 600 >/dev/null 2>&1 &\necho $!")
        folder = Path(
            session.run("from ipyproc._core.output import storage; str(storage.directory())").value.strip("'")
        )
        members = [*marked(marker), psutil.Process(int(session.run("int(silent)").value))]
        assert len(members) == 7 and left.status == "ok"
        began = time.monotonic()
        if how in ("kill", "terminate"):
            session.manager.signal_kernel(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        elif how == "exit":
            session.client.execute("import os; os._exit(3)")
        elif how == "restart":
            session.manager.restart_kernel(now=False)
        else:
            session.manager.shutdown_kernel(now=how == "now")
        assert psutil.wait_procs(members, timeout=5)[1] == []
        print(f"{how}: over after {time.monotonic() - began:.2f} s")
        assert how not in ("shutdown", "restart") or not folder.exists(), "logs or scripts were left"


def test_an_orderly_end_asks_first(tmp_path):
    told = tmp_path / "told"
    with kernel_session() as session:
        session.run(
            f"%%aproc --bg --proc p\ntrap 'echo asked > {told}; exit' TERM\necho ready; while true; do sleep 0.05; done"
        )
        session.run("await p.log.changed(0)")
        session.manager.shutdown_kernel(now=False)
    assert told.read_text() == "asked\n"


@pytest.mark.parametrize(("launcher", "note"), [("portable", "cleanup: best effort"), ("supervised", "")])
def test_a_card_says_where_cleanup_is_best_effort(kernel, launcher, note):
    kernel.run(
        f"import asyncio; from ipyproc._core import launch; from ipyproc._core.launch import {launcher}\n"
        f"best = launch.best; launch.best = lambda: asyncio.sleep(0, {launcher})"
    )
    page = Page(kernel)
    done = kernel.run("%aproc --bg --proc p {program} out ready stall", on_message=page)
    messages = done.messages + kernel.idle_messages(lambda message: is_tail(message, page.card))
    assert kernel.run("await p.stop(0); launch.best = best; p.launcher").value == f"'{launcher}'"
    assert [state["note"] for state in shown(messages, page.card) if state][-1] == note


def test_a_program_whose_shim_was_killed_is_lost(kernel):
    page = Page(kernel)

    def kill_shim(message):
        page(message)
        if is_tail(message, page.card):
            for program in psutil.Process(kernel.manager.provisioner.process.pid).children(recursive=True):
                if program.cmdline() == ["sleep", "600"]:
                    program.parent().kill()

    done = kernel.run("%aproc --proc p sleep 600", on_message=kill_shim)
    assert re.match(r"ProcessLost: process \d+ was lost: its shim was killed, and the program with it", done.error)
    assert done.displays[-1]["text/plain"].startswith("? Lost: nobody saw how it ended")
    assert kernel.run("p.returncode, p.launcher").value == "(None, 'supervised')"
    assert kernel.run("%aproc echo next").text() == "next\n"
    assert kernel.run(PROGRAMS).value == "[]"


def test_what_is_left_of_a_family_is_shown_and_can_be_stopped(kernel):
    page = Page(kernel)
    done = kernel.run(
        "%%aproc --expand --proc p\n{program} setsid stall & {program} fork setsid fork close stall\necho over",
        on_message=page,
    )
    assert not done.error and done.ended_at - done.times[0] < 5
    labels = [state["label"] for state in shown(done.messages, page.card) if state]
    assert labels[-1] == "Done, exit 0; 2 processes left"
    assert kernel.run("p.returncode, p.family.left()").value == "(0, 2)"
    page.send("stop")
    after = kernel.idle_messages(
        lambda m: "the rest was stopped" in str(m["content"]) and m["msg_type"] == "update_display_data"
    )
    end = "✔ Done, exit 0; the rest was stopped (SIGTERM)"
    assert after[-1]["content"]["data"]["text/plain"].splitlines()[-1].startswith(end)
    assert kernel.run(PROGRAMS).value == "[]"


def test_a_family_that_goes_soon_leaves_no_trace(kernel):
    done = kernel.run("%%aproc\nsleep 0.02 & echo over")
    assert done.text() == "over\n"


@pytest.mark.parametrize("how", ["kill", "shutdown", "unload"])
def test_what_is_to_be_kept_outlives_the_kernel_and_its_log_too(how, tmp_path, program):
    with kernel_session() as session:
        session.run(
            f"%aproc --bg --keep --proc p {' '.join(program('out', 'begun', 'wait', tmp_path / 'go', 'out', 'ended'))}"
        )
        pid, path = eval(session.run("await p.log.changed(0); (p.pid, str(p.log.path))").value)
        if how == "kill":
            os.kill(session.manager.provisioner.process.pid, signal.SIGKILL)
        elif how == "unload":
            session.run("%unload_ext ipyproc")
        session.manager.shutdown_kernel(now=False)
    kept = psutil.Process(pid)
    assert Path(path).read_text() == "begun\n"
    (tmp_path / "go").touch()
    while family.runs(kept):
        psutil.wait_procs([kept], timeout=0.02)
    while Path(path).read_text() != "begun\nended\n":
        time.sleep(0.01)


def test_the_log_of_what_is_kept_stays_while_it_runs_and_some_days_more_and_so_does_a_table_for_it(tmp_path, program):
    pytest.importorskip("pandas")

    def age():
        for each in (*folder.iterdir(), folder):
            os.utime(each, (time.time() - 30 * 86400,) * 2)

    with kernel_session(env={**os.environ, "IPYPROC_LOG_DIR": str(tmp_path)}) as session:
        session.run("import pandas; table = pandas.DataFrame({'a': [1]})")
        words = " ".join(program("wait", tmp_path / "go"))
        session.run(f'%%aproc --bg --keep -i table --proc p\necho "$table"; {words}; cat "$table"')
        pid, path = eval(session.run("await p.log.changed(0); (p.pid, str(p.log.path))").value)
        session.run("del p, table; __import__('gc').collect()")
        session.manager.shutdown_kernel(now=False)
    folder, table = Path(path).parent, Path(Path(path).read_text().strip())
    age()
    storage.clear(tmp_path)
    assert table.exists() and folder == table.parent, "it still runs"
    kept = psutil.Process(pid)
    shim = kept.parent()
    (tmp_path / "go").touch()
    while family.runs(shim):
        psutil.wait_procs([shim], timeout=0.02)
    assert Path(path).read_text() == f"{table}\na\n1\n"
    storage.clear(tmp_path)
    assert Path(path).exists(), "it has just ended"
    age()
    storage.clear(tmp_path)
    assert not folder.exists()
