"""Work that is done a piece at a time: it yields after each, so that others can have their turn, and returns what it has made.

A piece is some tenths of a millisecond, whatever a program has written. The work is a generator, and whoever has it
decides: to do all of it (`done`), no more than so many pieces (`within`), a slice (`advance`), or to let the event loop go
on meanwhile (`in_turns`).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Turns = Generator[None, None, T]

SLICE = 0.005
"""Seconds of work, and others have their turn."""


def done(work: Turns[T]) -> T:
    """Do all of it; what it has made."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: T = end.value
            return made


def within(work: Turns[T], pieces: int) -> T | None:
    """Do so many pieces of it; what it has made, or None: it was given up."""
    try:
        for _ in itertools.repeat(None, pieces):
            next(work)
    except StopIteration as end:
        made: T = end.value
        return made
    work.close()
    return None


def advance(work: Turns[T]) -> T | None:
    """Do a slice of it; what it has made, or None: it is not done, and goes on with the next call."""
    deadline = time.perf_counter() + SLICE
    try:
        while time.perf_counter() < deadline:
            next(work)
    except StopIteration as end:
        made: T = end.value
        return made
    return None


async def in_turns(work: Turns[T]) -> T:
    """Do it in slices, and let the event loop go on between; what it has made."""
    deadline = time.perf_counter() + SLICE
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: T = end.value
            return made
        if time.perf_counter() > deadline:
            await asyncio.sleep(0)
            deadline = time.perf_counter() + SLICE
