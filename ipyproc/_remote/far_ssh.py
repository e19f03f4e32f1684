"""What an SSH session runs on the other machine: all programs of one connection, through its standard streams.

Both ways it speaks in frames: the number of a program, the length of a message, and the message (see `far`). Where standard
input ends, the connection is gone, whatever the cause: then all programs end. An empty frame of program 0 now and then makes
the operating system notice that a network has broken without a word: an sshd that has nothing to send might wait for ever.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys

from .._core.launch import supervised
from . import far

HEAD = struct.Struct(">II")
"""Of a frame: number, and length."""
_PULSE = 15.0  # seconds
CLOSE = b"}"
"""A message: nobody is interested in this program any more, end it."""


def main(greeting: str) -> None:
    """Serve until standard input ends."""
    asyncio.run(_serve(greeting))


async def _serve(greeting: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), open(0, "rb", buffering=0))  # noqa: ASYNC230, SIM115
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin,  # what a StreamWriter needs
        open(os.dup(1), "wb", buffering=0),  # noqa: ASYNC230, SIM115
    )
    os.dup2(2, 1)  # nothing else may write there
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    sessions: dict[int, far.Session] = {}
    supervised.prepare()
    about = {"host": socket.gethostname(), "cpus": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}
    writer.write(f"{greeting}{json.dumps(about)}\n".encode())

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
            if message != CLOSE:
                session_of(number).receive(message)
            elif number in sessions:
                sessions[number].close()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        pulse.cancel()
        supervised.close()
        transport.abort()
