"""The kernel's interrupt ends the program of the cell, by the ladder, and nothing else."""

import contextlib
import signal
import sys
import threading
import time

import pytest

from .kernel_session import PROGRAMS, kernel_session

SHOWN = "Running"  # the card is there


def test_a_silent_program_is_interrupted_at_once(kernel):
    kernel.run("%aproc --bg --proc other {program} stall")
    late = []
    for _ in range(3):
        done = kernel.run("%aproc {program} stall\nprint('next line')", on_message=kernel.interrupt_when(SHOWN))
        assert done.error.startswith("KeyboardInterrupt: ") and done.error.endswith("was ended by SIGINT")
        assert done.text() == ""
        swapped = next(
            t for m, t in zip(done.messages, done.times, strict=True) if m["msg_type"] == "update_display_data"
        )
        late.append(done.ended_at - swapped)
    assert sorted(late)[1] < 1, "the cell did not end soon after the program"  # the first one loads IPython's traceback
    assert kernel.run("other.returncode").value == ""
    assert kernel.run("await other.stop()").value == "-15"


@pytest.mark.parametrize(
    "quiet",
    ["await p.wait()", "await p", "await p.stdout.read()", "async for _ in p: pass", "await asyncio.sleep(600)"],
)
def test_whatever_else_a_cell_awaits_is_interrupted_at_once_and_the_program_goes_on(kernel, quiet):
    kernel.run("import asyncio\n%aproc --bg --proc p {program} stall")
    sent = []

    def interrupt(message):
        if "quiet" in str(message["content"]) and message["msg_type"] == "stream":
            threading.Timer(0.2, lambda: (sent.append(time.monotonic()), kernel.manager.interrupt_kernel())).start()

    done = kernel.run(f"print('quiet', flush=True)\n{quiet}\nprint('next')", on_message=interrupt)
    assert done.error.startswith("CancelledError") and done.ended_at - sent[0] < 5
    print(f"{quiet}: ended after {(done.ended_at - sent[0]) * 1000:.0f} ms")
    assert kernel.run("p.returncode").value == ""
    assert kernel.run("await p.stop()").value == "-15"


@pytest.mark.parametrize("launcher", ["best", "portable"])
@pytest.mark.parametrize(
    "start",
    [
        "await (await ipyproc.start(*program, 'exit', '0')).wait()",
        "await ipyproc.parallel([[*program, 'exit', '0']] * 4, jobs=2, check=False)",
        "%aproc --quiet --no-raise-error {program} exit 0",
    ],
)
def test_every_cell_hears_its_interrupt_while_a_task_of_an_earlier_one_starts_programs(fresh_kernel, start, launcher):
    fresh_kernel.run("import asyncio, ipyproc; from ipyproc._core import launch")
    if launcher == "portable":
        fresh_kernel.run("launch.best = lambda: asyncio.sleep(0, launch.portable)")
    background = f"async def background():\n    while True:\n        {start}\ntask = asyncio.create_task(background())"
    assert fresh_kernel.run(background).status == "ok"
    for number in range(20):
        interrupt = fresh_kernel.interrupt_when("go", after=number % 5 / 50)
        done = fresh_kernel.run("print('go', flush=True)\nawait asyncio.sleep(600)", on_message=interrupt)
        assert done.error.startswith("CancelledError"), number
    assert fresh_kernel.run("task.done()").value == "False", "and the task heard none"
    assert fresh_kernel.run("task.cancel()").value == "True"
    assert fresh_kernel.eventually(PROGRAMS, "[]")


def test_signals_wake_the_loop_of_a_kernel_that_loads_by_its_configuration_and_after_somebody_else_was_woken():
    woken = "import signal; [fd := signal.set_wakeup_fd(-1), signal.set_wakeup_fd(fd)][0] >= 0"
    with kernel_session(load=False, extra_arguments=["--InteractiveShellApp.extensions=ipyproc"]) as session:
        assert session.run(woken).value == "True", "when it was loaded there was no event loop yet"
        session.run("import asyncio; loop = asyncio.get_running_loop(); loop.add_signal_handler(signal.SIGUSR1, print)")
        theirs = session.run("signal.set_wakeup_fd(-1)").value
        session.run(f"signal.set_wakeup_fd({theirs}); _ = loop.remove_signal_handler(signal.SIGUSR1)")
        assert session.run(woken).value == "True"
        assert session.run("%unload_ext ipyproc").status == "ok" and session.run(woken).value == "False"


@contextlib.contextmanager
def ignored(*numbers):
    """Started here, a program ignores these signals, unless it says otherwise."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/PID/status")
def test_a_server_that_nohup_or_an_ampersand_has_started_changes_nothing():
    """It ignores SIGHUP, or SIGINT and SIGQUIT, and so does the kernel at first; but no program of ours."""
    numbers = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
    with contextlib.ExitStack() as stack:
        with ignored(*numbers):
            kernel = stack.enter_context(kernel_session())
        for line in ("%aproc {}", "import ipyproc; print((await ipyproc.run(*{!r}.split())).stdout)"):
            shown = kernel.run(line.format("grep SigIgn /proc/self/status")).text()
            mask = int(shown.split()[1], 16)
            assert not [number for number in numbers if mask & 1 << number - 1], line
        done = kernel.run("%aproc sh -c 'echo 42; sleep 600; true'", on_message=kernel.interrupt_when("42"))
        assert done.error.startswith("KeyboardInterrupt: ") and done.error.endswith("was ended by SIGINT")


def test_each_interrupt_climbs_one_rung(kernel):
    started = time.monotonic()
    done = kernel.run(
        "%aproc --grace 30 --plain {program} ignore INT ignore TERM out ready stall",
        on_message=kernel.interrupt_when("ready", times=3),
    )
    assert done.error.endswith("was ended by SIGKILL")
    assert time.monotonic() - started < 15


def test_time_climbs_too(kernel):
    done = kernel.run(
        "%aproc --grace 0.3 --plain {program} ignore INT ignore TERM out ready stall",
        on_message=kernel.interrupt_when("ready"),
    )
    assert done.error.endswith("was ended by SIGKILL")


def test_the_family_is_interrupted(kernel):
    done = kernel.run(
        "%%aproc --plain --proc p --grace 0.3 --expand\n"
        "{program} ignore INT ignore TERM out one stall &\n{program} setsid out two stall & wait",
        on_message=kernel.interrupt_when("two"),
    )
    assert done.error.startswith("KeyboardInterrupt")
    assert kernel.run("p.family.alive()").value == "set()"


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    %aproc --plain {program} out ready stall\nf()\nprint('next line')",
        "%%time\n%aproc --plain {program} out ready stall\nprint('next line')",
    ],
)
def test_synchronous_cells_too(kernel, code):
    done = kernel.run(code, on_message=kernel.interrupt_when("ready"))
    assert done.error.startswith("KeyboardInterrupt") and "next line" not in done.text()


def test_no_raise_error_covers_the_interrupt_as_with_script(kernel):
    done = kernel.run(
        "%aproc --no-raise-error --plain {program} out ready stall", on_message=kernel.interrupt_when("ready")
    )
    assert done.status == "ok"


def test_an_interrupt_that_cannot_be_sent_is_passed_over_with_a_word(new_kernel):
    """As in a kernel without a console on Windows: `[WinError 12] The access code is invalid`."""
    new_kernel.run(
        "import asyncio, psutil, signal; from ipyproc._core import launch; launch.best = lambda: asyncio.sleep(0, launch.portable)\n"
        "def refuse(self, number, send=psutil.Process.send_signal):\n"
        "    if number == signal.SIGINT:\n"
        "        raise OSError(22, 'The access code is invalid')\n"
        "    send(self, number)\n"
        "psutil.Process.send_signal = refuse"
    )
    done = new_kernel.run(
        "%aproc --plain --grace 30 {program} out ready stall", on_message=new_kernel.interrupt_when("ready")
    )
    assert done.error.startswith("KeyboardInterrupt: ") and done.error.endswith("was ended by SIGTERM")
    assert "SIGINT cannot be sent ([Errno 22] The access code is invalid), so SIGTERM is tried" in done.text("stderr")


def test_pythons_own_interrupt_works_afterwards(kernel):
    done = kernel.run("print('ready', flush=True)\nwhile True: pass", on_message=kernel.interrupt_when("ready"))
    assert done.error == "KeyboardInterrupt: "


def test_a_cancelled_await_stops_the_program(kernel):
    done = kernel.run(
        "import asyncio\n"
        "async def f():\n"
        "    %aproc --quiet --proc p {program} stall\n"
        "try:\n"
        "    await asyncio.wait_for(f(), 0.3)\n"
        "except TimeoutError:\n"
        "    print('timed out', p.returncode)"
    )
    assert done.text() == "timed out -15\n"


def test_several_at_once_are_all_interrupted(kernel):
    code = (
        "import asyncio, signal\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "async def f(seconds):\n"
        "    %aproc --plain --no-raise-error {program} out ready sleep {seconds}\n"
        "await asyncio.gather(f(0.5), f(600), f(600))\n"
        "signal.getsignal(signal.SIGINT) is before"
    )
    assert kernel.run(code, on_message=kernel.interrupt_when("ready", count=3)).value == "True"


@pytest.mark.parametrize(
    "waiting",
    [
        "await asyncio.create_task(f())",
        "await asyncio.gather(f(), f())",
        "await asyncio.wait_for(f(), 60)",
        "async with asyncio.TaskGroup() as group:\n    group.create_task(f())",
    ],
)
def test_a_task_beside_the_cell_ends_it_and_not_the_kernel(kernel, waiting):
    code = f"import asyncio\nasync def f():\n    %aproc --plain {{program}} out ready stall\n{waiting}\nprint('next')"
    done = kernel.run(code, on_message=kernel.interrupt_when("ready"))
    assert done.status == "error" and "next" not in done.text()
    assert kernel.run("1 + 1").value == "2" and kernel.manager.is_alive()
    assert kernel.eventually(PROGRAMS, "[]")


def test_a_program_that_is_slow_to_end_does_not_interrupt_the_next_cell(kernel):
    kernel.run("import asyncio\nasync def f(*words):\n    %aproc --plain --grace 1 {program} {words} out ready stall")
    both = "await asyncio.gather(f('ignore', 'INT', 'ignore', 'TERM'), f())"
    done = kernel.run(both, on_message=kernel.interrupt_when("ready", count=2))
    assert done.error.startswith("CancelledError")
    assert kernel.run("import ipyproc; left = [each.family for each in ipyproc.processes()]; len(left)").value == "1"
    assert kernel.run("while left[0].alive():\n    await asyncio.sleep(0.05)\nawait asyncio.sleep(0.2)").status == "ok"


def test_a_program_of_an_earlier_cells_task_is_left_alone(kernel):
    kernel.run(
        "async def g():\n    %aproc --plain --proc early {program} sleep 4\n"
        "task = asyncio.create_task(g())\nawait asyncio.sleep(0.3)"
    )
    done = kernel.run("%aproc --plain {program} out ready stall", on_message=kernel.interrupt_when("ready"))
    assert done.error.startswith("KeyboardInterrupt")
    assert kernel.run("early.returncode").value == ""
    done = kernel.run(
        "print('ready', flush=True)\nwhile True: await asyncio.sleep(0.05)", on_message=kernel.interrupt_when("ready")
    )
    assert done.error.startswith("CancelledError"), "ipykernel's own handler is in place again"
    assert kernel.run("await task; early.returncode").value == "0"
