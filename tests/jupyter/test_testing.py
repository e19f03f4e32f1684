"""Fake programs in a notebook: the magics start them too, with their cards, buttons and tables."""

import pytest

from .kernel_session import PROGRAMS

FAKES = """
import asyncio, signal
n = 1
from ipyproc.testing import Script, programs

async def server(program):
    asked = asyncio.Event()
    program.on_signal(signal.SIGTERM, asked.set)
    await program.stdout.write("ready\\n")
    await asked.wait()
    await program.stdout.write("saved\\n")
    return 4

fakes = {"sox": Script(stdout="out\\n", stderr="err\\n"), "bash": Script(returncode=3), "server": server}
"""


@pytest.fixture
def fakes(kernel):
    kernel.run(FAKES)
    return kernel


@pytest.mark.parametrize("tail", ["", " --on box"])
def test_a_line_in_the_with(fakes, tail):
    done = fakes.run(f"with programs(fakes) as started:\n    done = %aproc{tail} sox {{n + 1}}.wav")
    assert done.status == "ok" and "out" in done.text() and "err" in done.text("stderr"), done.error
    assert fakes.json("[done.stdout, started[0].args, started[0].on]") == [
        "out\n",
        ["sox", "2.wav"],
        "box" if tail else None,
    ]


def test_the_body_of_a_cell_is_a_script(fakes):
    done = fakes.run(
        "with programs(fakes) as started:\n    get_ipython().run_cell_magic('aproc', '', 'cd {place}; ls')"
    )
    assert done.error.startswith("ProcessExitError: ") and "exited with status 3" in done.error
    assert fakes.run("started[0].name, started[0].script").value == "('bash', 'cd {place}; ls')"


def test_a_button_ends_it(fakes):
    pressed = []

    def press(message):
        job = message["content"].get("data", {}).get("state", {}).get("shown", {}).get("job")
        if job and not pressed:
            pressed.append(message["content"]["comm_id"])
            fakes.comm(pressed[0], op="stop", job=job)

    done = fakes.run("with programs(fakes):\n    %aproc server", on_message=press)
    assert done.error.startswith("ProcessStopped: ") and "exited with status 4" in done.error, done.error
    assert "saved" in done.displays[-1]["text/html"]
    assert pressed and fakes.run(PROGRAMS).value == "[]"


def test_what_was_being_stopped_when_it_was_lost_is_not_run_again(fakes):
    fakes.run(
        "async def breaks(program):\n    asked = asyncio.Event()\n    program.on_signal(signal.SIGTERM, asked.set)\n"
        "    await asked.wait()\n    raise ipyproc.ProcessLost('gone')\nimport ipyproc"
    )
    line = "%aproc --on far --retry-lost 2 --timeout 0.1 sim"
    done = fakes.run(f"with programs({{'sim': breaks}}) as started:\n    {line}")
    assert "ProcessLost" in done.error and fakes.run("len(started)").value == "1", done.error


def test_an_interrupt_ends_it(fakes):
    done = fakes.run("with programs(fakes) as started:\n    %aproc server", on_message=fakes.interrupt_when("ready"))
    assert "KeyboardInterrupt" in done.error and fakes.run("started[0].returncode").value == "-2"


def test_it_is_in_the_table_and_views(fakes):
    code = "with programs(fakes):\n    p = await ipyproc.start('server')\n    await p.stdout.readline()\n    %aprocs list\n    p.view()"
    done = fakes.run(f"import ipyproc\n{code}\n    print(await p.stop())")
    assert done.status == "ok" and done.text().rstrip().endswith("4") and "server" in done.text(), done.error
    assert len(done.cards) == 1


def test_plain_code_waits_for_it(fakes):
    done = fakes.run("import ipyproc\nwith programs(fakes):\n    print(ipyproc.run('sox').result().stdout)")
    assert done.text() == "out\n\n", done.error


def test_a_script_for_each_item(fakes):
    fakes.run("items = ['a', 'b']")
    line = "get_ipython().run_cell_magic('aproc', '--each items --jobs 1 --out texts', 'work {item}')"
    done = fakes.run(f"with programs({{'bash': fakes['sox']}}) as started:\n    {line}")
    assert done.status == "ok", done.error
    assert fakes.json("[texts, [each.script for each in started]]") == [["out\n", "out\n"], ["work a", "work b"]]
