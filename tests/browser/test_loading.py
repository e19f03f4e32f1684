"""The code of the card comes once for a page, whatever is in the way; until then the card says what it will show."""

import gzip
import json
import re

import ipykernel
import pytest
from playwright.sync_api import expect

from ipyproc._jupyter.page import front_end
from ipyproc._jupyter.page.messages import VERSION

pytestmark = pytest.mark.new_page

ORIGIN = "http://localhost:1"  # nobody listens there: the page is made here
# two kernels; a view of one of them; what views send; what a kernel answers
PAGE = r"""
window.sent = [];
const unpack = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
window.kernels = { a: {}, b: {} };
window.view = async (name, kernel, version = VERSION) => {
  const { default: loader } = await import('./loader.js');
  const heard = {};
  const shown = { version, job: name, name: 'running', label: 'Running', title: name, note: '', pid: 1, folded: false, line: false, ends: true, sent: '',
    pauses: false, stdin: false, notifies: false, elapsed: 0, sent_ago: 0, next_in: null, ended: '' };
  const el = document.createElement('div');
  document.body.append(el);
  const model = {
    widget_manager: kernels[kernel],
    get: () => shown,
    on: (event, call) => { (heard[event] ??= new Set()).add(call); },
    off: (event, call) => { heard[event]?.delete(call); },
    send(message) {
      if (kernels[kernel].dead) throw new Error('no kernel');
      const { op, as_text } = message;
      if (op !== 'watch') sent.push(`${name} ${op}${as_text ? ' as text' : ''}`); // that the card itself says
    },
  };
  const end = loader.render({ model, el });
  window[name] = { end, say: (message, buffers) => { for (const call of [...heard['msg:custom']]) call(message, buffers) }, answer: (parts) => { for (const call of [...heard['msg:custom']]) call({ op: 'code' }, parts.map(unpack)) },
    listeners: () => Object.values(heard).reduce((sum, calls) => sum + calls.size, 0) };
};
"""


def base64(part: bytes) -> str:
    import base64

    return base64.b64encode(part).decode()


CODE = [base64(part) for part in front_end.packed()]
BROKEN = [base64(gzip.compress(b"not a module (")), CODE[1]]


@pytest.fixture
def alone(page):
    """A page with the loader, without a notebook."""

    def serve(route) -> None:
        is_page = route.request.url == f"{ORIGIN}/"
        route.fulfill(
            body="<!doctype html><body>" if is_page else front_end.loader("card"),
            content_type="text/html" if is_page else "text/javascript",
        )

    page.route(f"{ORIGIN}/**", serve)
    page.goto(f"{ORIGIN}/")
    page.evaluate(PAGE.replace("VERSION", str(VERSION)))
    return page


def test_it_is_asked_for_once_and_serves_all_cards(alone):
    alone.evaluate("view('first', 'a').then(() => view('second', 'a'))")
    expect(alone.get_by_text("Running: first …")).to_be_visible()
    expect(alone.get_by_text("Running: second …")).to_be_visible()
    assert alone.evaluate("sent") == ["first ready", "first code", "second ready"]
    alone.evaluate("(code) => first.answer(code)", CODE)
    expect(alone.locator(".ipyproc-card")).to_have_count(2)
    expect(alone.get_by_text("…")).to_have_count(0)
    late = ["first shown", "first ping", "second shown", "second ping"]
    assert alone.evaluate("sent.slice(3)") == late, "the first tail was lost"
    alone.evaluate("view('third', 'a')")
    expect(alone.locator(".ipyproc-card")).to_have_count(3)
    assert alone.evaluate("sent.slice(7)") == ["third ready", "third shown"]
    assert alone.evaluate("document.adoptedStyleSheets.length") == 1
    assert alone.evaluate("getComputedStyle(document.querySelector('.ipyproc-card')).borderLeftWidth") == "3px"
    alone.evaluate("first.end(), second.end(), third.end()")
    assert alone.evaluate("[first, second, third].map((each) => each.listeners())") == [0, 0, 0]


TAIL = {
    "op": "tail",
    "total": 1,
    "first": 0,
    "settled": 0,
    "counts": "1 line",
    "progress": None,
    "secret": False,
    "elapsed": 1,
    "sent_ago": 0,
    "next_in": None,
    "ended": "",
}


@pytest.mark.parametrize(
    "lost", ["[]", "undefined", "[new DataView(new ArrayBuffer(3)), new DataView(new ArrayBuffer(0))]"]
)
def test_a_page_that_no_buffers_reach_gets_text(alone, lost):
    alone.evaluate("view('first', 'a')")
    alone.wait_for_function("sent.includes('first code')")
    alone.evaluate(f"first.say({{ op: 'code' }}, {lost})")
    alone.wait_for_function("sent.includes('first code as text')")
    alone.evaluate("(base64) => first.say({ op: 'code', base64 }, [])", CODE)
    card = alone.locator(".ipyproc-card")
    expect(card).to_have_count(1)
    alone.evaluate("(tail) => first.say(tail, [])", {**TAIL, "base64": [base64(b"1a line")]})
    expect(card.get_by_role("log")).to_contain_text("a line")
    assert alone.evaluate("sent.slice(2)") == ["first code as text", "first shown as text", "first ping as text"]


def test_buffers_that_are_arrays_of_bytes(alone):
    alone.evaluate("view('first', 'a')")
    alone.wait_for_function("sent.includes('first code')")
    bytes_of = "(text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0))"
    alone.evaluate(f"(code) => first.say({{ op: 'code' }}, code.map({bytes_of}))", CODE)
    card = alone.locator(".ipyproc-card")
    expect(card).to_have_count(1)
    alone.evaluate(f"([tail, text]) => first.say(tail, [({bytes_of})(text)])", [TAIL, base64(b"1a line")])
    expect(card.get_by_role("log")).to_contain_text("a line")


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "silent"])
def test_a_kernel_that_does_not_answer_is_in_nobodys_way(alone, dead):
    alone.evaluate(f"kernels.a.dead = {json.dumps(dead)}; view('first', 'a').then(() => view('second', 'b'))")
    alone.wait_for_function("sent.includes('second code')")
    alone.evaluate("(code) => second.answer(code)", CODE)
    expect(alone.locator(".ipyproc-card")).to_have_count(2)


def test_it_is_asked_for_again_and_by_another_card_when_the_first_has_gone(alone):
    alone.evaluate("view('first', 'a').then(() => view('second', 'a'))")
    alone.wait_for_function("sent.includes('first code')")
    alone.evaluate("first.end()")
    assert alone.evaluate("sent.at(-1)") == "first bye"
    alone.wait_for_function("sent.includes('second code')")
    alone.evaluate("(code) => second.answer(code)", CODE)
    expect(alone.locator(".ipyproc-card")).to_have_count(1)


GREET = """async (states) => {
  const { default: loader } = await import('./loader.js');
  const said = [];
  const heard = new Set();
  const model = { get: () => states[0], send: (message) => said.push(message.op),
    on: (event, call) => heard.add(call), off: (event, call) => heard.delete(call) };
  loader.initialize({ model });
  while (states.length > 1) {
    states.shift();
    for (const call of [...heard]) call();
  }
  return [said, heard.size];
}"""


def test_a_page_that_has_a_widget_says_so_once(alone):
    shown = {"job": "j", "version": VERSION}
    assert alone.evaluate(GREET, [shown]) == [["here"], 0]
    assert alone.evaluate(GREET, [{}, {}, shown, shown]) == [["here"], 0], "its job comes right behind it"
    assert alone.evaluate(GREET, [{}]) == [[], 1]
    assert alone.evaluate(GREET, [{**shown, "version": VERSION + 1}]) == [[], 0], "it would show nothing"


def test_code_that_cannot_run_is_said(alone):
    alone.evaluate("view('first', 'a')")
    alone.wait_for_function("window.first")
    alone.evaluate("(code) => first.answer(code)", BROKEN)
    expect(alone.get_by_text(re.compile("This browser cannot show first: SyntaxError"))).to_be_visible()
    assert "first shown" not in alone.evaluate("sent")
    alone.evaluate("(code) => first.answer(code)", CODE)
    expect(alone.locator(".ipyproc-card")).to_have_count(1)


OLD_PAGE = "This page was loaded before ipyproc was updated: reload it."
OLD_KERNEL = "This kernel was started before ipyproc was updated: restart it."


@pytest.mark.parametrize(("version", "words"), [(VERSION + 1, OLD_PAGE), (VERSION - 1, OLD_KERNEL), (None, OLD_KERNEL)])
def test_a_page_and_a_kernel_of_different_versions_say_so_and_nothing_else(alone, version, words):
    alone.evaluate(f"view('first', 'a', {json.dumps(version)})")
    expect(alone.get_by_text(words)).to_be_visible()
    alone.evaluate("first.end()")
    expect(alone.get_by_text(words)).to_have_count(0)
    assert alone.evaluate("sent") == []
    assert alone.evaluate("first.listeners()") == 0


def test_in_a_notebook_a_page_of_another_version_shows_the_output_as_text(notebook, page):
    lab = notebook(
        "from ipyproc._jupyter.page import messages\nmessages.VERSION += 1",
        "%%aproc\nfor n in 1 2 3 4 5; do echo line $n; sleep 0.5; done",
    )
    lab.run(1)
    lab.run(2)
    expect(lab.output(2).filter(has_text=OLD_PAGE)).to_be_visible()
    lab.expect_done(2)
    expect(lab.output(2).filter(has_text="line 5")).to_be_visible()
    expect(lab.cards).to_have_count(0)


def test_in_a_notebook_one_copy_is_sent_for_many_cards(notebook, page):
    frames = []

    def listen(socket) -> None:
        socket.on("framereceived", lambda frame: frames.append(frame if isinstance(frame, bytes) else frame.encode()))

    page.on("websocket", listen)
    lab = notebook(
        *["from IPython import get_ipython\nfor n in range(5): get_ipython().run_line_magic('aproc', '--bg sleep 600')"]
        * 2
    )
    lab.run(1)
    expect(lab.cards).to_have_count(5)
    lab.run(2)
    expect(lab.cards).to_have_count(10)
    expect(lab.cards.first).to_have_attribute("data-state", "running")
    assert sum(b'"op": "code"' in frame for frame in frames) == 1
    lab.save()
    lab.open()
    expect(lab.cards).to_have_count(10)
    assert sum(b'"op": "code"' in frame for frame in frames) == 2
    assert "adoptedStyleSheets" not in lab.path.read_text(), "the notebook holds code of ours"


@pytest.mark.skipif(ipykernel.version_info < (7, 4), reason="ipykernel 6 hears nothing while it is busy")
def test_it_comes_while_the_kernel_is_busy(notebook, server):
    lab = notebook(
        "%aproc --bg --name first sleep 600\nimport os\nwhile not os.path.exists('free'):\n    for _ in range(1_000_000): pass"
    )
    lab.run(1)
    card = lab.cell(1).locator(".ipyproc-card")
    expect(card).to_be_visible()
    card.get_by_role("button", name=re.compile("^Kill")).click()
    expect(card.get_by_role("status")).to_have_text(re.compile("SIGKILL sent"))
    (server.root / "free").touch()
    lab.expect_done(1)
