"""Programs on another machine over SSH, which needs only an sshd there, and Python 3.11 or newer on Linux.

Each connection has one session, which runs `far_ssh` there and carries all programs of the connection. So a program starts
without a login shell, signals reach root's programs too (to which an sshd delivers none), the environment is on no command
line, MaxSessions does not limit the number of programs, and all end when the connection does.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import re
import shlex
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import asyncssh.config

from .._core.output.screen import inert_line
from .._core.protocol import ABOUT, HEAD, MOST_BYTES, TO_FAR, About, Close, ProtocolError
from . import parcel
from .channel import Channel, Link
from .connections import Connections, reason
from .near import LinkLauncher

_KEEPALIVE = 15  # seconds between two probes; after three without an answer the connection is given up
_MOST_NOISE = 1000  # lines that a login may print before the greeting of `far_ssh`
_PYTHONS = "python3 python3.14 python3.13 python3.12 python3.11"


def launcher(address: str) -> SSHLauncher:
    """The launcher for `ssh://[USER@]HOST[:PORT]`.

    Raises:
        ValueError: this is no such address, or it contains a password.
    """
    try:
        found = urlsplit(address)
        host, port = found.hostname, found.port
    except ValueError as error:
        raise ValueError(f"on={address!r}: {error}") from None
    if found.password is not None:
        raise ValueError("on=ssh://...: no password in an address; use a key, or an agent")
    if not host or found.path.strip("/") or found.query or found.fragment:
        raise ValueError(f"on={address!r}: allowed is ssh://[USER@]HOST[:PORT]")
    options: dict[str, Any] = {"username": found.username, "port": port}
    # names of Hosts in ~/.ssh/config are case-sensitive, but urlsplit has made this one lower-case
    host = next(iter(re.findall(re.escape(host), found.netloc, re.IGNORECASE)), host)
    return SSHLauncher(host, **{name: value for name, value in options.items() if value is not None})


def is_configured(name: str) -> bool:
    """Whether ~/.ssh/config has settings for a host of this name that do not apply to every host.

    False if that file has a mistake, which is reported when a connection is made.
    """
    config = Path(os.path.expanduser("~/.ssh/config"))  # as it is where there is no home directory
    if not os.access(config, os.R_OK):
        return False
    other = re.sub(r"[^.:]+", lambda _: uuid.uuid4().hex, name)  # a name of the same form, because of `Host !*.*`
    try:
        said, of_other = (
            asyncssh.config.SSHClientConfig.load(None, [config], False, False, False, getpass.getuser(), (), host, ())
            for host in (name, other)
        )
    except (OSError, KeyError, ValueError):  # ValueError: a line of it; KeyError, OSError: this user has no name
        return False
    # the settings may contain the name: `HostName %h.example.org` for any host
    return repr(said.get_options(False)) != repr(of_other.get_options(False)).replace(other, name)


class SSHLauncher(LinkLauncher):
    """Starts programs on another machine over SSH; all programs of one launcher share a connection.

    Args:
        host: the name of the machine, or a Host of ~/.ssh/config.
        python: the Python there, 3.11 or newer; None for the first such of python3, python3.14, ..., python3.11.
        options: those of `asyncssh.connect`: `username`, `port`, `client_keys`, `known_hosts`, `tunnel`, ...

    Keys are taken from the agent and from the files that OpenSSH uses, and the key of the host must be in
    ~/.ssh/known_hosts, unless an option says otherwise.

    Example::

        ipyproc.launchers["box"] = ipyproc.SSHLauncher("10.0.0.7", username="me", tunnel="gate.example.org")
        await ipyproc.run("hostname", on="box")
    """

    name = "ssh"

    def __init__(self, host: str, *, python: str | None = None, **options: Any) -> None:
        self._host = host
        self._python = python
        self._options = {"keepalive_interval": _KEEPALIVE, **options}
        self._connections = Connections(self._connect)

    def __repr__(self) -> str:
        return f"<SSHLauncher for {self.where}>"

    @property
    def where(self) -> str:
        """The machine, for people."""
        user = self._options.get("username")
        return f"{user}@{self._host}" if user else self._host

    async def open(self, channel: Channel) -> Link:
        """The link for one program; it need not wait for a place.

        Raises:
            ConnectionError: there is no connection to the machine, or `far_ssh` cannot run there.
        """
        connection = await self._connections.get()
        if not connection.is_alive:
            self._connections.forget(connection)
            connection = await self._connections.get()
        return connection.open(channel)

    async def slots(self) -> int:
        """The number of CPUs that programs may use there."""
        return (await self._connections.get()).cpus

    async def aclose(self) -> None:
        """Close the connection of the running loop, which ends its programs."""
        await self._connections.aclose()

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[_Connection]:
        try:
            session = await asyncssh.connect(self._host, **self._options)
        except (OSError, ValueError, asyncssh.Error) as error:  # ValueError: a key, or ~/.ssh/config
            raise ConnectionError(f"no connection to {self.where} over SSH: {self._reason(error)}") from None
        async with session:
            try:
                connection = await self._begin(session)
            except (OSError, EOFError, asyncssh.Error) as error:
                raise ConnectionError(f"programs cannot be started on {self.where}: {reason(error)}") from None
            reading = asyncio.ensure_future(connection.read())
            try:
                yield connection
            finally:
                reading.cancel()
                connection.end("the connection was closed")

    def _reason(self, error: Exception) -> str:
        """Why there is no connection, and what may help."""
        port = self._options.get("port")
        by_hand = f"ssh {f'-p {port} ' if port else ''}{self.where}"
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return (
                f"{reason(error)}: its key is not in ~/.ssh/known_hosts, or differs from the one there; run "
                f"`{by_hand}` in a terminal once, and compare what it shows with what the administrator says"
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return (
                f"{reason(error)}: it takes none of your keys; `{by_hand}` must work without a question; "
                "`ssh-copy-id` gives it a key, SSHLauncher(..., client_keys=[...]) says which one to use"
            )
        if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
            return f"{reason(error)}: no key is unlocked here; give it to your agent, by `ssh-add` in a terminal"
        return reason(error)

    async def _begin(self, session: asyncssh.SSHClientConnection) -> _Connection:
        """Run `far_ssh` there."""
        name, data = parcel.packed()
        greeting = f"ipyproc {uuid.uuid4().hex} "
        there = await session.create_process(_command(self._python), encoding=None)
        with contextlib.suppress(OSError):  # it has ended already; its output below has the reason
            there.stdin.write(_boot(name, len(data), greeting) + data)
        for _ in range(_MOST_NOISE):
            line = (await there.stdout.readline()).decode(errors="replace")
            if greeting in line:
                try:
                    about = ABOUT.decode(line.partition(greeting)[2].encode())
                except ProtocolError as error:
                    raise ConnectionError(str(error)) from None
                return _Connection(there, self.where, about)
            if not line:
                break
        else:
            raise ConnectionError(f"its login has printed {_MOST_NOISE:,} lines, and runs no Python")
        said = (await there.stderr.read()).decode(errors="replace").strip().splitlines()
        raise ConnectionError(inert_line(said[-1]) if said else f"{self._python or 'its shell'} ended without a word")


class _Connection:
    """The connection to one machine, on one event loop."""

    def __init__(self, there: asyncssh.SSHClientProcess[bytes], where: str, about: About) -> None:
        self._there = there
        self.where = where
        self.cpus = about.cpus
        self.is_alive = True
        self._channels: dict[int, Channel] = {}
        self._last = 0

    def __repr__(self) -> str:
        return f"<_Connection to {self.where} with {len(self._channels)} programs>"

    def open(self, channel: Channel) -> Link:
        """The link for one program."""
        self._last += 1
        self._channels[self._last] = channel
        return _Place(self, self._last, self.where)

    def send(self, number: int, message: bytes) -> None:
        """Send a message to a program."""
        if self.is_alive:
            with contextlib.suppress(
                OSError
            ):  # the SSH channel has closed: `read` will find that out, and call `Channel.lost`
                self._there.stdin.write(HEAD.pack(number, len(message)) + message)

    def close_place(self, number: int) -> None:
        """Forget a program, and have the far side end what is left of it."""
        if self._channels.pop(number, None):
            self.send(number, TO_FAR.encode(Close()))

    async def read(self) -> None:
        """Pass messages on to their channels, until the connection ends."""
        why = "the connection broke"
        try:
            while True:
                number, size = HEAD.unpack(await self._there.stdout.readexactly(HEAD.size))
                if size > MOST_BYTES:
                    raise ConnectionError(f"a message of {size:,} bytes was announced, which no ipyproc sends")
                message = await self._there.stdout.readexactly(size)
                if channel := self._channels.get(number):
                    channel.receive(message)
        except (EOFError, OSError, asyncssh.Error) as error:
            if str(error) and not isinstance(error, EOFError):
                why += f": {reason(error)}"
        finally:
            self.end(why)

    def end(self, why: str) -> None:
        """The connection is gone, or is to be closed: all its programs are lost."""
        self.is_alive = False
        for channel in tuple(self._channels.values()):
            channel.lost(why)
        self._channels.clear()
        self._there.close()


class _Place:
    """The link to one program of a connection."""

    ends_family = False

    def __init__(self, connection: _Connection, number: int, where: str) -> None:
        self._connection = connection
        self._number = number
        self.where = where

    def __repr__(self) -> str:
        return f"<Place {self._number} on {self.where}>"

    def send(self, message: bytes) -> None:
        """Send a message; does not wait, and keeps the order."""
        self._connection.send(self._number, message)

    def close(self) -> None:
        """Close the link: nothing is left of the program, or what is left is to end."""
        self._connection.close_place(self._number)


def _command(python: str | None) -> str:
    """The command for the login shell, whichever that is. The code comes by standard input, so that it needs no quoting."""
    run = 'exec "$p" -ISu -c "import sys;exec(eval(sys.stdin.buffer.raw.readline()))"'
    test = '"$p" -c "import sys;sys.exit(sys.version_info<(3,11))" 2>/dev/null'
    if python:
        return shlex.join(["sh", "-c", f"p={shlex.quote(python)}; {run}"])
    script = (
        f"for p in {_PYTHONS}; do {test} && {run}; done; echo no Python 3.11 or newer was found there >&2; exit 127"
    )
    return shlex.join(["sh", "-c", script])


def _boot(name: str, size: int, greeting: str) -> bytes:
    """One line of Python: a string with the code that runs there first, which reads the zip file that follows."""
    code = f"""{parcel.BOOT}
import importlib
data = b""
while len(data) < {size}:
    piece = sys.stdin.buffer.raw.read({size} - len(data))
    if not piece:
        sys.exit("the connection broke")
    data += piece
try:
    load({name!r}, data)
except OSError as error:
    sys.exit(error.strerror or str(error))
importlib.import_module({name!r} + "._remote.far_ssh").main({greeting!r})
"""
    return f"{code!r}\n".encode()
