"""What is wrong with a command is one clear error before it starts; what starts has a session and signals of its own."""

import asyncio
import logging
import os
import signal
import tempfile
from pathlib import Path

import pytest

import ipyproc

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


async def test_session_signals_and_input(program):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between two cells
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        done = await ipyproc.run(*program("signals", "cat", "out", "end"))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert "SIGINT" not in done.stdout
    assert "SIGHUP" not in done.stdout
    assert done.stdout.endswith("\nend\n")


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
