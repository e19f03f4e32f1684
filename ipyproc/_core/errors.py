"""What can go wrong with a program.

::

    ProcessError                    the root
    ├── ProcessExitError            it ended with a status that is not 0,
    │   │                           or was ended by a signal              (also a subprocess.CalledProcessError)
    │   └── ProcessStopped          the same, because it was stopped      (Stop, Kill, an interrupt, `stop()`)
    ├── ProcessTimeout              it was stopped when its time was up   (also a subprocess.TimeoutExpired)
    ├── ProcessNotStopped           some of its processes still run, although everything was tried to stop them
    └── ProcessLost                 nobody saw how it ended               (also a ConnectionError)

    OSError                         it could not be started: FileNotFoundError, PermissionError, ... as asyncio
                                    raises them, with a message that names the program or the directory

All of them can be pickled, with all their attributes.
"""

from __future__ import annotations

import copyreg
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import phrases
from .output.encoding import decode
from .output.screen import inert_line
from .survivor import Survivor

if TYPE_CHECKING:
    from .failed_command import FailedCommand


class ProcessError(Exception):
    """The root of the errors of this package. Every class below has its attributes.

    Attributes:
        cmd: the program and its arguments, or the line for the shell.
        name: its display name; empty: the command itself.
        returncode: its exit status (`-N`: ended by signal N); None: not known.
        stdout, stderr: the last lines of each stream, as a terminal would leave them; `output` is `stdout`.
        last_words: the lines that the message shows: of the stream that says why it failed, or of both in order of arrival.
        log: the file with the complete output, kept if there is more of it than these lines; else None.
        advice: the likely cause, or what may help; empty: not known.
        failed_command: for a bash script, the command that ended it: `where` ("line 4: `test -e x`") and `code`; None: not
            known, or not a script.

    Example:
        >>> import ipyproc
        >>> try:
        ...     ipyproc.run("sh", "-c", "echo 'disk full' >&2; exit 4", name="backup").result()
        ... except ipyproc.ProcessError as error:
        ...     print(error)
        `backup` exited with status 4
        disk full
    """

    cmd: Any = ""
    name: str = ""
    returncode: int | None = None
    output: Any = None
    stderr: Any = None
    last_words: str = ""
    log: Path | None = None
    advice: str = ""
    failed_command: FailedCommand | None = None

    @property
    def stdout(self) -> Any:
        """The last lines of standard output."""
        return self.output

    def __reduce__(self) -> tuple[Any, ...]:
        # made anew without calling __init__: the state has all attributes, except the method with which IPython shows
        # the error here, which cannot be pickled
        state = {name: value for name, value in vars(self).items() if name != "_render_traceback_"}
        return copyreg.__newobj__, (type(self), *self.args), state  # type: ignore[attr-defined]

    def __str__(self) -> str:
        parts = [self._sentence()]
        parts[0] += f": {self.advice}" if self.advice else ""
        if last := self._shown():
            parts.append(last)
        if self.log:
            parts.append(f"(full log: {inert_line(str(self.log))})")
        return "\n".join(parts)

    def _sentence(self) -> str:
        return Exception.__str__(self)

    def _shown(self) -> str:
        return _text(self.last_words or self.stderr or self.output).rstrip()

    def _command(self) -> str:
        return phrases.quoted(self.name or phrases.command_line(self.cmd))


def _text(output: str | bytes | None) -> str:
    """Output as text; whoever makes an error, as `subprocess` does, may give it bytes."""
    return decode(output) if isinstance(output, bytes) else output or ""


class ProcessExitError(ProcessError, subprocess.CalledProcessError):
    """A program ended with a status that is not 0, or was ended by a signal.

    Example:
        >>> import ipyproc
        >>> try:
        ...     ipyproc.run("false").result()
        ... except ipyproc.ProcessExitError as error:
        ...     print(error.returncode, error.signal)
        1 None
    """

    cmd: str | Sequence[Any]
    returncode: int

    @property
    def signal(self) -> signal.Signals | int | None:
        """The signal that ended it; None if it ended by itself."""
        return phrases.signal_of(self.returncode)

    def _sentence(self) -> str:
        if self.failed_command and self.failed_command.code == self.returncode:
            return str(self.failed_command)
        where = f"; {self.failed_command}" if self.failed_command else ""
        return f"{self._command()} {phrases.describe(self.returncode)}{where}"


class ProcessStopped(ProcessExitError):
    """A program ended because somebody stopped it: the buttons of a card, an interrupt, `Process.stop()`.

    It is a `ProcessExitError`: catch that if the difference does not matter to you.
    """

    def _sentence(self) -> str:
        return f"{self._command()} was stopped, and {phrases.describe(self.returncode)}"

    def _shown(self) -> str:
        return _text(self.stderr).rstrip()  # its last output does not explain why it ended


class ProcessTimeout(ProcessError, subprocess.TimeoutExpired):  # type: ignore[override]  # of a name typed too narrowly
    """A program was stopped because it ran longer than its `timeout` (in seconds).

    Example:
        >>> import ipyproc
        >>> try:
        ...     ipyproc.run("sleep", "60", timeout=0.1).result()
        ... except ipyproc.ProcessTimeout as error:
        ...     print(error)
        `sleep 60` was stopped after its timeout of 0.1 s
    """

    timeout: float

    def _sentence(self) -> str:
        return f"{self._command()} was stopped after its timeout of {self.timeout:g} s"


_MOST_NAMED = 5  # processes


class ProcessNotStopped(ProcessError):
    """Stopping a program failed: it, or a part of its family, still runs although SIGKILL was tried too.

    Such a process belongs to another user (`sudo`, a setuid program), is held by a debugger, or is stuck in the operating
    system. `returncode` is None if the program itself still runs.

    Attributes:
        survivors: the processes that still run; each has `pid`, `name`, and `why` in words.
        timeout: the time limit in seconds, if that is why the program was stopped; else None.

    Example:
        >>> import ipyproc
        >>> async def stop(process):
        ...     try:
        ...         await process.stop()
        ...     except ipyproc.ProcessNotStopped as error:
        ...         for each in error.survivors:
        ...             print(f"ask an administrator to `kill {each.pid}`: it {each.why}")
    """

    def __init__(self, survivors: Sequence[Survivor] = ()) -> None:
        super().__init__(tuple(survivors))
        self.survivors = tuple(survivors)
        self.timeout: float | None = None

    def _sentence(self) -> str:
        when = "" if self.timeout is None else f" after its timeout of {self.timeout:g} s"
        named = "; ".join(map(str, self.survivors[:_MOST_NAMED])) or "it is not known how it ended"
        more = len(self.survivors) - _MOST_NAMED
        return f"{self._command()} could not be stopped{when}: {named}{f'; {more} more' if more > 0 else ''}"


class ProcessLost(ProcessError, ConnectionError):
    """The connection to a program was lost. Its `returncode` stays None: an exit nobody saw is never invented."""
