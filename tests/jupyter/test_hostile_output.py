"""Whatever a program writes is inert in the saved notebook: it makes no element, leaves no control, stops no export."""

import collections
import html.parser
import re

import nbformat
import pytest
from nbconvert import HTMLExporter, LatexExporter

from ipyproc._core.output import screen
from ipyproc._jupyter.views import transcript

from ..hostile import HEAVY, NAMES, OUTPUTS, PWNED

pytestmark = pytest.mark.pure

CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
STYLE = re.compile(r"\x1b\[(0|0;[0-9;]+)m")
OURS = {"div", "span", "code", "b", "pre", "a"}
ATTRIBUTES = {"style", "class", "href", "target", "rel", "title", "tabindex", "role", "aria-label"}


class Elements(html.parser.HTMLParser):
    """Collects what a browser would make of it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = collections.Counter(), set(), ""
        self.scripts = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes |= {(tag, name, value) for name, value in attributes}

    def handle_data(self, data):
        self.text += data
        if self.lasttag in ("script", "style"):
            self.scripts += data


def check_inert(data):
    """A MIME bundle makes no element but ours, and nothing in it acts."""
    assert set(data) == {"text/plain", "text/html"}
    for text in data.values():
        assert not CONTROL.search(text), CONTROL.search(text)
        assert len(text) < 80_000
    made = Elements(data["text/html"].replace(transcript._WRAP, "", 1))
    assert set(made.tags) <= OURS, made.tags
    for tag, name, value in made.attributes:
        assert name in ATTRIBUTES, (tag, name)
        assert name != "href" or re.match("https?://|#ipyproc-[0-9a-f]{32}$", value, re.IGNORECASE)
        assert name != "style" or re.fullmatch(r"[\w\-:;#.,%()/ ]*", value), value
    return made


def export(outputs):
    """The elements of the HTML of a notebook with these outputs, and its LaTeX."""
    cells = [nbformat.v4.new_code_cell("x", outputs=[output]) for output in outputs]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.validate(notebook)
    for cell in cells:  # without the toggle, which is ours
        for data in (output.data for output in cell.outputs if "data" in output):
            data["text/html"] = data["text/html"].replace(transcript._WRAP, "", 1)
    return Elements(HTMLExporter().from_notebook_node(notebook)[0]), LatexExporter().from_notebook_node(notebook)[0]


def check_export(outputs):
    """The exported notebook has the elements that it has with harmless outputs, and no scripts but those."""
    page, latex = export(outputs)
    harmless, _ = export([nbformat.v4.new_output("stream", text="x")])
    for tag in set(page.tags) - OURS:
        # the page's own are there once, those of a cell as often as there are cells
        assert page.tags[tag] in (harmless.tags[tag], harmless.tags[tag] * len(outputs)), tag
    assert PWNED not in page.scripts
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert r"\input{/etc" not in latex and "\x1b" not in latex


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """(name, file with it) of each payload."""
    folder = tmp_path_factory.mktemp("payloads")
    made = []
    for number, (name, data) in enumerate(
        {**OUTPUTS, **{f"heavy: {name}": data for name, data in HEAVY.items()}}.items()
    ):
        path = folder / str(number)
        path.write_bytes(data)
        made.append((name, path))
    return made


def test_what_a_program_writes_is_inert_in_the_notebook(kernel, payloads):
    kernel.run("from ipyproc._jupyter.cell import showing; showing.CARD_DELAY = 0")
    outputs = []
    for name, path in payloads:
        card = path.with_suffix(".card")

        def see(message, card=card):
            if "application/vnd.jupyter.widget-view+json" in message["content"].get("data", ()):
                card.touch()

        script = "cat $0; until [ -e $1 ]; do sleep 0.01; done"
        done = kernel.run(f"%aproc --name shown sh -c '{script}' {path} {card}", on_message=see)
        assert done.status == "ok" and done.cards and not done.of_type("stream"), name
        made = check_inert(done.displays[-1])
        if path.stat().st_size < 1000:
            shown = "\n".join(row.plain for row in screen.rows([(1, path.read_bytes())]))
            assert made.text.replace("Done, exit 0", "").count(PWNED) == shown.count(PWNED), name
        outputs.append(nbformat.v4.new_output("display_data", data=done.displays[-1]))
    check_export(outputs)


def test_what_a_program_writes_is_inert_as_plain_text(kernel, payloads):
    outputs = []
    for name, path in payloads:
        done = kernel.run(f"%aproc cat {path}", headless=True)
        assert done.status == "ok" and not done.displays, name
        assert not CONTROL.search(STYLE.sub("", done.text())), name
        outputs.append(nbformat.v4.new_output("stream", text=done.text()))
    check_export(outputs)


def test_hostile_names_are_text(kernel, tmp_path):
    """Of a program, an argument, a label, a directory, a log, a variable of the environment; running, ended and failing."""
    kernel.run("from ipyproc._jupyter.cell import showing; showing.CARD_DELAY = 0")
    outputs = []
    for number, (name, text) in enumerate(NAMES.items()):
        file_name = text.replace("/", "\u2215").replace("\0", "").encode()[:100].decode(errors="ignore")
        folder = tmp_path / str(number) / file_name
        folder.mkdir(parents=True)
        program = folder / file_name
        program.write_text("#!/bin/sh\necho $0 $1 >&2; sleep 0.03; exit 3\n")
        program.chmod(0o700)
        kernel.run(f"name, folder, program = {text.replace(chr(0), '')!r}, {str(folder)!r}, {str(program)!r}")
        for line in (
            "%aproc {program} {name}",
            "%aproc --name {name} --cwd {folder} --log {program}.log --env X={name} {program} {name}",
            "%aproc --cwd {program}-none {program}-none {name}",
        ):
            done = kernel.run(line)
            assert done.status == "error", (name, line)
            assert not CONTROL.search(done.error.replace("\n", "")), (name, line, done.error)
            states = [m["content"]["data"]["state"] for m in done.messages if m["msg_type"] == "comm_open"]
            assert not CONTROL.search(str([state["shown"] for state in states if "shown" in state])), name
            for data in done.displays:
                if "application/vnd.jupyter.widget-view+json" not in data:
                    check_inert(data)
                    outputs.append(nbformat.v4.new_output("display_data", data=data))
                assert not CONTROL.search(data["text/plain"]), name
    assert len(outputs) > len(NAMES)
    check_export(outputs)
