"""Colours can be read: all of the 16 on the page and on each other, live and saved, in light and dark, and in JupyterLab."""

import nbformat
import pytest
from playwright.sync_api import expect

from ipyproc._core.output import screen
from ipyproc._jupyter.views import transcript
from ipyproc._jupyter.views.state import State

from .lab import LabPage
from .test_log_body import open_body

CODES = [(*range(30, 38), *range(90, 98)), (*range(40, 48), *range(100, 108))]
PAIRS = [(front, back) for front in range(16) for back in range(16)]
READABLE = 4.5
SEEN = """(cells) => cells.map((cell) => {
  const parsed = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(') ? numbers.map((each, n) => n < 3 ? each * 255 : each) : numbers;
  };
  const over = ([r, g, b, a = 1], ground) => [r, g, b].map((each, n) => each * a + ground[n] * (1 - a));
  const grounds = [];
  for (let box = cell; box; box = box.parentElement) grounds.unshift(parsed(getComputedStyle(box).backgroundColor));
  const ground = grounds.reduce((below, each) => over(each, below), [255, 255, 255]);
  return [over(parsed(getComputedStyle(cell).color), ground), ground];
})"""


def rows():
    """Sixteen rows of pairs; the 16 colours on the page's ground; lines that say something; the last five are those of a failure."""
    pairs = ["".join(f"\x1b[{front};{back}mx\x1b[0m" for back in CODES[1]) for front in CODES[0]]
    alone = "".join(f"\x1b[{front}mx\x1b[0m" for front in CODES[0])
    text = "\n".join([*pairs, alone, *["filling"] * 5, alone, "warning: x", "error: x", "", ""])
    return screen.rows([(1, f"{text}\n".encode())])


def luminance(colour):
    linear = [part / 12.92 if (part := each / 255) <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for each in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(seen):
    dark, light = sorted(map(luminance, seen))
    return (light + 0.05) / (dark + 0.05)


def unreadable(spans, said):
    """What cannot be read, of the spans of `rows()` and of the two lines that say something."""
    assert len(spans) == 256 + 16 + 16 and len(said) == 2
    found = [(pair, seen) for pair, seen in zip(PAIRS, spans[:256], strict=True) if pair[0] % 8 != pair[1] % 8]
    found += [(number % 16, seen) for number, seen in enumerate(spans[256:])] + list(enumerate(said))
    return [(what, round(contrast(seen), 2)) for what, seen in found if contrast(seen) < READABLE]


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page(viewport={"width": 1000, "height": 1000})
    yield page
    page.close()


@pytest.mark.parametrize("light", [True, False])
def test_live_and_saved_can_be_read(page, light, picture, request):
    body = open_body(page, light)
    sent = [f"{row.stream}{row.ansi}" for row in rows()]
    sent[-4:-2] = ["4warning: x", "7error: x"]
    body.value(
        f"shown = {{ ...shown, name: 'failed', label: 'Failed' }}; kernel.changed(); kernel.row = (n) => {sent}[n]"
    )
    body.tail(len(sent))
    body.value("document.querySelector('.ipyproc-log').style.height = '600px'")
    expect(body.row(len(sent) - 2)).to_have_text("error: x")
    expect(body.card.locator(".ipyproc-row span")).to_have_count(288)
    live = body.card.locator(".ipyproc-row span").evaluate_all(SEEN)
    said = body.card.locator(".ipyproc-warning, .ipyproc-error").evaluate_all(SEEN)
    assert unreadable(live, said) == []
    html = transcript._html(State("failed", "Failed"), "job", "1 s", "", rows(), "")
    body.value("document.querySelector('#below').innerHTML = " + repr(html))
    body.value("document.body.style.color = 'var(--jp-content-font-color1)'")
    saved = page.locator("#below pre span span")
    colours = saved.evaluate_all(SEEN)
    blocks = (
        page.locator("#below pre > span").filter(has_text="x").filter(has_not=page.locator("span")).evaluate_all(SEEN)
    )
    picture(f"colours-{request.node.callspec.id}", page)
    assert unreadable(colours, blocks) == []
    assert colours[:256] == live[:256], "what has a ground of its own looks the same on every page"


def test_what_jupyterlab_trusts_nobody_with_can_be_read(notebook, page, picture):
    lab = notebook("1")
    content = nbformat.read(lab.path, 4)
    html = transcript._html(State("failed", "Failed"), "job", "1 s", "", rows(), "")
    output = nbformat.v4.new_output("display_data", data={"text/html": html})
    content.cells.append(nbformat.v4.new_code_cell("x", outputs=[output]))
    path = lab.path.with_name("colours.ipynb")
    nbformat.write(content, path)
    LabPage(lab.server, page, path).open()
    spans = page.locator(".ipyproc-transcript pre span span")
    expect(spans).to_have_count(288)
    colours = spans.evaluate_all(SEEN)
    picture("colours-untrusted", page)
    assert [each for each in unreadable(colours, colours[:2]) if isinstance(each[0], tuple)] == [], (
        "on a ground of its own"
    )
    # of text on the page's ground JupyterLab keeps a colour, and not its mixture with the page's own
    assert min(map(contrast, colours[256:272])) > 3.7
    error = page.locator(".ipyproc-transcript pre > span", has_text="error: x")
    marks = error.evaluate("(span) => span.getAttribute('style')")
    assert "background:rgba(211,47,47,.06)" in marks and "color:#d44747" in marks
