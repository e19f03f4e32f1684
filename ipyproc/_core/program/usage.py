"""The CPU time and memory that a program has used."""

from __future__ import annotations

from dataclasses import dataclass

from ..output import phrases


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU time and memory that a program has used, with those of its descendants that it waited for.

    Attributes:
        user, system: seconds of CPU time, in its own code and in the operating system's.
        peak_bytes: the largest resident memory of any one of them, in bytes; None: not known. Linux also counts the process
            before it became the program, which is a copy of our shim: a peak that is not above that, some 13 MB, is None.

    Example:
        >>> import ipyproc
        >>> print(ipyproc.Usage(user=1.5, system=0.25, peak_bytes=12_345_678))
        1.75 s of CPU, 12 MB at the peak
    """

    user: float
    system: float
    peak_bytes: int | None

    def __str__(self) -> str:
        peak = "" if self.peak_bytes is None else f", {phrases.size_words(self.peak_bytes)} at the peak"
        return f"{self.user + self.system:.2f} s of CPU{peak}"
