"""The words of `%aprocs`: what is done to the processes of the table, and how they are listed as text."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import signal
import sys
import time
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from .._core import log, status
from .._core.errors import ProcessLost, ProcessNotStopped
from .._core.ladder import KILL, TERMINATE
from .._core.process import Process
from .._core.screen import inert_line
from . import interrupt, kernel, transcript
from .card import Card
from .table import Entry, Table, over
from .view import Guard, keep_updated

LIVE = "a live table with buttons; as text where there is no page"
WORDS = {
    "list": ("", "the table as text"),
    "stop": ("ID...|all", "send SIGTERM to the family, SIGKILL to what is left after --grace; wait for the end"),
    "kill": ("ID...|all", "send SIGKILL to the family; wait for the end"),
    "wait": ("ID...|all", "wait for the end, and say how it was; an interrupt ends the waiting alone"),
    "pause": ("ID...|all", "suspend the family (SIGSTOP); not on Windows"),
    "resume": ("ID...|all", "let it go on (SIGCONT)"),
    "log": ("ID...", "the last 20 lines of the output, and the file that holds all of it"),
    "show": ("ID...", "one more card of what runs, here; the last lines where there is no page"),
}
_RUNGS = {"stop": TERMINATE, "kill": KILL}
_LAST_LINES = 20
_MOMENT = 1.0  # seconds in which a family takes SIGSTOP
_WIDEST = {"state": 44, "command": 60}  # characters


@dataclass(frozen=True)
class Request:
    """A line that was read: a word of `WORDS`, or none, and the processes that are meant."""

    word: str
    entries: tuple[Entry, ...] = ()


def parse(line: str, table: Table) -> Request:
    """Read the line of `%aprocs`.

    Raises:
        UsageError: the word is unknown, or an id; an id is missing, or there is one too many.
    """
    word, *ids = line.split() or [""]
    if word and word not in WORDS:
        raise UsageError(_unknown(word))
    takes = WORDS[word][0] if word else ""
    if not takes:
        if ids:
            raise UsageError(f"%aprocs {word} takes no id, but got {' '.join(ids)!r}")
        return Request(word)
    entries = table.entries
    if not ids:
        raise UsageError(f"%aprocs {word} needs {takes}: {_there_are(entries)}")
    if takes.endswith("all") and "all" in ids:
        if len(ids) > 1:
            raise UsageError(f"%aprocs {word}: all stands alone, but got {' '.join(ids)!r}")
        return Request(word, tuple(table.running.values()))
    known = {str(number): entry for number, entry in entries.items()}
    for text in ids:
        if text not in known:
            raise UsageError(f"%aprocs {word}: there is no process {text!r}; {_there_are(entries)}")
    return Request(word, tuple(known[text] for text in dict.fromkeys(ids)))


def act(request: Request, table: Table, limit: int) -> list[Coroutine[Any, Any, None]]:
    """Do what needs no waiting, without a word as `list`; what is to be awaited then. `limit`: bytes that a transcript may have.

    Raises:
        UsageError: this cannot be done to that process.
    """
    word, entries = request.word, request.entries
    if word in ("", "list"):
        sys.stdout.write(listing(table))
    elif not entries:
        sys.stdout.write("nothing runs\n")
    elif word in ("stop", "kill", "wait"):
        for entry in entries:
            if word in _RUNGS and (ladder := entry.ladder):
                ladder.reach(_RUNGS[word], word)
        return [_end(entry, word) for entry in entries]
    elif word in ("pause", "resume"):
        for entry in entries:
            set_paused(entry, paused=word == "pause")
        return [_settled(entry, paused=word == "pause") for entry in entries]
    elif word == "log":
        for entry in entries:
            sys.stdout.write(_log(entry))
    else:
        for entry in entries:
            _show(entry, table, limit)
    return []


async def ended(shell: InteractiveShell, ends: Collection[Coroutine[Any, Any, None]]) -> str:
    """Await what `act` gave; what an interrupt has ended, if there was one."""
    waiting = asyncio.gather(*ends)
    interrupted = False

    def stop_waiting() -> None:
        nonlocal interrupted
        interrupted = waiting.cancel() or interrupted

    try:
        with interrupt.on_interrupt(stop_waiting):
            async with kernel.deliver_comms(shell):
                await waiting
    except asyncio.CancelledError:
        if not interrupted:
            raise
    return "the waiting; the programs go on" if interrupted else ""


def set_paused(entry: Entry, *, paused: bool) -> None:
    """Suspend the family, or let it go on.

    Raises:
        UsageError: it has ended, or this is Windows.
    """
    number = getattr(signal, "SIGSTOP" if paused else "SIGCONT", None)
    if number is None:
        raise UsageError("%aprocs: a program cannot be paused on Windows")
    process = entry.process
    if process is None or entry.ladder is None:
        raise UsageError(f"%aprocs: {_sentence(entry).rstrip()}; it can be paused no more")
    process.family.send_signal(number)


def card(process: Process, table: Table, limit: int) -> Card:
    """One more card of a process; it follows it to its end."""
    assert process.log is not None
    made = Card(process, log.BOTH, transcript_limit=limit)
    table.follow(_follow(process, process.log, made))
    return made


def view(process: Process, table: Table, limit: int) -> None:
    """Show a process in the cell that runs now: a card while anything of it runs, and then its transcript."""
    assert process.log is not None
    with Guard(process.log):
        if can_show(table.shell) and not (process.is_over and process.log.ended and not process.family.left()):
            card(process, table, limit).show()
            return
        bundle = transcript.at_once(process, limit)
        if can_show(table.shell):
            display(bundle, raw=True)
        else:
            sys.stdout.write(f"{bundle['text/plain']}\n")


def can_show(shell: InteractiveShell) -> bool:
    """Whether a widget that is displayed now will reach a page, as far as one can know."""
    nowhere = kernel.is_headless(shell) or kernel.captures_displays(shell) or kernel.is_apart()
    return not nowhere and time.monotonic() >= Card.no_page_until


def listing(table: Table) -> str:
    """The table as text."""
    rows = [("id", "state", "since", "time", "CPU", "memory", "lines", "cell", "launcher", "command")]
    for entry in table.entries.values():
        entry.measure()
        told = entry.look()
        seen = told.figures
        rows.append(
            (
                str(entry.id),
                _short(f"{told.state.mark} {told.state.label}", _WIDEST["state"]),
                time.strftime("%H:%M:%S", time.localtime(entry.started_at)),
                status.duration_words(told.duration),
                seen.cpu_words if seen else "",
                status.size_words(seen.memory) if seen else "",
                f"{told.lines:,}",
                f"[{entry.cell}]",
                told.launcher,
                _short(told.name, _WIDEST["command"]),
            )
        )
    if len(rows) == 1:
        return "no process was started yet\n"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    figures = {0, 3, 4, 5, 6, 7}  # to the right
    return "".join(
        "  ".join(
            text.rjust(width) if place in figures else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )


def complete(table: Table, line: str) -> list[str]:
    """What may stand at the end of this line of `%aprocs`."""
    *before, last = line.split()[1:] + ([""] if line[-1:].isspace() else [])
    if not before:
        return [word for word in WORDS if word.startswith(last)]
    takes = WORDS.get(before[0], ("", ""))[0]
    if not takes or "all" in before:
        return []
    entries = table.entries if before[0] in ("log", "wait") else table.running
    ids = [str(number) for number in entries if str(number) not in before]
    return [
        word
        for word in (*ids, *(["all"] if takes.endswith("all") and len(before) == 1 else []))
        if word.startswith(last)
    ]


def describe() -> str:
    """The words as the help of `%aprocs` shows them."""
    rows = [("%aprocs", LIVE), *((f"%aprocs {word} {takes}".rstrip(), text) for word, (takes, text) in WORDS.items())]
    return "\n".join(f"    {usage}\n        {text}" for usage, text in rows)


async def _end(entry: Entry, word: str) -> None:
    """Await the end of one process, and say how it was."""
    # else all of it has ended, and perhaps its event loop too; but its output may not have been shown yet
    if (process := entry.process) and (entry.ladder or (word == "wait" and process.on_wait)):
        with contextlib.suppress(ProcessLost, ProcessNotStopped):
            await entry.on_its_loop(process.wait() if word == "wait" else process.ladder.finished())
    sys.stdout.write(_sentence(entry))


async def _settled(entry: Entry, *, paused: bool) -> None:
    """Say that it is paused, or goes on, as soon as that is so; what is told after a moment is how it is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_MOMENT):
            entry.measure()
            while (entry.look().state.name == "paused") != paused:
                await asyncio.sleep(_MOMENT / 50)
                entry.measure()
    sys.stdout.write(_sentence(entry))


async def _follow(process: Process, output: log.Log, shown: Card) -> None:
    ending = asyncio.ensure_future(over(process))
    try:
        await keep_updated(shown, output, ending)
    finally:
        ending.cancel()
    await shown.finish()


def _show(entry: Entry, table: Table, limit: int) -> None:
    process = entry.process
    if process and process.log and entry.ladder and can_show(table.shell):
        with Guard(process.log):
            card(process, table, limit).show()
    else:
        sys.stdout.write(_log(entry))


def _log(entry: Entry) -> str:
    """The last lines, and where the rest is."""
    process, told = entry.process, entry.look()
    tail = ""
    if process and process.log:
        process.log.keep()  # as every log whose file was told
        tail = f"{text}\n" if (text := process.log.tail(_LAST_LINES).rstrip("\n")) else ""
    lines = status.count_words(told.lines, "line", "lines")
    where = "it has no log"
    if told.log:
        where = "somebody has removed its log" if process else "its output went with the process"
        where = f"log: {inert_line(str(told.log))}" if told.log.exists() else where
    return f"{tail}... {_sentence(entry).rstrip()} · {lines} · {where}\n"


def _sentence(entry: Entry) -> str:
    told = entry.look()
    took = status.duration_words(told.duration)
    return f"{entry.id}: {told.state.mark} {told.state.label} · {took} · {told.name}\n"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _unknown(word: str) -> str:
    if word in ("--help", "-h", "help"):
        return "%aprocs? shows the help"
    near = difflib.get_close_matches(word.lower(), WORDS, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(WORDS)}"
    return f"%aprocs: unknown word {word!r}; {hint}"


def _there_are(entries: Collection[int]) -> str:
    if not entries:
        return "no process was started yet"
    shown = ", ".join(map(str, list(entries)[:10]))
    return f"there are {shown}{', ...' if len(entries) > 10 else ''}; see %aprocs list"
