"""How a cell with `%aproc`, `%%aproc` or `%aprocs` is awaited, although the user writes no `await`.

A function in IPython's `input_transformers_post` sees the cell as Python code, where a magic is the call
`get_ipython().run_cell_magic('aproc', ...)`. Where `await` is legal, the call becomes
`(await get_ipython().run_cell_magic('aproc_awaited', ...))`; the magic of that name returns a coroutine, the plain
`aproc` blocks until the program has ended; `aprocs` likewise. Where it is not legal (a plain function, a lambda, a
class, a cell that another magic such as `%%time` runs, `%autoawait off`, an engine of ipyparallel), the call stays as it is and blocks.

In the very cell that loads the extension it is too late for that: there each magic blocks (see `is_statement`).

A call that is a statement of its own gets ` and None or None`, so that its value is not displayed as the cell's result (a
`;` would do so only at the end of a cell, and not under `%%time`).
"""

from __future__ import annotations

import ast
import linecache
import sys
from types import FrameType

from IPython import get_ipython

from .. import kernel

AWAITED = {"aproc": "aproc_awaited", "aprocs": "aprocs_awaited"}
"""The name of each magic, and that of its awaitable twin."""

_NO_VALUE = " and None or None"  # None for true and false values: that of --each with an empty list is false
_METHODS = {"run_line_magic": ("aproc", "aprocs"), "run_cell_magic": ("aproc",)}


def transform(lines: list[str]) -> list[str]:
    """The post transform: source lines in, source lines out."""
    source = "".join(lines)
    if "_magic('aproc" not in source and '_magic("aproc' not in source:
        return lines
    try:
        tree = compile(source, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return lines  # IPython shows what is wrong with it
    shell = get_ipython()
    switched_here = "_magic('autoawait'" in source  # it takes effect only after this cell has been compiled
    can_await = bool(shell and shell.autoawait and kernel.can_await(shell))
    await_at_top = can_await and not switched_here and not _inside_another_magic()
    finder = _Finder(await_at_top=await_at_top)
    finder.visit(tree)
    return _edited(source, finder.edits).splitlines(keepends=True)


def is_statement() -> bool:
    """Whether the magic that runs now is a statement of its own in code that was not transformed: its value would be displayed.

    That is so in the cell that loads the extension, and with one of IPython's lazy magics in the first that has a magic of ours.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame and not _is_call_of_magic(frame):
        frame = frame.f_back
    if not (frame and (caller := frame.f_back)):
        return False
    source = "".join(linecache.getlines(caller.f_code.co_filename))
    try:
        tree = compile(source, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return False
    return any(
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and _is_ours(node.value)
        and node.lineno <= caller.f_lineno <= (node.end_lineno or node.lineno)
        for node in ast.walk(tree)
    )


class _Finder(ast.NodeVisitor):
    """Collects the edits to make: (line, column in bytes, length in bytes, new text)."""

    def __init__(self, *, await_at_top: bool) -> None:
        self.edits: list[tuple[int, int, int, str]] = []
        self._await_is_legal = [await_at_top]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node, await_is_legal=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node, await_is_legal=True)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._enter(node, await_is_legal=False)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node, await_is_legal=False)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._enter(node, await_is_legal=False)

    def visit_Expr(self, node: ast.Expr) -> None:
        self.generic_visit(node)
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and _is_ours(call):
            self._insert(node.end_lineno, node.end_col_offset, _NO_VALUE)

    def visit_Await(self, node: ast.Await) -> None:
        if isinstance(node.value, ast.Call) and _is_ours(node.value):
            self._rename(node.value)  # the user has written the await
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if not _is_ours(node):
            return
        if _has_no_body(node):
            self._replace(node.args[2], r"'\n'")
        elif self._await_is_legal[-1]:
            self._insert(node.lineno, node.col_offset, "(await ")
            self._rename(node)
            self._insert(node.end_lineno, node.end_col_offset, ")")

    def _enter(self, node: ast.AST, *, await_is_legal: bool) -> None:
        self._await_is_legal.append(await_is_legal)
        self.generic_visit(node)
        self._await_is_legal.pop()

    def _rename(self, call: ast.Call) -> None:
        name = call.args[0]
        assert isinstance(name, ast.Constant)
        self._replace(name, repr(AWAITED[str(name.value)]))

    def _replace(self, node: ast.expr, text: str) -> None:
        assert node.end_col_offset is not None
        self.edits.append((node.lineno, node.col_offset, node.end_col_offset - node.col_offset, text))

    def _insert(self, line: int | None, column: int | None, text: str) -> None:
        assert line is not None
        assert column is not None
        self.edits.append((line, column, 0, text))


def _is_ours(call: ast.Call) -> bool:
    """Is this `get_ipython().run_line_magic('aproc', ...)` or `run_cell_magic`?"""
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _METHODS
        and isinstance(function.value, ast.Call)
        and isinstance(function.value.func, ast.Name)
        and function.value.func.id == "get_ipython"
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value in _METHODS[function.attr]
    )


def _has_no_body(call: ast.Call) -> bool:
    """Is this a `%%aproc` with nothing below it? IPython would refuse that before ipyproc can say what to write."""
    return len(call.args) == 3 and isinstance(call.args[2], ast.Constant) and call.args[2].value == ""


def _inside_another_magic() -> bool:
    """Is this cell being run by another magic (`%%capture`, `%%time`, ...)? Such a magic cannot await it."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if _is_call_of_magic(frame, "run_code"):
            return True
        frame = frame.f_back
    return False


def _is_call_of_magic(frame: FrameType, *others: str) -> bool:
    code = frame.f_code
    return code.co_name in (*_METHODS, *others) and code.co_filename.endswith("interactiveshell.py")


def _edited(source: str, edits: list[tuple[int, int, int, str]]) -> str:
    # ast counts lines as the tokenizer does (only \n ends one here, unlike str.splitlines) and columns in UTF-8 bytes
    lines = [line.encode() for line in source.split("\n")]
    order = sorted(range(len(edits)), key=lambda number: (edits[number][:2], number))
    for number in reversed(order):  # from the last to the first, so that earlier places stay right
        line, column, length, text = edits[number]
        raw = lines[line - 1]
        lines[line - 1] = raw[:column] + text.encode() + raw[column + length :]
    return b"\n".join(lines).decode()
