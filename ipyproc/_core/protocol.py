"""What a kernel, its supervisor, its shims and the far side on another machine say to each other: every message there is.

Each message tells its version, so the first one of a connection does. Who does not understand it, for it is of another
version or no message at all, gives that connection up: `ProtocolError` says why.

There are three forms:

- *words*, between kernel and supervisor: two bytes each, the word and the version. With `READY` comes a descriptor;
- *messages*: a line of JSON, a list of the version, the name of the message, and its fields in order;
- *data* of a stream, between kernel and far side: the number of the stream and the bytes; no bytes are its end.

Standard library, and little of it: every shim has this in its memory.
"""

import enum
import functools
import json
import struct
from collections.abc import Callable
from types import UnionType
from typing import Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeVar, Union, cast

VERSION: Final = 1
"""To be changed with any message: ours may meet that of another release, where one was installed meanwhile."""

WINDOW: Final = 1 << 19
"""Bytes of one stream that may be on the way between kernel and far side, or held by a reader that does not read."""


class ProtocolError(ValueError):
    """What the other side says is not understood here."""


# --- kernel and supervisor -----------------------------------------------------------------------------------------


class Word(enum.Enum):
    """`WANTED` is the kernel's, for each shim that it wants; the others are answers of the supervisor."""

    WANTED = b"N"
    READY = b"S"
    """With a descriptor: the job socket of a shim that waits for a program."""
    REFUSED = b"E"
    """No shim could be made."""


WORD_SIZE: Final = 2


def encode_word(word: Word) -> bytes:
    """The bytes for it."""
    return word.value + bytes((VERSION,))


def decode_words(data: bytes) -> list[Word]:
    """The words in these bytes.

    Raises:
        ProtocolError: they are not understood.
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
"""Seconds of CPU in its own code and in the operating system's, and the peak memory in bytes; see `program.usage`."""
LogState = tuple[
    int, int, int, int, int, int, int, int | None, list[int], int, int, str, int, int  # as `LogWriter.pack` has it
]


class LogFile(NamedTuple):
    """Where a shim writes the log of its program; the arguments of `output.writer.LogWriter`."""

    fd: int
    """Which of the descriptors that come with the message."""
    streams: list[int]
    base: int
    index_path: str
    limit: int | None


# --- kernel and shim -----------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """Start this program. Descriptors come with it; a number here says which of them.

    Attributes:
        cwd: the directory to start in, from `here`; None: `here` itself.
        here: the descriptor of a directory; None: `cwd` is a whole path.
        mark: see `held.mark`.
        keep: the descriptors that hold the locks of the log's directory; None: the program ends with its kernel.
        stdio: of each stream its descriptor, or "log", or for standard error "stdout".
        log: None: no stream goes to a log.
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
        number: of the signal; 0: none. SIGKILL to the family is repeated until nothing is left that may be signalled.
        kill_in: seconds until SIGKILL to the family; of several, the one that ends first counts. None: none is announced.
    """

    number: int
    family: bool
    kill_in: float | None


class Started(NamedTuple):
    """The program runs.

    Attributes:
        shim: the pid of what holds it.
        at: since when, of `time.monotonic()`.
    """

    pid: int
    shim: int
    at: float


class NotStarted(NamedTuple):
    """The program could not be started: what an `OSError` is made of."""

    errno: int
    text: str
    file: str | None


class Logged(NamedTuple):
    """What the log holds now."""

    state: LogState


class Exited(NamedTuple):
    """The program itself has ended, `at` this moment of `time.monotonic()`."""

    returncode: int
    at: float
    usage: Used


class Gone(NamedTuple):
    """Nothing is left of its family. Its shim is ready for another program."""


class Lost(NamedTuple):
    """Nobody will hear how it ends, or whether it was started; what there is of it is being ended."""

    why: str


# --- kernel and far side -------------------------------------------------------------------------------------------


class RemoteStart(NamedTuple):
    """Start this program.

    Attributes:
        cwd: None: where programs start there.
        env: is added to the environment there.
        script: a text that the shell in `args` is to run from a file there.
        stdin, stdout, stderr: whether it is carried; else it is the null device there. "stdout": with standard output.
        ends_family: whether what is left of its family is killed when it has ended.
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
    """So many bytes more of this stream may be sent; `WINDOW` at first."""

    stream: int
    size: int


class Look(NamedTuple):
    """Tell `Figures`."""


class Close(NamedTuple):
    """Nobody is interested in this program any more: end what is left of it."""


class RemoteStarted(NamedTuple):
    """The program runs, with this pid there."""

    pid: int


class Taken(NamedTuple):
    """So many bytes of standard input were taken; `WINDOW` may be on the way."""

    size: int


class Figures(NamedTuple):
    """Of the family now: seconds of CPU, resident bytes, number of processes; whether the program is paused."""

    cpu: float
    memory: int
    processes: int
    is_paused: bool


class RemoteExited(NamedTuple):
    """The program itself has ended.

    Attributes:
        lasted: seconds from its start to its end: the clocks of two machines cannot be compared.
        left: how many of its descendants have not ended.
        note: what the shell of a script has noted, in Latin-1; see `program.script`.
    """

    returncode: int
    lasted: float
    usage: Used | None
    left: int
    note: str


class Data(NamedTuple):
    """Bytes of a stream: 0 is standard input, 1 output, 2 error. None: its end."""

    stream: int
    data: bytes


# --- the ways to a far side ----------------------------------------------------------------------------------------


class About(NamedTuple):
    """The first that a far side says over SSH: its machine."""

    host: str
    cpus: int
    python: str


class Offer(NamedTuple):
    """A task of Dask has a slot: its key, which of its attempts that is, and the address of its worker."""

    key: str
    attempt: str
    address: str


class Place(NamedTuple):
    """Where a program has got a slot: the machine, and the pid of the worker."""

    host: str
    pid: int


MOST_BYTES: Final = 1 << 24
"""No message from another machine is larger: output comes in pieces."""
HEAD: Final = struct.Struct(">II")
"""Over SSH, before each message: the number of the program, and the length. No program has the number 0: a sign of life."""


# --- how they are written and read ---------------------------------------------------------------------------------


T = TypeVar("T", bound=tuple[Any, ...])


class _Unfit(Exception):
    """A value is not of the type that it should have."""


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What gives a value of JSON as this type: of its lists, tuples are made where that is one."""
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
    allowed = {kind, int} if kind is float else {kind}
    return lambda value: value if type(value) in allowed else _refuse()


def _read_any(readers: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    for read in readers:
        try:
            return read(value)
        except _Unfit:
            continue
    return _refuse()


def _read_list(kind: Any, read: Callable[[Any], Any], value: Any) -> Any:
    if type(value) is not list:
        return _refuse()
    return value if set(map(type, value)) <= {kind} else list(map(read, value))


def _read_tuple(make: Callable[[Any], Any], readers: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    if type(value) is not list or len(value) != len(readers):
        return _refuse()
    return make([read(each) for read, each in zip(readers, value, strict=True)])


def _refuse() -> NoReturn:
    raise _Unfit


class Direction(Generic[T]):
    """All messages from one side to another.

    Args:
        kinds: those messages.
        streams: the numbers of those whose data goes this way.
    """

    def __init__(self, *kinds: type[T], streams: tuple[int, ...] = ()) -> None:
        self._kinds: dict[str, type[T]] = {kind.__name__: kind for kind in kinds}
        self._streams = streams

    def __repr__(self) -> str:
        return f"<Direction of {', '.join(self._kinds)}>"

    def prepare(self) -> None:
        """Make now what `decode` needs, and not with the first messages."""
        for kind in self._kinds.values():
            _reader(kind)

    def encode(self, message: T) -> bytes:
        """The bytes for a message; a line, unless it is `Data`."""
        if isinstance(message, Data):
            return bytes((message.stream,)) + message.data
        return json.dumps((VERSION, type(message).__name__, *message)).encode() + b"\n"

    def decode(self, data: bytes) -> T:
        """The message of these bytes; the end of its line may be missing.

        Raises:
            ProtocolError: it is of another version, none that goes this way, or of another form.
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
    return ProtocolError(f"the other side says what is no message of ipyproc's protocol: {data[:80]!r}")
