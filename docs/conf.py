"""How Sphinx makes the documentation: `sphinx-build -W docs docs/_build`. Two tables are made from the code."""

import os
import sys

sys.path.insert(0, os.path.abspath(".."))

from sphinx.util.docutils import SphinxDirective

import ipyproc
from ipyproc._jupyter import commands, magics, options

project = "ipyproc"
author = "the ipyproc developers"
version = release = ipyproc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
default_role = "code"  # what the docstrings mean by `name`
smartquotes = False  # `--out` is two hyphens
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
napoleon_use_ivar = True
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "ipyproc"
html_theme_options = {
    "logo": {"text": "ipyproc"},
    "navbar_center": [],  # the pages stand at the left
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"**": ["globaltoc.html"]}
html_show_sourcelink = False
copyright = f"{author}, BSD-3-Clause"


class CodeTable(SphinxDirective):
    """A table of what the code itself knows."""

    def run(self):
        head, *rows = [[cell.replace("|", r"\|") for cell in row] for row in TABLES[self.name]()]
        lines = [head, ["---"] * len(head), *rows]
        return self.parse_text_to_nodes("\n".join(f"| {' | '.join(line)} |" for line in lines))


def option_rows():
    yield "option", "what it does"
    for option in options.OPTIONS:
        yield f"`{option.usage}`", option.help.replace("{", r"\{").replace("***", r"`***`")


def default_rows():
    yield "name", "default", "what it is"
    for name, trait in sorted(magics.AProcMagics.class_own_traits(config=True).items()):
        yield f"`{name}`", f"`{trait.default_value!r}`", trait.help


def word_rows():
    yield "line", "what it does"
    yield "`%aprocs`", commands.LIVE
    for word, (takes, text) in commands.WORDS.items():
        yield f"`{f'%aprocs {word} {takes}'.rstrip()}`", text


TABLES = {"aproc-options": option_rows, "aproc-defaults": default_rows, "aprocs-words": word_rows}


def setup(app):
    for name in TABLES:
        app.add_directive(name, CodeTable)
