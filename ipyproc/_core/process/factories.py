"""asyncio's two factories, with LOG: drop-in replacements with its defaults, which always use the portable launcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..launch import portable, stand_in
from ..output.log import LOG, STDERR_FD, STDOUT_FD, Log
from ..program.spec import Spec
from ..program.streams import Streams
from .process import Process

_LIMIT = 2**16  # bytes; the documented default of asyncio's `limit`


async def create_subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _LIMIT,
    **kwds: Any,
) -> Process:
    r"""Start a program; a drop-in replacement for `asyncio.create_subprocess_exec`, with LOG for stdout and stderr.

    Args:
        program: a name that is looked up in PATH, or a path.
        args: its arguments, one word each.
        stdin: None (inherit), PIPE, DEVNULL, a file or a descriptor.
        stdout, stderr: the same, or LOG; `stderr=STDOUT` sends it where stdout goes.
        limit: buffer of a PIPE reader in bytes; a pipe that nobody reads blocks the program when it is full.
        kwds: keywords of `subprocess.Popen`; and `log`, a `Log` to use instead of a new one.

    Raises:
        OSError: it cannot be started (`FileNotFoundError`, `PermissionError`, ...).
        ValueError: `text`, `universal_newlines`, `encoding`, `errors` or `bufsize` was given: output is bytes only.

    Cancelling it while it starts ends the program.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     process = await ipyproc.create_subprocess_exec("echo", "hello", stdout=ipyproc.LOG)
        ...     await process.stdout.read()
        ...     return await process.wait(), process.log.read()
        >>> asyncio.run(main())
        (0, b'hello\n')
    """
    return await _start((program, *args), stdin, stdout, stderr, limit, kwds)


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _LIMIT,
    **kwds: Any,
) -> Process:
    """Run a command line with the shell; a drop-in replacement for `asyncio.create_subprocess_shell`, with LOG.

    The shell is /bin/sh, on Windows the one that `COMSPEC` names. Arguments, errors and cancellation are those of
    `create_subprocess_exec`. `pid` is the pid of the shell. You must quote the values in the line (`shlex.quote`), and
    should never put a value that you do not trust into it.

    Example:
        >>> import asyncio, ipyproc
        >>> async def main():
        ...     process = await ipyproc.create_subprocess_shell("seq 100 | wc -l", stdout=ipyproc.PIPE)
        ...     output, _ = await process.communicate()
        ...     return int(output)
        >>> asyncio.run(main())
        100
    """
    return await _start(cmd, stdin, stdout, stderr, limit, kwds)


async def _start(
    command: str | bytes | tuple[Any, ...], stdin: Any, stdout: Any, stderr: Any, limit: int, popen: dict[str, Any]
) -> Process:
    if stdin == LOG:
        raise ValueError("stdin=LOG: only stdout and stderr can go to the log")
    logged = frozenset(stream for stream, target in ((STDOUT_FD, stdout), (STDERR_FD, stderr)) if target == LOG)
    log: Log | None = popen.pop("log", None)
    try:
        if logged and log is None:
            log = Log(logged)
        streams = Streams(limit, log, logged)
        popen |= {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        if instead := stand_in.current.get():
            program = await instead.here().start(_spec(command, popen), streams, log)
        else:
            program = await portable.start_child(command, streams, log, popen)
    except BaseException:
        if log:
            log.discard()
        raise
    return Process(program, streams)


def _spec(command: str | bytes | tuple[Any, ...], popen: Mapping[str, Any]) -> Spec:
    """What a stand-in launcher understands of this call."""
    known = {name: popen[name] for name in ("stdin", "stdout", "stderr", "cwd", "env") if name in popen}
    return Spec.of(command, shell=isinstance(command, str | bytes), **known)
