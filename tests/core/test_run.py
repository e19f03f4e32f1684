"""`start` checks before it starts, and gives a program its own session, default signals and an empty input."""

import asyncio
import os
import signal
import time

import pytest

import ipyproc
from ipyproc._core.run import CompletedProcess, start

pytestmark = pytest.mark.usefixtures("nothing_left")


def completed(*args, **keywords):
    async def main():
        process = await start(*args, **keywords)
        await process.wait()
        return CompletedProcess(process)

    return asyncio.run(main())


def test_session_signals_and_input(program):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between two cells
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        done = completed(*program("signals", "cat", "out", "end"))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert "SIGINT" not in done.stdout
    assert "SIGHUP" not in done.stdout
    assert done.stdout.endswith("\nend\n")


def test_own_session(program):
    async def main():
        process = await start(*program("stall"))
        own = os.getsid(process.pid) == process.pid
        await process.stop()
        return own

    assert asyncio.run(main())


def test_input_of_any_size_never_blocks(program):
    data = os.urandom(3_000_000)

    async def main():
        process = await start(*program("cat"), input=data)
        await process.wait()
        return await process.stdout.read()

    assert asyncio.run(main()) == data


def test_only_descriptors_0_to_2_reach_the_program():
    done = completed("sh", "-c", "ls /proc/self/fd")
    assert set(done.stdout.split()) <= {"0", "1", "2", "3"}  # 3: the descriptor with which ls lists


@pytest.mark.parametrize(
    ("args", "keywords", "error", "words"),
    [
        (["nosuchprogram"], {}, FileNotFoundError, "no such program in PATH: 'nosuchprogram'"),
        (["pythno3"], {}, FileNotFoundError, "did you mean python3?"),
        (["./nosuch"], {}, FileNotFoundError, "no such program: './nosuch'"),
        ([""], {}, FileNotFoundError, "name is empty"),
        (["/etc/passwd"], {}, PermissionError, "chmod +x"),
        (["/tmp"], {}, IsADirectoryError, "a directory, not a program"),
        (["ls"], {"cwd": "/nosuch"}, FileNotFoundError, "cwd: no such directory: '/nosuch'"),
        (["ls"], {"cwd": "/etc/passwd"}, NotADirectoryError, "cwd is not a directory"),
        (["ls", "a\0b"], {}, ValueError, "argument 1 ('a\\x00b') holds a NUL"),
        (["l\0s"], {}, ValueError, "the program's name"),
        (["ls", "x" * 140_000], {}, OSError, "too long for the operating system (140004 bytes)"),
        (["ls"], {"env": {"A=B": "c"}}, ValueError, "environment variable 'A=B'"),
    ],
)
def test_bad_input_is_one_clear_error(args, keywords, error, words):
    with pytest.raises(error) as caught:
        completed(*args, **keywords)
    assert words in str(caught.value)


def test_a_file_that_is_no_program(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"\x7fnothing")
    path.chmod(0o755)
    with pytest.raises(OSError, match="not a program"):
        completed(str(path))


def test_completed_process(program):
    done = completed(*program("out", "o", *[word for n in range(12) for word in ("err", f"e{n}")], "exit", 3))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "o\n", 12)
    assert repr(done).startswith("<CompletedProcess (") and "exited with status 3 after" in repr(done)
    with pytest.raises(ipyproc.ProcessExitError) as caught:
        done.check_returncode()
    told = str(caught.value).splitlines()
    assert "exited with status 3" in told[0]
    assert told[1] == f"... (the end of stderr; full log: {done.log.path})"
    assert told[2:] == [f"e{n}" for n in range(2, 12)]
    done.log.path.unlink()


def test_a_short_stderr_is_told_whole(program):
    done = completed(*program("err", "a\x1b[31mb", "exit", 1))
    assert done.exit_error().stderr == "ab"
    assert not list(done.log.path.parent.glob("*.sh"))


def test_duration_counts_from_start_to_end(program):
    began = time.monotonic()
    done = completed(*program("sleep", 0.1))
    assert 0.1 <= done.duration <= time.monotonic() - began
