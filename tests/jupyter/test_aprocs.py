"""`%aprocs`: ids, the words as text, the live table by its messages, and what stays of a process that has ended."""

import json
import re
import time

import psutil
import pytest

from ipyproc._jupyter.views import table as tables

from .kernel_session import PROGRAMS
from .test_busy import EARLY, wait_until
from .test_card import is_answer, is_tail

WORDS = ("list", "stop", "kill", "wait", "pause", "resume", "log", "show")


@pytest.fixture
def start(kernel):
    """Start a program in the background; its id in the table, and its `Process` as a variable of this name."""

    def start(name, words):
        kernel.run(f"%aproc --bg --proc {name} --name {name} {words}", headless=True)
        return newest(kernel)

    yield start
    kernel.run("%aprocs kill all", headless=True)
    assert kernel.run(PROGRAMS).value == "[]"


def newest(kernel):
    # with ipykernel 6, what a program of an earlier cell leaves may be written below
    rows = [row.split()[0] for row in kernel.run("%aprocs list").text().splitlines()[1:]]
    return max(int(first) for first in rows if first.isdigit())


def row(kernel, number):
    """The cells of a row of the list, by their titles."""
    title, *rows = kernel.run("%aprocs list").text().splitlines()
    (line,) = [each for each in rows if each.split()[0] == str(number)]
    places = [match.start() for match in re.finditer(r"\S+", title)]
    ends = {match.group(): match.span() for match in re.finditer(r"\S+", title)}
    assert len(places) == len(ends)
    left, right = {}, ("id", "time", "CPU", "memory", "lines", "cell")
    for name, (first, last) in ends.items():
        left[name] = line[:last].rsplit("  ", 1)[-1].strip() if name in right else line[first:].split("  ")[0].strip()
    return left


def gone(kernel, number):
    """Wait until the table holds this process no more, as all of it has ended."""
    kernel.run(
        f"import asyncio; t = get_ipython().magics_manager.registry['AProcMagics'].table\n"
        f"while {number} in t.running: await asyncio.sleep(0.01)"
    )


def test_the_list(kernel, start):
    first = start("ended", "{program} out a out b exit 3")
    gone(kernel, first)
    second = start("runs", "{program} lines 1200 stall")
    kernel.run("while runs.log.lines < 1200: await asyncio.sleep(0.01)")
    assert second == first + 1
    while not (runs := row(kernel, second)).get("CPU"):
        pass  # a moment after its start there is none to tell
    ended = row(kernel, first)
    assert (ended["state"], ended["lines"], ended["command"]) == ("✘ Failed, exit 3", "2", "ended")
    assert (ended.get("CPU", ""), ended.get("memory", "")) == ("", "")
    assert (runs["state"], runs["lines"], runs["command"]) == ("▶ Running", "1,200", "runs")
    assert "on" not in runs, "what would say the same everywhere is left out"
    assert re.fullmatch(r"\d+ %", runs["CPU"]) and re.fullmatch(r"[\d.]+ MB", runs["memory"])
    assert re.fullmatch(r"\[\d+\]", runs["cell"]) and re.fullmatch(r"\d\d:\d\d:\d\d", runs["since"])
    order = [int(each.split()[0]) for each in kernel.run("%aprocs list").text().splitlines()[1:]]
    assert order[:2] == [second, first], "what runs stands first"
    assert kernel.run("%aprocs", headless=True).text().startswith("id  state")
    assert kernel.run("import ipyproc; [each is runs for each in ipyproc.processes()]").value == "[True]"


def test_the_cell_is_the_one_that_has_started_it(kernel, start):
    def run(code):
        done = kernel.run(code)
        return f"[{done.of_type('execute_input')[0]['execution_count']}]", done

    cell, _ = run("%aproc --bg --name direct {program} stall")
    assert row(kernel, newest(kernel))["cell"] == cell
    cell, _ = run(
        "import asyncio, ipyproc; go = asyncio.Event()\n"
        "async def later():\n    await go.wait()\n    await ipyproc.start('sleep', '60')\n"
        "task = asyncio.create_task(later())"
    )
    kernel.run("1")
    assert kernel.run("go.set(); await task").status == "ok"
    assert row(kernel, newest(kernel))["cell"] == cell, "and not the one that ran when its task went on"


def test_what_python_code_has_started_is_in_it_too(kernel, start):
    kernel.run("import ipyproc; s = await ipyproc.start('sleep', '60')")
    number = newest(kernel)
    assert (row(kernel, number)["state"], row(kernel, number)["command"]) == ("▶ Running", "sleep 60")
    assert "Stopped (SIGTERM)" in kernel.run(f"%aprocs stop {number}").text()
    piped = "q = await ipyproc.start('echo', 'x', stdout=ipyproc.PIPE, stderr=ipyproc.DEVNULL); await q.communicate()"
    assert kernel.run(piped).value == "(b'x\\n', None)"
    gone(kernel, newest(kernel))
    assert "it has no log" in kernel.run(f"%aprocs log {newest(kernel)}").text()


def test_cpu_and_memory_are_those_of_the_family(kernel, start):
    number = start("busy", "sh -c 'while :; do :; done & sleep 600'")
    kernel.run("%aprocs list")
    began = time.monotonic()
    spent = "sum(sum(each.cpu_times()[:2]) for each in busy.family.alive())"
    before = kernel.json(spent)
    while kernel.json(spent) < before + 0.3:
        assert time.monotonic() - began < 30
    told = row(kernel, number)
    assert int(told["CPU"].split()[0]) > 5
    memory = kernel.json("sum(each.memory_info().rss for each in busy.family.alive())") / 1e6
    assert abs(float(told["memory"].split()[0]) - memory) < 0.3 * memory + 0.5


def test_stop_and_kill_wait_for_the_end(kernel, start):
    first, second, third = (start(name, "{program} stall") for name in "abc")
    done = kernel.run(f"%aprocs stop {first} {second}\na.returncode, b.returncode, c.returncode")
    assert done.value == "(-15, -15, None)"
    said = [re.sub(r"[\d.]+ s", "N s", line) for line in done.text().splitlines()]
    assert sorted(said) == [
        f"{first}: ■ Stopped (SIGTERM) · N s · a",
        f"{second}: ■ Stopped (SIGTERM) · N s · b",
    ]
    assert "Killed (SIGKILL)" in kernel.run(f"%aprocs kill {third}").text()
    assert re.match(rf"{third}: ■ Killed \(SIGKILL\) · .* · c\n", kernel.run(f"%aprocs stop {third}").text())
    assert kernel.run("%aprocs stop all").text() == "nothing runs\n"


def test_what_ignores_it_is_killed_after_its_grace(kernel, start):
    number = start("stubborn", "--grace 0.3 {program} ignore TERM out ready stall")
    kernel.run("await stubborn.log.changed(0)")
    assert "Stopped (SIGKILL)" in kernel.run(f"%aprocs stop {number}").text()


def test_stop_reaches_what_is_left_of_a_family(kernel, start):
    number = start("gone", "{program} fork setsid close stall")
    kernel.run("await gone.wait()")
    assert row(kernel, number)["state"] == "⋯ Done, exit 0; 1 process left"
    assert "the rest was stopped (SIGTERM)" in kernel.run(f"%aprocs stop {number}").text()


def test_wait_is_awaited_and_says_how_each_ended(kernel, start, tmp_path):
    go = tmp_path / "go"
    first, second = start("good", f"{{program}} wait {go}"), start("bad", f"{{program}} wait {go} exit 2")
    code = (
        "import asyncio, pathlib\n"
        f"asyncio.get_running_loop().call_later(0.2, pathlib.Path({str(go)!r}).touch)\n"
        "%aprocs wait all\n"
        "good.returncode, bad.returncode"
    )
    done = kernel.run(code)
    assert done.value == "(0, 2)", "another task of the loop had its turn while the cell waited"
    assert sorted(line.split(" · ")[0] for line in done.text().splitlines()) == sorted(
        ["✘ Failed, exit 2", f"{first}: ✔ Done, exit 0", f"{second}: ✘ Failed, exit 2"]
    ), "the failure is the end of its output, which shows where it is awaited"
    assert kernel.run(f"def f():\n    %aprocs wait {first}\nf()").text().startswith(f"{first}: ✔ Done")


def test_in_plain_code_it_blocks_until_the_end(kernel, start):
    number = start("p", "{program} stall")
    done = kernel.run(f"def stop(number):\n    %aprocs stop {{number}}\n    return p.returncode\nstop({number})")
    assert done.value == "-15" and "Stopped" in done.text()


def test_an_interrupt_ends_the_waiting_alone(kernel, start):
    number = start("p", "{program} stall")
    say = "import asyncio; asyncio.get_running_loop().call_later(0.1, lambda: print('waits', flush=True))"
    awaited, plain = f"{say}\n%aprocs wait {number}", f"{say}\ndef f():\n    %aprocs wait {number}\nf()"
    for code in (awaited, plain):
        done = kernel.run(code, on_message=kernel.interrupt_when("waits"))
        assert done.error == "KeyboardInterrupt: the waiting; the programs go on"
        assert kernel.run("p.returncode, p.ladder.sent").value == "(None, None)"


def test_waiting_shows_the_output_where_nobody_watches(kernel, start):
    number = start("p", "{program} out hello")
    done = kernel.run(f"%aprocs wait {number}", headless=True)
    assert done.text().startswith("hello\n") and "✔ Done, exit 0" in done.text()


def test_waiting_shows_the_output_of_a_program_that_has_ended(kernel, start):
    number = start("p", "{program} out hello")
    table = "get_ipython().magics_manager.registry['AProcMagics'].table"
    kernel.run(f"import asyncio\nwhile {number} in {table}.running: await asyncio.sleep(0.01)")
    done = kernel.run(f"%aprocs wait {number}", headless=True)
    assert done.text().startswith("hello\n") and "✔ Done, exit 0" in done.text()


def test_pause_and_resume(kernel, start):
    number = start("p", "sh -c 'sleep 600 & wait'")
    assert kernel.run(f"%aprocs pause {number}").text().split(" · ")[0].endswith(" Paused")
    states = "{each.status() for each in p.family.alive()}"
    assert kernel.run(states).value == repr({psutil.STATUS_STOPPED})
    assert row(kernel, number)["state"].endswith(" Paused")
    assert kernel.run(f"%aprocs resume {number}").text().split(" · ")[0].endswith(" Running")
    assert psutil.STATUS_STOPPED not in kernel.run(states).value
    kernel.run(f"%aprocs pause {number}")
    assert "Stopped (SIGTERM)" in kernel.run(f"%aprocs stop {number}").text()
    assert "it can no longer be paused" in kernel.run(f"%aprocs pause {number}").error


def test_log(kernel, start):
    number = start("p", "{program} lines 100 raw 1b5d303b7469746c6507 stall")
    kernel.run("while p.log.bytes < 800: await asyncio.sleep(0.01)")
    *lines, last = kernel.run(f"%aprocs log {number}").text().splitlines()
    assert 19 <= len(lines) <= 20 and lines[-1].strip() in ("line 99", "") and "\x1b" not in "".join(lines)
    path = kernel.json("str(p.log.path)")
    assert re.fullmatch(rf"\.\.\. {number}: ▶ Running · .* · p · 100 lines · log: {re.escape(path)}", last)


def test_show_makes_another_card(kernel, start):
    number = start("p", "{program} out hello stall")
    kernel.run("await p.log.changed(0)")
    done = kernel.run(f"%aprocs show {number}")
    (card,) = done.cards
    if not any(is_tail(message, card) for message in done.messages):
        kernel.idle_messages(lambda message: is_tail(message, card))
    kernel.comm(card, op="stop", job=kernel.jobs[card])
    end = kernel.idle_messages(lambda message: message["msg_type"] == "update_display_data")[-1]
    assert end["content"]["data"]["text/plain"].startswith("hello\n■ Stopped (SIGTERM)")
    assert "log: /" in kernel.run(f"%aprocs show {number}").text(), "of what has ended: the last lines"
    other = start("q", "{program} out hello stall")
    kernel.run("await q.log.changed(0)")
    assert kernel.run(f"%aprocs show {other}", headless=True).text().startswith("hello\n... ")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("stpo 1", "unknown word 'stpo'; did you mean stop?"),
        ("xyzzy", f"unknown word 'xyzzy'; there are {', '.join(WORDS)}"),
        ("--help", r"%aprocs\? shows the help"),
        ("stop", r"%aprocs stop needs ID\.\.\.\|all: there are \d+"),
        ("log", r"%aprocs log needs ID\.\.\.: there are \d+"),
        ("stop 99999", "%aprocs stop: there is no process '99999'; there are .*; see %aprocs list"),
        ("kill -1", "%aprocs kill: there is no process '-1'; there are"),
        ("log all", "%aprocs log: there is no process 'all'"),
        ("stop all 1", "%aprocs stop: all stands alone, but got 'all 1'"),
        ("list 1", "%aprocs list takes no id, but got '1'"),
    ],
)
def test_errors(kernel, start, line, error):
    start("p", "{program} stall")
    assert re.match(f"UsageError: .*{error}", kernel.run(f"%aprocs {line}").error)
    assert kernel.run("p.returncode, p.ladder.sent").value == "(None, None)"


def test_help_and_completion(kernel, start):
    told = kernel.client.inspect("%aprocs", reply=True, timeout=60)["content"]["data"]["text/plain"]
    assert all(f"%aprocs {word}" in told for word in WORDS)
    ended = start("q", "{program} out over")
    gone(kernel, ended)
    number = start("p", "{program} stall")

    def matches(line):
        found = kernel.client.complete(line, reply=True, timeout=60)["content"]["matches"]
        return [each for each in found if each.isdigit() or each in (*WORDS, "all")]

    assert matches("%aprocs st") == ["stop"] and set(matches("%aprocs ")) >= set(WORDS)
    assert matches("%aprocs stop ") == [str(number), "all"]
    assert matches("%aprocs stop a") == ["all"]
    assert {str(number), str(ended)} <= set(matches("%aprocs log ")) and "all" not in matches("%aprocs log ")
    assert matches(f"%aprocs stop {number} ") == [] and matches("%aprocs list ") == []


def rows(message, table):
    """The rows in a message of the live table, by their ids."""
    content = message["content"]
    if message["msg_type"] != "comm_msg" or content["comm_id"] != table:
        return {}
    told = content["data"].get("content", {})
    return {row["id"]: row for row in told["rows"]} if told.get("op") == "rows" else {}


def state_is(table, number, state):
    return lambda message: rows(message, table).get(number, {}).get("state") == state


def test_the_live_table_by_its_messages(kernel, start):
    number = start("p", "{program} out hello stall")
    (table,) = kernel.run("%aprocs").cards
    assert kernel.run("%aprocs").cards == [table], "one widget, however many cells show it"
    job = kernel.jobs[table]
    kernel.run("live = get_ipython().magics_manager.registry['AProcMagics']._live")
    kernel.comm(table, op="watch", job=job, view="v", on=True)
    told = rows(kernel.idle_messages(state_is(table, number, "running"))[-1], table)[number]
    assert (told["label"], told["name"], told["origin"], told["runs"]) == ("Running", "p", "", True)
    assert told["opens"] is True
    kernel.comm(table, op="pause", job=job, id=number)
    kernel.idle_messages(state_is(table, number, "paused"))
    kernel.comm(table, op="resume", job=job, id=number)
    kernel.idle_messages(state_is(table, number, "running"))

    def open_card():
        kernel.comm(table, op="card", job=job, id=number, view="v")
        opened = kernel.idle_messages(lambda message: is_answer(message, "card"))[-1]["content"]["data"]["content"]
        assert (opened["id"], opened["view"]) == (number, "v") and opened["model"] != table
        return opened["model"]

    card = open_card()
    assert card
    kernel.comm(table, op="stop", job=job, id=number)
    kernel.idle_messages(state_is(table, number, "signaled"))
    assert kernel.run("p.returncode, p.ladder.cause").value == "(-15, 'stop')"
    assert open_card() == card, "also of what has ended"
    kernel.run(
        "import os; p.log.close(); os.unlink(p.log.path)\nfor each in list(live._opened._cards.values()): each.close()"
    )
    assert open_card() == "", "somebody has removed its log"
    kernel.comm(table, op="watch", job=job, view="v", on=False)
    assert kernel.eventually("len(live._views), live._timer", "(0, None)"), "out of sight it costs nothing"


@pytest.mark.skipif(not EARLY, reason="ipykernel 7.4 hears it")
def test_stop_in_the_table_acts_while_the_kernel_is_busy(kernel, start, tmp_path):
    number, end = start("p", "{program} stall"), tmp_path / "end"
    pid = kernel.json("p.pid")
    (table,) = kernel.run("%aprocs").cards

    def look(message):
        if message["msg_type"] == "stream":
            kernel.comm(table, op="stop", job=kernel.jobs[table], id=number)
            wait_until(lambda: not psutil.pid_exists(pid))
            end.touch()

    code = f"import os\nprint('busy', flush=True)\nwhile not os.path.exists({str(end)!r}): pass"
    done = kernel.run(code, on_message=look)
    assert any(map(state_is(table, number, "stopping"), done.messages)), "it was said at once"
    assert kernel.run("await p.wait()").value == "-15"


def test_a_forged_message_does_nothing(kernel, start):
    number = start("p", "{program} stall")
    (table,) = kernel.run("%aprocs").cards
    job = kernel.jobs[table]
    state = (
        "live = get_ipython().magics_manager.registry['AProcMagics']._live; len(live._views), list(live._opened._cards)"
    )
    before = kernel.run(state).value
    for forged in (
        {"op": "kill", "id": number, "job": "0" * 32},
        {"op": "kill", "id": str(number), "job": job},
        {"op": "kill", "id": True, "job": job},
        {"op": "kill", "id": 99999, "job": job},
        {"op": "kill", "id": None, "job": job},
        {"op": "kill", "id": number, "job": job, "n": "1"},
        {"op": "kill", "id": number, "job": job, "n": 0},
        {"op": ["kill"], "id": number, "job": job},
        {"op": "card", "id": number, "view": "v" * 65, "job": job},
        {"op": "watch", "view": 1, "on": True, "job": job},
    ):
        kernel.comm(table, **{"op": "kill", **forged})
    assert kernel.run("p.returncode, p.ladder.sent").value == "(None, None)"
    assert kernel.run(state).value == before


def test_ids_go_on_after_a_reload_and_unload_undoes_all(fresh_kernel):
    fresh_kernel.run("%aproc echo 1\n%aproc echo 2\n%aprocs")
    assert newest(fresh_kernel) == 2
    fresh_kernel.run("%reload_ext ipyproc")
    assert fresh_kernel.run("%aprocs list").text() == "no process was started yet\n"
    fresh_kernel.run("%aproc echo 3")
    assert newest(fresh_kernel) == 3, "an id never means another process"
    fresh_kernel.run("%unload_ext ipyproc")
    assert "not found" in fresh_kernel.run("%aprocs").error
    assert fresh_kernel.run("from ipyproc._core.process import registry; registry.watchers").value == "set()"
    found = "[key for key in ip.strdispatchers['complete_command'].strs if 'aproc' in key]"
    assert fresh_kernel.run(f"ip = get_ipython(); {found}").value == "[]"


def test_many_runs_leave_their_figures_alone(fresh_kernel):
    """A hundred entries stay, and no process, log, descriptor or file of theirs."""
    held = (
        "import asyncio, gc, os\n"
        "from ipyproc._core.process import process; from ipyproc._core.output import log, storage\n"
        "t = get_ipython().magics_manager.registry['AProcMagics'].table\n"
        "while t.running: await asyncio.sleep(0.01)\n"
        "gc.collect()"
    )
    figures = (
        "[len(t.entries), *(sum(isinstance(each, kind) for each in gc.get_objects()) for kind in (process.Process, log.Log)), "
        "len(os.listdir('/proc/self/fd')), len(list(storage.directory().iterdir())), len(asyncio.all_tasks())]"
    )

    def run_some(times):
        fresh_kernel.run(f"for i in range({times}):\n    %aproc --quiet {{program}} lines 100")
        fresh_kernel.run(held)
        return json.loads(fresh_kernel.run(figures).value)

    before = run_some(tables.MOST_ENDED)
    rss = psutil.Process(fresh_kernel.manager.provisioner.process.pid).memory_info
    memory = rss().rss
    after = run_some(300)
    assert before[0] == after[0] == tables.MOST_ENDED
    assert all(more - less <= 2 for less, more in zip(before, after, strict=True)), (before, after)
    assert rss().rss - memory < 3e6


def test_the_table_counts_lines_as_the_card_does(kernel, start):
    """Also a line that has not ended, and a bar once however often it was drawn anew."""
    number = start("line", "sh -c \"printf 'a\\nb'; sleep 600\"")
    bars = start("bars", "sh -c \"printf '1%%\\n\\033[A2%%\\n\\033[A3%%\\n'; sleep 600\"")
    assert kernel.eventually("line.log.bytes, bars.log.bytes", "(3, 15)")
    for each, lines in ((number, "2"), (bars, "1")):
        assert row(kernel, each)["lines"] == lines
    kernel.run("await line.stop(); await bars.stop()")
    for each, lines in ((number, "2"), (bars, "1")):
        gone(kernel, each)
        assert row(kernel, each)["lines"] == lines, "as in its transcript"


def test_where_a_process_runs_is_told_if_it_is_not_as_always(kernel, start):
    number = start("p", "{program} stall")
    assert "on" not in row(kernel, number)
    kernel.run("p.program.where = 'box'")
    assert row(kernel, number)["on"] == "box"
    kernel.run("p.program.where, p.program.launcher = '', 'portable'")
    assert row(kernel, number)["on"] == "portable"
