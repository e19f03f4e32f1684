"""Wide output in what is saved: it scrolls, and wraps when the reader says so, without a script."""

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from ipyproc._core.output.screen import Row
from ipyproc._jupyter.views import transcript
from ipyproc._jupyter.views.state import State

from .lab import LabPage

WIDE = [Row(1, " ".join(f"{row}:{column:04}" for column in range(60))) for row in range(10, 40)]
FRAMED = transcript._html(State("ok", "Done, exit 0"), "table", "1.0 s", "", [*WIDE, Row(2, "warned")], "")
PLAIN = transcript._text(WIDE)


def exported(html):
    """The page that nbconvert makes of a notebook with this output."""
    output = nbformat.v4.new_output("display_data", data={"text/html": html})
    return HTMLExporter().from_notebook_node(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])])
    )[0]


@pytest.mark.parametrize("html", [FRAMED, PLAIN], ids=["framed", "plain"])
def test_it_scrolls_and_wraps_without_a_script(browser, html, picture, request):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 800, "height": 700})
    page = context.new_page()
    page.route("**/*", lambda route: route.abort())
    page.set_content(exported(html))
    pre = page.locator(".jp-OutputArea-output pre")
    assert pre.locator("span").first.bounding_box()["height"] == 18 * len(WIDE), "one row is one line"
    scroller = page.locator(".ipyproc-transcript > div:nth-child(2), pre.ipyproc-text").first
    assert scroller.evaluate("(box) => box.scrollWidth > box.clientWidth + 100")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    page.get_by_label("Wrap lines").check()
    assert pre.locator("span").first.bounding_box()["height"] > 18 * 2 * len(WIDE)
    assert scroller.evaluate("(box) => box.scrollWidth <= box.clientWidth + 1")
    picture(f"wide-{request.node.callspec.id}", page)
    context.close()


def test_what_is_narrow_has_no_toggle():
    assert "ipyproc-wrap" not in transcript._text([Row(1, "short")])


def test_an_untrusted_notebook_shows_it_readable_and_no_toggle_that_does_nothing(notebook, page, picture):
    lab = notebook("1")
    content = nbformat.read(lab.path, 4)
    output = nbformat.v4.new_output("display_data", data={"text/html": FRAMED})
    content.cells.append(nbformat.v4.new_code_cell("x", outputs=[output]))
    path = lab.path.with_name("untrusted.ipynb")
    nbformat.write(content, path)
    LabPage(lab.server, page, path).open()
    pre = page.locator(".ipyproc-transcript pre")
    expect(pre).to_contain_text("10:0000")
    assert page.locator(".ipyproc-transcript style").count() == 0, "JupyterLab has taken it away, as it trusts nobody"
    height = pre.locator("span").first.bounding_box()["height"]
    assert height < 19 * len(WIDE), "one row is one line, whose height is the page's own"
    expect(page.locator(".ipyproc-transcript input")).to_be_hidden()
    picture("wide-untrusted")
