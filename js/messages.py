"""The messages between page and kernel for the front end; `python js/messages.py` writes them into `src/messages.ts`.

They are those of `ipyproc/_jupyter/page/messages.py`; a test says when the file is old.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

JS = Path(__file__).resolve().parent
FILE = JS / "src/messages.ts"
sys.path.insert(0, str(JS.parent))

from ipyproc._jupyter.page import messages  # noqa: E402  - of this checkout

HEAD = "// Made by `python js/messages.py` from ipyproc/_jupyter/page/messages.py: change that one.\n"
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
UNIONS = (Union, types.UnionType)


def fresh() -> str:
    """The text of `src/messages.ts`, as it should be."""
    parts = [HEAD]
    for name, value in vars(messages).items():
        if name.isupper():
            parts.append(f"export const {name} = {json.dumps(value)};\n")
        elif is_typeddict(value):
            parts.append(interface(value))
        elif get_origin(value) in (Literal, *UNIONS):
            parts.append(f"export type {name} = {union(value)};\n")
    return "\n".join(parts)


def interface(kind: Any) -> str:
    """One message, or a part of one."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    bases = [base.id for base in tree.bases if isinstance(base, ast.Name) and base.id != "TypedDict"]
    lines = []
    for statement in tree.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(field)):
                lines.append(f"  {field}: {type_of(messages.fields(kind)[field])};")
            case ast.Expr(ast.Constant(str(note))) if lines:  # stands below its field
                lines.insert(-1, f"  /** {note} */")
    head = f"export interface {' extends '.join([kind.__name__, *filter(None, [', '.join(bases)])])} {{"
    return "\n".join([f"/** {inspect.cleandoc(kind.__doc__)} */", head, *lines, "}\n"])


def type_of(hint: Any) -> str:
    """What TypeScript calls a type."""
    names = {each: name for name, each in vars(messages).items() if get_origin(each) is Literal}
    if hint in names:
        return names[hint]
    if get_origin(hint) in (Literal, *UNIONS):
        return union(hint)
    if get_origin(hint) is Annotated:
        return type_of(get_args(hint)[0])
    if get_origin(hint) is list:
        return f"{type_of(get_args(hint)[0])}[]"
    return hint.__name__ if is_typeddict(hint) else PLAIN[hint]


def union(hint: Any) -> str:
    """One of some types or texts."""
    return " | ".join(f"'{each}'" if isinstance(each, str) else type_of(each) for each in get_args(hint))


if __name__ == "__main__":
    FILE.write_text(fresh(), encoding="utf-8")
