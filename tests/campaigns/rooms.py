"""The rooms of the house, floor by floor: what each imports, how large its files and functions are.

python -m tests.campaigns.rooms
"""

import ast
import statistics

from ..core.test_layers import FLOORS, MODULES, imports, room


def main() -> None:
    """Draw them, the highest floor first."""
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    for rooms in reversed(FLOORS):
        for name in rooms.split() or [""]:
            inside = [module for module in MODULES if room(module) == f"ipyproc.{name}".rstrip(".")]
            below = {room(each) for module in inside for each in imports(module)} - {f"ipyproc.{name}".rstrip(".")}
            size = f"{len(inside)} files, {sum(map(lines.__getitem__, inside)):,} lines"
            print(f"{name or 'ipyproc':22} {size:25} <- {', '.join(sorted(each[8:] for each in below)) or 'nothing'}")
        print()
    functions = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for what, sizes in (("file", lines), ("function", functions)):
        greatest = sorted(sizes, key=sizes.__getitem__)[-3:]
        named = ", ".join(f"{name[8:]} {sizes[name]}" for name in reversed(greatest))
        print(f"{len(sizes)} {what}s: median {statistics.median(sizes.values()):.0f} lines; the greatest: {named}")


if __name__ == "__main__":
    main()
