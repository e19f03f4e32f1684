"""What a person types for a program: it is sent to standard input, and shown as a terminal would show it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..._core.output.encoding import ENCODING
from ..._core.output.screen import Row
from ..._core.process.run import ShownRun

_MOST_WAITING = 1 << 20  # bytes that the program has not read yet
_PASSWORD = re.compile(
    r"(?:\b(?:pass(?:word|phrase|code)|pin|secret|token|api[ _-]?key|otp|verification code|passwort|kennwort|"
    r"mot de passe|contraseña|senha|пароль)\b|密码|パスワード).{0,120}[:：?]\s*$",
    re.IGNORECASE,
)
_MASK = "••••••••"  # always the same length, to tell nothing of what was typed


class Stdin:
    """Standard input of a process; closed from the start if there is no pipe for it."""

    def __init__(self, run: ShownRun) -> None:
        self._run = run
        self._ended = run.stdin is None

    def __repr__(self) -> str:
        return f"<Stdin of {self._run.name}: {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether the program may still read from it."""
        return not (self._ended or self._run.is_over)

    def send(self, text: str, prompt: Sequence[Row]) -> str | None:
        """Send what was typed; returns the text to show. None: nothing was sent, as the input is closed or too much waits.

        `prompt`: the last rows of the output; if they ask for a secret, a mask is shown.
        """
        stdin, data = self._run.stdin, text.encode(ENCODING, "replace")
        if not self.is_open or stdin is None or stdin.is_closing():
            return None
        if stdin.transport.get_write_buffer_size() + len(data) > _MOST_WAITING:
            return None
        stdin.write(data)
        return _MASK if asks_for_secret(prompt) else text.removesuffix("\n")

    def end(self) -> None:
        """Close the input, so that the program reads its end. Idempotent."""
        if self.is_open and self._run.stdin:
            self._run.stdin.close()
        self._ended = True


def asks_for_secret(prompt: Sequence[Row]) -> bool:
    """Whether the last of these rows asks for a password or the like."""
    return bool(prompt) and _PASSWORD.search(prompt[-1].plain[-200:]) is not None
