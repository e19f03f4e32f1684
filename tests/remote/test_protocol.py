"""A far side that speaks another version, says what is no message, or speaks out of turn; and one that is told so."""

import asyncio
import contextlib
import gc
import importlib
import os
import sys
import tempfile

import psutil
import pytest

import ipyproc
from ipyproc import DEVNULL, LOG, PIPE, ProcessLost
from ipyproc._core.protocol import (
    FROM_FAR,
    HEAD,
    TO_FAR,
    Close,
    Credit,
    Data,
    Figures,
    Gone,
    Look,
    Lost,
    NotStarted,
    RemoteExited,
    RemoteStart,
    RemoteStarted,
    Signal,
)  # fmt: skip
from ipyproc._remote import far, far_ssh, parcel

from ..other_version import changed_copy, of_version_99

BOTH_VERSIONS = "the other side speaks version 99 of ipyproc's protocol, and this side version 2"
SLEEP = RemoteStart(["sleep", "600"], None, {}, None, stdin=False, stdout=True, stderr=True, ends_family=False)


@contextlib.contextmanager
def sent_from(copy, monkeypatch):
    """What is sent to other machines is this package."""
    with monkeypatch.context() as patch:
        patch.setattr(parcel, "_ROOT", copy)
        parcel.packed.cache_clear()
        yield
    parcel.packed.cache_clear()


async def test_another_version_there(on, tmp_path, monkeypatch):
    with sent_from(of_version_99(tmp_path), monkeypatch):
        with pytest.raises(ConnectionError, match=BOTH_VERSIONS):
            await ipyproc.run("true", on=on)
        await on.aclose()
    assert (await ipyproc.run("echo", "again", on=on)).stdout == "again\n"


class Here(ipyproc.LinkLauncher):
    """A launcher whose other end is in this process, as in docs/other-machines.md."""

    name = "here"

    def __init__(self, session):
        self.session = session
        self.links = []

    async def slots(self):
        return 1

    async def open(self, channel):
        self.links.append(link := Link(self.session, channel))
        return link


class Link:
    ends_family = True
    where = "here"

    def __init__(self, session, channel):
        loop = asyncio.get_running_loop()
        self.channel = channel
        self.session = session(lambda message: loop.call_soon(channel.receive, message))
        self.send = self.session.receive

    def close(self):
        self.session.close()


@pytest.fixture
async def faults():
    """What went wrong in the event loop, for nobody to see."""
    found = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    assert found == []


async def test_another_version_at_the_end_of_a_link(tmp_path, monkeypatch, faults):
    """Of a package that adds a way to other machines: ipyproc is installed there, in another version."""
    of_version_99(tmp_path, "ipyproc_there")
    monkeypatch.syspath_prepend(tmp_path)
    session = importlib.import_module("ipyproc_there._remote.far").Session
    with pytest.raises(ProcessLost, match=f"a program that was being started on here was lost: {BOTH_VERSIONS}"):
        await ipyproc.run("true", on=Here(session))
    for name in [name for name in sys.modules if name.partition(".")[0] == "ipyproc_there"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "is no message of"),
        (b"\x03x", "is no message of"),
        (b"\x00x", "is no message of"),
        (b"{}", "is no message of"),
        (b'[2, "RemoteExited", 0]', "is no message of"),
        (b'[99, "Gone"]', "version 99"),
        (b'[2, "Figures", NaN, 1, 1, false]', "is no message of"),
        (TO_FAR.encode(Look()), "is no message of"),
        (FROM_FAR.encode(RemoteStarted(3)), "RemoteStarted out of turn"),
        (FROM_FAR.encode(NotStarted(2, "none", None)), "NotStarted out of turn"),
        (FROM_FAR.encode(Lost("a cosmic ray")), "a cosmic ray"),
    ],
)
@pytest.mark.parametrize("stdout", [PIPE, DEVNULL])
async def test_a_far_side_that_is_not_understood_has_lost_its_program(message, why, stdout, faults):
    on = Here(far.Session)
    process = await ipyproc.start("sleep", "600", stdout=stdout, on=on)
    there = psutil.Process(process.pid)
    [link] = on.links
    link.channel.receive(message)
    with pytest.raises(ProcessLost, match=f"process {process.pid} on here was lost: .*{why}"):
        await process.wait()
    await link.session.gone
    link.channel.receive(message)  # what comes after that is of no interest
    link.channel.receive(FROM_FAR.encode(RemoteExited(0, 1.0, None, 0, "")))
    link.channel.receive(FROM_FAR.encode(Data(1, b"x")))
    assert process.returncode is None and not process.family.is_alive()
    await asyncio.to_thread(psutil.wait_procs, [there], 20)
    assert not there.is_running()


@pytest.mark.parametrize(
    "messages",
    [
        [Data(1, b"")] * 2,
        [Data(1, b""), Data(1, b"x")],
        [Data(2, b"x")],
        [Data(2, b"")],
        [Gone()],
        [Data(1, b""), Gone()],
    ],
)
@pytest.mark.parametrize("stdout", [PIPE, LOG])
async def test_a_far_side_that_says_what_cannot_be_has_lost_its_program(messages, stdout, faults):
    on = Here(far.Session)
    process = await ipyproc.start("sleep", "600", stdout=stdout, stderr=DEVNULL, on=on)
    [link] = on.links
    for message in map(FROM_FAR.encode, messages):
        link.channel.receive(message)
    with pytest.raises(ProcessLost, match=f"the other side says {type(messages[-1]).__name__} out of turn"):
        await process.wait()
    await link.session.gone
    link.channel.receive(FROM_FAR.encode(Data(1, b"more")))
    assert (await process.stdout.read() if stdout == PIPE else process.log.read()) == b""


@pytest.mark.parametrize("message", [Lost("\x1b[2Jwhy\nnot"), NotStarted(13, "\x1b[2Jwhy\nnot", None)])
async def test_what_a_far_side_says_of_a_failure_is_inert(message, faults):
    with pytest.raises((ProcessLost, PermissionError), match="why") as caught:
        await ipyproc.run("true", on=Here(saying(message)))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("message", "words", "shell"),
    [
        (NotStarted(2, "none", "true"), "no such program on here: 'true'", False),
        (NotStarted(2, "none", "dir"), "cwd: no such directory on here: 'dir'", False),
        (NotStarted(28, "the script could not be written", None), "the script could not be written on here", False),
        (NotStarted(11, "try again", None), "try again on here", False),
        (NotStarted(12, "no memory", "/bin/sh"), "no memory on here: '/bin/sh'", True),
    ],
)
async def test_why_a_program_was_not_started_there(message, words, shell, faults):
    with pytest.raises(OSError, match=f"^\\[Errno {message.errno}\\] {words}$"):
        await ipyproc.run("true", shell=shell, on=Here(saying(message)))


async def test_an_input_that_cannot_be_read(tmp_path, monkeypatch, faults):
    """The program must not take what it got for all of it."""

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    (tmp_path / "input").write_text("x")
    with (tmp_path / "input").open("rb") as file:
        process = await ipyproc.start("cat", stdin=file, on=Here(far.Session))
        with pytest.raises(ProcessLost, match="its standard input cannot be read here: Input/output error"):
            await process.wait()


def saying(message):
    """A far side that says this, and starts nothing."""

    class Saying:
        def __init__(self, send):
            self.send = send

        def receive(self, _):
            self.send(FROM_FAR.encode(message))

        def close(self):
            pass

    return Saying


async def test_given_up_in_the_moment_in_which_it_has_started(faults):
    class Quick(saying(RemoteStarted(1))):
        def receive(self, told):
            super().receive(told)
            asyncio.get_running_loop().call_soon(starting.cancel)

    starting = asyncio.ensure_future(ipyproc.start("cat", stdin=PIPE, stdout=PIPE, on=Here(Quick)))
    with pytest.raises(asyncio.CancelledError):
        await starting
    starting = None
    gc.collect()  # which would tell of a stream that was not closed


SCRIPT = SLEEP._replace(args=["sh"], script="sleep 600")


async def test_a_script_there_is_removed_also_when_its_start_is_cut_short(tmp_path, monkeypatch, faults):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = far.Session(lambda message: None)
    session.receive(TO_FAR.encode(SCRIPT))
    while not [*tmp_path.iterdir()]:
        await asyncio.sleep(0)
    session._starting.cancel()  # as `asyncio.run` does when the link has ended
    await asyncio.wait([session._starting])
    assert session.gone.done() and [*tmp_path.iterdir()] == []


async def test_a_script_that_cannot_be_written_there(tmp_path, monkeypatch, faults):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    told = []
    session = far.Session(lambda message: told.append(FROM_FAR.decode(message)))
    session.receive(TO_FAR.encode(SCRIPT))
    await session.gone
    assert told == [NotStarted(2, "the script could not be written: No such file or directory", None)]


@pytest.mark.parametrize(
    "message", [b"junk", *map(FROM_FAR.encode, (Figures(0.0, 1, 1, False), Gone(), Data(1, b"x"), Lost("why")))]
)
async def test_a_far_side_that_speaks_before_it_has_started_anything(message, faults):
    class Hasty:
        """Speaks first, and starts nothing."""

        def __init__(self, send):
            self.send = send

        def receive(self, _):
            self.send(message)

        def close(self):
            pass

    with pytest.raises(ProcessLost, match="a program that was being started on here was lost"):
        await ipyproc.run("true", on=Here(Hasty))


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([b""], "no message"),
        ([b"\x01x"], "no message"),
        ([b'{"start": {}}'], "no message"),
        ([b'[99, "RemoteStart"]'], "version 99"),
        ([TO_FAR.encode(Signal(9, True, None))], "Signal out of turn"),
        ([TO_FAR.encode(Data(0, b"x"))], "Data out of turn"),
        ([TO_FAR.encode(SLEEP), b"junk"], "no message"),
        ([TO_FAR.encode(SLEEP), TO_FAR.encode(SLEEP)], "RemoteStart out of turn"),
        ([TO_FAR.encode(SLEEP), None, TO_FAR.encode(Credit(3, 1))], "credit for a stream 3"),
        ([TO_FAR.encode(SLEEP), None, FROM_FAR.encode(Gone())], "no message"),
    ],
)
async def test_a_far_side_says_what_it_does_not_understand_and_ends_the_program(messages, why, faults):
    told = []
    session = far.Session(lambda message: told.append(FROM_FAR.decode(message)))
    for message in messages:
        if message is None:
            while not told:  # its start
                await asyncio.sleep(0.01)
        else:
            session.receive(message)
    await session.gone
    session.receive(messages[-1])
    [lost] = {each for each in told if isinstance(each, Lost)}
    assert why in lost.why
    if started := [each.pid for each in told if isinstance(each, RemoteStarted)]:
        while psutil.pid_exists(started[0]):  # the timeout of the test is its bound
            await asyncio.sleep(0.01)


async def test_what_comes_for_a_program_that_is_gone_makes_no_session():
    """Credit for its last output, most of all: there was one for it once."""
    for late in (Credit(1, 5), Signal(15, True, None), Data(0, b""), Look(), Close()):
        assert far_ssh._is_late(TO_FAR.encode(late))
    for new in (TO_FAR.encode(SLEEP), b"junk", b"", b'[99, "RemoteStart"]'):
        assert not far_ssh._is_late(new)
    read_end, write_end = os.pipe()
    words = [sys.executable, "-c", "from ipyproc._remote import far_ssh; far_ssh.main('hello ')"]
    there = await asyncio.create_subprocess_exec(*words, stdin=read_end, stdout=PIPE)
    os.close(read_end)
    with open(write_end, "wb", buffering=0) as stdin:
        assert (await there.stdout.readline()).startswith(b"hello [2, ")
        stdin.writelines(
            HEAD.pack(number, len(message)) + message
            for number, message in ((5, TO_FAR.encode(Credit(1, 5))), (5, TO_FAR.encode(Close())), (6, b"junk"))
        )
        number, size = HEAD.unpack(await there.stdout.readexactly(HEAD.size))
        lost = FROM_FAR.decode(await there.stdout.readexactly(size))
        assert number == 6 and "no message" in lost.why, "of the program 5 nothing is said"
    assert await there.wait() == 0


async def test_a_machine_that_tells_nothing_of_itself(sshd, tmp_path, monkeypatch):
    copy = changed_copy(tmp_path, "_remote/far_ssh.py", "ABOUT.encode(about)", 'b"{}\\n"')
    with sent_from(copy, monkeypatch):
        on = ipyproc.SSHLauncher(**sshd)
        with pytest.raises(
            ConnectionError, match=r"cannot be started on .*: the other side sent something that is no message"
        ):
            await ipyproc.run("true", on=on)
        await on.aclose()


async def test_a_machine_that_announces_a_message_without_an_end(sshd, tmp_path, monkeypatch):
    copy = changed_copy(
        tmp_path,
        "_remote/far_ssh.py",
        "HEAD.pack(number, len(message)), message",
        "HEAD.pack(number, 2**32 - 1), message",
    )
    with sent_from(copy, monkeypatch):
        on = ipyproc.SSHLauncher(**sshd)
        with pytest.raises(ipyproc.ProcessLost, match="4,294,967,295 bytes was announced"):
            await ipyproc.run("true", on=on)
        await on.aclose()
