"""`ipyproc.run` and `parallel` in a cell: awaited or with `.result()`, and ended by the kernel's interrupt."""

import re

import pytest

from tests.jupyter.kernel_session import PROGRAMS

WATCH = """
import asyncio, ipyproc
async def watch(count):
    while sum(each.log.bytes > 0 for each in ipyproc.processes()) < count:
        await asyncio.sleep(0.01)
    print("ready", flush=True)  # and then nothing wakes the event loop
watching = asyncio.create_task(watch({count}))
"""
BATCH = "ipyproc.parallel([[*program, 'err', 'up', 'stall']] * 4, jobs=2, check=False)"
WORK = "ipyproc.run(*program, 'err', 'up', 'stall', check=False)"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("(await ipyproc.run('echo', 'a')).lines", "['a']"),
        ("ipyproc.run('echo', 'a').result().lines", "['a']"),
        ("def f():\n    return ipyproc.run('echo', 'a').pipe('tr', 'a', 'b').result()\nf().lines", "['b']"),
        ("[each.stdout for each in await asyncio.gather(*(ipyproc.run('echo', c) for c in 'ab'))]", r"['a\n', 'b\n']"),
        ("ipyproc.run('ls')", "<Run (ls) not started: await it, or call .result()>"),
    ],
)
def test_awaited_and_not(kernel, code, value):
    assert kernel.run(f"import asyncio, ipyproc\n{code}").value == value


def traceback_of(kernel, code):
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(kernel.run(code).reply["traceback"]))


def test_failure_ends_the_cell(kernel):
    done = kernel.run("import ipyproc\nawait ipyproc.run('sh', '-c', 'echo why >&2; exit 3')\nprint('next')")
    assert done.error == "ProcessExitError: `sh -c 'echo why >&2; exit 3'` exited with status 3\nwhy"
    assert done.text() == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("await ipyproc.run('false').pipe('false')", "In the same pipe: `false` exited with status 1"),
        ("def f():\n    return ipyproc.run('false').result()\nf()", "return ipyproc.run"),
        ("await ipyproc.run('nosuch')", "no such program"),
        ("await ipyproc.parallel([['false']] * 2, jobs=1)", "1 of 2 failed; 1 not started."),
        ("[each async for each in ipyproc.parallel([['false']])]", "each async for"),
    ],
)
def test_the_traceback_ends_in_the_users_code(kernel, code, said):
    lines = traceback_of(kernel, f"import ipyproc\n{code}")
    assert "Cell In" in lines and "ipyproc/" not in lines and said in lines


def test_the_traceback_shows_the_line_of_a_callback_that_is_wrong(kernel):
    kernel.run("def wrong(job):\n    1 / 0")
    lines = traceback_of(kernel, "import ipyproc\nawait ipyproc.parallel([['true']], on_change=wrong)")
    assert "1 / 0" in lines and "ipyproc/" not in lines


def test_an_error_of_a_cell_can_be_pickled(kernel):
    code = "import pickle\ntry:\n    {}\nexcept Exception as error:\n    copy = pickle.loads(pickle.dumps(error))\nstr(copy)"
    for line in ("%aproc false", "await ipyproc.run('false')"):
        assert kernel.run(code.format(line)).value == "'`false` exited with status 1'"


@pytest.mark.parametrize(
    ("code", "error", "count"),
    [
        (f"await {WORK}", "KeyboardInterrupt: ", 1),
        (f"{WORK}.result()", "KeyboardInterrupt: ", 1),
        (f"def f():\n    return {WORK}.result()\nf()", "KeyboardInterrupt: ", 1),
        (f"await {WORK}.pipe('cat')", "KeyboardInterrupt: ", 1),
        (f"await asyncio.gather({WORK}, {WORK})", "CancelledError: ", 2),
        (f"await {BATCH}", "KeyboardInterrupt: interrupted: 4 commands", 2),
        (f"{BATCH}.result()", "KeyboardInterrupt: ", 2),
        (f"async for done in {BATCH}: pass", "CancelledError: ", 2),
    ],
)
def test_an_interrupt_ends_the_program_and_the_cell(kernel, code, error, count):
    code = f"{WATCH.format(count=count)}\n{code}\nprint('next')"
    done = kernel.run(code, on_message=kernel.interrupt_when("ready"))
    assert done.error.startswith(error) and "next" not in done.text()
    # gather raises with the first of them, and the other is on its way
    assert kernel.eventually("ipyproc.processes()", "[]") and kernel.eventually(PROGRAMS, "[]")


def test_interrupts_climb_the_ladder(kernel):
    code = f"{WATCH.format(count=1)}\nwork = ipyproc.run(*program, 'ignore', 'INT', 'out', 'up', 'stall')\nawait work"
    done = kernel.run(code, on_message=kernel.interrupt_when("ready", times=2))
    assert done.error.startswith("KeyboardInterrupt: interrupted: ")
    assert kernel.run("work._processes[0].ladder.sent.name").value == "'SIGTERM'"
