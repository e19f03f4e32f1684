"""Every message between a page and a widget in the kernel, and the state of each widget: one schema for both languages.

`js/src/messages.ts` is made from this file by `python js/messages.py`; a test fails when it is out of date. mypy checks
what the kernel sends against the schema, tsc what the page sends. Messages of a page are checked again when they arrive,
by `read`, because anybody may have written them.

State flows from kernel to page only, in the trait `shown` of each widget. All else is a custom message with `op`. Output of
programs is in its buffers, and never in a synced trait. A range says which numbers, or how many bytes of a text, are
allowed.

Rows are counted from 0. A buffer of rows is UTF-8 and joined by newlines; each row follows a digit, with styles in the
canonical form of `screen.Row.ansi`. The digit is its stream (0: a note of ipyproc's own), and 3 more for a row that says
"warning", 6 more for one that says "error"; see `views.severity`. All times are seconds.
"""

# no `from __future__ import annotations`: a TypedDict would then compile each annotation again when this is imported
import functools
import types
from typing import Annotated, Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

VERSION = 7
"""The version of this schema, to be increased with each change. A page of another version than the kernel's only says so."""

MOST_NUMBER = (1 << 53) - 1  # up to here JavaScript counts exactly
MOST_ROWS = 200  # in one answer
LAST_ROWS = 5  # of a failure are marked
MOST_FIND = 4000  # bytes of a text to find
MOST_STDIN = 64 * 1024  # bytes for a program in one message

Id = Annotated[str, range(65)]
"""An id that a page has made up for itself, for a view or for a question; an answer repeats it."""
Number = Annotated[int, range(MOST_NUMBER + 1)]
Streams = Annotated[int, range(3)]
"""Which rows: 0: all; 1: those of stdout, 2: those of stderr, each counted from 0 among themselves."""


class Stamp(TypedDict):
    """Part of every message of a page: the `job` of the widget, the id of the page's load, and a number that grows there."""

    job: str
    page: Id
    n: Number
    version: int
    as_text: bool
    """No buffers reach this page (Colab was said to lose some): the kernel sends them in `base64`, a further field of a message."""


# --- page to kernel: what a view asks for ------------------------------------------------------------------------------


class Presence(TypedDict):
    """The page has the widget and its code (here); a view was made (ready), was drawn (shown), missed something (ping), is gone (bye)."""

    op: Literal["here", "ready", "shown", "ping", "bye"]


class GetCode(TypedDict):
    """The page does not have the code yet; the answer is `Code`."""

    op: Literal["code"]


class Watch(TypedDict):
    """This view is in sight (said again every 10 s), or no longer is."""

    op: Literal["watch"]
    view: Id
    on: bool


class Filter(TypedDict):
    """This view shows these rows from now on (said again every 10 s while it is in sight); the answer is a `Tail` of them."""

    op: Literal["filter"]
    view: Id
    stream: Streams


class Stop(TypedDict):
    """A button that stops: the program of a card, or all commands of a batch."""

    op: Literal["stop", "kill"]


class Pause(TypedDict):
    """A button of a card."""

    op: Literal["pause", "resume"]


class TypeLine(TypedDict):
    """Text for the standard input of the program."""

    op: Literal["stdin"]
    text: Annotated[str, range(MOST_STDIN + 1)]


class EndInput(TypedDict):
    """End the standard input of the program."""

    op: Literal["eof"]


class GetRows(TypedDict):
    """Ask for `count` rows from `first` on; the answer is `SomeRows`."""

    op: Literal["rows"]
    stream: Streams
    first: Number
    count: Annotated[int, range(1, MOST_ROWS + 1)]


class Find(TypedDict):
    """Ask which rows contain this text; the answer is `Found`."""

    op: Literal["find"]
    stream: Streams
    id: Id
    text: Annotated[str, range(1, MOST_FIND + 1)]
    case: bool


class GetText(TypedDict):
    """Ask for the text of rows `first` to `last`, to copy it; the answer is one or more `TextPiece`, or `TextTooBig`."""

    op: Literal["text"]
    stream: Streams
    id: Id
    first: Number
    last: Number
    first_column: Number
    last_column: Annotated[int, range(-1, MOST_NUMBER + 1)]
    """-1: to the end."""


class Download(TypedDict):
    """Ask for the bytes of the log from `at` on; the answer is one `FilePiece`."""

    op: Literal["download"]
    id: Id
    at: Number


class GetTime(TypedDict):
    """Ask when this row came; the answer is `RowTime`."""

    op: Literal["time"]
    stream: Streams
    id: Id
    row: Number


class GetRowAt(TypedDict):
    """Ask which row came so many milliseconds after the start of the program; the answer is `RowTime`."""

    op: Literal["row_at"]
    stream: Streams
    id: Id
    ms: Number


class StopProgram(TypedDict):
    """A button of the table; id 0: all that runs."""

    op: Literal["stop", "kill"]
    id: Number


class PauseProgram(TypedDict):
    """A button of the table; id 0: all that runs."""

    op: Literal["pause", "resume"]
    id: Number


class OpenCard(TypedDict):
    """Show the card of this program, by the id of its row, in this view; the answer is `CardModel`."""

    op: Literal["card"]
    id: Number
    view: Id


class OpenAgain(TypedDict):
    """Show the run of a saved transcript, by the id in its link, in this view; the answer is `OpenedAgain`, if it is kept."""

    op: Literal["open"]
    id: Id
    view: Id


CardRequest = (
    Presence
    | GetCode
    | Watch
    | Filter
    | Stop
    | Pause
    | TypeLine
    | EndInput
    | GetRows
    | Find
    | GetText
    | Download
    | GetTime
    | GetRowAt
)
TableRequest = Presence | GetCode | Watch | StopProgram | PauseProgram | OpenCard
JobsRequest = Presence | GetCode | Stop | OpenCard
GreetingRequest = Presence | OpenAgain


# --- kernel to page: state ---------------------------------------------------------------------------------------------

StateName = Literal["running", "closed", "paused", "stopping", "ok", "failed", "signaled", "timeout", "left", "lost"]
"""The state of a program; see `views.state`."""


class Shown(TypedDict):
    """The state of every widget: the `job` that each message to it must name, and words to show before the code has come."""

    version: int
    job: str
    label: str
    title: str


class Times(TypedDict):
    """Times relative to the moment when the kernel sent them, because the clocks of kernel and page may differ."""

    elapsed: float
    sent_ago: float
    """Since the last signal was sent."""
    next_in: float | None
    """Until the next signal."""
    ended: str
    """When the program ended, by the kernel's clock, as text to show."""


class CardShown(Shown, Times):
    """The state of a card."""

    name: StateName
    note: str
    pid: int
    folded: bool
    """Whether it begins without the output."""
    line: bool
    """Whether it begins as one line."""
    ends: bool
    """Whether it ends with its kernel."""
    sent: str
    """The signal that was sent last."""
    pauses: bool
    """Whether the program can be paused on this platform."""
    stdin: bool
    """Whether the user can type for it."""
    notifies: bool
    """Whether the browser is to notify the user of the end."""


class TableShown(Shown):
    """The state of the live table."""

    pauses: bool
    """Whether programs can be paused on this platform."""


# --- kernel to page: messages ------------------------------------------------------------------------------------------


class Code(TypedDict):
    """The code, in two buffers: script and style, both compressed by gzip."""

    op: Literal["code"]


class State(TypedDict):
    """The answer to a button: the new `shown`, ahead of the trait, which a busy kernel changes later."""

    op: Literal["state"]
    shown: CardShown


class Tail(Times):
    """The last rows, from `first` on, in a buffer. Rows below `settled` will not change any more."""

    op: Literal["tail"]
    stream: int
    both: bool
    """Whether both streams have some output."""
    total: int
    first: int
    settled: int
    counts: str
    """How much output there is, as text to show."""
    progress: float | None
    """The share of the whole that is done, 0 to 1, read from the output; null if unknown."""
    inner: float | None
    """The same of the round that it is in."""
    doing: str
    """The round, as text: `epoch 4/12`; empty if there are none."""
    left: str
    """How much time is left, as text; empty if unknown."""
    secret: bool
    """Whether the program asks for a password or the like."""


class Notify(TypedDict):
    """The program has ended, and the user asked to be notified: how, and how long it took."""

    op: Literal["notify"]
    label: str
    took: str


class Figures(TypedDict):
    """Figures of the family, at most once a second for views in sight: CPU (percent of one core), bytes, processes."""

    op: Literal["figures"]
    cpu: int | None
    memory: int
    count: int


class History(TypedDict):
    """CPU and memory over the whole run so far, for a view that has come into sight: a few points, each with its `elapsed`."""

    op: Literal["history"]
    elapsed: list[float]
    cpu: list[int]
    memory: list[int]


class SomeRows(TypedDict):
    """Rows in a buffer, fewer than were asked for if they are long."""

    op: Literal["rows"]
    stream: int
    first: int


class Found(TypedDict):
    """The numbers of the rows found, in a buffer: 4 bytes each, little-endian. `total`: rows searched; `more`: not all told."""

    op: Literal["found"]
    id: Id
    total: int
    more: bool


class RowTime(TypedDict):
    """When a row came: its last character, as far as it is known."""

    op: Literal["time"]
    stream: int
    id: Id
    row: int | None
    """None: it is not known which row was asked for."""
    at: float | None
    """Since the epoch; or less than `within` later. None: not known."""
    within: float
    gap: float | None
    """Since the row before it, or for the first one since the start; None: not known."""


class TextPiece(TypedDict):
    """A piece of a text of `size` bytes, UTF-8, in a buffer; `more`: others follow."""

    op: Literal["text"]
    id: Id
    size: int
    more: bool


class TextTooBig(TypedDict):
    """The text asked for is more than may be copied."""

    op: Literal["too_big"]
    id: Id


class FilePiece(TypedDict):
    """Bytes of the log from `at` on, in a buffer; `size`: bytes of the whole log; `more`: others follow."""

    op: Literal["piece"]
    id: Id
    at: int
    size: int
    name: str
    more: bool


class TableRow(TypedDict):
    """One program."""

    id: int
    state: StateName
    mark: str
    """The state as a character."""
    label: str
    name: str
    pid: int
    origin: str
    """The other machine that it runs on, or a launcher that promises less; mostly empty."""
    cell: int
    """The number of the cell that started it."""
    since: str
    elapsed: float
    runs: bool
    cpu: str
    memory: str
    lines: int
    opens: bool
    """Whether its output can be shown."""


class TableRows(TypedDict):
    """The rows that have changed; `ids`: the ids of all rows in their order, or null if that has not changed."""

    op: Literal["rows"]
    rows: list[TableRow]
    ids: list[int] | None


class CardModel(TypedDict):
    """The widget model of a program's card, for this view."""

    op: Literal["card"]
    id: int
    view: Id
    model: str
    """Empty: its output is not kept any more."""


class JobsRow(TypedDict):
    """One command: its state and a mark for it, its name, how it ended or what it wrote last, how long it has run."""

    id: int
    state: Literal["failed", "running", "done"]
    mark: str
    name: str
    what: str
    time: str
    opens: bool
    """Whether its output can be shown."""


class Picture(TypedDict):
    """The progress of many commands: a sentence, the numbers for a bar, some rows, and how many rows are left out."""

    sentence: str
    total: int
    done: int
    failed: int
    rows: list[JobsRow]
    more: str
    over: bool


class Draw(TypedDict):
    """The picture to show from now on; `rung`: see `Stopping`."""

    op: Literal["picture"]
    picture: Picture
    rung: int


class Stopping(TypedDict):
    """The answer to a button, at once: the rung that the stop ladder has reached; -1 if none."""

    op: Literal["stopping"]
    rung: int


class OpenedAgain(TypedDict):
    """The widget model of a run whose transcript stands in the page, for this view."""

    op: Literal["opened"]
    view: Id
    model: str


CardMessage = (
    Code | State | Tail | Notify | Figures | History | SomeRows | Found | RowTime | TextPiece | TextTooBig | FilePiece
)
TableMessage = Code | TableRows | CardModel
JobsMessage = Code | Draw | Stopping | CardModel
GreetingMessage = Code | OpenedAgain


# --- the check ---------------------------------------------------------------------------------------------------------


def read(content: object, requests: object) -> Any:
    """Check what a page has sent: returns it if it is one of these requests with a stamp of this version, else None.

    Args:
        content: anything that JSON can represent.
        requests: `CardRequest` or another union of them.
    """
    if isinstance(content, dict) and content.get("version") == VERSION and fits(content, Stamp):
        return content if fits(content, requests) else None
    return None


def fits(value: object, hint: Any) -> bool:
    """Whether a value fits the schema; further fields of a message are allowed, and ignored.

    Args:
        value: anything that JSON can represent.
        hint: a type of this file.
    """
    if is_typeddict(hint):
        return isinstance(value, dict) and all(
            key in value and fits(value[key], each) for key, each in fields(hint).items()
        )
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return any(fits(value, each) for each in parts)
    if kind is Annotated:
        return fits(value, parts[0]) and _size(value) in parts[1]
    if kind is Literal:
        return isinstance(value, str) and value in parts
    if kind is list:
        return isinstance(value, list) and all(fits(each, parts[0]) for each in value)
    return type(value) is hint or (hint is float and type(value) is int)  # a bool is no number here


def _size(value: Any) -> int:
    """What a range in the schema limits: the bytes of a text, or a number itself."""
    return len(value.encode(errors="replace")) if isinstance(value, str) else value


@functools.cache
def fields(kind: Any) -> dict[str, Any]:
    """The types of a message, by the names of its fields."""
    return get_type_hints(kind, include_extras=True)
