"""Text that holds a secret: a program gets it as it is, people see `***` in its place."""

from __future__ import annotations

from collections.abc import Sequence

MASK = "***"


class Masked(str):
    """A string whose characters are the real ones, and whose `str()`, `repr()` and formatted text are not.

    What reaches a program or a file is made of the characters (`os.fsencode`, `encode`, `join`, slices, comparisons);
    what reaches a person is made by `str`, `repr` or an f-string. So whoever shows it without a thought shows no secret.
    """

    shown: str

    def __new__(cls, text: str, shown: str = MASK) -> Masked:
        made = super().__new__(cls, str.__str__(text))  # the characters, if that is a Masked itself
        made.shown = shown
        return made

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return repr(self.shown)

    def __format__(self, spec: str) -> str:
        return format(self.shown, spec)


def join(parts: Sequence[str]) -> str:
    """The parts as one string; masked where a part is."""
    whole = "".join(parts)
    return Masked(whole, "".join(map(str, parts))) if any(isinstance(part, Masked) for part in parts) else whole
