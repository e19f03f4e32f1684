"""The tables of the documentation that are made from the code; `python docs/tables.py` writes them into the pages.

They are in the pages, between two comments, so that they can be read without Sphinx as well; a test fails when they are outdated.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from ipyproc._jupyter.line import options  # noqa: E402  - of this checkout
from ipyproc._jupyter.magics import actions, magics  # noqa: E402  - of this checkout

_PLACE = re.compile(r"(<!-- table of (\w+) -->\n).*?(<!-- end of the table -->)", re.DOTALL)


def fresh(page: str) -> str:
    """The text of a page, with its tables as they should be."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{table(TABLES[place[2]]())}\n{place[3]}", page)


def table(rows: Iterator[tuple[str, ...]]) -> str:
    """Rows of cells as Markdown."""
    head, *body = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def option_rows() -> Iterator[tuple[str, ...]]:
    """The options of `%%aproc`."""
    yield "option", "what it does"
    for option in options.OPTIONS:
        yield f"`{option.usage}`", option.help.replace("{name}", "`{name}`").replace("***", "`***`")


def default_rows() -> Iterator[tuple[str, ...]]:
    """What `%config AProcMagics` knows."""
    yield "name", "default", "what it is"
    for name, trait in sorted(magics.AProcMagics.class_own_traits(config=True).items()):
        yield f"`{name}`", f"`{trait.default()!r}`", trait.help


def word_rows() -> Iterator[tuple[str, ...]]:
    """The words of `%aprocs`."""
    yield "line", "what it does"
    yield "`%aprocs`", actions.LIVE
    for word, (takes, text) in actions.ACTIONS.items():
        yield f"`{f'%aprocs {word} {takes}'.rstrip()}`", text


TABLES: dict[str, Callable[[], Iterator[tuple[str, ...]]]] = {
    "options": option_rows,
    "defaults": default_rows,
    "words": word_rows,
}

if __name__ == "__main__":
    for path in DOCS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if fresh(text) != text:
            path.write_text(fresh(text), encoding="utf-8")
            print(f"{path.name}: written anew")
