"""Every message between a kernel, its supervisor, its shims, and the far side on another machine.

Each message contains its version. A side that gets a message of another version, or something that is no message at all,
gives up the connection; `ProtocolError` says why.

There are three forms:

- *words*, between kernel and supervisor: two bytes each, the word and the version. `READY` is sent with a descriptor;
- *messages*: a line of JSON, a list of the version, the name of the message, and its fields in order;
- *data* of a stream, between kernel and far side: the number of the stream and the bytes; no bytes mean its end.

Only a little of the standard library is imported, because every shim has this module in its memory.
"""

import enum
import functools
import json
import struct
from collections.abc import Callable
from types import UnionType
from typing import Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeVar, Union, cast

VERSION: Final = 2
"""To be increased with each change of a message. Two versions meet if ipyproc is updated while a kernel runs."""

WINDOW: Final = 1 << 19
"""How many bytes of one stream may be on the way between kernel and far side, or wait for a paused reader."""


class ProtocolError(ValueError):
    """What the other side sent is no message of this version."""


# --- kernel and supervisor -----------------------------------------------------------------------------------------


class Word(enum.Enum):
    """`WANTED` is sent by the kernel, once for each shim that it wants; the others are answers of the supervisor."""

    WANTED = b"N"
    READY = b"S"
    """Sent with a descriptor: the socket of a shim that waits for a program."""
    REFUSED = b"E"
    """No shim could be made."""


WORD_SIZE: Final = 2


def encode_word(word: Word) -> bytes:
    """The bytes of a word."""
    return word.value + bytes((VERSION,))


def decode_words(data: bytes) -> list[Word]:
    """The words in these bytes.

    Raises:
        ProtocolError: these are no words, or words of another version.
    """
    versions = {*data[1::WORD_SIZE]}
    if len(data) % WORD_SIZE or not versions <= {VERSION}:
        raise _no_message(data) if len(data) % WORD_SIZE else _other_version((versions - {VERSION}).pop())
    try:
        return [Word(bytes((word,))) for word in data[::WORD_SIZE]]
    except ValueError:
        raise _no_message(data) from None


# --- what the messages are made of ---------------------------------------------------------------------------------

Limit = tuple[int, tuple[int, int]]
"""A kind of `resource`, and its soft and hard limit."""
Used = tuple[float, float, int | None]
"""Seconds of CPU in user mode and in the operating system, and the peak memory in bytes; see `program.usage`."""
LogState = tuple[
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int | None,
    list[int],
    int,
    int,
    str,
    int,
    int,
    float | None,
    bool,  # as `LogWriter.pack` returns it
]


class LogFile(NamedTuple):
    """Where a shim writes the log of its program; the arguments of `output.writer.LogWriter`."""

    fd: int
    """The number of one of the descriptors that are sent with the message."""
    streams: list[int]
    base: int
    index_path: str
    limit: int | None


# --- kernel and shim -----------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """Start this program. Descriptors are sent with it; fields refer to them by their numbers.

    Attributes:
        cwd: the directory to start in, relative to `here`; None for `here` itself.
        here: the descriptor of a directory; None if `cwd` is absolute.
        mark: see `held.mark`.
        keep: the descriptors of the locks on the log's directory; None if the program is to end with its kernel.
        stdio: for each stream a descriptor, or "log", or for standard error "stdout".
        log: None if no stream goes to a log.
    """

    args: list[str]
    cwd: str | None
    here: int | None
    env: dict[str, str]
    umask: int
    limits: list[Limit]
    mark: Limit
    keep: list[int] | None
    stdio: list[int | Literal["log", "stdout"]]
    log: LogFile | None


class Signal(NamedTuple):
    """Send a signal to the program, or to its whole family.

    Attributes:
        number: of the signal; 0 for none. SIGKILL to the family is repeated until nothing is left that may be signalled.
        kill_in: seconds until SIGKILL to the family, or None; of several such messages, the earliest SIGKILL counts.
    """

    number: int
    family: bool
    kill_in: float | None


class Started(NamedTuple):
    """The program runs.

    Attributes:
        shim: the pid of the shim that holds it.
        at: when it was started, by `time.monotonic()`.
    """

    pid: int
    shim: int
    at: float


class NotStarted(NamedTuple):
    """The program could not be started: the arguments for an `OSError`."""

    errno: int
    text: str
    file: str | None


class Logged(NamedTuple):
    """The state of the log now."""

    state: LogState


class Exited(NamedTuple):
    """The program itself has ended; `at`: when, by `time.monotonic()`."""

    returncode: int
    at: float
    usage: Used


class Gone(NamedTuple):
    """Nothing is left of the program's family. Its shim is ready for another program."""


class Lost(NamedTuple):
    """It will not be known how the program ends, or whether it was started; what is left of it is being ended."""

    why: str


# --- kernel and far side -------------------------------------------------------------------------------------------


class RemoteStart(NamedTuple):
    """Start this program.

    Attributes:
        cwd: the directory to start in; None for the default one there.
        env: is added to the environment there.
        script: a text that the shell in `args` is to run from a file there.
        stdin, stdout, stderr: whether the stream is carried; else it is the null device there. "stdout": it is merged into
            standard output.
        ends_family: whether to kill what is left of its family when it has ended.
    """

    args: list[str]
    cwd: str | None
    env: dict[str, str]
    script: str | None
    stdin: bool
    stdout: bool
    stderr: bool | Literal["stdout"]
    ends_family: bool


class Credit(NamedTuple):
    """`size` more bytes of this stream may be sent; at first it is `WINDOW`."""

    stream: int
    size: int


class Look(NamedTuple):
    """Ask for `Figures`."""


class Close(NamedTuple):
    """The program is no longer wanted: end what is left of it."""


class RemoteStarted(NamedTuple):
    """The program runs, with this pid there."""

    pid: int


class Taken(NamedTuple):
    """`size` bytes of standard input were taken; at most `WINDOW` bytes may be on the way."""

    size: int


class Figures(NamedTuple):
    """Figures of the family now: seconds of CPU, resident bytes, number of processes; whether the program is paused."""

    cpu: float
    memory: int
    processes: int
    is_paused: bool


class RemoteExited(NamedTuple):
    """The program itself has ended.

    Attributes:
        lasted: seconds from its start to its end, because the clocks of two machines cannot be compared.
        left: how many of its descendants still run.
        note: what the shell of a script has noted, decoded as Latin-1; see `program.script`.
    """

    returncode: int
    lasted: float
    usage: Used | None
    left: int
    note: str


class Data(NamedTuple):
    """Bytes of a stream: 0 is standard input, 1 standard output, 2 standard error. Empty at its end."""

    stream: int
    data: bytes


# --- the ways to a far side ----------------------------------------------------------------------------------------


class About(NamedTuple):
    """The first message of a far side over SSH: what its machine is."""

    host: str
    cpus: int
    python: str


class Offer(NamedTuple):
    """A Dask task has a slot to offer: the key of the task, an id of this attempt to run it, the address of its worker."""

    key: str
    attempt: str
    address: str


class Place(NamedTuple):
    """Where a program has got a slot: the host name, and the pid of the worker."""

    host: str
    pid: int


MOST_BYTES: Final = 1 << 24
"""No message from another machine is larger: output comes in pieces."""
HEAD: Final = struct.Struct(">II")
"""Over SSH, before each message: the number of the program, and the length. Number 0 is no program, but a sign of life."""


# --- how they are written and read ---------------------------------------------------------------------------------


_TOO_LARGE: Final = 1 << 64

T = TypeVar("T", bound=tuple[Any, ...])


class _Unfit(Exception):
    """A value is not of the type that it should have."""


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """A function that checks a JSON value against this type and returns it, with lists turned into tuples as needed."""
    origin: Any = getattr(kind, "__origin__", None)
    args: tuple[Any, ...] = getattr(kind, "__args__", ())
    if origin is Literal:
        return lambda value: value if type(value) in (int, str) and value in args else _refuse()
    if origin is Union or isinstance(kind, UnionType):
        return functools.partial(_read_any, tuple(map(_reader, args)))
    if origin is list:
        return functools.partial(_read_list, args[0], _reader(args[0]))
    if origin is dict:  # the names of JSON are strings
        return lambda value: value if type(value) is dict and set(map(type, value.values())) <= {args[1]} else _refuse()
    if origin is tuple:
        return functools.partial(_read_tuple, tuple, tuple(map(_reader, args)))
    if issubclass(kind, tuple):
        return functools.partial(_read_tuple, kind._make, tuple(map(_reader, kind.__annotations__.values())))
    if kind in (int, float):
        return functools.partial(_read_number, (kind, int))
    return lambda value: value if type(value) is kind else _refuse()


def _read_any(readers: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    for read in readers:
        try:
            return read(value)
        except _Unfit:
            continue
    return _refuse()


def _read_number(kinds: tuple[type, type], value: Any) -> Any:
    """JSON has numbers of any size, and Python reads NaN and Infinity too: nobody could count with those."""
    return value if type(value) in kinds and -_TOO_LARGE < value < _TOO_LARGE else _refuse()


def _read_list(kind: Any, read: Callable[[Any], Any], value: Any) -> Any:
    if type(value) is not list:
        return _refuse()
    return value if kind is str and set(map(type, value)) <= {str} else list(map(read, value))


def _read_tuple(make: Callable[[Any], Any], readers: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    if type(value) is not list or len(value) != len(readers):
        return _refuse()
    return make([read(each) for read, each in zip(readers, value, strict=True)])


def _refuse() -> NoReturn:
    raise _Unfit


class Direction(Generic[T]):
    """All messages from one side to another.

    Args:
        kinds: the types of these messages.
        streams: the numbers of the streams whose data goes in this direction.
    """

    def __init__(self, *kinds: type[T], streams: tuple[int, ...] = ()) -> None:
        self._kinds: dict[str, type[T]] = {kind.__name__: kind for kind in kinds}
        self._streams = streams

    def __repr__(self) -> str:
        return f"<Direction of {', '.join(self._kinds)}>"

    def prepare(self) -> None:
        """Build now what `decode` needs, rather than when the first messages come."""
        for kind in self._kinds.values():
            _reader(kind)

    def encode(self, message: T) -> bytes:
        """The bytes of a message; a line, unless it is `Data`."""
        if isinstance(message, Data):
            return bytes((message.stream,)) + message.data
        return json.dumps((VERSION, type(message).__name__, *message)).encode() + b"\n"

    def decode(self, data: bytes) -> T:
        """The message in these bytes, with or without the newline.

        Raises:
            ProtocolError: it is of another version, of another direction, or malformed.
        """
        if data[:1] and data[0] in self._streams:
            return cast(T, Data(data[0], data[1:]))
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            raise _no_message(data) from None
        if not isinstance(told, list) or len(told) < 2:
            raise _no_message(data)
        version, name, *fields = told
        if version != VERSION:
            raise _other_version(version)
        if not isinstance(name, str) or (kind := self._kinds.get(name)) is None or name == "Data":
            raise _no_message(data)
        try:
            made: T = _reader(kind)(fields)
        except _Unfit:
            raise _no_message(data) from None
        return made


ToShim = Start | Signal
FromShim = Started | NotStarted | Logged | Exited | Gone | Lost
ToFar = RemoteStart | Signal | Credit | Look | Close | Data
FromFar = RemoteStarted | NotStarted | Taken | Figures | RemoteExited | Gone | Lost | Data

TO_SHIM = Direction[ToShim](Start, Signal)
FROM_SHIM = Direction[FromShim](Started, NotStarted, Logged, Exited, Gone, Lost)
TO_FAR = Direction[ToFar](RemoteStart, Signal, Credit, Look, Close, Data, streams=(0,))
FROM_FAR = Direction[FromFar](RemoteStarted, NotStarted, Taken, Figures, RemoteExited, Gone, Lost, Data, streams=(1, 2))
ABOUT, OFFER, PLACE = Direction[About](About), Direction[Offer](Offer), Direction[Place](Place)


def _other_version(theirs: object) -> ProtocolError:
    return ProtocolError(
        f"the other side speaks version {theirs!r:.20} of ipyproc's protocol, and this side version {VERSION}"
    )


def _no_message(data: bytes) -> ProtocolError:
    return ProtocolError(f"the other side sent something that is no message of ipyproc's protocol: {data[:80]!r}")
