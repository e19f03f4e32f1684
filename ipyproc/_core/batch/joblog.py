"""The job log of `parallel`: which commands have run and how they ended, as JSON lines in a file of the user's.

Each attempt is one line, which is written at once at its end: `number` and `name` of the command, `args`, `attempt`,
`state` (done or failed), `exit` (null: not known), `start` and `end` (ISO 8601, UTC), `duration` in seconds.
`pandas.read_json(path, lines=True)` reads it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from ..output import storage

_BEGINNING = b'{"number": '


class JobLog:
    """A job log, open for reading and appending for as long as the block runs: `with JobLog(path) as log`.

    Raises:
        OSError: it cannot be opened, is no regular file, or another call is writing to it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._fd = storage.open_user_file(path, append=True)

    def __repr__(self) -> str:
        return f"<JobLog in {self._path}>"

    def __enter__(self) -> JobLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def succeeded(self, commands: Sequence[tuple[str, ...] | str]) -> dict[int, float]:
        """The numbers of these commands that have succeeded by now, with their durations.

        A last line that a crash has cut off is removed from the file.

        Raises:
            ValueError: the file is not a job log, or it is that of other commands.
        """
        found = {}
        size = 0
        with open(os.dup(self._fd), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") and line[: len(_BEGINNING)] == _BEGINNING[: len(line)]:
                    os.ftruncate(self._fd, size)
                    break
                record = self._record(line, number)
                self._compare(record, commands, number)
                if record["state"] == "done":
                    found[record["number"]] = float(record["duration"])
                size += len(line)
        return found

    def write(
        self,
        number: int,
        name: str,
        args: tuple[str, ...] | str,
        attempt: int,
        code: int | None,
        *,
        done: bool,
        start: float,
        duration: float,
    ) -> None:
        """Write a line about one attempt that has ended; `start` in seconds of `time.time()`, `duration` in seconds.

        Raises:
            OSError: it cannot be written.
        """
        record = {
            "number": number,
            "name": name,
            "args": args,
            "attempt": attempt,
            "state": "done" if done else "failed",
            "exit": code,
            "start": _iso(start),
            "end": _iso(start + duration),
            "duration": round(duration, 6),
        }
        line = json.dumps(record).encode() + b"\n"
        if os.write(self._fd, line) < len(line):
            raise OSError(errno.ENOSPC, "the job log cannot be written", self._path)

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            is_one = isinstance(record, dict) and {"number", "args", "state", "duration"} <= record.keys()
            if is_one and isinstance(record["duration"], int | float):
                return dict(record)
        raise ValueError(f"resume={self._path!r}: this is not a job log; its line {number} is {line[:60]!r}")

    def _compare(self, record: dict[str, Any], commands: Sequence[tuple[str, ...] | str], line: int) -> None:
        number = record["number"]
        known = commands[number] if isinstance(number, int) and 0 <= number < len(commands) else None
        if known is None or record["args"] != (known if isinstance(known, str) else list(known)):
            here = f"here it is {known!r:.80}" if known is not None else f"here there are {len(commands)} commands"
            raise ValueError(
                f"resume={self._path!r}: this is the job log of other commands; in its line {line}, "
                f"command {number} is {record['args']!r:.80}, and {here}"
            )


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
