"""`CompletedProcess`: how a program ended and what it wrote, as `subprocess` names it, and more."""

import json
import pickle
import signal
import subprocess
import sys
import time

import pytest

import ipyproc
from ipyproc._core.output.log import Log

pytestmark = pytest.mark.usefixtures("nothing_left")
played = pytest.mark.usefixtures("played")


@played
async def test_as_of_subprocess(program):
    done = await ipyproc.run(*program("out", "o", "err", "e", "exit", 3), check=False)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (3, "o\n", "e\n")
    assert done.args == program("out", "o", "err", "e", "exit", 3)
    with pytest.raises(ipyproc.ProcessExitError):
        done.check_returncode()
    assert (await ipyproc.run("true")).check_returncode() is None


async def test_repr_is_a_sentence(program):
    done = await ipyproc.run(*program("exit", 3), name="the name", check=False)
    assert repr(done).startswith("<CompletedProcess (the name) exited with status 3 after 0.")
    done = await ipyproc.run("sh", "-c", "kill -TERM $$", check=False)
    assert "was ended by SIGTERM" in repr(done)
    assert (done.signal, done.returncode) == (signal.SIGTERM, -15)


async def test_both_streams_in_order(program):
    done = await ipyproc.run(*program("out", "a", "sleep", 0.1, "err", "b", "sleep", 0.1, "out", "c"))
    assert (done.all, done.stdout, done.stderr) == ("a\nb\nc\n", "a\nc\n", "b\n")
    assert done.log.read() == b"a\nb\nc\n" and done.log.ended


@played
@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("", []),
        ("61", ["a"]),
        ("610a", ["a"]),
        ("610a0a", ["a", ""]),
        ("610d0a62", ["a", "b"]),
        ("61e280a8620a", ["a\u2028b"]),
    ],
)
async def test_lines(program, raw, lines):
    words = program("raw", raw)
    assert (await ipyproc.run(*words)).lines == lines
    assert (await ipyproc.run(*words, text=False)).lines == [line.encode() for line in lines]


@played
async def test_bytes_and_encodings(program):
    words = program("raw", "e4ff0a")
    done = await ipyproc.run(*words, text=False)
    assert done.stdout == done.all == b"\xe4\xff\n" and done.stderr == b""
    assert (await ipyproc.run(*words)).stdout == "��\n"
    assert (await ipyproc.run(*words, encoding="latin-1")).stdout == "äÿ\n"
    with pytest.raises(UnicodeDecodeError):
        _ = (await ipyproc.run(*words, errors="strict")).stdout
    assert (await ipyproc.run("cat", input="ä", encoding="latin-1")).log.read() == b"\xe4"


@played
async def test_json(program):
    assert (await ipyproc.run("echo", '{"a": [1, null]}')).json() == {"a": [1, None]}
    done = await ipyproc.run("echo", "no json", name="the name")
    with pytest.raises(json.JSONDecodeError) as caught:
        done.json()
    assert caught.value.__notes__ == ["The output of `the name` begins with 'no json\\n'."]
    with pytest.raises(json.JSONDecodeError) as caught:
        (await ipyproc.run("true")).json()
    assert caught.value.__notes__ == ["The output of `true` is empty."]


@played
async def test_what_is_not_captured_is_none(program):
    done = await ipyproc.run(*program("out", "o", "err", "e"), stdout=ipyproc.DEVNULL, stderr=ipyproc.DEVNULL)
    assert (done.stdout, done.stderr, done.all, done.lines, done.log) == (None, None, "", [], None)


async def test_duration_counts_from_start_to_end(program):
    began = time.monotonic()
    done = await ipyproc.run(*program("sleep", 0.1))
    assert 0.1 <= done.duration <= time.monotonic() - began


@pytest.mark.skipif(sys.platform != "linux", reason="supervisors are for Linux")
async def test_duration_counts_to_the_end_however_late_we_hear_of_it(program):
    process = await ipyproc.start(*program("sleep", 0.1))
    time.sleep(2)  # it ends meanwhile
    before = time.time()
    assert await process.wait() == 0
    assert 0.1 <= process.duration < 1.5 and process.ended_at < before - 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="supervisors are for Linux")
async def test_usage():
    code = "x = b'1' * 80_000_000\nwhile __import__('time').process_time() < 0.3: pass"
    usage = (await ipyproc.run(sys.executable, "-c", code)).usage
    assert 0.3 <= usage.user + usage.system < 30 and 80_000_000 < usage.peak_bytes < 200_000_000
    for small in (("true",), ("sleep", "0.01"), ("sh", "-c", "echo; :")):  # the shim had more before their exec
        usage = (await ipyproc.run(*small)).usage
        assert usage.peak_bytes is None and "peak" not in str(usage), small
    piped = await ipyproc.run("true").pipe(sys.executable, "-c", "x = b'1' * 80_000_000")
    assert 80_000_000 < piped.usage.peak_bytes < 200_000_000
    assert str(ipyproc.Usage(0.25, 0.5, None)) == "0.75 s of CPU"
    assert str(ipyproc.Usage(0.25, 0.5, 7_900_000_000)) == "0.75 s of CPU, 7.9 GB at the peak"


@played
@pytest.mark.parametrize("code", [0, 3])
async def test_a_copy_has_the_output_in_memory(program, code):
    lines = [word for n in range(12) for word in ("err", f"e{n}")]
    done = await ipyproc.run(*program("out", "a", *lines, "exit", code), check=False)
    copy = pickle.loads(pickle.dumps(done))
    assert (copy.stdout, copy.stderr, copy.all) == (done.stdout, done.stderr, done.all)
    assert (copy.log, copy.args, repr(copy)) == (None, done.args, repr(done))
    error = copy.error()
    assert (error is None) == (code == 0)
    if error:
        assert error.stderr == done.error().stderr == "\n".join(f"e{n}" for n in range(2, 12))
        assert error.log is None
        done.error().log.unlink()


@played
async def test_a_copy_of_a_pipeline():
    done = await ipyproc.run("echo", "a").pipe("cat")
    copy = pickle.loads(pickle.dumps(done))
    assert copy.stdout == copy.processes[-1].stdout == "a\n" and repr(copy) == repr(done)


def test_what_may_come_of_a_program_that_could_not_be_stopped():
    log = Log()
    log.write(1, b"a")
    done = ipyproc.CompletedProcess(
        ["x"], None, log=log, streams=frozenset((1, 2)), failure=ipyproc.ProcessNotStopped()
    )
    with pytest.warns(RuntimeWarning, match=r"`x` could not be stopped, and holds its output open: more may come"):
        assert done.stdout == "a"
    log.discard()
