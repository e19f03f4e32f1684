"""What a card shows of a living family: paused, output closed, CPU and memory, progress; and why it ended."""

import asyncio
import signal
import sys
import time

import psutil
import pytest

from ipyproc._core.batch import run
from ipyproc._jupyter.views import state
from ipyproc._jupyter.views.figures import Figures

from .test_card import Page, is_answer, is_tail, shown, tails

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

SPIN = "import os, sys\nfor _ in range(int(sys.argv[1])): os.fork()\nprint('ready', flush=True)\nwhile True: pass"


WATCHING = "[len(o._watching) for o in __import__('gc').get_objects() if type(o).__name__ == 'Card' and o._run is p][0]"


def states_until(kernel, page, name):
    """The names of the states up to this one."""
    found = []

    def look(message):
        found.extend(state["name"] for state in shown([message], page.card))
        return bool(found) and found[-1] == name

    kernel.idle_messages(look)
    return found


def test_pause_and_resume_reach_the_whole_family(kernel):
    page = Page(kernel)
    kernel.run("%%aproc --bg --proc p\nsleep 600 & echo ready; wait", on_message=page)
    kernel.run("await anext(aiter(p.log))")
    assert kernel.run("import psutil; family = sorted(each.pid for each in p.family.alive()); len(family)").value == "2"
    family = kernel.json("family")
    page.send("pause")
    states_until(kernel, page, "paused")
    assert {psutil.Process(pid).status() for pid in family} == {psutil.STATUS_STOPPED}
    page.send("resume")
    states_until(kernel, page, "running")
    assert psutil.STATUS_STOPPED not in {psutil.Process(pid).status() for pid in family}
    page.send("pause")
    states_until(kernel, page, "paused")
    page.send("stop")
    states_until(kernel, page, "signaled")
    assert kernel.run("await p.wait()").value == "-15"


def test_a_program_that_is_paused_by_somebody_else_is_seen_while_somebody_looks(kernel):
    page = Page(kernel)
    kernel.run("%aproc --bg --proc p {program} out ready stall", on_message=page)
    program = psutil.Process(kernel.json("p.pid"))
    page.send("watch", view="view", on=True)
    kernel.idle_messages(lambda m: is_answer(m, "figures"))
    program.suspend()
    states_until(kernel, page, "paused")
    program.resume()
    states_until(kernel, page, "running")
    page.send("watch", view="view", on=False)
    page.send("ping")
    kernel.idle_messages(lambda m: is_tail(m, page.card))
    assert kernel.json(WATCHING) == 0
    kernel.run("await p.stop()")


def test_watching_is_bounded_and_wrong_ids_are_ignored(kernel):
    page = Page(kernel)
    kernel.run("%aproc --bg --proc p {program} out ready stall", on_message=page)
    for wrong in (5, None, "x" * 100, ["x"]):
        page.send("watch", view=wrong, on=True)
    for number in range(40):
        page.send("watch", view=str(number), on=True)
    page.send("stop")
    states_until(kernel, page, "signaled")
    assert 0 < kernel.json(WATCHING) <= 20


def test_output_closed_but_alive(kernel):
    page = Page(kernel)
    kernel.run(
        "%aproc --bg --proc p python3 -c 'import os, time; os.close(1); os.close(2); time.sleep(600)'", on_message=page
    )
    assert kernel.json("[p.log.ended]") == [True] or states_until(kernel, page, "closed")
    assert kernel.run("await p.stop()").value == "-15"


def used(process):
    """Seconds of CPU of a family."""
    return sum(sum(each.cpu_times()[:2]) for each in process.family.alive())


async def test_cpu_and_memory_are_those_of_the_whole_family():
    process = await run.start(sys.executable, "-c", SPIN, "1")
    try:
        await process.stdout.readline()
        await process.stdout.readline()
        figures = Figures(process)
        assert figures.cpu is None and figures.cpu_words == ""
        figures.look()
        before, began = used(process), time.monotonic()
        while used(process) < before + 0.5:
            await asyncio.sleep(0.1)  # a loaded machine gives them less than 200 %
        figures.look()
        spent = 100 * (used(process) - before) / (time.monotonic() - began)
        assert figures.cpu == pytest.approx(spent, rel=0.3)
        assert figures.count == 2 and not figures.paused
        assert figures.memory == pytest.approx(sum(each.memory_info().rss for each in process.family.alive()), rel=0.2)
        process.family.send_signal(signal.SIGSTOP)
        while not figures.paused:
            await asyncio.sleep(0.05)
            figures.look()
        assert state.of(process, paused=figures.paused) == state.State("paused", "Paused")
    finally:
        await process.stop(0)
    figures.look()
    assert (figures.count, figures.memory, figures.paused) == (0, 0, False)


@pytest.mark.parametrize(("much", "hint"), [(0.0, True), (0.9, False)])
async def test_out_of_memory_is_suspected_only_where_much_was_used(monkeypatch, much, hint):
    monkeypatch.setattr(state, "_MUCH", much)
    code = "import os; x = b'1' * 50_000_000; os.kill(os.getpid(), 9)"
    process = await run.start(sys.executable, "-c", code)
    await process.ladder.finished()
    label = state.of(process).label
    assert label.startswith("Ended by SIGKILL from outside")
    if process.usage:
        assert ("out of memory? It had" in label) == hint
    process = await run.start("sh", "-c", "kill -TERM $$")
    await process.ladder.finished()
    assert state.of(process).label == "Ended by SIGTERM from outside"


def test_progress_travels_with_the_rows(kernel):
    page = Page(kernel)
    done = kernel.run(
        "%%aproc {sys.executable}\nimport time\n"
        "for i in range(0, 101, 20):\n    print(f'\\r{i:3}%|{i // 10 * chr(35):10}| {i}/100', end='', flush=True); time.sleep(0.2)\n"
        "print('\\nall there'); time.sleep(0.3)",
        on_message=page,
    )
    told = [message["progress"] for message, _ in tails(done.messages, page.card)]
    known = [share for share in told if share is not None]
    assert known == sorted(known) and {0.2, 0.4, 0.6, 0.8} <= set(known)
    assert told[-1] is None


def test_the_transcript_says_what_it_took(kernel):
    done = kernel.run("%%aproc python3\nimport time\nx = bytearray(50_000_000)\ntime.sleep(0.5)")
    data = done.displays[-1]
    if kernel.json("['supervised' in __import__('sys').modules.get('ipyproc._core.launch.supervised').__name__]")[0]:
        assert "CPU 0." in data["text/plain"] and " · peak " in data["text/plain"]
        assert 50 < float(data["text/plain"].split("peak ")[1].split(" MB")[0]) < 200
    assert 'title="ended 20' in data["text/html"]
