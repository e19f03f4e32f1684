"""How Sphinx makes the documentation: `python -m sphinx -W docs .venv/docs`."""

import os
import sys

sys.path.insert(0, os.path.abspath(".."))

import ipyproc

project = "ipyproc"
author = "the ipyproc developers"
version = release = ipyproc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
default_role = "code"  # what the docstrings mean by `name`
toc_object_entries = False  # the pages are the contents, and not each member
smartquotes = False  # `--out` is two hyphens
autodoc_mock_imports = ["asyncssh", "distributed"]  # the documentation can be made without them
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
add_module_names = False
autodoc_member_order = "bysource"
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "ipyproc"
html_theme_options = {
    "logo": {"text": "ipyproc"},
    "navbar_center": [],  # the pages are listed at the left
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
templates_path = ["_templates"]
html_sidebars = {"**": ["pages.html"]}
html_show_sourcelink = False
copyright = f"{author}, BSD-3-Clause"
