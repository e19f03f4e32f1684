"""A traceback that ends in the user's cell: where the program failed is no line of ours."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from IPython.core.interactiveshell import InteractiveShell

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


@contextlib.contextmanager
def ends_in_cell(shell: InteractiveShell, *, whole_cell: bool) -> Iterator[None]:
    """An error that leaves the body is shown by IPython without the frames of IPython and ipyproc behind the cell.

    `whole_cell`: the cell is nothing but this magic, so there is no line of it to show.
    """
    try:
        yield
    except BaseException as error:
        # the documented way for an exception to say how IPython shows it (used by ipyparallel)
        error._render_traceback_ = functools.partial(_render, shell, error, whole_cell)  # type: ignore[attr-defined]
        raise


def _render(shell: InteractiveShell, error: BaseException, whole_cell: bool) -> list[str]:
    if whole_cell:
        return ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])]
    return shell.InteractiveTB.structured_traceback(type(error), error, _trim(error.__traceback__))


def _trim(tb: TracebackType | None, *, is_behind: bool = False) -> TracebackType | None:
    """The same traceback without what stands behind a frame that runs a magic or is ours, up to code of the user's again.

    That is a callback, for one: the line that is wrong stands there.
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
