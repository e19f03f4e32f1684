"""The part that runs in an SSH session on the other machine: holds all programs of one connection, over its standard streams.

Both directions use frames: the number of a program, the length of a message, and the message (see `protocol`). When standard
input ends, the connection is gone, for whatever reason: then all programs end. An empty frame for program 0 now and then
makes the operating system notice a network that has silently broken: an sshd with nothing to send might wait for ever.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from .._core.launch import client
from .._core.protocol import ABOUT, HEAD, TO_FAR, About, ProtocolError, RemoteStart
from . import far

_PULSE = 15.0  # seconds


def main(greeting: str) -> None:
    """Serve until standard input ends."""
    asyncio.run(_serve(greeting))


async def _serve(greeting: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), open(0, "rb", buffering=0))  # noqa: ASYNC230, SIM115
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin,  # needed by StreamWriter
        open(os.dup(1), "wb", buffering=0),  # noqa: ASYNC230, SIM115
    )
    os.dup2(2, 1)  # so that nothing else writes between the frames
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    sessions: dict[int, far.Session] = {}
    client.prepare()
    about = About(socket.gethostname(), len(os.sched_getaffinity(0)), sys.version.split()[0])
    writer.write(greeting.encode() + ABOUT.encode(about))

    def session_of(number: int) -> far.Session:
        if number not in sessions:
            sessions[number] = far.Session(
                lambda message: writer.writelines((HEAD.pack(number, len(message)), message))
            )
            sessions[number].gone.add_done_callback(lambda _: sessions.pop(number))
        return sessions[number]

    async def pulsate() -> None:
        while True:
            await asyncio.sleep(_PULSE)
            writer.write(HEAD.pack(0, 0))

    pulse = loop.create_task(pulsate())
    try:
        while True:
            number, size = HEAD.unpack(await reader.readexactly(HEAD.size))
            message = await reader.readexactly(size)
            if number in sessions or not _is_late(message):
                session_of(number).receive(message)
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        pulse.cancel()
        client.close()
        transport.abort()


def _is_late(message: bytes) -> bool:
    """Whether a message with an unknown number is for a program of which nothing is left."""
    try:
        return not isinstance(TO_FAR.decode(message), RemoteStart)
    except ProtocolError:
        return False  # a session will report the error
