"""The magics `%%aproc`, `%aproc` and `%aprocs`, and loading and unloading the extension: glue without logic of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import stat
import sys
from collections import ChainMap
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand

from ..._core import launch
from ..._core.output import log, phrases, storage
from ..._core.output.encoding import encode
from ..._core.output.screen import inert_line
from ..._core.process.process import Process
from ..._core.program import script
from .. import kernel, running_cell
from ..cell import interrupt, traceback
from ..cell.cell import Cell
from ..cell.command import Command, Limits
from ..cell.each import Each
from ..line import awaiting, environment, interpolation, options
from ..page import presence
from ..page.greeter import Greeter
from ..views import kept, transcript
from ..views.table import MOST_ENDED, Table
from . import actions

if TYPE_CHECKING:
    from ..views.live_table import LiveTable

_TITLE = 300  # characters
_SHELL_WORDS = ("cd", "export", "source", ".", "alias", "set", "unset", "ulimit", "umask", "exec", "eval", "type")
_EXPANDED = frozenset("*?$")  # characters that a shell would expand
_STRICT = {  # the options that make a shell strict, by its name
    **dict.fromkeys(("bash", "zsh", "ksh", "mksh"), ("-e", "-o", "pipefail")),
    **dict.fromkeys(("sh", "dash", "ash"), ("-e",)),
}


@magics_class
class AProcMagics(Magics):
    """Defaults of `%aproc` and `%%aproc`; set them with `%config AProcMagics.NAME = VALUE`."""

    raise_error = traitlets.Bool(True, help="Raise an error when a program fails.").tag(config=True)
    timeout = traitlets.Float(None, allow_none=True, help="Stop a program after so many seconds.").tag(config=True)
    grace = traitlets.Float(5.0, help="Seconds between SIGTERM and SIGKILL when a program is stopped.").tag(config=True)
    shell_path = traitlets.Unicode("bash", help="The shell that runs the body of %%aproc.").tag(config=True)
    strict = traitlets.Bool(True, help="Run scripts with -e -o pipefail.").tag(config=True)
    plain = traitlets.Bool(False, help="No card: plain text output.").tag(config=True)
    transcript_limit = traitlets.Int(
        transcript.LIMIT, min=1024, help="Bytes of output that one cell adds to the notebook."
    ).tag(config=True)
    log_limit = traitlets.Int(
        log.LIMIT, min=1 << 20, help="Bytes on disk of one log; its middle is dropped. Not for --log FILE."
    ).tag(config=True)

    launchers = traitlets.Dict(
        traitlets.Unicode(),
        key_trait=traitlets.Unicode(),
        default_value={},
        help='Names for --on, and their addresses: {"box": "ssh://me@10.0.0.7"}; see also ipyproc.launchers.',
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.table = Table(shell)
        self._live: LiveTable | None = None
        self.wakeup = interrupt.Wakeup()
        self.greeter = Greeter(shell, kept.open_again)
        self._warned = ""

    @traitlets.observe("launchers")
    def _name_launchers(self, change: Any) -> None:
        for name in change.old if isinstance(change.old, dict) else ():  # at first, traitlets says Undefined
            launch.launchers.pop(name, None)
        launch.launchers.update(change.new)

    def close(self) -> None:
        """End the programs that still run and the live table, and let signals no longer wake the event loop."""
        self.wakeup.end()
        self.greeter.end()
        kept.clear()
        self.launchers = {}
        if self._live:
            self._live.close()
        self.table.close()

    @property
    def live_table(self) -> LiveTable:
        """The widget of the table; one for all cells."""
        if self._live is None or self._live.comm is None:  # `Widget.close_all()` has closed it
            from ..views.live_table import LiveTable  # late: it loads anywidget

            self._live = LiveTable(self.table)
        return self._live

    def view(self, process: Process) -> None:
        """Show a process in the cell that runs now."""
        actions.view(process, self.table, self.transcript_limit)

    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def aproc(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        assert self.shell is not None
        with traceback.ends_in_cell(self.shell, whole_cell=cell is not None) as ending:
            work = self._cell(line, cell, local_ns, awaited=False)
            value = ending.unwrap(kernel.run_synchronously(self.shell, work.run(), work.clean_up))
            return None if awaiting.is_statement() else value

    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def aproc_awaited(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """What `%aproc` and `%%aproc` become in a cell that can await them; see `%aproc?`."""
        return self._awaited(self._cell(line, cell, local_ns, awaited=True), whole_cell=cell is not None)

    async def _awaited(self, cell: Cell | Each, *, whole_cell: bool) -> Any:
        assert self.shell is not None
        with traceback.ends_in_cell(self.shell, whole_cell=whole_cell) as ending:
            return ending.unwrap(await cell.run())

    @line_magic
    def aprocs(self, line: str) -> None:
        assert self.shell is not None
        if ends := self._act(line):
            _raise_interrupt(kernel.run_synchronously(self.shell, actions.ended(self.shell, ends)))

    @line_magic
    def aprocs_awaited(self, line: str) -> Any:
        """What `%aprocs` becomes in a cell that can await it; see `%aprocs?`."""
        return self._awaited_ends(self._act(line))

    async def _awaited_ends(self, ends: Collection[Coroutine[Any, Any, None]]) -> None:
        assert self.shell is not None
        if ends:
            _raise_interrupt(await actions.ended(self.shell, ends))

    def _act(self, line: str) -> Collection[Coroutine[Any, Any, None]]:
        assert self.shell is not None
        if not line.strip() and presence.can_show(self.shell):
            self.live_table.show()
            return ()
        return actions.act(actions.parse(line, self.table), self.table, self.transcript_limit)

    def complete_aprocs(self, shell: InteractiveShell, event: Any) -> list[str]:
        """IPython's completer of `%aprocs` lines."""
        return actions.complete(self.table, event.text_until_cursor)

    def _cell(self, line: str, body: str | None, local_ns: Mapping[str, Any] | None, *, awaited: bool) -> Cell | Each:
        """Make the run of a cell. Every mistake in the line is an error here, before anything starts."""
        assert self.shell is not None
        if body is not None:
            body = body.replace("\r\n", "\n")  # a notebook from Windows; for Python code the tokenizer does it
        names = ChainMap(dict(local_ns or {}), self.shell.user_ns)
        parsed = options.parse(line, names)
        if parsed.command and (parsed.options.shell or parsed.options.strict is not None):
            raise UsageError("--shell and --no-strict go with a script: a %%aproc cell that names no program")
        chosen = self._with_defaults(parsed.options)
        command = _program(parsed.command, chosen, body, names) if parsed.command else _script(chosen, body, names)
        if chosen.on is not None:
            chosen = replace(chosen, on=_launcher(chosen.on, names))
        expands = chosen.expand or bool(chosen.each)
        known = names.new_child({"item": None}) if chosen.each else names
        interpolation.check_secrets(chosen.secret, known, *parsed.words, (body or "") if expands else "")
        _check_stdin(chosen.stdin)
        files: list[Path] = []
        env = self._environment(chosen, names, files)
        limits = Limits(transcript=self.transcript_limit, log=self.log_limit)
        self._warn(parsed.warning)
        work = (
            Each(self.shell, command.args, body or "", chosen, env, names)
            if chosen.each
            else Cell(self.shell, command, chosen, env, self.table, limits, awaited=awaited)
        )
        if not chosen.keep:  # else they stay next to the log, as long as that does
            storage.remove_with(work, *files)
        return work

    def _environment(self, chosen: options.Options, names: Mapping[str, Any], files: list[Path]) -> dict[str, str]:
        """The whole environment of the program; for another machine, what is added to the environment there.

        The paths of files that are made for it are added to `files`.
        """
        if chosen.on is not None:
            values = environment.of_values(chosen.variables, names, files.append)
            if files:
                raise UsageError(
                    "-i with --on: a DataFrame is passed as a file of this machine; give it as input instead"
                )
            return {"PYTHONUNBUFFERED": "1", **values, **chosen.env}
        inside: dict[str, str | None] = {}
        if chosen.venv is not None:
            inside = environment.of_venv(chosen.venv, os.environ)
        elif chosen.conda is not None:
            inside = environment.of_conda(chosen.conda, os.environ)
        env = {name: value for name, value in {**os.environ, **inside}.items() if value is not None}
        env.setdefault("PYTHONUNBUFFERED", "1")  # else a Python program shows nothing before its end
        return {**env, **environment.of_values(chosen.variables, names, files.append), **chosen.env}

    def _warn(self, text: str) -> None:
        """Write a warning to the cell's standard error; only once if a loop repeats the line."""
        if text and text != self._warned:
            self._warned = text
            sys.stderr.write(f"{text}\n")

    def _with_defaults(self, chosen: options.Options) -> options.Options:
        return replace(
            chosen,
            raise_error=self.raise_error if chosen.raise_error is None else chosen.raise_error,
            timeout=self.timeout if chosen.timeout is None else chosen.timeout,
            grace=self.grace if chosen.grace is None else chosen.grace,
            shell=chosen.shell or self.shell_path,
            strict=self.strict if chosen.strict is None else chosen.strict,
            cwd=chosen.cwd and (chosen.cwd if chosen.on else os.path.expanduser(chosen.cwd)),
            stdin=chosen.stdin and os.path.expanduser(chosen.stdin),
            plain=self.plain if chosen.plain is None else chosen.plain,
        )


AProcMagics.aproc.__doc__ = f"""Run a program; its output streams into the cell, and it can be stopped there.

    %%aproc [options]                  the body is a script for bash, run with
                                       -e -o pipefail
    %%aproc [options] PROGRAM [args]   the body is the program's standard
                                       input, as with %%script
    %aproc  [options] PROGRAM [args]   one command, without a shell

In a cell it is awaited: other tasks of the kernel go on, Stop and Kill on its
card work, a kernel interrupt sends SIGINT, then SIGTERM, then SIGKILL.
`x = %aproc ...` gives a CompletedProcess with returncode, stdout and stderr.

Options come first; the first other word, or --, ends them:

{options.describe()}

{{expression}} in the line is replaced by its value, as {{name}}, {{n + 1}} or
{{path.stem}}: one value is one argument, a list is many; {{{{name}}}} is the text
{{name}}. A ~ in front is your home directory. Nothing else is expanded: for
*.txt, $HOME or a pipe write a %%aproc script.

PYTHONUNBUFFERED=1 is set, unless it is set already: else a Python program
would show nothing before its end.

Defaults: `%config AProcMagics`. A failing program raises
ipyproc.ProcessExitError (a subprocess.CalledProcessError), except with --bg.

Examples::

    %aproc --timeout 5m tar -czf {{target}} {{files}}

    %%aproc --bg --out log --proc server
    python -m http.server 8001
"""

AProcMagics.aprocs.__doc__ = f"""The processes of this kernel: a table that is live, with their buttons.

{actions.describe()}

An ID is the number in the table; it goes on counting as long as the kernel
lives. `all` is what runs, also what is left of a family when its program has
ended. stop, kill and wait are awaited as %aproc is.

It lists what the magics, `ipyproc.run`, `start` and `parallel` have started:
first what runs, then the last {MOST_ENDED} processes that have ended.
CPU is percent of one core and memory that of the whole family; cell is the
number of the cell that started it; launcher says how the program is held:
supervised, so that nothing of it outlives the kernel, or portable, or on
another machine and how that is reached; pid is then one of that machine.

Those that run as objects: `ipyproc.processes()`.

Examples::

    %aprocs
    %aprocs stop 3 4
    %aprocs wait all
"""


def _raise_interrupt(interrupted: str) -> None:
    if interrupted:
        raise interrupt.error(interrupted)


def load(shell: InteractiveShell) -> None:
    """Register the magics, the await transform and the completion; end the programs when the kernel ends. Idempotent."""
    if AProcMagics.__name__ in shell.magics_manager.registry:
        return  # `process.view()` has come before `%load_ext`
    magics = AProcMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_post.append(awaiting.transform)
    traceback.show_as_written(shell)
    for begin in (magics.wakeup.begin, running_cell.begin, magics.greeter.begin):
        shell.events.register("pre_execute", begin)
        begin()  # for the cell that loads us
    shell.events.register("pre_run_cell", running_cell.begin_numbered)
    shell.events.register("post_run_cell", magics.table.untold.tell)
    for key, complete in {**dict.fromkeys(_COMPLETED, options.complete), "%aprocs": magics.complete_aprocs}.items():
        shell.set_hook("complete_command", complete, str_key=key)
    launch.prepare()
    atexit.register(magics.table.close)  # registered after it, so called before it: programs get SIGTERM first


def loaded(shell: InteractiveShell) -> AProcMagics:
    """The magics of this IPython, which are loaded if necessary."""
    load(shell)
    found = shell.magics_manager.registry[AProcMagics.__name__]
    assert isinstance(found, AProcMagics)
    return found


def unload(shell: InteractiveShell) -> None:
    """Undo `load`, and end the programs that still run."""
    magics = shell.magics_manager.registry.pop(AProcMagics.__name__, None)
    if magics is None:
        return
    for kind in ("line", "cell"):
        for name in magics.magics[kind]:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.configurables.remove(magics)
    shell.input_transformers_post.remove(awaiting.transform)
    traceback.show_as_before(shell)
    for begin in (magics.wakeup.begin, running_cell.begin, magics.greeter.begin):
        shell.events.unregister("pre_execute", begin)
    shell.events.unregister("pre_run_cell", running_cell.begin_numbered)
    shell.events.unregister("post_run_cell", magics.table.untold.tell)
    kernel.remove_completers(shell, (*_COMPLETED, "%aprocs"))
    atexit.unregister(magics.table.close)
    magics.close()
    launch.close()
    with contextlib.suppress(RuntimeError):  # no loop is running, so there is no connection
        _ending.append(asyncio.get_running_loop().create_task(launch.disconnect()))


_ending: list[asyncio.Task[None]] = []  # held here, because an event loop holds tasks only weakly
_COMPLETED = ("%aproc", "%%aproc")


def _launcher(on: str, names: Mapping[str, Any]) -> launch.RemoteLauncher:
    try:
        return launch.named(on, names)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error).replace("on=", "--on ", 1)) from None


def _program(args: tuple[str, ...], chosen: options.Options, body: str | None, names: Mapping[str, Any]) -> Command:
    title = _title(chosen.name or phrases.command_line(args))
    name, equals, _ = args[0].partition("=")
    is_for_shell = args[0] in _SHELL_WORDS or (equals and name.isidentifier()) or _EXPANDED.intersection(args[0])
    if is_for_shell and shutil.which(args[0]) is None:
        raise UsageError(f"{args[0]!r} is for a shell, and there is none here; write the line below %%aproc")
    if body is None:
        if chosen.expand:
            raise UsageError("--expand goes with a %%aproc cell: a line is always expanded")
        return Command(args, title)
    if not body.strip():
        raise UsageError("%%aproc: the cell is empty; without a body for its input, write %aproc and the program")
    if chosen.stdin is not None:
        raise UsageError("--stdin: the body of the cell is the program's standard input already; use %aproc")
    text = interpolation.body(body, names, chosen.secret, quote=False) if chosen.expand else body
    return Command(args, title, input=_encoded(text))


def _encoded(body: str) -> bytes:
    try:
        return encode(body)
    except ValueError as error:
        raise UsageError(f"%%aproc: the body of the cell: {error}") from None


def _check_stdin(name: str | None) -> None:
    if name in (None, "ask", "none"):
        return
    try:
        mode = os.stat(name).st_mode
    except OSError:
        raise UsageError(f"--stdin: no such file: {name!r}") from None
    if stat.S_ISDIR(mode) or stat.S_ISFIFO(mode):  # opening a FIFO would block the kernel until somebody writes to it
        raise UsageError(f"--stdin: {name!r} is a {'directory' if stat.S_ISDIR(mode) else 'FIFO'}, not a file")


def _script(chosen: options.Options, body: str | None, names: Mapping[str, Any]) -> Command:
    if body is None:
        raise UsageError("%aproc needs a program: %aproc [options] PROGRAM [args] (see %aproc?)")
    if not body.strip():
        raise UsageError("%%aproc: the cell is empty; write a script below the line, or use %aproc PROGRAM")
    assert chosen.shell is not None
    if chosen.on is None and shutil.which(chosen.shell, path=chosen.env.get("PATH")) is None:
        raise UsageError(
            f"%%aproc: there is no shell {chosen.shell!r}; name another one, for this cell with --shell PATH or for all with "
            "%config AProcMagics.shell_path; or run one program, which needs none: %aproc PROGRAM"
        )
    flags: tuple[str, ...] = ()
    if chosen.strict:
        name = os.path.basename(chosen.shell).removesuffix(".exe")
        if name not in _STRICT:
            raise UsageError(
                f"--shell {chosen.shell}: its strict options are not known; add --no-strict to run it without"
            )
        flags = _STRICT[name]
    text = interpolation.body(body, names, chosen.secret, quote=True) if chosen.expand and not chosen.each else body
    if chosen.on is None:
        _encoded(text)
    title = _title(chosen.name) if chosen.name else script.title(text)
    return Command((chosen.shell, *flags), title, script=text)


def _title(text: str) -> str:
    """One line of inert text, at most `_TITLE` characters: it goes into the page and into the notebook."""
    line = inert_line(str(text))
    return f"{line[: _TITLE - 1]}…" if len(line) > _TITLE else line
