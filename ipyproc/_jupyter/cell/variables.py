"""What a cell puts into the user's variables: the output as text, as a reader, or converted by `--format`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._core.batch.completed import CompletedProcess
from ..._core.output import log, phrases, value
from ..._core.process.process import Process
from ..._core.process.run import LoggedRun
from ..line.formats import FORMATS
from ..line.options import Options
from ..thread import in_thread


def names(options: Options) -> dict[int, str]:
    """The names of the variables that get output, by the number of the stream."""
    return {stream: name for stream, name in ((log.STDOUT_FD, options.out), (log.STDERR_FD, options.err)) if name}


async def hand_over_text(
    run: LoggedRun, names: Mapping[int, str], namespace: dict[str, Any], note: Callable[[str], None]
) -> Exception | None:
    """Put the text into the variables; returns an error if some of it is missing.

    Reading happens in a thread: it may be much, on a slow disk.
    """
    why = ""
    for stream, name in names.items():
        namespace[name] = await in_thread(_text, run.log, stream)
        why = why or await in_thread(run.log.missing, {stream})
        if run.is_over and run.log.is_open(stream):
            left = phrases.count_words(run.family.left(), "process", "processes")
            note(f"... {name} may not be complete: {left} of {run.name} left, and can still write to it")
    return ValueError(f"{phrases.quoted(run.name)}: {why}") if why else None


def hand_over_readers(process: Process, run: LoggedRun, names: Mapping[int, str], namespace: dict[str, Any]) -> None:
    """Put readers of the output into the variables; a stream without a variable counts as read."""
    for stream, own in ((log.STDOUT_FD, process.stdout), (log.STDERR_FD, process.stderr)):
        if stream in names:
            namespace[names[stream]] = run.log.reader(stream)
        else:
            own.consume()  # type: ignore[union-attr]  # the cell has read it, as with %%script


def hand_over_converted(
    done: CompletedProcess, name: str, form: str, namespace: dict[str, Any]
) -> BaseException | None:
    """Put the output, converted to this format, into the variable; returns the error if that fails."""
    try:
        namespace[name] = FORMATS[form](done)
    except (ValueError, ImportError) as error:
        return error
    return None


def _text(output: log.Log, stream: int) -> str:
    """The output of a stream so far, complete or not."""
    return value.text(output.joined(streams={stream}))
