"""What a program has used."""

from __future__ import annotations

from dataclasses import dataclass

from ..output import phrases


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program and those of its descendants that it waited for have used.

    Attributes:
        user, system: seconds of CPU time, in its own code and in the operating system's.
        peak_bytes: the greatest resident memory that any one of them had, in bytes; None: not known. Linux counts what the
            process was before its program began, which is a part of our shim: what is not above that, some 13 MB, is None.

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
