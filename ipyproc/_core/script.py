"""How a shell comes by a script, and what bash notes when a command of it fails. Standard library; travels (see `parcel`).

The script is in a file: on standard input it would be eaten by a program in it that reads its input, and among the arguments
everybody could read it, `pkill -f` of the script would find the script itself, and no more than 128 KiB would fit. But it is not
run *as* that file: `$0` and BASH_SOURCE would name a place that is none of the user's, and `cd "$(dirname "$0")"` lead there.
So the shell is told to read the file, and both are what they are for a script on standard input (`%%bash`). Of bash, `eval` is
to be seen in two places: `set -x` shows one `+` more, and in an EXIT trap BASH_COMMAND is the `eval`.

bash with `-e` ends where a command fails, and says nothing of it. An ERR trap notes the command in the file of the script, which
was read by then. What the trap may change for the script is nothing but what `trap -p`, `$-` and `set -o` say:

- Nothing is defined and no descriptor is open, so that no program inherits and no list shows anything.
- `$?`, `$_` and PIPESTATUS stay, it writes to neither stream, and `set -x` does not show it.
- It notes what ends the shell itself, and nothing of a subshell: there `-e` is off, or the shell has a failure of its own to note.
- `set -E` carries it into functions, but into subshells too, and `$!` of `(cd there && server) &` is then a bash and not the
  server, which `kill $!` leaves behind. So there is no `set -E` where something may run in the background, or no function is.
- A script that sets an ERR or DEBUG trap of its own, lists its traps or shows the lines that it reads (`set -v`) is left alone.
- The DEBUG trap that sets it is gone when it has done so, which is before the first command of the script and after `eval` has
  looked whether there is an ERR trap that is to hear of `eval` itself.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Sequence

from .encoding import encode
from .screen import inert_line

_BASH = """unset BASH_EXECUTION_STRING; {trap}eval "${{IFS:2+LINENO:1}}$(<{file})"$'\\n'"""
"""`$(...)` drops line ends, a here-document wants one; before bash 5.1 the first line is 0, and one more in front makes it 1."""
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
"""What others are told, by their names; all else may be no shell, and gets the file as its last argument."""
_LEFT_ALONE = re.compile(
    r"\btrap\b(?:.*\s(?:err|debug)\b|[\s\S]*(?<![\w$./-])(?:SIG)?(?:ERR|DEBUG)(?![\w=./-])|\s+-p|\s*(?:$|[;&|)]))"
    r"|\bset\s+-\w*v|\bverbose\b",
    re.MULTILINE,
)
_MOST = 1 << 16  # bytes of a note
_TITLE = 300  # characters


def arguments(shell: Sequence[str], text: str, file: str) -> tuple[str, ...]:
    """What to start: `shell` is a shell and its options, `file` has the text."""
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
    """What to call a script that has no name: its first line, inert and bounded."""
    first, *more = str(text).strip().splitlines() or [""]
    line = inert_line(f"{first} …" if more else first)
    return f"{line[: _TITLE - 1]}…" if len(line) > _TITLE else line


def write(fd: int, text: str) -> None:
    """Make it the content of a new file, and close that; the last line has an end."""
    with open(fd, "wb") as file:
        file.write(encode(text) + b"\n")


def note(file: str | os.PathLike[str]) -> bytes:
    """What bash has noted in the file: words with a NUL behind each, see `failed_command`; empty: nothing.

    Whoever runs the script may have put anything there.
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
