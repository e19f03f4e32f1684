"""The walls of the house: who may import whom, no cycles, a light import, a sorted public face."""

import ast
import graphlib
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


FLOORS = (  # from the ground up: a room imports what is below it, and what is in it
    "_core.process_table _core.output _core.pipelines _core.host _core.protocol",
    "_core.failed_command _core.survivor _core.launch.held",
    "_core.errors",
    "_core.program",
    "_core.launch",
    "_core.process _core.versions",
    "_core.batch",
    "testing",
    "_remote.parcel _remote.connections _remote.far _remote.family _remote.pipes",
    "_remote.channel",
    "_remote.far_dask _remote.far_ssh _remote.near",
    "_remote.dask _remote.ssh",
    "_jupyter.kernel _jupyter.guard _jupyter.running_cell _jupyter.thread",
    "_jupyter.line _jupyter.page",
    "_jupyter.views",
    "_jupyter.cell",
    "_jupyter.magics",
    "_jupyter.host",
    "",
)
FLOOR = {
    f"ipyproc.{room}".rstrip("."): number for number, rooms in enumerate(FLOORS) for room in (rooms.split() or [""])
}


def room(module: str) -> str:
    """The folder that a module is in, or itself where it stands alone."""
    while module not in FLOOR:
        module = module.rpartition(".")[0]
    return module


def imports(module: str) -> set[str]:
    """The modules of this package that a module imports: at its top, late, or for a type checker alone."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = ".".join(
            [*package.split(".")[: len(package.split(".")) - node.level + 1], *(node.module or "").split(".")]
        )
        base = base.rstrip(".")
        names = {f"{base}.{alias.name}" for alias in node.names}
        found |= names & MODULES.keys() or {base}
    return found - {module}


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
        if module.startswith("ipyproc._core"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                assert not [name for name in names if name.startswith(others)], module


def test_nothing_imports_upward():
    for module in MODULES:
        for imported in imports(module):
            here, there = room(module), room(imported)
            assert here == there or FLOOR[here] > FLOOR[there], f"{module} imports {imported}"


def test_no_import_cycles():
    try:
        graphlib.TopologicalSorter({module: imports(module) for module in MODULES}).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(f"import cycle: {' <- '.join(error.args[1])}") from None


@pytest.mark.parametrize(
    "line",
    [
        "if TYPE_CHECKING:\n    from ..batch.run import run",
        "def late():\n    from ..batch.run import run",
        "from ..batch import run",
        "from ... import start",
    ],
)
def test_these_walls_are_seen(tmp_path, monkeypatch, line):
    module = "ipyproc._core.process.process"
    path = tmp_path / "process.py"
    path.write_text(f"{MODULES[module].read_text()}\n{line}\n")
    monkeypatch.setitem(MODULES, module, path)
    with pytest.raises(AssertionError, match=r"ipyproc\._core\.process\.process imports ipyproc"):
        test_nothing_imports_upward()


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
    assert {*ipyproc.__all__, "DaskLauncher", "SSHLauncher"} <= {*dir(ipyproc)}, "they are completed"


def test_packages_of_extras_are_needed_by_those_who_use_them_alone():
    code = """
import sys
sys.modules |= {"asyncssh": None, "distributed": None}
from ipyproc import *
assert LOG and testing and LinkLauncher
import ipyproc
for name, words in (("SSHLauncher", "asyncssh; pip install 'ipyproc[ssh]'"),
                    ("DaskLauncher", "distributed; pip install 'ipyproc[dask]'")):
    try:
        getattr(ipyproc, name)
    except ImportError as error:
        assert words in str(error), error
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_testing_needs_the_core_alone():
    for module, path in MODULES.items():
        found = imports(module)
        if module.startswith("ipyproc.testing"):
            assert not [name for name in found if not name.startswith(("ipyproc._core", "ipyproc.testing"))], module
            tree = ast.walk(ast.parse(path.read_text()))
            names = [alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names]
            assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "psutil"}, module
        elif module != "ipyproc":
            assert not [name for name in found if name.startswith("ipyproc.testing")], module
