"""Work that is done piece by piece: a generator that yields after each piece, so that others get their turn.

A piece takes some tenths of a millisecond, whatever a program has written. The caller decides how to run the work: all of
it (`done`), a number of pieces at most (`within`), one slice of time (`advance`), or in slices between which the event loop
goes on (`in_turns`).
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
"""Seconds of work after which others get their turn."""


def done(work: Turns[T]) -> T:
    """Do all of it; return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: T = end.value
            return made


def within(work: Turns[T], pieces: int) -> T | None:
    """Do this many pieces of it at most; return its result, or None if it was not done by then, and is given up."""
    try:
        for _ in itertools.repeat(None, pieces):
            next(work)
    except StopIteration as end:
        made: T = end.value
        return made
    work.close()
    return None


def advance(work: Turns[T]) -> T | None:
    """Do a slice of it; return its result, or None if it is not done; then the next call goes on."""
    deadline = time.perf_counter() + SLICE
    try:
        while time.perf_counter() < deadline:
            next(work)
    except StopIteration as end:
        made: T = end.value
        return made
    return None


async def in_turns(work: Turns[T]) -> T:
    """Do it in slices, between which the event loop goes on; return its result."""
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
