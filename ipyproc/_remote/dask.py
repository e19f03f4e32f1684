"""Programs in the slots of a Dask cluster.

A task occupies a slot and offers it; this side attaches to the worker of the offer, and only then does a program start
(`far_dask`). So a task that Dask runs again by itself starts nothing: nobody waits for its offer.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ipaddress
import os
import subprocess
import sys
import threading
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import distributed
from distributed.comm import connect
from distributed.comm.addressing import parse_host_port

from .._core.errors import ProcessLost
from .._core.protocol import OFFER, PLACE, Offer, Place, ProtocolError
from . import parcel
from .channel import Channel, Link
from .connections import Connections, reason
from .far_dask import Comm
from .near import LinkLauncher

_starting = threading.Lock()
CONNECT_PATIENCE = 10.0  # seconds to connect to the scheduler
DIRECT_PATIENCE = 3.0  # seconds to connect to a worker; then the scheduler is asked to carry the messages
BEYOND_PATIENCE = 0.5  # the same, if another worker could not be reached
_MOST_WAITING = 1000  # programs that wait for a slot at once; the cluster sees them, and may grow for them


def launcher(address: str) -> DaskLauncher:
    """The launcher for `dask` (a LocalCluster of this machine), or for the address of a scheduler.

    Raises:
        ValueError: this is no such address.
    """
    if address == "dask":
        return DaskLauncher()
    scheme, _, rest = address.partition("://")
    with contextlib.suppress(ValueError):
        if scheme != "dask" and all(parse_host_port(rest)):
            return DaskLauncher(address)
    allowed = "dask alone, or tcp://HOST:PORT" if scheme == "dask" else f"{scheme}://HOST:PORT"
    raise ValueError(f"on={address!r}: allowed is {allowed}")


def of_object(found: Any) -> DaskLauncher:
    """The launcher for a Client or a cluster: always the same one for the same object."""
    made = getattr(found, "_ipyproc_launcher", None)
    if made is None:
        made = found._ipyproc_launcher = DaskLauncher(found)
    assert isinstance(made, DaskLauncher)
    return made


class DaskLauncher(LinkLauncher):
    """Starts programs in the slots of a Dask cluster: each takes one, and waits for it as any task of Dask does.

    Args:
        cluster: a `Client`, asynchronous or not, a cluster, or the address of a scheduler; None: a `LocalCluster` of this
            machine, with a slot for each CPU, which is started when it is first used.
        security: as of `distributed.Client`, for an address.
        resources: what each program needs of a worker, as of `Client.submit`: `{"GPU": 1}`.
        workers: the addresses or host names of workers that may be used, as of `Client.submit`.

    When a program ends, what is left of its family is killed, because its slot is then free for others.

    Example::

        ipyproc.launchers["gpu"] = ipyproc.DaskLauncher(client, resources={"GPU": 1})
        await ipyproc.run("nvidia-smi", on="gpu")
    """

    name = "dask"

    def __init__(
        self,
        cluster: Any = None,
        *,
        security: Any = None,
        resources: Mapping[str, float] | None = None,
        workers: Sequence[str] | str | None = None,
    ) -> None:
        self._cluster = cluster
        self._local: subprocess.Popen[str] | None = None  # runs the LocalCluster, if this launcher has started one
        self._security = security or getattr(cluster, "security", None)
        self._submit = {
            "resources": dict(resources) if resources else None,
            "workers": workers if workers is None or isinstance(workers, str) else list(workers),
            "allow_other_workers": False,
            "retries": 0,
            "pure": False,
        }
        self._connections = Connections(self._connect)
        if isinstance(cluster, str):
            _warn_of_plain(cluster)

    def __repr__(self) -> str:
        return f"<DaskLauncher for {self._cluster or 'a LocalCluster of this machine'}>"

    async def slots(self) -> int:
        """More than the cluster has now: it decides when each program starts, and may grow."""
        return _MOST_WAITING

    async def aclose(self) -> None:
        """Close the connection of the running loop, which ends its programs. A LocalCluster of this launcher stays open."""
        await self._connections.aclose()

    async def open(self, channel: Channel) -> Link:
        """Wait for a free slot, and return the link to it.

        Raises:
            ProcessLost: the cluster gives no slot.
        """
        connection = await self._connections.get()
        if not connection.is_alive:
            self._connections.forget(connection)
            connection = await self._connections.get()
        return await connection.open(channel, self._submit)

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[_Connection]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                client = await self._client(stack)
            except (OSError, TimeoutError, TypeError, ValueError) as error:
                why = reason(error)
                if isinstance(error, TypeError) and "ssl_context" in why:
                    why = "give it certificates, by DaskLauncher(..., security=...) or by Dask's configuration"
                raise ConnectionError(f"no connection to the Dask cluster {self._address}: {why}") from None
            connection = _Connection(client)
            try:
                await connection.prepare()
            except Exception as error:  # noqa: BLE001  -- whatever goes wrong with the plugin on a worker
                raise ConnectionError(
                    f"programs cannot be started on the Dask cluster {self._address}: {reason(error)}"
                ) from None
            stack.callback(connection.close)
            yield connection

    def _start_local(self) -> None:
        with _starting:
            if self._cluster is None or (self._local and self._local.poll() is not None):
                self._cluster, self._local = _start_local()

    @property
    def _address(self) -> str:
        found = self._cluster
        if isinstance(found, distributed.Client):
            return str(found.scheduler.address) if found.scheduler else repr(found)
        return str(getattr(found, "scheduler_address", found))

    async def _client(self, stack: contextlib.AsyncExitStack) -> distributed.Client:
        found = self._cluster
        if isinstance(found, distributed.Client) and found.status == "closed":
            raise ConnectionError("the Client was closed")
        if isinstance(found, distributed.Client) and found.asynchronous:
            return await found
        if found is None or self._local:
            await asyncio.to_thread(self._start_local)
        # the user's Client may live on another loop, so this is a second one, on this loop
        client = distributed.Client(
            self._address, security=self._security, asynchronous=True, set_as_default=False, timeout=CONNECT_PATIENCE
        )
        stack.push_async_callback(client.close)  # also if it does not connect
        return await client


def _start_local() -> tuple[str, subprocess.Popen[str]]:
    """Start a LocalCluster in an interpreter of its own, and a session of its own, which no interrupt for a cell reaches.

    It ends when its standard input does, and so with this process, however that ends.
    """
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _LOCAL]
    process = subprocess.Popen(  # noqa: S603  -- a constant text
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert process.stdout
    address = process.stdout.readline().strip()
    if not address:
        process.communicate()
        raise ConnectionError(f"a LocalCluster could not be started: it ended with status {process.returncode}")
    atexit.register(_end_local, process, os.getpid())
    return address, process


def _end_local(process: subprocess.Popen[str], owner: int) -> None:
    if os.getpid() == owner:  # in a forked child it would wait for the end of the cluster of its parent
        process.communicate()


_LOCAL = """\
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(threads_per_worker=1, dashboard_address=":0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


class _Connection:
    """The connection to one cluster, on one event loop."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        self._name, self._zip = parcel.packed()
        self._topic = f"ipyproc-{uuid.uuid4().hex}"
        self._waiting: dict[str, asyncio.Queue[Offer | ProtocolError]] = {}
        """Offers for programs, by the keys of their tasks."""
        self._beyond: set[str] = set()  # addresses of workers that only the scheduler can reach
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler can be reached."""
        return self._client.status in ("running", "connecting", "newly-created")

    async def prepare(self) -> None:
        """Install the plugin on every worker, also on those that join later."""
        await self._client.register_plugin(_plugin(self._name, self._zip))
        self._client.subscribe_topic(self._topic, self._take_offer)

    def close(self) -> None:
        """End all tasks of this connection, and get no more offers."""
        for task in self._tasks:
            task.cancel()
        if self._client.status == "running":
            with contextlib.suppress(ValueError, OSError):
                self._client.unsubscribe_topic(self._topic)

    async def open(self, channel: Channel, submit: Mapping[str, Any]) -> Link:
        """Ask for a slot, and attach to the first offer."""
        while True:  # ask again if the offer was not taken in time
            key = f"ipyproc-{uuid.uuid4().hex}"
            offers = self._waiting[key] = asyncio.Queue()
            future = self._client.submit(_hold(), self._name, self._topic, key, key=key, **submit)
            try:
                while offer := await _first(offers, future):  # there is another one if Dask runs the task again
                    if attached := await self._attach(offer, channel):
                        slot = _Slot(*attached, channel, future, offer.address)
                        self._do(slot.run())
                        return slot
                if future.status != "finished":
                    raise ProcessLost(f"the cluster gives no slot: {await _reason(future)}")
                future.release()
            except ProtocolError as error:
                future.release()
                raise ProcessLost(f"no program can be started on the Dask cluster: {error}") from None
            except BaseException:
                future.release()
                raise
            finally:
                del self._waiting[key]  # later offers of this task are ignored, so that it starts one program only

    async def _attach(self, offer: Offer, channel: Channel) -> tuple[Place, Comm | _Relayed] | None:
        """Take an offer: returns its place, and what carries messages to it. None if it is gone; then nothing was started."""
        _, attempt, address = offer
        if address not in self._beyond:
            patience = BEYOND_PATIENCE if self._beyond else DIRECT_PATIENCE
            with contextlib.suppress(OSError, TimeoutError):
                comm = await connect(address, timeout=patience, **self._client.connection_args)
                try:
                    await comm.write({"op": f"{self._name}_attach", "attempt": attempt})
                    place = await comm.read()
                    if place and isinstance(place, bytes):
                        return PLACE.decode(place), Comm(comm, channel.receive)
                    comm.abort()  # another worker may have this address by now, perhaps one without the plugin
                except BaseException:
                    comm.abort()
                    raise
        relayed = _Relayed(self._client, address, self._name, attempt, channel.receive)
        with contextlib.suppress(OSError, TimeoutError):
            if entered := await relayed.enter():
                self._beyond.add(address)
                return entered, relayed
        return None

    def _take_offer(self, event: tuple[object, object]) -> None:
        try:
            offer = OFFER.decode(event[1] if isinstance(event[1], bytes) else b"")
        except ProtocolError as error:  # it does not tell for which program it is
            for offers in self._waiting.values():
                offers.put_nowait(error)
        else:
            if found := self._waiting.get(offer.key):
                found.put_nowait(offer)

    def _do(self, work: Any) -> None:
        """Run a coroutine in the background, in a task that is held here."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Slot:
    """The link to a program in a slot."""

    ends_family = True

    def __init__(self, place: Place, carrier: Comm | _Relayed, channel: Channel, future: Any, address: str) -> None:
        way = ", through the scheduler" * isinstance(carrier, _Relayed)
        self.where = f"{place.host} ({address}{way})"
        self._channel = channel
        self._future = future
        self._carrier = carrier
        self.send = carrier.send

    def __repr__(self) -> str:
        return f"<Slot on {self.where}>"

    def close(self) -> None:
        """Close the link, which frees the slot."""
        self._carrier.close()

    async def run(self) -> None:
        """Carry messages until the link ends."""
        try:
            await self._carrier.run()
        finally:
            self._channel.lost("the connection to the worker broke")
            self._future.release()  # so that Dask keeps no result, and does not run the task again


class _Relayed:
    """Like `Comm`, for a worker that only the scheduler can reach; see `far_dask`."""

    def __init__(
        self, client: distributed.Client, worker: str, name: str, attempt: str, receive: Callable[[bytes], object]
    ) -> None:
        self._client, self._worker = client, worker
        self._name, self._attempt = name, attempt
        self._receive = receive
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_closed = False

    async def enter(self) -> Place | None:
        """Take the offer; returns the place, or None if it is too late."""
        place = bytes(await self._call("enter") or b"")
        return PLACE.decode(place) if place else None

    def send(self, message: bytes) -> None:
        """Send a message; does not wait, and keeps the order."""
        self._out.put_nowait(message)

    def close(self) -> None:
        """Close the link once all is sent."""
        self._is_closed = True
        self._out.put_nowait(b"")

    async def run(self) -> None:
        """Carry messages both ways, until either side ends."""
        hearing, telling = asyncio.ensure_future(self._hear()), asyncio.ensure_future(self._tell())
        try:
            await asyncio.wait([hearing, telling], return_when=asyncio.FIRST_COMPLETED)
            if self._is_closed:
                await asyncio.wait([telling])
        finally:
            hearing.cancel()
            telling.cancel()

    async def _hear(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            while not self._is_closed and (messages := await self._call("hear")) is not None:
                for message in messages:
                    self._receive(message)

    async def _tell(self) -> None:
        messages = [b"begin"]
        with contextlib.suppress(OSError, TimeoutError):
            while messages[-1]:
                messages = [await self._out.get()]
                while not self._out.empty():
                    messages.append(self._out.get_nowait())
                await self._call("tell", messages=messages)

    async def _call(self, what: str, **arguments: Any) -> Any:
        message = {"op": f"{self._name}_{what}", "attempt": self._attempt, **arguments}
        return await self._client.scheduler.proxy(msg=message, worker=self._worker)


async def _first(offers: asyncio.Queue[Offer | ProtocolError], future: Any) -> Offer | None:
    """The next offer; None if the task has ended without one. Raises ProtocolError if one could not be read."""
    waits = [asyncio.ensure_future(offers.get()), asyncio.ensure_future(future._state.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        offer = waits[0].result() if waits[0].done() else None
        if isinstance(offer, ProtocolError):
            raise offer
        return offer
    finally:
        for each in waits:
            each.cancel()


async def _reason(future: Any) -> str:
    error = await future.exception() if future.status == "error" else None
    return reason(error) if error else str(future.status)


def _hold() -> Any:
    """The task, as a function that every worker can unpickle: one of `__main__` is pickled with its code."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(_TASK, names)  # noqa: S102  -- a constant text
    return names["hold"]


_TASK = """\
async def hold(name, topic, key):
    from distributed import get_worker
    return await get_worker().plugins[name].hold(topic, key)
"""

_PLUGIN = """\
from distributed import WorkerPlugin
class Plugin(WorkerPlugin):
    idempotent = True
    holder = error = None
    def __init__(self, name, data, boot):
        self.name, self.data, self.boot = name, data, boot
    def setup(self, worker):
        import importlib
        names = {}
        try:
            exec(self.boot, names)
            names["load"](self.name, self.data)
            self.holder = importlib.import_module(self.name + "._remote.far_dask").Holder(self.name)
            self.holder.setup(worker)
        except Exception as error:
            self.error = error
            raise
    async def hold(self, topic, key):
        if self.error:
            raise self.error
        return await self.holder.hold(topic, key)
    def teardown(self, worker):
        if self.holder:
            self.holder.teardown(worker)
    def transition(self, key, start, finish, **_):
        if self.holder and finish == "released":
            self.holder.released(key)
"""


def _plugin(name: str, data: bytes) -> Any:
    """The plugin for workers; like `_hold`, it can be unpickled where ipyproc is not installed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(_PLUGIN, names)  # noqa: S102  -- a constant text
    return names["Plugin"](name, data, parcel.BOOT)


def _warn_of_plain(address: str) -> None:
    scheme, _, rest = address.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if scheme == "tcp" and host != "localhost":
        warnings.warn(
            f"{address}: without TLS, whoever can reach this scheduler can run programs there, and read yours; "
            "see https://distributed.dask.org/en/stable/tls.html",
            stacklevel=2,
        )
