"""What a Dask worker does: its tasks take slots and offer themselves, and a client that attaches to an offer starts a program.

Dask runs a task again, without a word, when a worker is lost. So a task starts nothing: the client that has
submitted it gives the permit, by a comm of its own to the worker, once for each program. That comm carries the program's
streams under Dask's own TLS, and lives as long as the program: when it breaks, the program ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable
from typing import Any

from .._core.launch import supervised
from . import far

OFFER_PATIENCE = 60.0  # seconds that an offer waits for its client, who may be busy; then it asks for another slot
PATIENCE_AT_END = 3.0  # seconds for the last messages


class Comm:
    """Messages over a comm of Dask: sent in order, without waiting for it."""

    def __init__(self, comm: Any, receive: Callable[[bytes], object]) -> None:
        self._comm = comm
        self._receive = receive
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()  # bounded by what both ends let be on the way

    def send(self, message: bytes) -> None:
        """Send it in its turn."""
        self._out.put_nowait(message)

    def close(self) -> None:
        """Close it when all is sent."""
        self._out.put_nowait(None)

    async def run(self) -> None:
        """Carry messages both ways, up to the end of either side."""
        writing = asyncio.ensure_future(self._write())
        try:
            with contextlib.suppress(OSError):  # CommClosedError is one
                while True:
                    self._receive(await self._comm.read())
        finally:
            writing.cancel()
            self._comm.abort()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (message := await self._out.get()) is not None:
                await self._comm.write(message)
        await self._comm.close()


class Holder:
    """The programs of one worker. It is what our plugin is there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._offers: dict[str, asyncio.Future[bool]] = {}  # by their attempts; whether a program has taken the slot
        self._slots: dict[str, asyncio.Future[None]] = {}  # of programs
        self._sessions: set[far.Session] = set()

    def setup(self, worker: Any) -> None:
        """Be there for tasks and clients."""
        self._worker = worker
        worker.handlers[f"{self.name}_attach"] = self.attach
        worker.handlers[f"{self.name}_reject"] = self.reject
        _holders.add(self)
        supervised.prepare()

    def teardown(self, worker: Any) -> None:
        """The worker closes: all programs end, and their clients are told that it was not by themselves."""
        for session in tuple(self._sessions):
            session.close(f"the worker {self._worker.address} has closed")
        _holders.discard(self)
        if not _holders:
            supervised.close()

    async def hold(self, topic: str, key: str) -> bool:
        """The work of a task: offer the slot, and hold it as long as a program is in it; whether there was one."""
        attempt = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        offer = self._offers[attempt] = loop.create_future()
        slot = self._slots[attempt] = loop.create_future()
        try:
            self._worker.log_event(topic, {"key": key, "attempt": attempt, "address": self._worker.address})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OFFER_PATIENCE):
                    await asyncio.wait([offer])
            if not offer.done() or not offer.result():
                return False
            await slot
            return True
        finally:
            self._offers.pop(attempt, None)
            self._slots.pop(attempt, None)

    async def reject(self, attempt: str) -> None:
        """Nobody waits for this offer: the task was run again by Dask."""
        if offer := self._offers.pop(attempt, None):
            offer.set_result(False)

    async def attach(self, comm: Any, attempt: str) -> Any:
        """Serve a client that takes an offer, up to the end of its program."""
        from distributed.core import Status  # late: other machines need not have it

        offer, slot = self._offers.pop(attempt, None), self._slots.get(attempt)
        if offer is None or slot is None:
            await comm.write(b"")  # too late: nothing was started, nothing will be
            return Status.dont_reply
        offer.set_result(True)
        session = far.Session(lambda message: link.send(message))
        link = Comm(comm, lambda message: session.receive(bytes(message)))
        session.gone.add_done_callback(lambda _: slot.set_result(None) if not slot.done() else None)
        self._sessions.add(session)
        try:
            await comm.write(f"{socket.gethostname()} {os.getpid()}".encode())
            await link.run()
        except OSError:
            pass  # the client is gone already
        finally:
            session.close("the client is gone")
            self._sessions.discard(session)
        return Status.dont_reply


_holders: set[Holder] = set()  # in this process, which may be that of several workers
