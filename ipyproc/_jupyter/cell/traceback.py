"""Tracebacks that end in the user's cell and show it as the user wrote it, without frames of ipyproc."""

from __future__ import annotations

import ast
import contextlib
import functools
import linecache
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_PACKAGE = f"{Path(__file__).parents[2]}{os.sep}"
_STRING = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_CALL = re.compile(  # what IPython and `awaiting` make of `%aproc` and `%%aproc`
    rf"(?P<await>\(await )?get_ipython\(\)\.run_(?P<kind>line|cell)_magic\('(?P<name>aprocs?)(?:_awaited)?', (?P<line>{_STRING})"
    rf"(?:, {_STRING})?\)(?(await)\))(?: and None or None)?"
)


@contextlib.contextmanager
def ends_in_cell(shell: InteractiveShell, *, whole_cell: bool) -> Iterator[None]:
    """IPython shows an error that leaves the body without the frames of IPython and ipyproc that follow the cell's.

    `whole_cell`: the cell is nothing but this magic, so there is no line of it to show.
    """
    try:
        yield
    except BaseException as error:
        # the documented way for an exception to say how IPython shows it (used by ipyparallel)
        error._render_traceback_ = functools.partial(_render, shell, error, whole_cell)  # type: ignore[attr-defined]
        raise


def show_as_written(shell: InteractiveShell) -> None:
    """From now on, tracebacks show magics as the user wrote them, not the calls that IPython makes of them."""
    original = shell.showtraceback

    @functools.wraps(original)
    def showtraceback(exc_tuple: Any = None, *args: Any, **keywords: Any) -> None:
        with _as_written((exc_tuple or sys.exc_info())[1] or getattr(sys, "last_value", None)):
            original(exc_tuple, *args, **keywords)

    vars(shell)["showtraceback"] = showtraceback


def show_as_before(shell: InteractiveShell) -> None:
    """Undo `show_as_written`."""
    vars(shell).pop("showtraceback", None)


@contextlib.contextmanager
def _as_written(error: Any) -> Iterator[None]:
    """While the body runs, `linecache` has the cells in this error's traceback as the user wrote them.

    Only while the body runs, because others read that source too, and parse it. For the same time, the tracebacks of the
    errors that caused this one have no frames of ipyproc.
    """
    errors = _chain(error, [])
    sources, tracebacks = {}, []
    for name in {frame.f_code.co_filename for each in errors for frame, _ in walk_tb(each.__traceback__)}:
        entry = linecache.cache.get(name, ())
        if len(entry) == 4 and any(_CALL.search(line) for line in entry[2]):
            sources[name] = entry
            linecache.cache[name] = (*entry[:2], [_CALL.sub(_written, line) for line in entry[2]], entry[3])
    for each in errors[1:]:
        if getattr(getattr(each, "_render_traceback_", None), "func", None) is _render:
            tracebacks.append((each, each.__traceback__))
            each.__traceback__ = _trim(each.__traceback__)
    try:
        yield
    finally:
        linecache.cache.update(sources)
        for each, tb in tracebacks:
            each.__traceback__ = tb


def _written(call: re.Match[str]) -> str:
    line = ast.literal_eval(call["line"])
    return f"{'%' if call['kind'] == 'line' else '%%'}{call['name']} {line}".strip().replace("\n", " ")


def _chain(error: Any, found: list[BaseException]) -> list[BaseException]:
    """An error, its causes and contexts, and the members of groups."""
    if isinstance(error, BaseException) and not any(error is each for each in found):
        found.append(error)
        for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            _chain(other, found)
    return found


def _render(shell: InteractiveShell, error: BaseException, whole_cell: bool) -> list[str]:
    if whole_cell:
        return ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])]
    return shell.InteractiveTB.structured_traceback(type(error), error, _trim(error.__traceback__))


def _trim(tb: TracebackType | None, *, is_behind: bool = False) -> TracebackType | None:
    """The traceback without the frames that run a magic or belong to ipyproc, and what follows them up to the user's own code.

    Such code is a callback, for example, and may hold the line that is wrong.
    """
    if tb is None:
        return None
    code = tb.tb_frame.f_code
    if is_behind:
        is_behind = tb.tb_frame.f_globals.get("__name__") != "__main__"
    else:
        is_behind = code.co_name in ("run_line_magic", "run_cell_magic") or code.co_filename.startswith(_PACKAGE)
    rest = _trim(tb.tb_next, is_behind=is_behind)
    return rest if is_behind else TracebackType(rest, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
