"""What a cell is to run, and how much of it may stay in the notebook and on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """What to start. `script`: the text that the shell in `args` is to run; `input`: bytes for standard input."""

    args: tuple[str, ...]
    title: str
    input: bytes | None = None
    script: str | None = None


@dataclass(frozen=True)
class Limits:
    """Bytes of output that one cell may add to the notebook, and bytes of one log on disk."""

    transcript: int
    log: int
