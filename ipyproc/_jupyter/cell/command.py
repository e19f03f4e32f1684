"""What a cell is to run, and how much of it may stay in the notebook and on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """What to start. `script` is what the shell in `args` is to run; `input` is for standard input."""

    args: tuple[str, ...]
    title: str
    input: bytes | None = None
    script: str | None = None


@dataclass(frozen=True)
class Limits:
    """In bytes: of what a cell adds to the notebook, and of a log on disk."""

    transcript: int
    log: int
