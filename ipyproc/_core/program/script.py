"""How a shell is given a script, and what bash notes when a command in it fails. Standard library; travels (see `parcel`).

The script is in a file. On standard input, a program in it that reads its input would consume the script; as an argument,
everybody could read it, a `pkill -f` in it would find the script itself, and no more than 128 KiB would fit. But it is not
run *as* that file: `$0` and BASH_SOURCE would name a file that is not the user's, and `cd "$(dirname "$0")"` would go there.
So the shell is told to read the file, and both are what they are for a script on standard input (`%%bash`). In bash this
takes an `eval`, which shows in two places: `set -x` prints one more `+`, and in an EXIT trap BASH_COMMAND is the `eval`.

bash with `-e` ends when a command fails, and does not say which. So an ERR trap notes the command in the file of the script,
which was read by then. The script can see nothing of the trap except in `trap -p`, `$-` and `set -o`:

- It defines nothing and opens no descriptor, so programs inherit nothing of it and no listing shows it.
- `$?`, `$_` and PIPESTATUS stay as they are, it writes to neither stream, and `set -x` does not show it.
- It notes what ends the shell itself, and not what ends a subshell: there `-e` is off, or the shell then fails itself.
- `set -E` carries it into functions, but also into subshells, and `$!` of `(cd there && server) &` is then a bash instead of
  the server, so that `kill $!` leaves the server running. So `set -E` is used only if a script has functions and runs
  nothing in the background.
- A script that sets an ERR or DEBUG trap of its own, lists its traps or prints the lines that it reads (`set -v`) gets none.
- A DEBUG trap sets it and then removes itself: before the first command of the script, but after `eval` has checked whether
  an ERR trap applies to the `eval` itself.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Sequence

from ..output.encoding import encode
from ..output.screen import inert_line

_BASH = """unset BASH_EXECUTION_STRING; {trap}eval "${{IFS:2+LINENO:1}}$(<{file})"$'\\n'"""
"""`$(...)` drops the last line end, which a here-document needs; before bash 5.1 lines count from 0, so one goes in front."""
_NOTE = """\
{{ case ${{BASHPID-$$}}.$BASH_SUBSHELL$- in $$.0*e*) builtin printf '%s\\0' '' $? $LINENO "${{BASH_SOURCE-}}" \
${{#PIPESTATUS[@]}} "${{PIPESTATUS[@]}}" "${{BASH_COMMAND:0:4096}}" "$_" >|{file};; esac; }} 2>/dev/null || :"""
_TRAP = "trap - DEBUG; {functions}trap {note} ERR"
_FUNCTIONS = "${BASHPID+set -E}; "
"""Before bash 4 there is no BASHPID, and the shell of a `<(...)` would take itself for the script."""
_HAS_FUNCTIONS = re.compile(r"\w\s*\(\s*\)|^\s*function\s", re.MULTILINE)
_HAS_JOBS = re.compile(r"(?<![&<>])&(?![&>])|\bcoproc\b")
_OTHERS = {
    **dict.fromkeys(("sh", "dash", "ash", "mksh"), ". {file}"),
    "zsh": "unsetopt function_argzero; . {file}",
}
"""What other shells are told, by name. Anything else may not be a shell, and gets the file as its last argument."""
_LEFT_ALONE = re.compile(
    r"\btrap\b(?:.*\s(?:err|debug)\b|[\s\S]*(?<![\w$./-])(?:SIG)?(?:ERR|DEBUG)(?![\w=./-])|\s+-p|\s*(?:$|[;&|)]))"
    r"|\bset\s+-\w*v|\bverbose\b",
    re.MULTILINE,
)
_MOST = 1 << 16  # bytes of a note
_TITLE = 300  # characters


def arguments(shell: Sequence[str], text: str, file: str) -> tuple[str, ...]:
    """The command to start: `shell` is a shell and its options, and `file` holds the text."""
    name = os.path.basename(shell[0]).removesuffix(".exe")
    quoted = shlex.quote(file)
    if name == "bash":
        functions = _FUNCTIONS if _HAS_FUNCTIONS.search(text) and not _HAS_JOBS.search(text) else ""
        trap = _TRAP.format(functions=functions, note=shlex.quote(_NOTE.format(file=quoted)))
        is_left_alone = _LEFT_ALONE.search(text)
        told = _BASH.format(file=quoted, trap="" if is_left_alone else f"trap {shlex.quote(trap)} DEBUG; ")
    elif name in _OTHERS:
        told = _OTHERS[name].format(file=quoted)
    else:
        return *shell, file
    return *shell, "-c", told, name


def title(text: str) -> str:
    """The name of a script that was given none: its first line, inert and bounded."""
    first, *more = str(text).strip().splitlines() or [""]
    line = inert_line(f"{first} …" if more else first)
    return f"{line[: _TITLE - 1]}…" if len(line) > _TITLE else line


def write(fd: int, text: str) -> None:
    """Write the text and a final line end to this new file, and close it."""
    with open(fd, "wb") as file:
        file.write(encode(text) + b"\n")


def note(file: str | os.PathLike[str]) -> bytes:
    """What bash noted in the file: words, each followed by a NUL, see `failed_command`; empty: nothing.

    It cannot be trusted: the script may have written anything there.
    """
    try:
        fd = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        data = os.read(fd, _MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    return data[1:] if data.startswith(b"\0") else b""
