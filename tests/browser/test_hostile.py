"""Hostile output, names and notebooks in a real JupyterLab: nothing runs, nothing starts, all of it is text."""

import json
import re
from pathlib import Path

import anywidget
import nbconvert
import nbformat
import psutil
import pytest
from playwright.sync_api import expect

from ipyproc._jupyter.views import transcript

from ..hostile import HEAVY, MARKUP, OUTPUTS, PWNED, SEQUENCES, URLS
from .lab import LabPage

pytestmark = pytest.mark.new_page

TOGGLE_STYLE = re.search("<style>.*</style>", transcript._WRAP)[0]
STATIC = Path(__file__).parents[2] / "ipyproc" / "_jupyter" / "static"

FORBIDDEN = ("script, img, iframe, object, embed, style, link, meta, base, form:not(.ipyproc-stdin), video, audio, details, template, textarea, math, mjx-container, "
             "[onerror], [onload], [onclick], [onmouseover], [onfocus], [ontoggle], a:not([href^='http' i])")  # fmt: skip
WATCH = f"""
window.made = [];
// the toggle and the link of a transcript: to the letter, and with nothing in them
const ours_alone = (each) => (each.matches('style') && each.outerHTML === {json.dumps(TOGGLE_STYLE)})
  || (each.matches('a') && !each.childNodes.length && /^#ipyproc-[0-9a-f]{{32}}$/.test(each.getAttribute('href')));
new MutationObserver((changes) => {{
  for (const {{ target, addedNodes }} of changes) if (target instanceof Element) for (const node of addedNodes) {{
    if (!(node instanceof Element)) continue;
    const ours = target.closest('.ipyproc-card, .ipyproc-transcript') ? [node] : [...node.querySelectorAll('.ipyproc-card, .ipyproc-transcript')];
    for (const place of ours) for (const bad of [place, ...place.querySelectorAll('*')])
      if (!ours_alone(bad) && (bad.matches({json.dumps(FORBIDDEN)}) || (bad.matches('a') && bad.textContent !== bad.getAttribute('href'))))
        window.made.push(bad.outerHTML);
  }}
}}).observe(document, {{ childList: true, subtree: true }});
"""

IS_AWAITED = "row => row.textContent === '…'"


@pytest.fixture
def watched(page):
    """The page; afterwards nothing may have come of what it showed."""
    dialogs = []

    def answer(dialog):
        if dialog.type != "beforeunload":  # that is JupyterLab's own
            dialogs.append(dialog.message)
        dialog.accept()

    page.on("dialog", answer)
    page.add_init_script(WATCH)
    yield page
    assert not dialogs
    assert page.evaluate("window.made") == []
    assert page.evaluate(f"window.{PWNED} === undefined") and PWNED not in page.title()


def test_hostile_output(watched, notebook, server, tmp_path, picture):
    first = [SEQUENCES[name].encode() for name in SEQUENCES]  # they move what stands above them
    rest = [data for name, data in OUTPUTS.items() if name not in SEQUENCES]
    payload = server.root / "payload"
    payload.write_bytes(b"\n".join([*first, b"\x1b[r\x1b[0m", *rest, *HEAVY.values(), *rest, b"", b"the end"]))
    lab = notebook("%%aproc --bg --proc p\ncat payload; sleep 1000", "await p.stop()")
    lab.run(1)
    log = lab.cards.get_by_role("log")
    expect(log).to_contain_text("the end")
    picture("hostile-output")
    log.focus()
    seen = ""
    for _ in range(20):  # every row of the last part has been drawn
        watched.wait_for_function(f"![...document.querySelectorAll('.ipyproc-log [data-row]')].some({IS_AWAITED})")
        seen += log.inner_text()
        log.press("PageUp")
    for text in (*MARKUP.values(), *URLS.values()):
        word = re.split(r"[\x1b\t\u2028\u200b\u202e\u2066]", text)[0][:40]
        assert word in seen, word
    log.press("Home")
    expect(log).not_to_contain_text("the end")
    lab.run(2)
    lab.expect_done(2)
    expect(lab.output(1)).to_contain_text("Stopped")
    expect(lab.output(1)).to_contain_text("the end")
    expect(lab.output(1).locator(".ipyproc-transcript")).to_have_count(1)
    lab.save()
    lab.open()
    expect(lab.output(1)).to_contain_text("the end")
    exported = tmp_path / "exported.html"
    exported.write_text(nbconvert.HTMLExporter().from_notebook_node(nbformat.read(lab.path, as_version=4))[0])
    watched.goto(exported.as_uri())
    expect(watched.get_by_text("the end")).to_be_visible()


def test_hostile_names(watched, notebook, picture):
    names = [*MARKUP.values(), *URLS.values()]
    lab = notebook(
        f"names = {names!r}",
        "for name in names:\n    %aproc --name {name} sleep 0.4",
        "%aproc /none/{names[2]} {names[3]}",
    )
    lab.run(1)
    lab.expect_done(1)
    lab.run(2)
    lab.expect_done(2)
    expect(lab.output(2)).to_have_count(len(names))
    expect(lab.output(2).nth(2)).to_contain_text("<img src=x onerror=")
    picture("hostile-names")
    lab.run(3)
    lab.expect_done(3)
    expect(lab.output(3)).to_contain_text("no such program")


def saved(**shown):
    """The saved state of a card, as it would be in a notebook if widgets were saved."""
    version = anywidget.__version__
    names = {f"_{kind}_module": "anywidget" for kind in ("model", "view")}
    names |= {f"_{kind}_module_version": version for kind in ("model", "view")}
    names |= {"_model_name": "AnyModel", "_view_name": "AnyView", "_anywidget_id": "ipyproc._jupyter.views.card.Card"}
    code = re.sub(r"export{(\w+) as default}", r"export default \1.card", (STATIC / "page.js").read_text())
    state = {**names, "_esm": code, "_css": "", "shown": shown}
    return {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": version, "state": state}


def test_an_untrusted_notebook_that_is_opened_runs_nothing(server, page):
    """Saved cards, with state and without, and forged transcripts; opened, and not run.

    Code that is forged as the `_esm` of some anywidget is not ours to stop: JupyterLab 4.6 with anywidget 0.11 and
    ipywidgets 8.1 runs it as soon as a notebook is opened that has it in its metadata, trusted or not.
    """
    shown = {"job": "0" * 32, "name": "running", "label": "Running", "title": MARKUP["image"], "note": "", "pid": 1}
    shown |= {"folded": False, "sent": "", "elapsed": 1, "sent_ago": 0, "next_in": None}
    models = {"a" * 32: saved(**shown), "b" * 32: saved(job="x", process=["touch", "forged"])}
    views = [{"model_id": name, "version_major": 2, "version_minor": 0} for name in (*models, "c" * 32)]
    view = "application/vnd.jupyter.widget-view+json"
    html = "".join(MARKUP[name] for name in ("script", "image", "SVG", "frame", "link", "details", "video"))
    bundles = [
        *({view: each, "text/plain": "Running: x (pid 1)", "text/html": html} for each in views),
        {"text/html": f'<div class="ipyproc-transcript">{html}</div><section class="ipyproc-card">{html}</section>'},
        {"text/markdown": html, "text/plain": html},
        {"application/javascript": f"window.{PWNED} = 1", "text/plain": "x"},
        {"text/plain": "the last one"},
    ]
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles]
    path = server.write("untrusted.ipynb", ["%load_ext ipyproc", "%%aproc\ntouch forged"])
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = outputs
    notebook.metadata.widgets = {
        "application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": models}
    }
    nbformat.write(notebook, path)
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.accept()))
    lab = LabPage(server, page, path).open()
    expect(lab.output(1).last).to_contain_text("the last one")
    page.wait_for_load_state("networkidle")
    [session] = [each for each in server.request("api/sessions") if each["path"] == "untrusted.ipynb"]
    name = f"kernel-{session['kernel']['id']}.json"
    [kernel] = [each for each in psutil.process_iter(["cmdline"]) if name in " ".join(each.info["cmdline"] or [])]
    assert kernel.children(recursive=True) == []
    assert not (server.root / "forged").exists()
    assert page.evaluate(f"window.{PWNED} === undefined") and PWNED not in page.title() and not dialogs
