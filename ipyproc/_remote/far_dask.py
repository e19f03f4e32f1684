"""The part that runs on a Dask worker: tasks occupy slots and offer them, and a client that attaches to an offer starts a program.

Dask runs a task again, without a word, when a worker is lost. So a task itself starts nothing: the client that submitted
it gives the permit, once for each program, by a comm of its own to the worker. That comm carries the program's streams
under Dask's own TLS, and lives as long as the program: when it breaks, the program ends.

A client that cannot reach the worker has the scheduler carry its messages, as calls: `enter` gives the permit, `tell` brings
messages, `hear` waits for some. Then there is no comm whose end would show that the client is gone: the scheduler notices
that, and releases the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from .._core.launch import client
from .._core.protocol import OFFER, PLACE, Offer, Place
from . import far

OFFER_PATIENCE = 60.0  # seconds that an offer waits for its client, which may be busy; later that asks for another slot
HEAR_PATIENCE = 5.0
"""Seconds until `hear` is answered even without a message, because a scheduler has only 512 connections for calls."""


class Comm:
    """Carries messages over a comm of Dask, in order; `receive` is called with each one that comes."""

    def __init__(self, comm: Any, receive: Callable[[bytes], object]) -> None:
        self._comm = comm
        self._receive = receive
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()  # bounded by the credit of the protocol

    def send(self, message: bytes) -> None:
        """Send a message; does not wait, and keeps the order."""
        self._out.put_nowait(message)

    def close(self) -> None:
        """Close the comm once all is sent."""
        self._out.put_nowait(None)

    async def run(self) -> None:
        """Carry messages both ways, until either side ends."""
        writing = asyncio.ensure_future(self._write())
        try:
            with contextlib.suppress(OSError):  # CommClosedError is one
                while True:
                    self._receive(bytes(await self._comm.read()))
        finally:
            writing.cancel()
            self._comm.abort()

    async def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (message := await self._out.get()) is not None:
                await self._comm.write(message)
        await self._comm.close()


class Holder:
    """The programs of one worker. The plugin there passes its calls on to this."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._offers: dict[str, _Offer] = {}  # by the ids of their attempts
        self._relays: dict[str, _Relay] = {}  # by the ids of the attempts that they took
        self._sessions: set[far.Session] = set()

    def setup(self, worker: Any) -> None:
        """Register the handlers for clients, and prepare a supervisor."""
        self._worker = worker
        for handler in (self.attach, self.enter, self.tell, self.hear):
            worker.handlers[f"{self.name}_{handler.__name__}"] = handler
        _holders.add(self)
        client.prepare()

    def teardown(self, worker: Any) -> None:
        """The worker closes: end all programs, and tell their clients why."""
        for session in tuple(self._sessions):
            session.close(f"the worker {self._worker.address} has closed")
        _holders.discard(self)
        if not _holders:
            client.close()

    async def hold(self, topic: str, key: str) -> bool:
        """The work of a task: offer the slot, and hold it as long as a program is in it. Returns whether there was one."""
        attempt = uuid.uuid4().hex
        offer = self._offers[attempt] = _Offer(key)
        try:
            self._worker.log_event(topic, OFFER.encode(Offer(key, attempt, self._worker.address)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OFFER_PATIENCE):
                    await asyncio.wait([offer.is_taken])
        finally:
            del self._offers[attempt]
        if not offer.is_taken.done() or not offer.is_taken.result():
            return False
        await offer.is_free.wait()
        return True

    def released(self, key: str) -> None:
        """The result of this task is no longer wanted: Dask runs it elsewhere, or the scheduler has lost its client."""
        for offer in self._offers.values():
            if offer.key == key and not offer.is_taken.done():
                offer.is_taken.set_result(False)
        for attempt in [attempt for attempt, relay in self._relays.items() if relay.key == key]:
            self._close(attempt)

    def _close(self, attempt: str) -> None:
        if relay := self._relays.pop(attempt, None):
            relay.session.close("the client is gone")
            relay.outbox.put_nowait(b"")  # wakes a `hear` that waits

    def _take(self, attempt: str, send: Callable[[bytes], object]) -> tuple[far.Session | None, bytes]:
        """Take an offer, which can be done once. Returns a session for the program, and the place; None and no bytes if too late."""
        offer = self._offers.get(attempt)
        if offer is None or offer.is_taken.done():
            return None, b""
        offer.is_taken.set_result(True)
        session = far.Session(send)
        self._sessions.add(session)
        session.gone.add_done_callback(lambda _: offer.is_free.set())
        session.gone.add_done_callback(lambda _: self._sessions.discard(session))
        return session, PLACE.encode(Place(socket.gethostname(), os.getpid()))

    async def attach(self, comm: Any, attempt: str) -> Any:
        """Serve a client that takes an offer, until its program ends."""
        from distributed.core import Status  # late: other machines need not have it

        session, place = self._take(attempt, lambda message: link.send(message))
        link = Comm(comm, lambda message: session.receive(message) if session else None)
        try:
            await comm.write(place)
            if session:
                await link.run()
        except OSError:
            pass  # the client is gone already
        finally:
            if session:
                session.close("the client is gone")
        return Status.dont_reply

    async def enter(self, attempt: str) -> bytes:
        """Like `attach`, for a client whose messages the scheduler carries; returns the place, or no bytes if it is too late."""
        outbox: asyncio.Queue[bytes] = asyncio.Queue()
        offer = self._offers.get(attempt)
        session, place = self._take(attempt, outbox.put_nowait)
        if session and offer:
            self._relays[attempt] = _Relay(offer.key, session, outbox)
        return place

    async def tell(self, attempt: str, messages: list[bytes]) -> None:
        """Handle messages of the client, in order; an empty one is the last."""
        for message in messages:
            if message and (relay := self._relays.get(attempt)):
                relay.session.receive(message)
            elif not message:
                self._close(attempt)

    async def hear(self, attempt: str) -> list[bytes] | None:
        """Messages for the client, perhaps none after `HEAR_PATIENCE`; None if there will be no more."""
        if (relay := self._relays.get(attempt)) is None:
            return None
        messages = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAR_PATIENCE):
                messages.append(await relay.outbox.get())
        while not relay.outbox.empty():
            messages.append(relay.outbox.get_nowait())
        return None if messages[-1:] == [b""] else messages


class _Offer:
    """The offer of a slot, made by the task with this key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """True when a program has taken it; False when nobody wants it any more."""
        self.is_free = asyncio.Event()
        """Set when nothing is left of that program."""


class _Relay(NamedTuple):
    """A program whose client can reach this worker only through the scheduler."""

    key: str
    session: far.Session
    outbox: asyncio.Queue[bytes]


_holders: set[Holder] = set()  # all in this process, in which several workers may run
