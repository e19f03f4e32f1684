"""Every message between a page and a widget in the kernel, and the state of each widget: the one schema for both languages.

`js/src/messages.ts` is made from this file by `python js/messages.py`; a test says when it is old. mypy checks what the
kernel sends against it, tsc what the page sends. What a page sends is checked here once more when it comes, by `read`:
anybody may have written it.

State flows from kernel to page only, in the trait `shown` of each widget. All else is a custom message with `op`. What
programs wrote is in its buffers, and never in a synced trait. A range says which numbers, or how many bytes of a text, are
allowed.

Rows are counted from 0. A buffer of rows is UTF-8, joined by newlines, each row behind the digit of its stream (0: a note
of ours), with styles in the canonical form of `screen.Row.ansi`. All times are seconds.
"""

# no `from __future__ import annotations`: as text, each of these would be compiled when this is imported
import functools
import types
from typing import Annotated, Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

VERSION = 2
"""Of all that stands below. It grows with each change: a page of another version than the kernel's shows nothing but that."""

MOST_NUMBER = (1 << 53) - 1  # as a page counts exactly
MOST_ROWS = 200  # of one answer
MOST_FIND = 4000  # bytes of a text to find
MOST_STDIN = 64 * 1024  # bytes for a program at once

Id = Annotated[str, range(65)]
"""What a page has made up, for itself, for a view or for a question; it comes back with the answer."""
Number = Annotated[int, range(MOST_NUMBER + 1)]


class Stamp(TypedDict):
    """What every message of a page has besides its own: the widget's `job`, the id of the page's load, and the next number there."""

    job: str
    page: Id
    n: Number
    version: int


# --- page to kernel: what a view asks for ------------------------------------------------------------------------------


class Presence(TypedDict):
    """The page has the widget, and can run its code; a view was made; it was drawn; it may have missed something; it has gone."""

    op: Literal["here", "ready", "shown", "ping", "bye"]


class GetCode(TypedDict):
    """The page has no code of ours yet."""

    op: Literal["code"]


class Watch(TypedDict):
    """This view is in sight (again every 10 s), or is not any more."""

    op: Literal["watch"]
    view: Id
    on: bool


class Stop(TypedDict):
    """A button that stops: the program of a card, or all commands of a batch."""

    op: Literal["stop", "kill"]


class Pause(TypedDict):
    """A button of a card."""

    op: Literal["pause", "resume"]


class TypeLine(TypedDict):
    """For the standard input of the program."""

    op: Literal["stdin"]
    text: Annotated[str, range(MOST_STDIN + 1)]


class EndInput(TypedDict):
    """The program is to read the end of its standard input."""

    op: Literal["eof"]


class GetRows(TypedDict):
    """So many rows from `first` on; the answer is `SomeRows`."""

    op: Literal["rows"]
    first: Number
    count: Annotated[int, range(1, MOST_ROWS + 1)]


class Find(TypedDict):
    """Where this text stands; the answer is `Found`."""

    op: Literal["find"]
    id: Id
    text: Annotated[str, range(1, MOST_FIND + 1)]
    case: bool


class GetText(TypedDict):
    """Rows up to `last`, to copy them; the answer is some `TextPiece`, or `TextTooBig`."""

    op: Literal["text"]
    id: Id
    first: Number
    last: Number
    first_column: Number
    last_column: Annotated[int, range(-1, MOST_NUMBER + 1)]
    """-1: to the end."""


class Download(TypedDict):
    """The bytes of the log from `at` on; the answer is one `FilePiece`."""

    op: Literal["download"]
    id: Id
    at: Number


class StopProgram(TypedDict):
    """A button of the table; id 0: all that runs."""

    op: Literal["stop", "kill"]
    id: Number


class PauseProgram(TypedDict):
    """A button of the table; id 0: all that runs."""

    op: Literal["pause", "resume"]
    id: Number


class OpenCard(TypedDict):
    """Show the card of this program in this view; the answer is `CardModel`."""

    op: Literal["card"]
    id: Number
    view: Id


CardRequest = Presence | GetCode | Watch | Stop | Pause | TypeLine | EndInput | GetRows | Find | GetText | Download
TableRequest = Presence | GetCode | Watch | StopProgram | PauseProgram | OpenCard
JobsRequest = Presence | GetCode | Stop
GreetingRequest = Presence


# --- kernel to page: state ---------------------------------------------------------------------------------------------

StateName = Literal["running", "closed", "paused", "stopping", "ok", "failed", "signaled", "timeout", "left", "lost"]
"""Of a program."""


class Shown(TypedDict):
    """The state of every widget: the job that each message of a page must name, and words to show before the code is there."""

    version: int
    job: str
    label: str
    title: str


class Times(TypedDict):
    """Spans that count from the moment when the kernel said so, as the clocks of kernel and page need not agree."""

    elapsed: float
    sent_ago: float
    """Since the last signal."""
    next_in: float | None
    """Up to the next one."""
    ended: str
    """When it has ended, by the kernel's clock, for people."""


class CardShown(Shown, Times):
    """The state of a card."""

    name: StateName
    note: str
    pid: int
    folded: bool
    sent: str
    """The signal that was sent last."""
    pauses: bool
    """Whether it can be paused here."""
    stdin: bool
    """Whether one can type for it."""
    notifies: bool
    """Whether the browser is to tell of the end."""


class TableShown(Shown):
    """The state of the live table."""

    pauses: bool
    """Whether a program can be paused there."""


# --- kernel to page: messages ------------------------------------------------------------------------------------------


class Code(TypedDict):
    """With two buffers: script and style, both gzip."""

    op: Literal["code"]


class State(TypedDict):
    """The answer to a button: what `shown` will be, but at once."""

    op: Literal["state"]
    shown: CardShown


class Tail(Times):
    """With a buffer: the rows from `first` on. Those below `settled` will not change any more."""

    op: Literal["tail"]
    total: int
    first: int
    settled: int
    counts: str
    """How much there is, for people."""
    progress: float | None
    """The share that is done, 0 to 1, as the output tells it."""
    secret: bool
    """Whether a password is asked for."""


class Notify(TypedDict):
    """The program has ended, and somebody wants to be told how, and how long it took."""

    op: Literal["notify"]
    label: str
    took: str


class Figures(TypedDict):
    """What has changed, once a second while a view is in sight: CPU in percent of one core, bytes of memory, processes."""

    op: Literal["figures"]
    cpu: int | None
    memory: int
    count: int


class SomeRows(TypedDict):
    """With a buffer: rows, fewer than were asked for if they are long."""

    op: Literal["rows"]
    first: int


class Found(TypedDict):
    """With a buffer: numbers of rows, 4 bytes each, little end first; `total`: rows that were searched."""

    op: Literal["found"]
    id: Id
    total: int
    more: bool


class TextPiece(TypedDict):
    """With a buffer: a piece of a text of so many bytes, UTF-8; `more`: others follow."""

    op: Literal["text"]
    id: Id
    size: int
    more: bool


class TextTooBig(TypedDict):
    """It is more than may be copied."""

    op: Literal["too_big"]
    id: Id


class FilePiece(TypedDict):
    """With a buffer: bytes of the log from `at` on; `size`: of all of it."""

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
    launcher: str
    cell: int
    """The number of the cell that has started it."""
    since: str
    elapsed: float
    runs: bool
    cpu: str
    memory: str
    lines: int
    log: str
    """Its path; empty when it is gone."""


class TableRows(TypedDict):
    """The rows that have changed; `ids`: all there are, in their order, or null where that is as it was."""

    op: Literal["rows"]
    rows: list[TableRow]
    ids: list[int] | None


class CardModel(TypedDict):
    """The id of the model of a program's card, for this view."""

    op: Literal["card"]
    id: int
    view: Id
    model: str


class JobsRow(TypedDict):
    """One command: its state, a mark for that, its name, how it ended or what it wrote last, since when it runs."""

    state: Literal["failed", "running"]
    mark: str
    name: str
    what: str
    time: str


class Picture(TypedDict):
    """What there is to see of many commands: a sentence, a bar of `total`, some rows, and how many there are besides."""

    sentence: str
    total: int
    done: int
    failed: int
    rows: list[JobsRow]
    more: str
    over: bool


class Draw(TypedDict):
    """All that is to be seen; `rung`: see `Stopping`."""

    op: Literal["picture"]
    picture: Picture
    rung: int


class Stopping(TypedDict):
    """The answer to a button, at once: how far up the ladder it is; -1: nowhere."""

    op: Literal["stopping"]
    rung: int


CardMessage = Code | State | Tail | Notify | Figures | SomeRows | Found | TextPiece | TextTooBig | FilePiece
TableMessage = Code | TableRows | CardModel
JobsMessage = Code | Draw | Stopping
GreetingMessage = Code


# --- the check ---------------------------------------------------------------------------------------------------------


def read(content: object, requests: object) -> Any:
    """What a page has sent, if it is one of these requests and has a stamp of this version; else None.

    Args:
        content: anything that JSON can say.
        requests: `CardRequest` or another union of them.
    """
    if isinstance(content, dict) and content.get("version") == VERSION and fits(content, Stamp):
        return content if fits(content, requests) else None
    return None


def fits(value: object, hint: Any) -> bool:
    """Whether a value is as the schema says; a message may have more than that, which nobody reads.

    Args:
        value: anything that JSON can say.
        hint: a type, as it stands in this file.
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
    """What a range in the schema is about: of a text its bytes, of a number the number."""
    return len(value.encode(errors="replace")) if isinstance(value, str) else value


@functools.cache
def fields(kind: Any) -> dict[str, Any]:
    """The types of a message, by the names of its fields."""
    return get_type_hints(kind, include_extras=True)
