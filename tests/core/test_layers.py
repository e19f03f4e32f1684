"""The walls of the house: who may import whom, no cycles, a light import, a sorted public face."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ipyproc

pytestmark = pytest.mark.pure

PACKAGE = Path(ipyproc.__file__).parent
MODULES = {
    ".".join(("ipyproc", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports(module: str, *, at_top_only: bool) -> set[str]:
    """The modules of this package that a module imports; at the top only, or anywhere."""
    tree = ast.parse(MODULES[module].read_text())
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or (at_top_only and node.col_offset):
            continue
        base = node.module or ""
        if node.level:
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])])
        found |= {name for alias in node.names if (name := f"{base}.{alias.name}") in MODULES}
        if base in MODULES:
            found.add(base)
    return found - {module, "ipyproc"}


def test_core_knows_nothing_of_jupyter_and_of_engines():
    others = (
        "IPython",
        "traitlets",
        "ipywidgets",
        "anywidget",
        "ipykernel",
        "jupyter",
        "asyncssh",
        "distributed",
        "dask",
    )
    for module, path in MODULES.items():
        if not module.startswith("ipyproc._core"):
            continue
        assert not {name for name in imports(module, at_top_only=False) if "_jupyter" in name or "_remote" in name}, (
            module
        )
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.startswith(others)], module


def test_no_import_cycles():
    graph = {module: imports(module, at_top_only=True) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"import cycle: {' -> '.join((*path, module))}"
        if module not in done:
            for imported in graph[module]:
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_import_is_light():
    code = "import ipyproc, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {
        "IPython",
        "traitlets",
        "ipywidgets",
        "anywidget",
        "ipykernel",
        "zmq",
        "psutil",
        "nest_asyncio2",
        "asyncssh",
        "distributed",
    }


def test_private_parts_of_ipykernel_are_touched_in_one_room():
    private = ("msg_queue", "shell_handlers", "strdispatchers", "async_helpers", "nest_asyncio2")
    private += ("_reply_subshell_for", "shell_channel_thread")
    for module, path in MODULES.items():
        if module != "ipyproc._jupyter.kernel":
            assert not [name for name in private if f"{name}" in path.read_text()], module


def test_public_names_are_sorted_and_there():
    assert ipyproc.__all__ == sorted(ipyproc.__all__)
    assert all(hasattr(ipyproc, name) for name in ipyproc.__all__)
