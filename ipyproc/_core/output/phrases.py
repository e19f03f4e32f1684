"""Words for people: how a program ended, what it is called, numbers, durations, sizes."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Sequence

from .screen import inert_line


def signal_name(number: int) -> str:
    """The name of a signal: 15 is `SIGTERM`; a number without a name is `signal 42`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def signal_of(returncode: int | None) -> signal.Signals | int | None:
    """The signal that a return code stands for; None if it stands for none. Signals without a name are numbers."""
    if returncode is None or returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode)
    except ValueError:
        return -returncode


def describe(returncode: int | None) -> str:
    """One clause for a return code: `is running`, `exited with status 3`, `was ended by SIGTERM`."""
    if returncode is None:
        return "is running"
    if returncode < 0:
        return f"was ended by {signal_name(-returncode)}"
    return f"exited with status {returncode}"


def command_line(args: str | bytes | Sequence[object]) -> str:
    """A command as one would type it in a shell; one line, without control characters and escape sequences."""
    text = _text(args) if isinstance(args, str | bytes) else shlex.join(map(_text, args))
    return inert_line(text)


def _text(word: object) -> str:
    """A word of a command: a string, bytes or a path."""
    return os.fsdecode(word) if isinstance(word, bytes | os.PathLike) else str(word)


def quoted(name: str) -> str:
    """The name of a program for use within a sentence: bounded, between backticks."""
    return f"`{name[:199]}…`" if len(name) > 200 else f"`{name}`"


def count_words(count: int, one: str, many: str) -> str:
    """A number of things for people: `1 process`, `1,200 lines`."""
    return f"1 {one}" if count == 1 else f"{count:,} {many}"


def duration_words(seconds: float) -> str:
    """A duration for people: `0.42 s`, `12.9 s`, `3:02`, `1:00:05`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(int(max(60, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def size_words(count: int) -> str:
    """A number of bytes for people, in decimal units: `783 B`, `9.4 kB`, `412 MB`, `2.1 GB`; in the page, `size.ts` does this."""
    step, units = 1, ["B", "kB", "MB", "GB", "TB"]
    while len(units) > 1 and 2 * count >= 1999 * step:  # it would be rounded to 1000
        step *= 1000
        del units[0]
    tenths = (20 * count + step) // (2 * step)  # halves go up, as in JavaScript
    if step > 1 and tenths < 100:
        return f"{tenths // 10}.{tenths % 10} {units[0]}"
    return f"{(2 * count + step) // (2 * step)} {units[0]}"
