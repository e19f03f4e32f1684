"""What kernel, supervisor, shim and far side say to each other: each message, and what is none; another version."""

import asyncio
import errno
import json
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import get_args

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("elsewhere there are no supervisors", allow_module_level=True)

from ipyproc import ProcessLost
from ipyproc._core import protocol
from ipyproc._core.batch import run
from ipyproc._core.launch import client, inheritance
from ipyproc._core.output.writer import LogWriter
from ipyproc._core.protocol import (
    ABOUT,
    FROM_FAR,
    FROM_SHIM,
    OFFER,
    PLACE,
    TO_FAR,
    TO_SHIM,
    VERSION,
    About,
    Close,
    Credit,
    Data,
    Exited,
    Figures,
    Gone,
    LogFile,
    Logged,
    Look,
    Lost,
    NotStarted,
    Offer,
    Place,
    ProtocolError,
    RemoteExited,
    RemoteStart,
    RemoteStarted,
    Signal,
    Start,
    Started,
    Taken,
    Word,
)  # fmt: skip

from ..other_version import changed_copy, of_version_99

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.pure]
BOTH_VERSIONS = "the other side speaks version 99 of ipyproc's protocol, and this side version 2"
STATE = (10, 4, 1, 2, 0, 0, 0, None, [1, 2], 3, 1, "", 0, 0, 1.5, True)
START = Start(
    args=["sh", "-c", "\udc80\n'\""],
    cwd=None,
    here=3,
    env={"A": "b", "": "\udcff"},
    umask=0o22,
    limits=[(7, (1024, -1)), (9, (-1, -1))],
    mark=(15, (1 << 62, -1)),
    keep=[5, 6],
    stdio=[0, "log", "stdout"],
    log=LogFile(4, [1, 2], 100, "/tmp/index", None),
)
REMOTE_START = RemoteStart(["true"], "~/x", {}, "echo", stdin=True, stdout=False, stderr="stdout", ends_family=True)
MESSAGES = [
    *((TO_SHIM, each) for each in (START, START._replace(here=None, keep=None, log=None, cwd="/"))),
    *((TO_SHIM, each) for each in (Signal(15, True, None), Signal(0, False, 2.5), Signal(signal.SIGKILL, True, 3))),
    *((FROM_SHIM, each) for each in (Started(7, 6, 1.5), NotStarted(2, "none", None), NotStarted(2, "none", "x"))),
    *((FROM_SHIM, each) for each in (Logged(STATE), Logged((*STATE[:7], 5, *STATE[8:-2], None, False)))),
    *(
        (FROM_SHIM, each)
        for each in (Exited(-9, 2.5, (0.5, 0.25, None)), Exited(0, 2, (1, 0.0, 5)), Gone(), Lost("why"))
    ),
    *((TO_FAR, each) for each in (REMOTE_START, REMOTE_START._replace(cwd=None, script=None, stderr=True))),
    *(
        (TO_FAR, each)
        for each in (Signal(15, False, 1.0), Credit(2, 5), Look(), Close(), Data(0, b"\xff\n"), Data(0, b""))
    ),
    *((FROM_FAR, each) for each in (RemoteStarted(3), NotStarted(13, "no", "x"), Taken(9), Figures(0.5, 6, 2, True))),
    *((FROM_FAR, each) for each in (RemoteExited(1, 0.5, (1.0, 2.0, 3), 4, "\xff"), RemoteExited(1, 0.5, None, 0, ""))),
    *((FROM_FAR, each) for each in (Gone(), Lost("it"), Data(1, b"out"), Data(2, b""))),
    (ABOUT, About("host", 2, "3.11.2")),
    (OFFER, Offer("key", "attempt", "tcp://x:1")),
    (PLACE, Place("host", 2)),
]


@pytest.mark.parametrize(("direction", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_each_message_comes_as_it_was_sent(direction, message):
    data = direction.encode(message)
    for form in (data, data.rstrip(b"\n")) if not isinstance(message, Data) else (data,):
        found = direction.decode(form)
        assert (type(found), found) == (type(message), message)
    if not isinstance(message, Data):
        assert data.count(b"\n") == 1, "it is a line"


def test_no_message_was_forgotten_above():
    for direction, kinds in {
        TO_SHIM: get_args(protocol.ToShim),
        FROM_SHIM: get_args(protocol.FromShim),
        TO_FAR: get_args(protocol.ToFar),
        FROM_FAR: get_args(protocol.FromFar),
        ABOUT: (About,),
        OFFER: (Offer,),
        PLACE: (Place,),
    }.items():
        assert {type(message) for way, message in MESSAGES if way is direction} == {*kinds}
        assert repr(direction) == f"<Direction of {', '.join(kind.__name__ for kind in kinds)}>"


@pytest.mark.parametrize(("direction", "message"), MESSAGES, ids=lambda value: type(value).__name__)
def test_a_message_of_another_form_is_refused(direction, message):
    if isinstance(message, Data):
        return
    told = json.loads(direction.encode(message))
    wrong = [[*told, 1], told[:1], [VERSION, "Nothing", *told[2:]], [VERSION, ["Start"]], [VERSION, None], told[1:]]
    wrong += [told[:-1]] if told[2:] else []
    wrong += [[*told[:place], {"x": [1, "y"]}, *told[place + 1 :]] for place in range(2, len(told))]
    wrong += [[*told[:place], [None, 2.5], *told[place + 1 :]] for place in range(2, len(told))]
    for each in wrong:
        with pytest.raises(ProtocolError):
            direction.decode(json.dumps(each).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{",
        b"{}",
        b"3",
        b"null",
        b"[]",
        b"[1]",
        b"\xff\xfe",
        b"\x03x",
        b"[" * 100_000,
        b'[2, "Data", 1, "x"]',
    ],
)
def test_what_is_no_message_at_all_is_refused(data):
    for direction in (TO_SHIM, FROM_SHIM, TO_FAR, FROM_FAR, ABOUT):
        with pytest.raises(ProtocolError, match="no message of ipyproc's protocol"):
            direction.decode(data)


def test_numbers_and_truths_are_not_the_same():
    for wrong in ([True, True, None], [1, 1, None], ["1", True, None], [1.0, True, None], [1, True, True]):
        with pytest.raises(ProtocolError):
            TO_SHIM.decode(json.dumps([VERSION, "Signal", *wrong]).encode())
    with pytest.raises(ProtocolError):  # of a start, a stream that is nowhere
        TO_SHIM.decode(TO_SHIM.encode(START._replace(stdio=[0, "lag", 1])))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "-99999999999999999999"])
def test_numbers_that_nobody_could_count_with_are_refused(number):
    for words in (f'"Signal", 15, true, {number}', f'"Signal", {number}, true, 1.0'):
        with pytest.raises(ProtocolError):
            TO_SHIM.decode(f"[{VERSION}, {words}]".encode())
    with pytest.raises(ProtocolError):
        FROM_FAR.decode(f'[{VERSION}, "RemoteExited", 0, 1, [0.0, 0.0, {number}], 0, ""]'.encode())


def test_messages_and_data_of_the_other_direction_are_refused():
    for direction, message in (
        (TO_SHIM, Gone()),
        (FROM_SHIM, Signal(1, True, None)),
        (TO_FAR, Taken(1)),
        (FROM_FAR, Look()),
    ):
        with pytest.raises(ProtocolError):
            direction.decode(direction.encode(message))
    for direction, stream in ((TO_FAR, 1), (FROM_FAR, 0), (TO_SHIM, 0), (FROM_SHIM, 1)):
        with pytest.raises(ProtocolError):
            direction.decode(direction.encode(Data(stream, b"x")))


def test_another_version_is_named_whatever_else_is_said():
    for told in ([99, "Start", 1], [99, "Whatever"], [99, {}, {}]):
        with pytest.raises(ProtocolError, match=BOTH_VERSIONS):
            TO_SHIM.decode(json.dumps(told).encode())
    with pytest.raises(ProtocolError, match=BOTH_VERSIONS):
        protocol.decode_words(protocol.encode_word(Word.WANTED) + b"N\x63")


def test_words():
    data = b"".join(map(protocol.encode_word, Word))
    assert protocol.decode_words(data) == [*Word] and len(data) == protocol.WORD_SIZE * len(Word)
    assert protocol.decode_words(b"") == []
    for wrong in (b"N", data + b"N", b"X\x02"):
        with pytest.raises(ProtocolError, match="no message"):
            protocol.decode_words(wrong)


def test_what_a_log_says_of_itself_is_a_message(tmp_path):
    fds = [os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)]
    writer = LogWriter([1, 2], fds, base=0, index=tmp_path / "index", limit=None)
    for stream, data in ((1, b"one\n"), (2, b"two\n"), (1, b"\x1b[A\n")):
        writer.write(stream, data)
        writer.end(stream)
        assert list(FROM_SHIM.decode(FROM_SHIM.encode(Logged(writer.pack()))).state) == writer.pack()
    for fd in fds:
        os.close(fd)


# --- real supervisors and shims ------------------------------------------------------------------------------------


@contextmanager
def supervisors_of(script, monkeypatch):
    """From now on they run this, and before and after that our own."""
    client.close()
    with monkeypatch.context() as patch:
        patch.setattr(client, "script", (str(script), ()))
        yield
        client.close()


def test_a_supervisor_of_another_version(tmp_path, monkeypatch, program):
    """As one is where another release was installed while the kernel ran."""
    supervise = of_version_99(tmp_path) / "_core" / "launch" / "held" / "supervise.py"

    async def main():
        with supervisors_of(supervise, monkeypatch):
            for _ in range(2):
                with pytest.raises(ProcessLost, match=f"{BOTH_VERSIONS}; if ipyproc was updated, restart this kernel"):
                    await run.start(*program("exit", "3"))
        started = await run.start(*program("exit", "3"))
        assert (await started.wait(), started.launcher) == (3, "supervised")

    asyncio.run(main())


def test_a_supervisor_hears_another_version():
    """It goes on, for what it holds is in no danger."""
    ours = client.Supervisor(inheritance.look().rest)
    ours._control.setblocking(True)
    ours._control.settimeout(20)

    def heard():
        data, fds, _, _ = socket.recv_fds(ours._control, protocol.WORD_SIZE, 1)
        for fd in fds:
            os.close(fd)
        return protocol.decode_words(data), len(fds)

    try:
        assert [heard(), heard()] == [([Word.READY], 1)] * 2  # made ahead
        ours._control.send(b"N\x63")
        assert heard() == ([Word.REFUSED], 0)
        ours._control.send(protocol.encode_word(Word.WANTED))
        assert heard() == ([Word.READY], 1)
    finally:
        ours.leave()
        ours.wait(20)
    assert ours.is_gone


@contextmanager
def a_shim():
    """The socket of one that waits for a program."""

    async def take():
        taken = await client.take()
        assert taken
        return taken

    supervisor, job, _ = asyncio.run(take())
    try:
        job.settimeout(20)
        yield job
    finally:
        supervisor.give_back(job, is_ready=False)


def messages_to_the_end(job):
    data = b""
    while piece := job.recv(65536):
        data += piece
    return [FROM_SHIM.decode(line) for line in data.splitlines()]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'[99, "Start", {"args": ["true"]}]\n', BOTH_VERSIONS),
        (b'{"start": {"args": ["true"]}}\n', "no message of ipyproc's protocol: b'{"),
        (b'[2, "Signal", "9", true, null]\n', "no message of ipyproc's protocol"),
        (b"\xff\n", "no message of ipyproc's protocol"),
    ],
)
def test_a_shim_says_what_it_does_not_understand_and_ends(data, why):
    with a_shim() as job:
        job.send(data)
        [lost] = messages_to_the_end(job)
        assert isinstance(lost, Lost) and why in lost.why


def test_a_shim_that_gets_fewer_descriptors_than_it_needs():
    start = Start(["true"], None, None, {}, 0o22, [], (15, (-1, -1)), None, [0, 1, 2], None)
    with a_shim() as job, open(os.devnull, "rb") as null:
        socket.send_fds(job, [TO_SHIM.encode(start)], [null.fileno()] * 2)
        assert FROM_SHIM.decode(job.recv(4096)) == NotStarted(errno.EMFILE, os.strerror(errno.EMFILE), None)
        socket.send_fds(job, [TO_SHIM.encode(start._replace(args=["sleep", "60"]))], [null.fileno()] * 3)
        started = FROM_SHIM.decode(job.recv(4096))
        child = psutil.Process(started.pid)
        socket.send_fds(job, [TO_SHIM.encode(start)], [null.fileno()] * 3)  # a second one
        *_, lost = [each for each in messages_to_the_end(job) if isinstance(each, Lost)]
        assert lost.why == "the other side starts a program where one runs"
        psutil.wait_procs([child], 20)
        assert not child.is_running()


def test_a_shim_that_is_not_understood_has_lost_its_program(tmp_path, monkeypatch, program):
    """Nothing of it is left, daemons neither, and nothing fails in the event loop."""
    copy = changed_copy(
        tmp_path, "_core/launch/held/shim.py", "Exited(os.waitstatus", "Exited(str(status), ended_at, used) if 1 else (os.waitstatus"
    )  # fmt: skip
    faults = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        with supervisors_of(copy / "_core" / "launch" / "held" / "supervise.py", monkeypatch):
            started = await run.start("sh", "-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!")
            daemon = int(await started.stdout.readline())
            with pytest.raises(
                ProcessLost, match=f"process {started.pid} was lost: the other side sent something that is no message"
            ):
                await started.wait()
            assert started.returncode is None and started.log.ended
            await asyncio.to_thread(
                psutil.wait_procs, [psutil.Process(daemon)] if psutil.pid_exists(daemon) else [], 20
            )
            assert not psutil.pid_exists(daemon)

    asyncio.run(main())
    assert faults == []


def test_a_supervisor_that_is_replaced_between_its_choice_and_its_use(monkeypatch, program):
    """By another thread, whose programs inherit something else: the start that has chosen it goes on all the same."""
    made, shim = [], client.Supervisor.shim

    async def replaced_first(self):
        made.append(self)

        def replace():
            with client._making:
                client._replace(self)

        thread = threading.Thread(target=replace)
        thread.start()
        thread.join()
        return await shim(self)

    async def main():
        monkeypatch.setattr(client.Supervisor, "shim", replaced_first)
        supervisor, job, _ = await client.take()
        assert made == [supervisor] and client.supervisor_pid() is None and not supervisor.is_gone
        supervisor.give_back(job, is_ready=True)
        supervisor.wait(20)
        assert supervisor.is_gone, "it holds nothing any more"

    client.close()
    asyncio.run(main())
