"""A program that has ended, and what it wrote."""

from __future__ import annotations

import signal
import subprocess
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from .. import host
from ..errors import (
    ProcessError,
    ProcessExitError,
    ProcessLost,
    ProcessNotStopped,
    ProcessStopped,
    ProcessTimeout,
)
from ..failed_command import FailedCommand
from ..output import phrases, screen, value
from ..output.encoding import ENCODING
from ..output.log import BOTH, STDERR_FD, STDOUT_FD, Log, LogReader, streams_of
from ..process.process import Process
from ..program.advice import READ_NO_MORE, advice, says_failure
from ..program.usage import Usage
from . import frame

LAST_LINES = 10
"""Of each stream, in an error."""
_LONGEST = 8192  # characters of them
_NOT_RUN = "was not run"
_OF_PYTHON = b"Traceback (most recent call last):\n"


class CompletedProcess(subprocess.CompletedProcess[Any]):
    r"""A program that has ended: `args`, `returncode`, `stdout`, `stderr` as in `subprocess.CompletedProcess`.

    `stdout` and `stderr` are read from the log when you ask for them, as text (invalid bytes become U+FFFD) unless `run` was
    told otherwise; None for a stream that did not go to the log. Unlike in `subprocess`, line ends are as the program wrote
    them. If some of the output is missing (the log has reached its limit, the disk was full, somebody has removed the file),
    they raise ValueError. A result can be pickled; the copy has the output in memory, and no log.

    Attributes:
        args: the program and its arguments, or the line for the shell.
        name: its display name: the command, unless a name was given.
        returncode: its exit status (`-N`: ended by signal N); None: it was not run, was lost, or could not be started.
        duration: seconds from start to end.
        usage: CPU time and largest memory, see `Usage`; None where they are not known.
        log: the output on disk; None: there is none, or the output is small and in memory (see `parallel`).
        failed_command: for a bash script that failed, the command that ended it: `where` ("line 4: `test -e x`") and
            `code`; None: not known, or not a script.
        earlier: whether this is the result of an earlier run (see `parallel`), whose output is gone: `stdout` is None, and
            `lines`, `json()` and the like raise ValueError.

    Example:
        >>> import ipyproc
        >>> done = ipyproc.run("sh", "-c", "echo '[1, 2]'; echo no >&2; exit 3", check=False).result()
        >>> done.returncode, done.json(), done.stderr, done.outcome
        (3, [1, 2], 'no\n', 'exited with status 3')
    """

    def __init__(
        self,
        args: str | bytes | Sequence[Any],
        returncode: int | None,
        *,
        name: str = "",
        duration: float = 0.0,
        usage: Usage | None = None,
        log: Log | None = None,
        streams: frozenset[int] = frozenset(),
        cause: str = "",
        timeout: float | None = None,
        failure: OSError | ProcessNotStopped | None = None,
        failed_command: FailedCommand | None = None,
        earlier: bool = False,
        encoding: str | None = ENCODING,
        errors: str = "replace",
    ) -> None:
        self.args = args
        self.returncode: Any = returncode
        self._name = name
        self.duration = duration
        self.usage = usage
        self.log = log
        self._streams = streams  # that went to the log
        self.earlier = earlier
        self._cause = cause  # what stopped it, see `StopLadder.cause`
        self._timeout = timeout
        self._failure = failure  # it was lost, could not be started, or could not be stopped
        self.failed_command = failed_command
        self._encoding = encoding  # None: bytes
        self._errors = errors
        self._in_memory: tuple[tuple[int, bytes], ...] = ()  # the output, where there is no log
        self._missing = ""  # what is missing of it, and why

    @classmethod
    def of(cls, process: Process, encoding: str | None = ENCODING, errors: str = "replace") -> CompletedProcess:
        """The result of a process that has ended or was lost; or of one that cannot be stopped, as far as it has come."""
        assert process.is_over or process.ladder.failure
        readers = ((STDOUT_FD, process.stdout), (STDERR_FD, process.stderr))
        return cls(
            process.args,
            process.returncode,
            name=process.name,
            duration=process.duration,
            usage=process.usage,
            log=process.log,
            streams=frozenset(stream for stream, reader in readers if isinstance(reader, LogReader)),
            cause=process.ladder.cause,
            timeout=process.ladder.timeout,
            failure=process.lost or process.ladder.failure,
            failed_command=process.failed_command,
            encoding=encoding,
            errors=errors,
        )

    def __repr__(self) -> str:
        took = f" after {phrases.duration_words(self.duration)}" if self.duration else ""
        return f"<{type(self).__name__} ({self.name}) {self.outcome}{took}{', in an earlier run' * self.earlier}>"

    def _repr_html_(self) -> str | None:
        """What a notebook shows: also the first and the last lines of the output."""
        return host.current().picture(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_in_memory": tuple(self.pieces()), "_missing": self._why_missing(BOTH), "log": None}

    @property
    def name(self) -> str:
        """Its display name."""
        return self._name or phrases.command_line(self.args)

    @property
    def stdout(self) -> Any:
        """All of standard output."""
        return self._output({STDOUT_FD}) if STDOUT_FD in self._streams else None

    @property
    def stderr(self) -> Any:
        """All of standard error."""
        return self._output({STDERR_FD}) if STDERR_FD in self._streams else None

    @property
    def all(self) -> Any:
        """All of both streams, in order of arrival."""
        self._check_here()
        return self._output(BOTH)

    @property
    def lines(self) -> list[Any]:
        """The lines of standard output, without their ends."""
        self._check_here()
        output = self.stdout or ""
        if isinstance(output, bytes):
            return [line.removesuffix(b"\r") for line in output.removesuffix(b"\n").split(b"\n")]
        return [line.removesuffix("\r") for line in output.removesuffix("\n").split("\n")] if output else []

    def json(self) -> Any:
        """Standard output as one JSON value.

        Raises:
            json.JSONDecodeError (a ValueError): it is not; a note says how the output begins.
            ValueError: it is nested too deeply to be read.
        """
        text = self._text()
        try:
            return frame.parsed(text)
        except ValueError as error:
            said = f"begins with {text[:60]!r}" if text.strip() else "is empty"
            error.add_note(f"The output of {phrases.quoted(self.name)} {said}.")
            raise

    def df(self, format: str | None = None, **keywords: Any) -> Any:
        """Standard output as a pandas DataFrame.

        Args:
            format: "csv", "tsv", "json" (an array of objects) or "jsonl" (JSON lines: one object on each line); None: it
                is detected.
            keywords: those of `pandas.read_csv`, for csv and tsv: `df(sep=";")`, `df("csv", dtype=str)`.

        Raises:
            ImportError: pandas is not installed.
            ValueError: it is not in that format, or the format cannot be detected.
            TypeError: there is no such keyword, or JSON takes no keywords.
        """
        return frame.frame(self._text(), format, **keywords)

    @property
    def signal(self) -> signal.Signals | int | None:
        """The signal that ended it; None if it ended by itself."""
        return phrases.signal_of(self.returncode)

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped because its time was up."""
        return self._cause == "timeout" and not self.lives_on

    @property
    def outcome(self) -> str:
        """How it ended, in words: `exited with status 3`, `was ended by SIGTERM`."""
        if self._failure:
            return "was lost" if self.was_lost else "could not be stopped" if self.lives_on else "could not be started"
        if self.returncode is None:
            return _NOT_RUN
        if self.timed_out:
            return f"was stopped by its timeout of {self._timeout:g} s"
        return phrases.describe(self.returncode)

    @property
    def full_outcome(self) -> str:
        """`outcome`, and if it failed by itself, also where in a script, and the last line that it wrote about it."""
        if not self.failed or self.was_stopped:
            return self.outcome
        where = f" in {self.failed_command.where}" if self.failed_command else ""
        stdout, stderr = self._last(STDOUT_FD) or "", self._last(STDERR_FD) or ""
        lines = (stdout if says_failure(stdout) and not says_failure(stderr) else stderr).splitlines()
        return f"{self.outcome}{where}{f': {lines[-1].strip()}' if lines else ''}"

    @property
    def failed(self) -> bool:
        """Whether there is an `error()`: the status is not 0, its time was up, or it did not run to its end."""
        return self.returncode != 0 or self.timed_out or self.lives_on

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped it: a button, an interrupt, `Process.stop()`; a timeout does not count."""
        return bool(self._cause) and not self.timed_out and not self.lives_on

    @property
    def was_lost(self) -> bool:
        """Whether nobody saw how it ended."""
        return isinstance(self._failure, ProcessLost)

    @property
    def lives_on(self) -> bool:
        """Whether the program or a part of its family could not be stopped, and still ran when this result was made."""
        return isinstance(self._failure, ProcessNotStopped)

    def check_returncode(self) -> None:
        """Raise `error()`, if there is one: a `ProcessError`, or the `OSError` of what could not be started."""
        if error := self.error():
            raise error

    def error(self) -> Exception | None:
        """The error that says how it ended, with the last lines of both streams; None if it succeeded.

        If there is more output than those lines, the log is kept on disk.
        """
        found: ProcessError
        if isinstance(self._failure, ProcessLost | ProcessNotStopped):
            found = self._failure
        elif self._failure:
            return self._failure
        elif not self.failed:
            return None
        elif self.timed_out:
            found = ProcessTimeout(self.args, self._timeout or 0.0)
        elif self.returncode is None:
            found = ProcessError(f"{phrases.quoted(self.name)} {_NOT_RUN}")
        else:
            found = (ProcessStopped if self.was_stopped else ProcessExitError)(self.returncode, self.args)
        found.cmd, found.name, found.returncode = self.args, self._name, self.returncode
        found.output, found.stderr = self._last(STDOUT_FD), self._last(STDERR_FD)
        if (
            self.log
            and self.log.is_there()
            and any(self._is_longer_than_last(self.log, each) for each in self._streams)
        ):
            self.log.keep()
            found.log = self.log.path
        found.last_words = self._last_words(found.output or "", found.stderr or "")
        found.failed_command = self.failed_command
        if not self._cause and self.returncode:
            found.advice = advice(self.returncode, found.stderr or "", self.usage, self._open_lines(), self.args)
            if found.advice == READ_NO_MORE and "pipefail" in self.args:
                found.advice += "; `set +o pipefail` above it accepts that"
        return found

    def tail(self, n: int = 10, stream: int | None = None) -> str:
        r"""The last `n` lines of its output as a terminal would leave them, joined by `\n`; `stream` as for `Process.tail`."""
        if self.log:
            return self.log.tail(n, stream)
        rows = screen.rows(self.pieces(streams_of(stream)))
        return "\n".join(row.plain for row in rows[max(0, len(rows) - n) :])

    def pieces(self, streams: Collection[int] = BOTH) -> Iterator[tuple[int, bytes]]:
        """(stream, bytes) of the output, in order of arrival; 1 is standard output, 2 standard error."""
        if self.log:
            return self.log.pieces(streams=streams)
        return ((stream, bytes(data)) for stream, data in self._in_memory if stream in streams)

    def release_log(self) -> None:
        """Move the output to memory, and remove its log."""
        if self.log:
            self._in_memory, self._missing = tuple(self.pieces()), self._why_missing(BOTH)
            self.log.discard()
            self.log = None

    def _last(self, stream: int) -> str | None:
        return self.tail(LAST_LINES, stream).rstrip()[-_LONGEST:] if stream in self._streams else None

    def _is_longer_than_last(self, log: Log, stream: int) -> bool:
        """Whether there is more of it than `_last` gives."""
        if log.lines_of[stream] > LAST_LINES:
            return True
        more = log.tail(LAST_LINES + 1, stream)  # the last line may have no end
        return more.count("\n") >= LAST_LINES or len(more.rstrip()) > _LONGEST

    def _last_words(self, stdout: str, stderr: str) -> str:
        """The lines that an error shows: of the stream that says why it failed, or else both, or stderr if it came last."""
        if not (stdout and stderr) or says_failure(stderr):
            return stderr or stdout
        if says_failure(stdout):
            return stdout
        both = self.tail(LAST_LINES).rstrip()[-_LONGEST:]
        return stderr if both.endswith(stderr.rpartition("\n")[2]) else both

    def _open_lines(self) -> list[str]:
        """The last line of each stream where that has no line end, or only a Python traceback follows it."""
        found = []
        for stream in self._streams:
            last = (
                self.log.last_bytes(_LONGEST, stream)
                if self.log
                else b"".join(data for _, data in self.pieces({stream}))
            )
            before = last[-_LONGEST:].partition(_OF_PYTHON)[0]
            rows = screen.rows([(stream, before.rpartition(b"\n")[2])])  # none: there is nothing to see in it
            found += [row.plain for row in rows[-1:]]
        return found

    def data(self, streams: Collection[int]) -> bytes:
        """All that the program wrote. It raises ValueError if a part is missing, and warns if more may come."""
        if why := self._why_missing(streams):
            raise ValueError(f"{phrases.quoted(self.name)}: {why}")
        if self.log and not self.log.open_streams.isdisjoint(streams):
            who = (
                "has ended, but a process that it left behind"
                if self.returncode is not None
                else f"{self.outcome}, and"
            )
            warnings.warn(
                f"{phrases.quoted(self.name)} {who} holds its output open: more may come", RuntimeWarning, stacklevel=4
            )
        return b"".join(data for _, data in self.pieces(streams))

    def _why_missing(self, streams: Collection[int]) -> str:
        return self.log.missing(streams) if self.log else self._missing

    def _check_here(self) -> None:
        """Raise ValueError if the output is not here, so that it is not taken for an empty one."""
        if self.earlier:
            raise ValueError(f"{phrases.quoted(self.name)} succeeded in an earlier run, and its output is not here")

    def _text(self) -> str:
        """What JSON and tables are read from."""
        self._check_here()
        text = self.data({STDOUT_FD}).decode(self._encoding or ENCODING, self._errors)
        return value.left_of(text.removeprefix("\ufeff"))

    def _output(self, streams: Collection[int]) -> Any:
        data = self.data(streams)
        return data if self._encoding is None else data.decode(self._encoding, self._errors)


class CompletedPipeline(CompletedProcess):
    """Programs that were joined by pipes: the output of the last one, and how each ended.

    Attributes:
        processes: all of them, from left to right.
        returncode: the rightmost that is not 0.
        usage: CPU time of all; the largest memory of any one.

    Example:
        >>> import ipyproc
        >>> done = ipyproc.run("seq", "1000").pipe("tail", "-n", "1").result()
        >>> done.lines, [each.name for each in done.processes]
        (['1000'], ['seq 1000', 'tail -n 1'])
    """

    def __init__(self, processes: Sequence[CompletedProcess]) -> None:
        vars(self).update(vars(processes[-1]))
        self.processes = tuple(processes)
        failed = [each for each in processes if each.returncode]
        self.args = [each.args for each in processes]
        self._name = " | ".join(each.name for each in processes)
        self.returncode = failed[-1].returncode if failed else processes[-1].returncode
        self.duration = max(each.duration for each in processes)
        known = [each.usage for each in processes if each.usage]
        self.usage = (
            Usage(
                sum(usage.user for usage in known),
                sum(usage.system for usage in known),
                max((usage.peak_bytes for usage in known if usage.peak_bytes is not None), default=None),
            )
            if known
            else None
        )

    def error(self) -> Exception | None:
        """The error of the rightmost program that failed; None if all succeeded."""
        return next(filter(None, (each.error() for each in reversed(self.processes))), None)
