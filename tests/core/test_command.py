"""What is wrong with a command is one clear error before it starts; what starts has a session and signals of its own."""

import asyncio
import errno
import logging
import os
import shlex
import signal
import tempfile
from pathlib import Path

import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._core.process.start import start
from ipyproc._core.program.spec import Spec

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("function", [ipyproc.run, ipyproc.start])
@pytest.mark.parametrize(
    ("args", "keywords", "error", "words"),
    [
        (
            ["nosuchprogram"],
            {},
            FileNotFoundError,
            "no such program in PATH; install it, or write its path: 'nosuchprogram'",
        ),
        (["pythno3"], {}, FileNotFoundError, "did you mean python3?"),
        (["ls -l"], {}, FileNotFoundError, "no command line: write 'ls', '-l', or shell=True"),
        (["ls|wc"], {}, FileNotFoundError, "no command line: write shell=True"),
        (["./a 'b c'"], {}, FileNotFoundError, "write './a', 'b c', or shell=True"),
        (["no such", "-l"], {}, FileNotFoundError, "no such program in PATH; install it, or write its path: 'no such'"),
        (["./nosuch"], {}, FileNotFoundError, "no such program: './nosuch'"),
        ([""], {}, FileNotFoundError, "name is empty"),
        (["/etc/passwd"], {}, PermissionError, "chmod +x"),
        (["/tmp"], {}, IsADirectoryError, "a directory, not a program"),
        (["ls"], {"cwd": "/nosuch"}, FileNotFoundError, "cwd: no such directory: '/nosuch'"),
        (["ls"], {"cwd": "/etc/passwd"}, NotADirectoryError, "cwd is not a directory"),
        (["ls"], {"cwd": 5}, TypeError, "cwd is 5: allowed are strings, bytes and paths"),
        (["ls", "a\0b"], {}, ValueError, "argument 1 ('a\\x00b') holds a NUL"),
        (["l\0s"], {}, ValueError, "the program's name"),
        (["ls", 5], {}, TypeError, "argument 1 is 5: allowed are strings, bytes and paths; write str(5)"),
        ([["ls", None]], {}, TypeError, "argument 1 is None"),
        ([["ls"], "-l"], {}, TypeError, "the command is a list, so it has all the arguments"),
        ([[]], {}, ValueError, "the command is an empty list"),
        (["ls", "x" * 140_000], {}, OSError, "argument 1 is too long: 140,001 bytes, and the operating"),
        (["ls"], {"env": {"A=B": "c"}}, ValueError, "environment variable 'A=B'"),
        (
            ["ls"],
            {"env": {"A": 5}},
            TypeError,
            "the environment variable 'A' is 5: allowed are strings, bytes and paths",
        ),
        (["ls", "-l"], {"shell": True}, TypeError, "shell=True takes one string"),
        ([["ls", "-l"]], {"shell": True}, TypeError, "shell=True takes one string"),
        ([" "], {"shell": True}, ValueError, "the line for the shell is empty"),
        (["cat"], {"input": 5}, TypeError, "input is 5: allowed are a string and bytes"),
        (["cat"], {"input": "x", "stdin": 0}, ValueError, "stdin=0 and input: only one of them"),
        (["cat"], {"stdin": "/etc/passwd"}, TypeError, "an open file, not its name: open('/etc/passwd', 'rb')"),
        (["ls"], {"stdout": Path("a")}, TypeError, "an open file, not its name: open('a', 'wb')"),
        (["ls"], {"stdout": ipyproc.STDOUT}, ValueError, "only stderr can go where stdout goes"),
        (["ls"], {"stderr": []}, TypeError, "stderr=[]: allowed are None, a file, a descriptor"),
        (["ls"], {"stdin": ipyproc.LOG}, ValueError, "stdin=LOG: only stdout and stderr can go to the log"),
        (["ls"], {"name": 5}, TypeError, "name=5: allowed is a string"),
        (["ls"], {"preexec_fn": print}, ValueError, "cannot honour preexec_fn=<built-in function print>"),
        (["ls"], {"start_new_session": False}, ValueError, "cannot honour start_new_session=False"),
        (["ls"], {"bufsize": 1}, ValueError, "create_subprocess_exec() may take it"),
        (
            ["ls"],
            {"executable": "/bin/bash"},
            TypeError,
            "'executable': write it as the command; another shell is ('/bin/bash', '-c', LINE) without shell=True",
        ),
        (["ls"], {"args": ["-l"]}, TypeError, "'args': the command and its arguments come first, without a name"),
        (["ls"], {"env": ["A=B"]}, TypeError, "env is ['A=B']: allowed is a mapping of names to values"),
        (["ls", "\ud800"], {}, ValueError, "argument 1 ('\\ud800') is no text that a program can get"),
        (["ls"], {"env": {"A": "\ud800"}}, ValueError, "the environment variable 'A' ('\\ud800') is no text"),
        (
            ["ls", ["-l"]],
            {},
            TypeError,
            "argument 1 is ['-l']: allowed are strings, bytes and paths; a program and its",
        ),
        (["ls"], {"stdout": False}, TypeError, "stdout=False: allowed are None, a file, a descriptor"),
        (["ls"], {"zzz": 1}, TypeError, "takes no keyword 'zzz'; allowed are cmd, stdin, input, stdout"),
        (["ls"], {"cdw": "/"}, TypeError, "takes no keyword 'cdw'; did you mean cwd?"),
    ],
)
async def test_bad_input_is_one_clear_error(function, args, keywords, error, words):
    with pytest.raises(error) as caught:
        await function(*args, **keywords)
    assert words in str(caught.value)


async def test_a_file_that_is_no_program(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"\x7fnothing")
    path.chmod(0o755)
    with pytest.raises(OSError, match="not a program"):
        await ipyproc.run(path)


async def test_words_of_all_kinds(program):
    python, *args = program("out", "ü")
    done = await ipyproc.run(Path(python), *map(os.fsencode, args))
    assert done.stdout == "ü\n" and done.args == (python, *args)
    assert (await ipyproc.run([python, *args])).stdout == "ü\n"


@pytest.fixture(params=["best", "portable"])
def launcher(request, monkeypatch):
    """What starts programs: the best launcher here, and the one of all places."""
    if request.param == "portable":
        monkeypatch.setattr(launch, "best", lambda: asyncio.sleep(0, launch.portable))
    return request.param


@pytest.fixture
def ignoring(monkeypatch):
    """Signals are ignored here, as they are in a kernel between two cells, and under nohup; and nobody changes that."""
    ignored = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    set_signal = signal.signal

    def refuse(number, handler):
        assert number not in ignored, "this is not the program's process"
        return set_signal(number, handler)

    monkeypatch.setattr(signal, "signal", refuse)
    yield
    for number, handler in zip(ignored, before, strict=True):
        assert signal.getsignal(number) is signal.SIG_IGN
        set_signal(number, handler)


async def test_what_is_ignored_here_is_not_ignored_in_the_program(program, launcher, ignoring):
    done = await ipyproc.run(*program("signals", "cat", "out", "end"))
    assert not {"SIGINT", "SIGHUP", "SIGTERM"} & set(done.stdout.split())
    assert done.stdout.endswith("\nend\n")
    done = await ipyproc.run(f"exec {shlex.join(program('signals'))}", shell=True)
    assert not {"SIGINT", "SIGHUP", "SIGTERM"} & set(done.stdout.split())


async def test_all_else_of_a_start_is_as_ever_where_signals_are_ignored(program, launcher, ignoring, tmp_path):
    process = await ipyproc.start("sh", "-c", "echo $$ $PWD; exec env", cwd=tmp_path, env={"PATH": "/bin"})
    pid, directory = (await process.stdout.readline()).split()
    assert (int(pid), directory) == (process.pid, os.fsencode(tmp_path.resolve()))
    assert await process.wait() == 0
    names = {line.partition("=")[0] for line in process.tail(99).split("\n")[1:]}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH"}, "nothing is added to its environment"
    done = await ipyproc.run("env", env={"PATH": os.environ["PATH"], "LC_CTYPE": "C"})
    assert "LC_CTYPE=C\n" in done.stdout
    no_program, no_format = tmp_path / "text", tmp_path / "binary"
    for path in (no_program, no_format):
        path.write_bytes(b"\x7fnothing")
    no_format.chmod(0o755)
    for command, error in (
        (Spec.of(no_program), PermissionError(errno.EACCES, "", str(no_program))),
        (Spec.of(no_format), OSError(errno.ENOEXEC, "", str(no_format))),
        (Spec.of("no-such-program"), FileNotFoundError(errno.ENOENT, "", "no-such-program")),
        (Spec.of("true", cwd="/no/such"), FileNotFoundError(errno.ENOENT, "", "/no/such")),
        (Spec.of("true", ["x" * 200_000]), OSError(errno.E2BIG, "", "true")),
    ):
        with pytest.raises(type(error)) as caught:
            await start(command)
        assert (caught.value.errno, caught.value.filename) == (error.errno, error.filename)


async def test_a_start_that_is_cancelled_leaves_nothing_where_signals_are_ignored(launcher, ignoring, nothing_left):
    starting = asyncio.ensure_future(ipyproc.start("sleep", "600"))
    for _ in range(3):
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_own_session(program):
    process = await ipyproc.start(*program("stall"))
    assert os.getsid(process.pid) == process.pid
    await process.stop()


async def test_keywords_that_ask_for_nothing():
    """Those of Popen with the value that they have there anyway, as a caller may pass them on."""
    nothing = {"bufsize": -1, "executable": None, "preexec_fn": None, "pass_fds": (), "user": None, "umask": -1}
    assert (await ipyproc.run("cat", input="x", stdin=None, text=None, **nothing)).stdout == "x"
    assert await (await ipyproc.start("true", capture_output=True, **nothing)) == 0


async def test_input_is_encoded_as_told():
    assert (await ipyproc.run("cat", input="\udcff", errors="surrogateescape")).log.read() == b"\xff"
    with pytest.raises(UnicodeEncodeError):  # and never thrown away in silence
        ipyproc.run("cat", input="\udcff")


@pytest.mark.parametrize("size", [0, 3_000_000])
async def test_input_of_any_size_never_blocks(program, size):
    data = os.urandom(size)
    assert (await ipyproc.run(*program("cat"), input=data, text=False)).stdout == data


async def test_streams_of_our_own(program, tmp_path):
    with tempfile.TemporaryFile() as file:
        file.write(b"given")
        file.seek(0)
        with (tmp_path / "err").open("wb") as errors:
            done = await ipyproc.run(*program("cat", "err", "e"), stdin=file, stderr=errors)
    assert (done.stdout, done.stderr, (tmp_path / "err").read_bytes()) == ("given", None, b"e\n")
    assert done.error() is None


async def test_only_descriptors_0_to_2_reach_the_program():
    done = await ipyproc.run("sh", "-c", "ls /proc/self/fd")
    assert set(done.stdout.split()) <= {"0", "1", "2", "3"}  # 3: the descriptor with which ls lists


async def test_directory_and_environment(program, tmp_path):
    done = await ipyproc.run(*program("env", "NAME", "env", "HOME"), cwd=tmp_path, env={"NAME": b"\xc3\xa4"})
    assert done.stdout == "ä\nNone\n"
    assert (await ipyproc.run("pwd", cwd=tmp_path)).lines == [str(tmp_path)]


async def test_a_line_for_the_shell():
    done = await ipyproc.run("echo $0 | tr a-z A-Z; exit 0", shell=True)
    assert done.stdout == "/BIN/SH\n" and done.args == "echo $0 | tr a-z A-Z; exit 0"


async def test_events_for_logging(program, caplog):
    caplog.set_level(logging.INFO, "ipyproc")
    process = await ipyproc.start(*program("stall"), name="the name", env={"TOKEN": "secret"}, input="secret")
    await process.stop()
    told = [record.getMessage() for record in caplog.records if record.name == "ipyproc"]
    assert told[:2] == [f"the name (pid {process.pid}): started", f"the name (pid {process.pid}): SIGTERM (stop)"]
    assert told[2].startswith(f"the name (pid {process.pid}): was ended by SIGTERM after 0.") and len(told) == 3


async def test_cancelled_while_it_starts(program):
    starting = asyncio.create_task(ipyproc.start(*program("stall")))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ipyproc.processes() == []
