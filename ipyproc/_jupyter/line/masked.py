"""Text that holds a secret: the program gets it as it is, people see `***` instead."""

from __future__ import annotations

from collections.abc import Sequence

MASK = "***"


class Masked(str):
    """A string that has the real characters, but hides them in `str()`, `repr()` and formatted text.

    What goes to a program or a file uses the characters (`os.fsencode`, `encode`, `join`, slices, comparisons); what people
    see is made by `str`, `repr` or an f-string. So code that shows it without a special case shows no secret.
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
    """The parts as one string, which shows a mask for each part that is masked."""
    whole = "".join(parts)
    return Masked(whole, "".join(map(str, parts))) if any(isinstance(part, Masked) for part in parts) else whole
