"""What `%aprocs` does to the processes of the table: its line is read, and the action done."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import sys
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from ..._core.errors import ProcessLost, ProcessNotStopped
from ..._core.output import phrases
from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..._core.process.run import logged
from ..._core.program.ladder import KILL, TERMINATE
from .. import kernel
from ..cell import interrupt
from ..guard import Guard
from ..page import presence
from ..views import kept, listing, transcript
from ..views.table import Entry, Table

LIVE = "a live table with buttons; as text where there is no page"
ACTIONS = {
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


@dataclass(frozen=True)
class Action:
    """A parsed line: a word of `ACTIONS`, or none, and the processes that it is about."""

    word: str
    entries: tuple[Entry, ...] = ()


def parse(line: str, table: Table) -> Action:
    """Read the line of `%aprocs`.

    Raises:
        UsageError: the word is unknown, or an id; an id is missing, or there is one too many.
    """
    word, *ids = line.split() or [""]
    if word and word not in ACTIONS:
        raise UsageError(_unknown(word))
    takes = ACTIONS[word][0] if word else ""
    if not takes:
        if ids:
            raise UsageError(f"%aprocs {word} takes no id, but got {' '.join(ids)!r}")
        return Action(word)
    entries = table.entries
    if not ids:
        raise UsageError(f"%aprocs {word} needs {takes}: {_there_are(entries)}")
    if takes.endswith("all") and "all" in ids:
        if len(ids) > 1:
            raise UsageError(f"%aprocs {word}: all stands alone, but got {' '.join(ids)!r}")
        return Action(word, tuple(table.running.values()))
    known = {str(number): entry for number, entry in entries.items()}
    for text in ids:
        if text not in known:
            raise UsageError(f"%aprocs {word}: there is no process {text!r}; {_there_are(entries)}")
    return Action(word, tuple(known[text] for text in dict.fromkeys(ids)))


def act(action: Action, table: Table, limit: int) -> list[Coroutine[Any, Any, None]]:
    """Do an action as far as it needs no waiting; returns what to await afterwards. No word means `list`.

    Args:
        limit: bytes of output in a transcript.

    Raises:
        UsageError: the action is not possible for that process.
    """
    word, entries = action.word, action.entries
    if word in ("", "list"):
        sys.stdout.write(listing.text(table))
    elif not entries:
        sys.stdout.write("nothing runs\n")
    elif word in ("stop", "kill", "wait"):
        for entry in entries:
            if word in _RUNGS and (ladder := entry.ladder):
                ladder.reach(_RUNGS[word], word)
        return [_end(entry, word) for entry in entries]
    elif word in ("pause", "resume"):
        for entry in entries:
            _set_paused(entry, paused=word == "pause")
        return [_settled(entry, paused=word == "pause") for entry in entries]
    elif word == "log":
        for entry in entries:
            sys.stdout.write(_log(entry))
    else:
        for entry in entries:
            _show(entry, table, limit)
    return []


async def ended(shell: InteractiveShell, ends: Collection[Coroutine[Any, Any, None]]) -> str:
    """Await what `act` returned; after an interrupt, says what that has ended, else returns an empty string."""
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


def _set_paused(entry: Entry, *, paused: bool) -> None:
    try:
        entry.set_paused(paused)
    except RuntimeError as error:
        raise UsageError(f"%aprocs: {error}") from None


def view(process: Process, table: Table, limit: int) -> None:
    """Show a process in the cell that runs now: a card while anything of it runs, later its transcript."""
    run = logged(process)
    with Guard(run.log):
        has_page = presence.can_show(table.shell)
        if has_page and not (run.is_over and run.log.ended and not run.family.left()):
            if kernel.is_in_output_widget(table.shell):  # no transcript would take the place of a card there
                from ..views.process_widget import another_widget  # late: it loads anywidget

                display(another_widget(process, is_held=False))
            else:
                _show_card(process, table, limit)
            return
        is_here = presence.client(table.shell).is_here
        bundle = transcript.at_once(run, limit, kept.keep(process) if is_here and run.log.bytes else "")
        if has_page:
            display(bundle, raw=True)
        else:
            sys.stdout.write(f"{bundle['text/plain']}\n")


def complete(table: Table, line: str) -> list[str]:
    """The words that can complete this line of `%aprocs`."""
    *before, last = line.split()[1:] + ([""] if line[-1:].isspace() else [])
    if not before:
        return [word for word in ACTIONS if word.startswith(last)]
    takes = ACTIONS.get(before[0], ("", ""))[0]
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
    """The actions as the help of `%aprocs` shows them."""
    rows = [("%aprocs", LIVE), *((f"%aprocs {word} {takes}".rstrip(), text) for word, (takes, text) in ACTIONS.items())]
    return "\n".join(f"    {usage}\n        {text}" for usage, text in rows)


async def _end(entry: Entry, word: str) -> None:
    """Await the end of one process, and write how it ended."""
    # else all of it has ended, and perhaps its event loop too; but its output may not have been shown yet
    if (process := entry.process) and (entry.ladder or (word == "wait" and process.on_wait)):
        with contextlib.suppress(ProcessLost, ProcessNotStopped):
            await entry.on_its_loop(process.wait() if word == "wait" else process.ladder.finished())
    sys.stdout.write(f"{entry.sentence()}\n")


async def _settled(entry: Entry, *, paused: bool) -> None:
    """Write the state of a process as soon as it is paused, or goes on; after `_MOMENT` write it as it is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_MOMENT):
            entry.measure()
            while (entry.look().state.name == "paused") != paused:
                await asyncio.sleep(_MOMENT / 50)
                entry.measure()
    sys.stdout.write(f"{entry.sentence()}\n")


def _show(entry: Entry, table: Table, limit: int) -> None:
    process = entry.process
    if process and process.log and entry.ladder and presence.can_show(table.shell):
        with Guard(process.log):
            _show_card(process, table, limit)
    else:
        sys.stdout.write(_log(entry))


def _show_card(process: Process, table: Table, limit: int) -> None:
    from ..views.another_card import another_card  # late: it loads anywidget

    another_card(process, presence.client(table.shell), limit).show()


def _log(entry: Entry) -> str:
    """The last lines, and where the rest is."""
    entry.measure()
    process, told = entry.process, entry.look()
    tail = ""
    if process and process.log:
        process.log.keep()  # the user is told its path, so it must stay
        tail = f"{text}\n" if (text := process.log.tail(_LAST_LINES).rstrip("\n")) else ""
    lines = phrases.count_words(told.lines, "line", "lines")
    where = "it has no log"
    if told.log:
        where = "somebody has removed its log" if process else "its output went with the process"
        where = f"log: {inert_line(str(told.log))}" if told.log.exists() else where
    return f"{tail}... {entry.sentence()} · {lines} · {where}\n"


def _unknown(word: str) -> str:
    if word in ("--help", "-h", "help"):
        return "%aprocs? shows the help"
    near = difflib.get_close_matches(word.lower(), ACTIONS, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ACTIONS)}"
    return f"%aprocs: unknown word {word!r}; {hint}"


def _there_are(entries: Collection[int]) -> str:
    if not entries:
        return "no process was started yet"
    shown = ", ".join(map(str, list(entries)[:10]))
    return f"there are {shown}{', ...' if len(entries) > 10 else ''}; see %aprocs list"
