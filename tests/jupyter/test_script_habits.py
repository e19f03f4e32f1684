"""IPython's own tests of `%%script` (tests/test_magic.py, test_script_*), pointed at `%%aproc`.

One differs on purpose: an interrupt ends the cell with KeyboardInterrupt and not with CalledProcessError.
"""

import asyncio
import signal
import sys
from subprocess import CalledProcessError
from textwrap import dedent
from threading import Thread
from time import sleep

import pytest
from IPython.core.interactiveshell import InteractiveShell

import ipyproc

pytestmark = pytest.mark.pure


@pytest.fixture
def ip():
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.extension_manager.load_extension("ipyproc")
    yield shell
    shell.extension_manager.unload_extension("ipyproc")
    InteractiveShell.clear_instance()


@pytest.fixture
async def settled(ip):
    """The tasks that follow a background program end before the event loop of the test does."""
    yield
    await asyncio.gather(*ip.magics_manager.registry["AProcMagics"].table._tasks)


def interrupt_after_1s():
    sleep(1)
    signal.raise_signal(signal.SIGINT)


def interrupted(ip, line):
    thread = Thread(target=interrupt_after_1s)
    thread.start()
    try:
        ip.run_cell_magic("aproc", line, "from time import sleep; sleep(20)")
    finally:
        thread.join()


def test_script_raise_on_interrupt(ip):
    with pytest.raises(KeyboardInterrupt, match="was ended by SIGINT"):
        interrupted(ip, sys.executable)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_script_do_not_raise_on_interrupt(ip):
    interrupted(ip, f"--no-raise-error {sys.executable}")


def test_script_out(ip):
    ip.run_cell_magic("aproc", f"--out output {sys.executable}", "print('hi')")
    assert ip.user_ns["output"].strip() == "hi"


def test_script_err(ip):
    ip.run_cell_magic("aproc", f"--err error {sys.executable}", "import sys; print('hello', file=sys.stderr)")
    assert ip.user_ns["error"].strip() == "hello"


BOTH = "import sys\nprint('hi')\nprint('hello', file=sys.stderr)"


def test_script_out_err(ip):
    ip.run_cell_magic("aproc", f"--out output --err error {sys.executable}", BOTH)
    assert ip.user_ns["output"].strip() == "hi"
    assert ip.user_ns["error"].strip() == "hello"


def test_script_raise_error(ip):
    with pytest.raises(CalledProcessError) as caught:
        ip.run_cell_magic("aproc", sys.executable, "import sys; sys.exit(3)")
    assert caught.value.returncode == 3
    ip.run_cell_magic("aproc", f"--no-raise-error {sys.executable}", "import sys; sys.exit(3)")


async def test_script_bg_out(ip, settled):
    ip.run_cell_magic("aproc", f"--bg --out output {sys.executable}", "print('hi')")
    assert (await ip.user_ns["output"].read()).strip() == b"hi"
    assert ip.user_ns["output"].at_eof()


async def test_script_bg_err(ip, settled):
    ip.run_cell_magic("aproc", f"--bg --err error {sys.executable}", "import sys; print('hello', file=sys.stderr)")
    assert (await ip.user_ns["error"].read()).strip() == b"hello"
    assert ip.user_ns["error"].at_eof()


async def test_script_bg_out_err(ip, settled):
    ip.run_cell_magic("aproc", f"--bg --out output --err error {sys.executable}", BOTH)
    assert (await ip.user_ns["output"].read()).strip() == b"hi"
    assert (await ip.user_ns["error"].read()).strip() == b"hello"
    assert ip.user_ns["output"].at_eof()
    assert ip.user_ns["error"].at_eof()


async def test_script_bg_proc(ip, settled):
    ip.run_cell_magic("aproc", f"--bg --out output --proc p {sys.executable}", BOTH)
    p = ip.user_ns["p"]
    assert isinstance(p, ipyproc.Process)
    await p.wait()
    assert p.returncode == 0
    assert (await p.stdout.read()).strip() == b"hi"
    # not captured, so empty
    assert (await p.stderr.read()) == b""
    assert p.stdout.at_eof()
    assert p.stderr.at_eof()


def test_script_streams_continuously(ip, capsys):
    code = dedent(
        """\
        import time
        for _ in range(3):
            time.sleep(1)
            print(".", flush=True, end="")
        """
    )

    def print_numbers():
        for number in range(3):
            sleep(1)
            print(number, flush=True, end="")

    thread = Thread(target=print_numbers)
    thread.start()
    sleep(0.5)
    ip.run_cell_magic("aproc", sys.executable, code)
    thread.join()
    assert capsys.readouterr().out == "0.1.2."
