"""One tree of errors: each is also the standard one, says what is known, and survives pickling with all of it."""

import asyncio
import errno
import importlib
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._core.failed_command import FailedCommand
from ipyproc._core.program.advice import advice, near_program, says_failure
from ipyproc._core.program.usage import Usage
from ipyproc.testing import Script, programs

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.pure]
played = pytest.mark.usefixtures("played")


def made(kind, *args, **keywords):
    error = kind(*args, **keywords)
    error.name, error.log, error.advice = "a name", Path("/var/tmp/x.log"), "advice"
    error.last_words, error.failed_command = "last words", FailedCommand("line 4: `x`", 3, "a script")
    error.add_note("a note")
    return error


@pytest.mark.parametrize(
    "error",
    [
        made(ipyproc.ProcessError, "anything"),
        made(ipyproc.ProcessExitError, -15, ["sleep", "a b"], "out", "err"),
        made(ipyproc.ProcessExitError, returncode=3, cmd="true", stderr="by keywords"),
        made(ipyproc.ProcessStopped, -9, ("x",)),
        made(ipyproc.ProcessTimeout, "x", 1.5, output="partial"),
        made(ipyproc.ProcessLost, "process 7 was lost"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_with_all_attributes(error, protocol):
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is type(error)
    assert (vars(copy), copy.args, str(copy)) == (vars(error), error.args, str(error))
    for name in (
        *("cmd", "name", "returncode", "stdout", "output", "stderr", "log", "advice"),
        *("last_words", "failed_command"),
    ):
        assert getattr(copy, name) == getattr(error, name)


def test_how_ipython_is_to_show_it_is_not_pickled():
    error = ipyproc.ProcessExitError(1, "x")
    error._render_traceback_ = list
    assert not hasattr(pickle.loads(pickle.dumps(error)), "_render_traceback_")


def test_every_class_has_its_place():
    assert issubclass(ipyproc.ProcessExitError, subprocess.CalledProcessError)
    assert issubclass(ipyproc.ProcessStopped, ipyproc.ProcessExitError)
    assert issubclass(ipyproc.ProcessTimeout, subprocess.TimeoutExpired)
    assert issubclass(ipyproc.ProcessLost, ConnectionError)
    for name in ipyproc.__all__:
        if name.startswith("Process") and name != "Process":
            assert getattr(ipyproc, name).__module__ == "ipyproc"
            assert issubclass(getattr(ipyproc, name), ipyproc.ProcessError), name


def test_messages():
    error = ipyproc.ProcessExitError(3, ["grep", "a b"], stderr="last words\n")
    assert str(error) == "`grep 'a b'` exited with status 3\nlast words"
    assert (error.signal, error.cmd) == (None, ["grep", "a b"])
    error = ipyproc.ProcessExitError(1, "x", output="only stdout")
    error.name, error.log, error.advice = "the name", Path("/l"), "what may help"
    assert str(error) == "`the name` exited with status 1: what may help\nonly stdout\n(full log: /l)"
    error = ipyproc.ProcessStopped(-15, "x")
    assert str(error) == "`x` was stopped, and was ended by SIGTERM" and error.signal is signal.SIGTERM
    assert str(ipyproc.ProcessTimeout("x", 1.5)) == "`x` was stopped after its timeout of 1.5 s"
    assert len(str(ipyproc.ProcessExitError(1, "x" * 1000))) < 250
    assert str(ipyproc.ProcessExitError(1, "x", b"o", b"no \xff\n")) == "`x` exited with status 1\nno �"
    assert str(ipyproc.ProcessStopped(-9, "x", stderr=b"e")) == "`x` was stopped, and was ended by SIGKILL\ne"


async def failure(*args, **keywords):
    with pytest.raises(ipyproc.ProcessError) as caught:
        await ipyproc.run(*args, **keywords)
    return caught.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ls: cannot access '/nosuch': No such file or directory", True),
        ("=== 1 failed, 3 passed, 1 warning in 0.12s ===", True),
        ("ValueError: no", True),
        ("x\nFATAL: it is over\ny", True),
        ("x.py:3: DeprecationWarning: this will be an error some day", False),
        ("WARNING: an error may follow", False),
        ("12 passed\nall is well", False),
        ("unfailing work", False),
        ("", False),
    ],
)
def test_what_says_that_it_failed(text, says):
    assert says_failure(text) is says


@played
async def test_the_stream_that_says_why_is_shown(program):
    error = await failure(*program("err", "a stray word", "out", "1 failed", "exit", 1))
    assert (error.last_words, error.stdout, error.stderr) == ("1 failed", "1 failed", "a stray word")
    error = await failure(*program("err", "an error", "out", "1 failed", "exit", 1))
    assert error.last_words == "an error"
    error = await failure(*program("out", "one", "err", "two", "exit", 1))
    assert error.last_words == "two"
    error = await failure(*program("err", "one", "out", "two", "exit", 1), name="two streams")
    assert error.last_words == "one\ntwo" and str(error) == "`two streams` exited with status 1\none\ntwo"
    done = await ipyproc.run(*program("err", "a stray word", "out", "1 failed", "exit", 1), check=False)
    assert done.full_outcome == "exited with status 1: 1 failed"
    done = await ipyproc.run(*program("out", "1 row", "exit", 1), check=False)
    assert done.full_outcome == "exited with status 1"


@played
async def test_exit_by_status(program):
    command = program("out", "o", "err", "e", "exit", 3)
    error = await failure(*command)
    assert type(error) is ipyproc.ProcessExitError
    assert (error.cmd, error.returncode, error.stdout, error.stderr, error.log) == (command, 3, "o", "e", None)


@played
async def test_the_last_lines_and_the_log_of_all(program):
    error = await failure(*program(*[word for n in range(12) for word in ("err", f"e{n}")], "lines", 30, "exit", 1))
    assert error.stderr.split("\n") == [f"e{n}" for n in range(2, 12)]
    assert error.stdout.split("\n") == [f"line {n}" for n in range(20, 30)]
    assert error.log.read_text().count("\n") == 42 and str(error).endswith(f"\n(full log: {error.log})")
    error.log.unlink()


async def test_one_endless_line_is_bounded():
    with programs({"long": Script(stderr=b"x" * 3_000_000, returncode=1)}):
        error = await failure("long")
    assert 1000 < len(error.stderr) <= 8192
    assert error.log.stat().st_size == 3_000_000
    error.log.unlink()


async def test_timeout_has_the_partial_output():
    with programs({"slow": Script(stdout="partial\n", stderr="e\n", duration=60)}):
        error = await failure("slow", timeout=0.05, check=False)
    assert type(error) is ipyproc.ProcessTimeout
    assert (error.timeout, error.stdout, error.stderr, error.returncode) == (0.05, "partial", "e", -15)


async def test_stopped_by_somebody(program):
    running = asyncio.create_task(failure(*program("out", "ready", "stall")))
    process = await one_process()
    await process.stop()
    error = await running
    assert type(error) is ipyproc.ProcessStopped and error.advice == ""


@pytest.mark.parametrize("family", [True, False])
async def test_killed_by_us_is_not_out_of_memory(program, family):
    running = asyncio.create_task(failure(*program("out", "ready", "stall")))
    (await one_process()).kill(family=family)
    assert type(await running) is ipyproc.ProcessStopped


async def one_process():
    while not (running := ipyproc.processes()) or not running[0].log.bytes:
        await asyncio.sleep(0.01)
    return running[0]


@pytest.mark.parametrize("script", ["kill -9 $$", "sh -c 'kill -9 $$'; exit 137"])
async def test_killed_by_nobody_we_know(script):
    error = await failure("sh", "-c", script)
    assert error.returncode in (-9, 137)
    little = "nobody stopped it from here, and it used little memory"
    assert error.advice == (
        little if sys.platform == "linux" else "probably out of memory (nobody stopped it from here)"
    )


def test_advice_names_the_peak():
    usage = Usage(1.0, 0.5, 7_900_000_000)
    assert advice(-9, "", usage) == "probably out of memory (nobody stopped it from here; its peak was 7.9 GB)"
    assert advice(137, "", usage) == advice(-9, "", usage)


@pytest.mark.skipif(sys.platform != "linux", reason="supervisors are for Linux")
async def test_a_killed_program_that_had_much_memory_was_probably_out_of_it():
    error = await failure(sys.executable, "-c", "import os; x = b'1' * 80_000_000; os.kill(os.getpid(), 9)")
    assert re.search(r"out of memory \(nobody stopped it from here; its peak was (8|9|1\d)\d(\.\d)? MB\)", error.advice)


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_status_127_of_a_shell(shell, tmp_path, monkeypatch):
    (tmp_path / "frobnicate").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    error = await failure(shell, "-c", "frobnicat --now")
    assert error.advice == "frobnicat was not found; did you mean frobnicate?"
    assert (await failure(shell, "-c", "./nothing/here")).advice == "./nothing/here was not found"
    assert (await failure(shell, "-c", "exit 127")).advice == "a command in it was not found"


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_status_126_of_a_shell(shell, tmp_path):
    script = tmp_path / "script.sh"
    script.touch(mode=0o600)
    assert (await failure(shell, "-c", str(script))).advice == f"{script} is not executable (chmod +x makes it so)"
    assert (await failure(shell, "-c", "exit 126")).advice == "a command in it is not executable"


@pytest.mark.parametrize(
    ("code", "stderr", "words"),
    [
        (127, "zsh:1: command not found: zqxxq", "zqxxq was not found"),
        (127, "env: ‘zqxxq’: No such file or directory", "zqxxq was not found"),
        (127, "/tmp/a.sh: line 3: zqxxq: command not found", "zqxxq was not found"),
        (
            127,
            "/usr/bin/env: ‘python3\\r’: No such file or directory",
            "a script asks for python3 with a carriage return",
        ),
        (
            127,
            "a.sh: line 2: $'\\r': command not found",
            "a script asks for a command with a carriage return after it: its lines",
        ),
        (
            127,
            "a.sh: line 3: $'ls\\r': command not found",
            "a script asks for ls with a carriage return after it: its lines end",
        ),
        (126, "env: ‘/etc/passwd’: Permission denied", "/etc/passwd is not executable"),
        (141, "", "what read its output ended first"),
        (1, "x: command not found", ""),
    ],
)
def test_advice(code, stderr, words):
    assert advice(code, stderr).startswith(words) and bool(advice(code, stderr)) == bool(words)


async def test_a_word_for_a_shell_that_there_is_not(tmp_path):
    for word in ("*.csv", "~/nosuch", "$HOME/nosuch"):
        error = await failure("ls", word, cwd=tmp_path)
        assert error.advice == f"{word!r} was passed as it is: no shell has expanded it"
    assert (await failure("ls", "nosuch", cwd=tmp_path)).advice == ""
    assert (await failure("grep", "a*", "nosuch", cwd=tmp_path)).advice == ""


def test_near_program(tmp_path):
    (tmp_path / "samtools").touch()
    assert near_program("samtool", f"/nosuch:{tmp_path}") == "samtools"
    assert near_program("zzz", str(tmp_path)) is None


async def test_what_cannot_start_is_an_oserror():
    for command, kind in ((["nosuchprogram"], FileNotFoundError), (["/tmp"], IsADirectoryError)):
        with pytest.raises(kind):
            await ipyproc.run(command)


@pytest.mark.skipif(sys.platform != "linux", reason="the words are those for Linux")
@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (
            b"#!/bin/bash\r\necho\r\n",
            FileNotFoundError,
            r"the interpreter '/bin/bash\r', which is not there: its lines end with CR LF",
        ),
        (
            b"#! /opt/nosuch/sh -e\n",
            FileNotFoundError,
            "the interpreter '/opt/nosuch/sh', which is not there; there is /",
        ),
        (b"#!/nosuchq\n", FileNotFoundError, "its #! line names the interpreter '/nosuchq', which is not there: "),
        (b"#!nosuchq", FileNotFoundError, "its #! line names the interpreter 'nosuchq', which is not there: "),
        (b"#!/tmp\n", PermissionError, "its #! line names the interpreter '/tmp', which is a directory: "),
        (
            b"#!/etc/passwd\n",
            PermissionError,
            "its #! line names the interpreter '/etc/passwd', which is not executable: ",
        ),
        (b"#!OTHER\n", FileNotFoundError, "its #! line names the interpreter '/nosuchq', which is not there: "),
        (b"#!/\x1b]0;x\xff\n", FileNotFoundError, r"the interpreter '/\x1b]0;x\udcff', which is not there: "),
        (b"", OSError, "not a program: no #! line and no known format: "),
    ],
)
@pytest.mark.parametrize("launcher", ["portable", "supervised"])
async def test_a_script_whose_interpreter_is_not_there(tmp_path, monkeypatch, content, kind, said, launcher):
    chosen = importlib.import_module(f"ipyproc._core.launch.{launcher}")
    monkeypatch.setattr(launch, "best", lambda: asyncio.sleep(0, chosen))
    other, script = tmp_path / "other", tmp_path / "script"
    other.write_bytes(b"#!/nosuchq\n")
    script.write_bytes(content.replace(b"OTHER", os.fsencode(other)))
    for each in (other, script):
        each.chmod(0o755)
    for command, more in (
        (str(script), {}),
        ("script", {"env": {"PATH": str(tmp_path)}}),
        ("./script", {"cwd": tmp_path}),
    ):
        with pytest.raises(kind) as caught:
            await ipyproc.run(command, **more)
        assert said in str(caught.value) and str(caught.value).endswith(f": {command!r}"), str(caught.value)


async def test_a_program_whose_loader_is_not_there(tmp_path):
    path = tmp_path / "program"
    data = Path("/bin/true").resolve().read_bytes()
    path.write_bytes(
        data.replace(b"/ld-linux", b"/ld-LINUX") if b"/ld-linux" in data else data.replace(b"/ld-musl", b"/ld-MUSL")
    )
    path.chmod(0o755)
    with pytest.raises(FileNotFoundError, match="it is there, but not the loader that it names"):
        await ipyproc.run(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
async def test_what_is_too_long_is_named(monkeypatch):
    limit = 32 * os.sysconf("SC_PAGE_SIZE")
    big = "ü" * (limit // 2)
    for command, more, said in (
        (
            ["ls", "a", big],
            {},
            f"argument 2 is too long: {limit + 1:,} bytes, and the operating system takes {limit:,} for one; a file",
        ),
        (
            ["ls"],
            {"env": {"A": "b", "BIG": big}},
            f"the environment variable BIG is too long: {limit + 5:,} bytes, and the",
        ),
        (["echo " + big], {"shell": True}, "the line for the shell is too long: "),
    ):
        with pytest.raises(OSError, match=re.escape(said)) as caught:
            await ipyproc.run(*command, **more)
        assert caught.value.errno == errno.E2BIG and len(str(caught.value)) < 300
    with pytest.raises(
        OSError, match=r"the arguments \(\d,\d{3},\d{3} bytes\) and the environment variables \(6 bytes\) together are"
    ):
        await ipyproc.run(["ls", *["x" * (limit // 2)] * 140], env={"A": "bcd"})
    assert (await ipyproc.run("printenv", "A", env={**os.environ, "A": "x" * (limit - 3)})).stdout == "x" * (
        limit - 3
    ) + "\n"


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("input('What is your name? ')", "'What is your name? '"),
        ("print('Welcome.'); input('Go on? [y/N] ')", "'Go on? [y/N] '"),
        ("import sys; sys.stderr.write('Key: '); sys.stderr.flush(); print(sys.stdin.read(1) or 1 / 0)", ""),
        ("print('Loading: ', end='', flush=True); raise ValueError('no')", ""),
        ("print('?'); raise EOFError", ""),
        ("import getpass; getpass.getpass('Secret word: ')", "'Secret word: '"),
    ],
)
async def test_a_question_that_nobody_answers_is_told(code, asked):
    error = await failure(sys.executable, "-c", code)
    assert error.advice == (asked and f"it asked {asked}, and there was no input for that")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("printf 'Go on? '; read x", "it asked 'Go on? ', and there was no input for that"),
        ("printf 'Continue [y/N]: '; read x", "it asked 'Continue [y/N]: ', and there was no input for that"),
        ("printf 'checking for gcc: '; exit 1", ""),
        ("printf 'Why? '; echo no >&2; exit 1", ""),
        ("read x < /dev/tty", "it wanted to ask on a terminal, and there is none here"),
    ],
)
async def test_a_shell_that_asks_in_vain(script, said):
    assert (await failure("bash", "-e", "-c", script)).advice == said


@played
@pytest.mark.parametrize("last", [" ", "\t", "\x1b[0m", "\r", "\x1b[1A"])
async def test_a_last_line_in_which_there_is_nothing_to_see(program, last):
    for before in ("", "no disk\n"):
        with pytest.raises(ipyproc.ProcessExitError, match="exited with status 3") as caught:
            await ipyproc.run(*program("raw", (before + last).encode().hex(), "exit", 3))
        assert caught.value.advice == "" and caught.value.last_words == before.rstrip()


@played
@pytest.mark.parametrize("output", ["x" * 9000, "x\n" * 10 + "the eleventh line", "x\n" * 11])
async def test_the_log_is_kept_if_the_error_has_not_all_of_it(program, output):
    with pytest.raises(ipyproc.ProcessExitError) as caught:
        await ipyproc.run(*program("raw", output.encode().hex(), "exit", 3))
    assert caught.value.log.read_text() == output
    caught.value.log.unlink()


@played
@pytest.mark.parametrize("output", ["x" * 8000 + "\n", "x\n" * 9 + "the tenth line", "x\n" * 10])
async def test_the_log_is_not_kept_if_the_error_has_all_of_it(program, output):
    with pytest.raises(ipyproc.ProcessExitError) as caught:
        await ipyproc.run(*program("raw", output.encode().hex(), "exit", 3))
    assert caught.value.log is None and caught.value.stdout == output.rstrip("\n")
