"""The body of the card in a plain page: the built front end, and a kernel of a few lines that makes rows on demand."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ipyproc._jupyter.page import messages

STATIC = Path(__file__).parents[2] / "ipyproc" / "_jupyter" / "static"
ORIGIN = "http://localhost:1"  # nobody listens there: the page is made here; a local one may use the clipboard
PAGE = """<!doctype html><link rel="stylesheet" href="page.css"><body data-jp-theme-light="{light}">
<style>body {{ margin: 16px; {variables} background: var(--jp-layout-color1); }} #below {{ height: 2000px }}</style>
<div id="cell"></div><div id="below"></div>"""
LIGHT = """--jp-layout-color0: #fff; --jp-layout-color1: #fff; --jp-layout-color2: #eee; --jp-border-color1: #bdbdbd;
--jp-border-color2: #e0e0e0; --jp-ui-font-color1: rgba(0,0,0,.87); --jp-ui-font-color2: rgba(0,0,0,.54);
--jp-brand-color1: #1976d2; --jp-error-color1: #d32f2f; --jp-content-font-color1: rgba(0,0,0,.87);"""
DARK = """--jp-layout-color0: #111; --jp-layout-color1: #212121; --jp-layout-color2: #424242; --jp-border-color1: #757575;
--jp-border-color2: #616161; --jp-ui-font-color1: #fff; --jp-ui-font-color2: rgba(255,255,255,.7);
--jp-brand-color1: #2196f3; --jp-error-color1: #f44336; --jp-content-font-color1: #fff;"""
KERNEL = r"""
const encode = (text) => new DataView(new TextEncoder().encode(text).buffer);
window.kernel = {
  total: 0, sent: [], told: [], views: [], silent: false, file: new Uint8Array(0),
  row: (n) => `1line ${n + 1}`,
  plain(n) { return this.row(n).slice(1).replace(/\x1b\[[0-9;]*m/g, ''); },
  rows(first, count) {
    const rows = [];
    for (let n = first; n < Math.min(first + count, this.total); n++) rows.push(this.row(n));
    return encode(rows.join('\n'));
  },
  tell(message, buffer) { this.told.push(message); for (const view of [...this.views]) view(message, buffer ? [buffer] : []); },
  tail(total, kept = 40) {
    this.total = total;
    const first = Math.max(0, total - kept);
    const times = { elapsed: 84, sent_ago: 0, next_in: null, ended: '' };
    const more = { stream: 0, both: false, counts: `${total} lines · 9.4 kB · 62 B on stderr`, progress: null, inner: null, doing: '', left: '', secret: false };
    this.tell({ op: 'tail', total, first, settled: Math.max(0, total - 5), ...more, ...times }, this.rows(first, kept));
  },
  answer(message) {
    const { op, id } = message;
    if (op === 'rows') this.tell({ op, stream: message.stream, first: message.first }, this.rows(message.first, Math.min(message.count, 130)));
    if (op === 'find') {
      const found = [];
      for (let n = 0; n < Math.min(this.total, 50000); n++) {
        const text = this.plain(n);
        if ((message.case ? text : text.toLowerCase()).includes(message.text)) found.push(n);
      }
      const rows = new Uint32Array(found.slice(0, 10000));
      this.tell({ op: 'found', id, total: this.total, more: found.length > 10000 }, new DataView(rows.buffer));
    }
    if (op === 'text') {
      if (message.last - message.first > 100000) return this.tell({ op: 'too_big', id });
      const rows = [];
      for (let n = message.first; n <= message.last; n++) rows.push(this.plain(n));
      if (message.last_column >= 0) rows.push(rows.pop().slice(0, message.last_column));
      rows[0] = rows[0].slice(message.first_column);
      const text = rows.join('\n');
      const half = Math.floor(text.length / 2);
      this.tell({ op, id, size: text.length, more: true }, encode(text.slice(0, half)));
      this.tell({ op, id, size: text.length, more: false }, encode(text.slice(half)));
    }
    if (op === 'download') {
      const piece = this.file.slice(message.at, message.at + 40000);
      const end = message.at + piece.length;
      const head = { op: 'piece', id, at: message.at, size: this.file.length, name: 'run 1.log', more: end < this.file.length };
      this.tell(head, new DataView(piece.buffer));
    }
  },
};
window.shown = { version: VERSION, job: 'job', name: 'running', label: 'Running', title: 'python train.py --epochs 10', note: '', pid: 48121,
  folded: false, line: false, ends: true, sent: '', pauses: false, stdin: false, notifies: false, elapsed: 84, sent_ago: 0, next_in: null, ended: '' };
window.model = {
  get: () => window.shown,
  on(event, call) {
    if (event === 'msg:custom') kernel.views.push(call);
    if (event === 'change:shown') kernel.changed = call;
  },
  off(event, call) { kernel.views = kernel.views.filter((other) => other !== call); },
  send(message) {
    kernel.sent.push(message);
    if (!kernel.silent) setTimeout(() => kernel.answer(message), 5);
  },
};
window.show = async () => {
  const view = document.createElement('div');
  document.querySelector('#cell').append(view);
  const { default: { card } } = await import('./page.js');
  return card.render({ model, el: view });
};
window.keys = [];
document.addEventListener('keydown', (event) => window.keys.push(event.key));
"""
COLOURED = r"""
kernel.row = (n) => [
  `1epoch ${n}/100  loss 0.412  acc 0.861`,
  `1epoch ${n}/100  loss 0.351  acc 0.882  \x1b[0;32mbest\x1b[0m`,
  `2UserWarning: 2 images could not be decoded, skipped`,
  `1\x1b[0;36m━━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[0;2m━━━━━━━━\x1b[0m  71%  0:00:12`,
  `1` + [30,31,32,33,34,35,36,37].map((c) => `\x1b[0;${c}mcolour\x1b[0m`).join(' '),
  `1` + [90,91,92,93,94,95,96,97].map((c) => `\x1b[0;${c}mcolour\x1b[0m`).join(' '),
  `1` + [40,41,42,43,44,45,46,47,104].map((c) => `\x1b[0;${c}m ground \x1b[0m`).join(' '),
  `1\x1b[0;1mbold\x1b[0m \x1b[0;2mdim\x1b[0m \x1b[0;3mitalic\x1b[0m \x1b[0;4munderline\x1b[0m \x1b[0;7m inverse \x1b[0m \x1b[0;9mstrike\x1b[0m \x1b[0;7;31m inverse red \x1b[0m \x1b[0;38;5;208morange\x1b[0m \x1b[0;38;2;120;80;220mtrue\x1b[0m`,
  `1see https://example.com/runs/(1) for the report.`,
  `0... 3 lines are left out here`,
  `1a long one: ${'the quick brown fox jumps over the lazy dog; '.repeat(5)}`,
  `2\x1b[0;1;31merror\x1b[0m: use of undeclared identifier 'tok'`,
][n % 12];
"""

LINES_IN_VIEW = """(() => { const box = document.querySelector('.ipyproc-log').getBoundingClientRect();
return [...document.querySelectorAll('[data-row]')].filter((row) => { const r = row.getBoundingClientRect();
  return r.bottom > box.top + 5 && r.top < box.bottom - 5 }).map((row) => Number(row.dataset.row) + 1) })()"""


class Body:
    """One card in a page, and its kernel."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.card = page.locator(".ipyproc-card")
        self.log = self.card.get_by_role("log")
        self.find_input = self.card.get_by_role("textbox")

    def value(self, code: str):
        return self.page.evaluate(code)

    def tail(self, total: int) -> None:
        self.value(f"kernel.tail({total})")

    def row(self, number: int):
        """A row by its line number."""
        return self.card.locator(f"[data-row='{number - 1}']")

    def button(self, name: str):
        return self.card.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))

    def lines_in_view(self) -> list[int]:
        return self.value(LINES_IN_VIEW)

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=5000)

    def wait_in_view(self, line: int) -> None:
        self.wait(
            f"""(() => {{ const row = document.querySelector("[data-row='{line - 1}']:not(.ipyproc-waits)");
            const box = document.querySelector('.ipyproc-log').getBoundingClientRect();
            return row && row.getBoundingClientRect().top >= box.top - 1 && row.getBoundingClientRect().bottom <= box.bottom + 1 }})()"""
        )

    def go_to(self, line: int) -> None:
        self.log.focus()
        self.page.keyboard.press("Control+f")
        self.find_input.fill(f":{line}")
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Escape")
        self.wait_in_view(line)

    def point(self, line: int, column: int) -> tuple[float, float]:
        """Where a character of a drawn row begins."""
        x, y = self.value(
            f"""(() => {{ const walker = document.createTreeWalker(document.querySelector("[data-row='{line - 1}']"), 4);
            let node = walker.nextNode(), left = {column};
            while (left > node.length) {{ left -= node.length; node = walker.nextNode() }}
            const range = document.createRange(); range.setStart(node, left); range.setEnd(node, left);
            const box = range.getBoundingClientRect(); return [box.left + 0.5, box.top + 8] }})()"""
        )
        return x, y

    def copied(self) -> str:
        """What Ctrl+C puts into the clipboard."""
        self.value("navigator.clipboard.writeText('nothing')")
        self.page.keyboard.press("Control+c")
        return self.clipboard()

    def clipboard(self) -> str:
        return self.value(
            """(async () => { for (;;) { const text = await navigator.clipboard.readText(); if (text !== 'nothing') return text;
            await new Promise(requestAnimationFrame) } })()"""
        )

    def asked(self, op: str) -> list[dict]:
        return self.value(f"kernel.sent.filter((message) => message.op === '{op}')")


def open_body(page: Page, light: bool = True, setup: str = "") -> Body:
    """Load the page and show a card there."""
    files = {
        "/": (PAGE.format(light=json.dumps(light), variables=LIGHT if light else DARK), "text/html"),
        "/page.js": ((STATIC / "page.js").read_text(), "text/javascript"),
        "/page.css": ((STATIC / "page.css").read_text(), "text/css"),
    }

    def serve(route) -> None:
        body, content_type = files[route.request.url.removeprefix(ORIGIN)]
        route.fulfill(body=body, content_type=f"{content_type}; charset=utf-8")

    page.unroute_all()
    page.route(f"{ORIGIN}/**", serve)
    page.goto(f"{ORIGIN}/")
    page.evaluate(KERNEL.replace("VERSION", str(messages.VERSION)))
    page.evaluate(f"{setup}; show().then((end) => {{ window.end = end }})")
    expect(page.locator(".ipyproc-card")).to_be_visible()
    return Body(page)


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all tests here: they differ by the page that is loaded, and a new profile takes as long as a test."""
    context = browser.new_context(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab):
    errors = []

    def collect(error) -> None:
        errors.append(str(error))

    tab.set_viewport_size({"width": 1000, "height": 760})
    tab.on("pageerror", collect)
    yield tab
    tab.remove_listener("pageerror", collect)
    assert not errors
    told, sent, shown = tab.evaluate("[kernel.told, kernel.sent, shown]")
    assert [each for each in told if not messages.fits(each, messages.CardMessage)] == [], "as the kernel never says it"
    assert [each for each in sent if messages.read(each, messages.CardRequest) is None] == [], (
        "the kernel would not hear it"
    )
    assert messages.fits(shown, messages.CardShown)


@pytest.fixture
def body(page):
    return open_body(page)


def test_no_rows_then_a_few(body):
    expect(body.log).to_be_hidden()
    expect(body.card.get_by_role("status")).to_have_text("Running")
    body.tail(3)
    expect(body.log).to_have_text("line 1line 2line 3")
    assert body.value("document.querySelector('.ipyproc-log').clientHeight") == 3 * 18 + 8
    body.tail(1000)
    body.wait_in_view(1000)
    assert body.value("document.querySelector('.ipyproc-log').offsetHeight") == 328
    expect(body.log).to_have_attribute("aria-label", "Output, lines 983 to 1000 of 1000")
    body.tail(2)  # the program cleared its screen
    expect(body.log).to_have_text("line 1line 2")
    body.value("end()")
    assert body.value("kernel.views.length") == 0


def test_ten_million_rows(body):
    body.tail(10_000_000)
    body.wait_in_view(10_000_000)
    body.log.focus()
    body.page.keyboard.press("Control+f")
    body.find_input.fill(":5000000")
    took = body.value(
        """new Promise((done) => { const start = performance.now();
        const look = () => document.querySelector("[data-row='4999999']:not(.ipyproc-waits)")
          ? done(performance.now() - start) : requestAnimationFrame(look);
        const key = new KeyboardEvent('keydown', {key: 'Enter', bubbles: true});
        document.querySelector('.ipyproc-find-text').dispatchEvent(key); look() })"""
    )
    print(f"to line 5,000,000: {took:.0f} ms")
    assert took < 200
    body.wait_in_view(5_000_000)
    expect(body.row(5_000_000)).to_have_text("line 5000000")
    assert body.value("document.querySelectorAll('[data-row]').length") < 60
    before = body.lines_in_view()[0]
    body.page.keyboard.press("Escape")
    body.page.keyboard.press("ArrowDown")
    body.wait(f"{LINES_IN_VIEW}[0] === {before + 1}")
    body.log.hover()
    body.page.mouse.wheel(0, 180)
    body.wait(f"{LINES_IN_VIEW}[0] === {before + 11}")
    # the scroll bar: to the middle, to its end, to its begin
    body.value("{ const log = document.querySelector('.ipyproc-log'); log.scrollTop = log.scrollHeight / 4 }")
    body.wait("Math.abs(document.querySelector('[data-row]:not(.ipyproc-waits)')?.dataset.row - 2500000) < 1000")
    body.value("document.querySelector('.ipyproc-log').scrollTop = 1e9")
    body.wait_in_view(10_000_000)
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "true")
    body.value("document.querySelector('.ipyproc-log').scrollTop = 0")
    body.wait_in_view(1)
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "false")
    body.wait("document.querySelectorAll('.ipyproc-waits').length === 0")
    assert all(request["count"] <= 200 for request in body.asked("rows"))


def test_a_fast_scroll_asks_where_it_rests(body):
    body.tail(1_000_000)
    body.wait_in_view(1_000_000)
    took = body.value(
        """new Promise((done) => { let n = 0; const log = document.querySelector('.ipyproc-log'); const began = performance.now();
        const step = () => { log.scrollTop = ++n * 50000; n < 40 ? requestAnimationFrame(step) : done(performance.now() - began) };
        step() })"""
    )
    body.wait("document.querySelector('[data-row]:not(.ipyproc-waits)')")
    body.wait("document.querySelectorAll('.ipyproc-waits').length === 0")
    assert len(body.asked("rows")) <= max(4, 2 + took / 200), "at most one each 200 ms, and where it has come to rest"


def test_an_unanswered_question_is_asked_again(body):
    body.value("kernel.silent = true")
    body.tail(1000)
    body.log.focus()
    body.page.keyboard.press("Home")
    body.wait("document.querySelector('.ipyproc-waits')?.dataset.row === '0'")
    expect(body.row(1)).to_have_text("…")
    assert body.value("document.querySelector('.ipyproc-waits').offsetHeight") == 18
    body.wait("kernel.sent.some((message) => message.op === 'rows')")
    body.value("kernel.silent = false")
    expect(body.row(1)).to_have_text("line 1")
    assert len(body.asked("rows")) == 2


def test_follow_and_new_lines(body):
    body.tail(500)
    body.wait_in_view(500)
    body.log.hover()
    body.page.mouse.wheel(0, -100)
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "false")
    seen = body.lines_in_view()
    body.tail(501)
    expect(body.button("1 new line")).to_be_visible()
    body.tail(700)
    expect(body.button("200 new lines")).to_be_visible()
    assert body.lines_in_view() == seen
    expect(body.row(seen[3])).to_have_text(f"line {seen[3]}")
    body.button("200 new lines").click()
    body.wait_in_view(700)
    expect(body.card.locator(".ipyproc-new-lines")).to_be_hidden()
    body.button("Follow").click()
    body.tail(800)
    expect(body.button("100 new lines")).to_be_visible()
    body.log.hover()
    body.page.mouse.wheel(0, 5000)  # down to the end by hand
    body.wait_in_view(800)
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "true")
    body.tail(900)
    body.wait_in_view(900)


BOTH = r"""
const encode = (text) => new DataView(new TextEncoder().encode(text).buffer);
kernel.both = [...Array(60).keys()].map((n) => n % 3 ? `1out ${n}` : n === 57 ? `8error: ${n}` : `2err ${n}`);
kernel.of = (stream) => kernel.both.filter((row) => !stream || row.charAt(0) % 3 === stream);
kernel.limit = (stream) => {
  const rows = kernel.of(stream);
  const times = { elapsed: 84, sent_ago: 0, next_in: null, ended: '' };
  const more = { both: true, settled: rows.length, counts: '60 lines', progress: null, inner: null, doing: '', left: '', secret: false };
  kernel.tell({ op: 'tail', stream, total: rows.length, first: rows.length - 2, ...more, ...times }, encode(rows.slice(-2).join('\n')));
};
kernel.answer = ({ op, stream, first, count, id }) => {
  if (op === 'filter') kernel.limit(stream);
  if (op === 'rows') kernel.tell({ op, stream, first }, encode(kernel.of(stream).slice(first, first + count).join('\n')));
};
"""


def test_one_stream_alone(page, picture):
    body = open_body(page, setup=BOTH)
    choice = body.card.get_by_role("combobox", name="Lines to show")
    expect(choice).to_be_hidden()
    body.value("kernel.limit(0)")
    expect(body.row(60)).to_have_text("out 59")
    expect(choice).to_have_value("0")
    assert choice.locator("option").all_inner_texts() == ["all", "stdout", "stderr"]
    body.value("document.activeElement.blur()")
    choice.click()
    body.page.keyboard.press("Escape")
    choice.focus()
    body.page.keyboard.press("End")  # of its options
    expect(choice).to_have_value("2")
    expect(body.row(20)).to_have_text("error: 57")
    expect(body.log).to_have_attribute("aria-label", re.compile("of 20$"))
    expect(body.row(4)).to_have_text("err 9")
    assert body.value("keys") == [], "JupyterLab has none of them"
    picture("one-stream")
    assert body.asked("rows")[-1]["stream"] == 2
    body.value("kernel.limit(1)")  # for another view
    expect(body.row(20)).to_have_text("error: 57")
    body.button("Find").click()
    body.find_input.fill("err")
    body.wait("kernel.sent.some((message) => message.op === 'find' && message.stream === 2)")
    body.page.keyboard.press("Escape")
    choice.select_option("stdout")
    expect(body.row(40)).to_have_text("out 59")
    choice.select_option("all")
    expect(body.row(60)).to_have_text("out 59")
    expect(body.row(58)).to_have_text("error: 57")
    assert [request["stream"] for request in body.asked("filter")] == [2, 1, 0]


def test_what_lines_say_and_the_end_of_a_failure(page):
    body = open_body(page)
    body.value(
        "kernel.row = (n) => ['1plain', '2told', '5warning: x', '8error: x', '7error: \\x1b[0;32mgreen\\x1b[0m', '0note'][n % 6]"
    )
    body.tail(12)
    expect(body.row(12)).to_have_text("note")
    colour = "(row) => getComputedStyle(row).color"
    plain = body.row(1).evaluate(colour)
    assert body.row(2).evaluate(colour) == plain, "stderr is no alarm"
    ground = "(row) => getComputedStyle(row).backgroundColor"
    assert body.row(2).evaluate(ground) == body.row(1).evaluate(ground)
    mark = "(row) => getComputedStyle(row, '::before').boxShadow"
    assert body.row(2).evaluate(mark) == "rgb(189, 189, 189) 2px 0px 0px 0px inset"
    assert [body.row(n).evaluate(colour) for n in (3, 4, 5)] == [
        "rgb(138, 96, 0)",
        "rgb(198, 47, 56)",
        "rgb(198, 47, 56)",
    ]
    assert body.row(5).locator("span").evaluate(colour) == "rgb(27, 122, 47)", "a colour of the program's own stays"
    expect(body.card.locator(".ipyproc-ending")).to_have_count(0)
    body.value("shown = { ...shown, name: 'failed', label: 'Failed, exit 1' }; kernel.changed()")
    expect(body.card.locator(".ipyproc-ending")).to_have_count(5)
    assert body.row(8).evaluate(ground) != body.row(7).evaluate(ground) == body.row(1).evaluate(ground)


def test_a_row_that_changes_is_drawn_again(body):
    body.tail(20)
    expect(body.row(20)).to_have_text("line 20")
    body.value("document.querySelector(\"[data-row='3']\").kept = true")
    body.value("kernel.row = (n) => n < 18 ? `1line ${n + 1}` : `1step ${n + 1}`; kernel.tail(20)")
    expect(body.row(20)).to_have_text("step 20")
    assert body.value("document.querySelector(\"[data-row='3']\").kept")


def test_the_wheel_goes_on_at_the_end(body):
    body.tail(10_000_000)
    body.wait_in_view(10_000_000)
    body.log.hover()
    body.page.mouse.wheel(0, 200)
    body.wait("scrollY > 0")


def test_keys(body):
    body.tail(1000)
    body.log.focus()
    press = body.page.keyboard.press
    press("Home")
    body.wait_in_view(1)
    press("PageDown")
    body.wait_in_view(34)
    press("PageUp")
    body.wait_in_view(1)
    press("ArrowDown")
    body.wait("document.querySelector('.ipyproc-log').scrollTop === 18")
    press("End")
    body.wait_in_view(1000)
    press("ArrowUp")
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "false")
    for key in ("x", "a", "Control+a", "Control+f"):
        press(key)
    expect(body.find_input).to_be_focused()
    for key in ("d", "d", "Escape"):
        press(key)
    expect(body.log).to_be_focused()
    press("Control+s")
    press("Escape")
    assert body.value("keys") == ["Control", "Control", "Control", "s", "Escape"]
    expect(body.button("Stop")).to_be_visible()
    names = body.value(
        "[...document.querySelectorAll('.ipyproc-card button')].map((b) => b.ariaLabel || b.textContent)"
    )
    assert all(names)


def test_find(body):
    body.value("kernel.row = (n) => `1${n % 100 === 7 ? '\\x1b[0;31mNee\\x1b[0mdle' : 'hay'} ${n}`")
    body.tail(1000)
    body.wait_in_view(1000)
    body.button("Find").click()
    body.find_input.fill("needle")
    count = body.card.locator(".ipyproc-find-count")
    expect(count).to_have_text("10 of 10")  # nothing below, so the last one
    body.wait_in_view(908)
    expect(body.row(908)).to_have_class(re.compile("ipyproc-marked"))
    highlighted = "[...CSS.highlights.get('ipyproc-match')].map((range) => range.endContainer.textContent)"
    assert body.value(highlighted) == ["dle 907"]
    body.page.keyboard.press("Enter")
    expect(count).to_have_text("1 of 10")
    body.wait_in_view(8)
    body.page.keyboard.press("Shift+Enter")
    expect(count).to_have_text("10 of 10")
    body.tail(1100)
    body.page.keyboard.press("Enter")  # it has grown: searched again
    expect(count).to_have_text("11 of 11")
    assert len(body.asked("find")) == 2
    body.wait_in_view(1008)
    body.find_input.fill("needlE")
    expect(count).to_have_text("none")
    assert body.asked("find")[-1]["case"] is True
    body.page.keyboard.press("Escape")
    expect(body.find_input).to_be_hidden()
    assert body.value("CSS.highlights.get('ipyproc-match').size") == 0
    body.value("kernel.row = (n) => `1hay ${n}`")
    body.tail(30_000)
    body.button("Find").click()
    body.find_input.fill("hay")
    expect(count).to_have_text(re.compile(r"of 10,000\+$"))


def test_find_beside_the_view(body):
    body.value("kernel.row = (n) => `1${n}${' hay'.repeat(500)}${n === 50 ? ' needle' : ''}`")
    body.tail(1000)
    body.button("Find").click()
    body.find_input.fill("needle")
    body.wait_in_view(51)
    body.wait("document.querySelector('.ipyproc-log').scrollLeft > 10000")
    body.wait("CSS.highlights.get('ipyproc-match').size === 1")
    in_sight = """(() => { const [mark] = CSS.highlights.get('ipyproc-match'); const range = document.createRange();
        range.setStart(mark.startContainer, mark.startOffset); const box = range.getBoundingClientRect();
        return box.left > 50 && box.left < 980 })()"""
    assert body.value(in_sight)


def test_wrap(body):
    body.value("kernel.row = (n) => `1${n} ` + 'word '.repeat(n % 7 ? 3 : 400)")
    body.tail(100_000)
    body.wait_in_view(100_000)
    assert body.value("document.querySelector('.ipyproc-log').scrollWidth > 2000")
    body.button("Wrap").click()
    body.wait("document.querySelector('.ipyproc-wrapped')")
    at_end = """Math.abs(document.querySelector("[data-row='99999']")?.getBoundingClientRect().bottom + 4
      - document.querySelector('.ipyproc-log').getBoundingClientRect().bottom) < 1.5"""
    body.wait(at_end)
    assert body.value(
        "document.querySelector('.ipyproc-log').scrollWidth <= document.querySelector('.ipyproc-log').offsetWidth"
    )
    body.log.hover()
    top_of = "document.querySelector(\"[data-row='99990']\").getBoundingClientRect().top"
    before = body.value(top_of)
    body.page.mouse.wheel(0, -60)
    body.wait(f"Math.abs({top_of} - {before} - 60) < 1.5")
    body.page.mouse.wheel(0, -40)
    body.wait(f"Math.abs({top_of} - {before} - 100) < 1.5")
    body.log.focus()
    body.page.keyboard.press("End")
    body.wait(at_end)
    body.go_to(50_001)
    body.page.keyboard.press("Home")
    body.wait_in_view(1)
    body.page.keyboard.press("PageDown")
    body.page.keyboard.press("End")
    body.wait(at_end)
    body.tail(100_007)
    body.wait("document.querySelector(\"[data-row='100006']\")")
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "true")
    body.tail(10)  # few enough: the browser scrolls by px
    body.wait(
        "document.querySelector(\"[data-row='0']\") && document.querySelector('.ipyproc-log').scrollHeight < 1500"
    )
    body.value("document.querySelector('.ipyproc-log').scrollTop = 50")
    body.wait("document.querySelector(\"[data-row='0']\").getBoundingClientRect().top < 100")
    expect(body.button("Follow")).to_have_attribute("aria-pressed", "false")


def expected(first: int, last: int) -> str:
    return "\n".join(f"line {line}" for line in range(first, last + 1))


def test_selection_by_drag_over_500_rows(body):
    body.tail(1000)
    body.go_to(100)
    body.page.mouse.move(*body.point(100, 2))
    body.page.mouse.down()
    box = body.log.bounding_box()
    body.page.mouse.move(box["x"] + 300, box["y"] + box["height"] + 320)
    body.wait("Number(document.querySelector('[data-row]:last-child').dataset.row) > 640")
    body.page.mouse.move(box["x"] + 300, box["y"] + 100)  # back inside: it stands still
    body.page.mouse.up()
    text = body.copied()
    last = text.count("\n") + 100
    assert last > 600
    assert text == expected(100, last)[2:]
    body.page.mouse.move(box["x"] + 300, box["y"] + 60)
    assert body.copied() == text, "the selection goes on without a button"
    drawn = body.value("getSelection().toString()")
    assert 0 < drawn.count("\n") < 60


def test_selection_by_shift_click_is_fetched(body):
    body.tail(100_000)
    body.go_to(1000)
    body.page.mouse.click(*body.point(1000, 5))
    body.go_to(9000)
    body.page.keyboard.down("Shift")
    body.page.mouse.click(*body.point(9000, 7))
    body.page.keyboard.up("Shift")
    assert body.copied() == expected(1000, 9000)[5:-2]
    body.go_to(5)  # nothing of the selection is drawn
    assert body.copied() == expected(1000, 9000)[5:-2]
    expect(body.card.locator(".ipyproc-said")).to_have_text("Copied")
    expected_request = {"first": 999, "last": 8999, "first_column": 5, "last_column": 7}
    assert body.asked("text")[-1].items() >= expected_request.items()


def test_selection_backwards_and_characters(body):
    body.value(r"kernel.row = (n) => `1\x1b[0;32m😀é\x1b[0m line ${n}`")
    body.tail(10)
    body.wait_in_view(10)
    body.page.mouse.move(*body.point(7, 6))
    body.page.mouse.down()
    body.page.mouse.move(*body.point(5, 2))
    body.page.mouse.up()
    assert body.copied() == "é line 4\n😀é line 5\n😀é li"


def test_double_click_select_all_and_elsewhere(body):
    body.value("document.querySelector('#below').textContent = 'another text'")
    body.value("kernel.row = (n) => `1alpha beta-${n} gamma`")
    body.tail(50)
    body.wait_in_view(50)
    body.page.mouse.dblclick(*body.point(45, 2))
    assert body.copied().strip() == "alpha"
    body.page.keyboard.press("Control+a")
    assert body.copied() == "\n".join(f"alpha beta-{n} gamma" for n in range(50))
    body.page.mouse.click(*body.point(45, 2))
    assert body.value("getSelection().toString()") == ""
    body.page.mouse.dblclick(*body.point(45, 2))
    body.page.get_by_text("another text").dblclick(position={"x": 5, "y": 8})
    assert body.copied().strip() == "another"


def test_the_copy_button(body):
    body.tail(300)
    body.button("Copy").click()
    said = body.card.locator(".ipyproc-said")
    expect(said).to_have_text("Copied")
    assert body.clipboard() == expected(1, 300)
    body.go_to(100)
    body.page.mouse.move(*body.point(100, 0))
    body.page.mouse.down()
    body.page.mouse.move(*body.point(102, 4))
    body.page.mouse.up()
    body.value("navigator.clipboard.writeText('nothing')")
    body.button("Copy").click()
    assert body.clipboard() == "line 100\nline 101\nline"
    body.tail(1_000_000)
    body.page.mouse.click(*body.point(100, 0))
    body.button("Copy").click()
    expect(said).to_have_text("More than 1 MiB: download it instead")


@pytest.mark.parametrize("broken", ["navigator.clipboard.write = null", "delete Navigator.prototype.clipboard"])
def test_copy_without_the_new_clipboard(body, broken):
    body.tail(300)
    body.log.focus()
    body.value(broken)
    body.value("document.addEventListener('copy', () => { window.caught = document.activeElement.value })")
    body.button("Copy").click()
    expect(body.card.locator(".ipyproc-said")).to_have_text("Copied")
    expect(body.log).to_be_focused()
    if "delete" in broken:
        assert body.value("caught") == expected(1, 300)
    else:
        assert body.clipboard() == expected(1, 300)


def test_styles(body):
    codes = ["1;31", "2", "3", "4;9", "7", "7;32", "44", "38;5;208", "38;2;1;2;3", "48;5;17", "90"]
    text = "".join(f"\x1b[0;{code}m{code} \x1b[0m" for code in codes) + "plain"
    body.value(f"kernel.row = () => '1' + {json.dumps(text)}")
    body.tail(1)
    expect(body.row(1)).to_have_text(" ".join([*codes, "plain"]))
    styles = body.value("[...document.querySelectorAll('[data-row] span')].map((e) => e.className || e.style.cssText)")
    assert styles == [
        "color: var(--ipyproc-color-1); font-weight: bold;",
        "opacity: 0.65;",
        "font-style: italic;",
        "text-decoration: underline line-through;",
        "ipyproc-inverse",
        "background-color: rgb(28, 135, 59); color: rgb(255, 255, 255);",
        "background-color: rgb(33, 119, 209); color: rgb(255, 255, 255);",
        "color: rgb(255, 135, 0);",
        "color: rgb(1, 2, 3);",
        "background-color: rgb(0, 0, 95); color: rgb(255, 255, 255);",
        "color: var(--ipyproc-color-8);",
    ]


LINKS = [
    (
        "see https://a.example/b_(c)?x=1&y='2', then (http://b.example/).",
        ["https://a.example/b_(c)?x=1&y='2", "http://b.example/"],
    ),
    ("\x1b[0;34mhttps://\x1b[0ma.example\x1b[0;1m/x\x1b[0m \x1b[0;1m!\x1b[0m", ["https://a.example/x"]),
    ("http://a.example/]]]))) HTTPS://b.example/[1]", ["http://a.example/", "HTTPS://b.example/[1]"]),
    ("http://a.example<b>http://c.example</b>", ["http://a.example", "http://c.example"]),
    ("javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.example xhttp://a.example", []),
    ("http:// http://[ https://: http://%", []),
    ("https://a.example/\u202egnp.exe \u200bhttps://b.example/\u200bx", ["https://a.example/", "https://b.example/"]),
]


def test_links(body):
    texts = [text for text, _ in LINKS]
    body.value(f"kernel.texts = {json.dumps(texts)}; kernel.row = (n) => '1' + kernel.texts[n]; 0")
    body.tail(len(LINKS))
    expect(body.row(len(LINKS))).to_be_visible()
    rows = body.value(
        """[...document.querySelectorAll('[data-row]')].map((row) => [row.textContent,
        [...row.querySelectorAll('a')].map((a) => [a.textContent, a.target, a.rel])])"""
    )
    assert [text for text, _ in rows] == [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in texts]
    assert [found for _, found in rows] == [
        [[link, "_blank", "noopener noreferrer nofollow"] for link in links] for _, links in LINKS
    ]


def test_markup_stays_text(body):
    text = (
        "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>&lt;b&gt; <a href=javascript:pwned=1>x</a>"
    )
    body.value(f"kernel.row = () => '2' + {json.dumps(text)}")
    body.tail(3)
    expect(body.row(2)).to_have_text(text)
    assert body.value("document.querySelectorAll('.ipyproc-log :is(img, script, a, b)').length") == 0
    assert body.value("window.pwned") is None


def test_a_text_to_find_is_no_longer_than_the_kernel_takes_it(body):
    body.tail(5)
    body.log.focus()
    body.page.keyboard.press("Control+f")
    body.page.keyboard.insert_text("€" * messages.MOST_FIND)
    body.wait("kernel.sent.some((message) => message.op === 'find')")
    assert body.asked("find")[0]["text"] == "€" * (messages.MOST_FIND // 4)


def test_download(body):
    content = bytes(range(256)) * 800
    body.value(f"kernel.file = Uint8Array.from({{length: {len(content)}}}, (_, i) => i % 256)")
    body.tail(5)
    with body.page.expect_download() as caught:
        body.button("Download").click()
    assert caught.value.suggested_filename == "run 1.log"
    assert Path(caught.value.path()).read_bytes() == content
    assert [request["at"] for request in body.asked("download")] == list(range(0, len(content), 40_000))
    said = body.card.locator(".ipyproc-said")
    expect(said).to_have_text("Downloaded")
    body.value(
        """{ const answer = kernel.answer; kernel.answer = (message) => message.at < 80000 && answer.call(kernel, message);
        kernel.sent = [] }"""
    )
    body.button("Download").click()
    expect(said).to_have_text("Downloading 80 of 205 kB")
    body.button("Cancel").click()
    expect(said).to_have_text("Download cancelled")
    expect(body.button("Download")).to_be_visible()


WATCH_TASKS = """window.longest = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries())
  window.longest = Math.max(window.longest, entry.duration) }).observe({ entryTypes: ['longtask'] });"""


def test_a_flood_makes_no_long_task(body):
    body.value(
        WATCH_TASKS
        + r"""kernel.row = (n) => `${n % 3 ? 1 : 2}\x1b[0;3${n % 8}mstep ${n}\x1b[0m ${'word '.repeat(20)} https://example.com/${n}`; 0"""
    )
    longest = []
    while not longest or (longest[-1] > 50 and len(longest) < 6):  # other tests on this machine may stop a task
        body.value("longest = 0")
        body.value(
            """new Promise((done) => { let n = 0; const timer = setInterval(() => { kernel.tail(kernel.total + 20000);
            if (++n === 40) { clearInterval(timer); done() } }, 25) })"""
        )
        body.wait_in_view(body.value("kernel.total"))
        longest.append(body.value("longest"))
    print(f"longest task in a flood: {longest} ms")
    assert min(longest) <= 200, "50 ms on a quiet machine; what froze the page took seconds"
    assert body.asked("rows") == []


@pytest.mark.parametrize("wrap", [False, True])
def test_hostile_rows_make_no_long_task(body, wrap):
    """As long as rows may be, with as many styles and links as fit."""
    body.tail(300)
    if wrap:
        body.button("Wrap").click()
        body.wait("document.querySelector('.ipyproc-wrapped')")
    body.value(
        WATCH_TASKS
        + r"""kernel.row = (n) => '1' + [`${n} `.padEnd(9999, 'abc de'), `\x1b[0;31m${n}\x1b[0m `.repeat(500), 'http://a/) '.repeat(900),
          'http://' + '('.repeat(4000) + ')'.repeat(5000)][n % 4]"""
    )
    longest = []
    while not longest or (longest[-1] > 400 and len(longest) < 6):  # other tests on this machine may stop a task
        body.value("longest = 0")
        body.value(
            """new Promise((done) => { let n = 0; const timer = setInterval(() => { kernel.tail(kernel.total + 100, 60);
            if (++n === 10) { clearInterval(timer); done() } }, 100) })"""
        )
        expect(body.row(body.value("kernel.total"))).to_be_attached()
        body.wait("document.querySelectorAll('.ipyproc-waits').length === 0")
        longest.append(body.value("longest"))
    print(f"longest task with hostile rows: {longest} ms")
    assert min(longest) <= 400, "far less on a machine of one's own; all rows in one frame took 2 s"


def test_two_views_share_the_kernel(body):
    body.tail(1000)
    body.value("show()")
    body.tail(1001)
    first, second = body.page.get_by_role("log").all()
    expect(second).to_contain_text("line 1001")
    first.focus()
    body.page.keyboard.press("Home")
    expect(first).to_contain_text("line 12")
    expect(second).to_contain_text("line 1001")
    body.value("navigator.clipboard.writeText('nothing')")
    body.page.get_by_role("button", name=re.compile("^Copy")).first.click()
    assert body.clipboard() == expected(1, 1001)
    expect(body.page.locator(".ipyproc-said").first).to_have_text("Copied")
    expect(body.page.locator(".ipyproc-said").last).to_have_text("")
    second_box = second.bounding_box()
    body.page.keyboard.press("Control+a")
    body.wait("getSelection().toString().includes('line 12')")
    body.page.mouse.click(second_box["x"] + 100, second_box["y"] + 50)
    body.tail(1002)  # both draw
    expect(second).to_contain_text("line 1002")
    assert body.value("getSelection().toString()") == "", "the first card still has its selection"


def test_lost_shows_what_is_here(body):
    body.tail(1000)
    body.wait_in_view(1000)
    body.value("model.send = () => { throw new Error('no kernel') }; 0")
    body.log.focus()
    body.page.keyboard.press("Home")
    expect(body.card).to_have_attribute("data-state", "lost")
    expect(body.row(1)).to_have_text("…")
    body.button("Download").click()
    expect(body.card.locator(".ipyproc-said")).to_have_text("The kernel that had the output is gone")
    body.page.keyboard.press("End")
    expect(body.row(1000)).to_have_text("line 1000")


def test_the_user_drags_its_height(body):
    body.tail(1000)
    body.wait_in_view(1000)
    box = body.log.bounding_box()
    corner = (box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)
    body.page.mouse.move(*corner)
    body.page.mouse.down()
    body.page.mouse.move(corner[0], corner[1] + 50, steps=5)
    body.page.mouse.move(corner[0], corner[1] + 200, steps=5)
    body.page.mouse.up()
    body.wait("document.querySelector('.ipyproc-log').offsetHeight > 500")
    body.wait_in_view(1000)
    assert len(body.lines_in_view()) > 27


def test_narrow(body, picture):
    body.page.set_viewport_size({"width": 320, "height": 600})
    body.value(COLOURED)
    body.tail(40)
    body.button("Find").click()
    fits = "[...document.querySelectorAll('.ipyproc-card :is(button, input):not([hidden])')].every((e) => e.getBoundingClientRect().right <= 304)"
    assert body.value(fits)
    picture("body-narrow")


@pytest.mark.parametrize("light", [True, False])
def test_pictures(page, picture, light):
    theme = "light" if light else "dark"
    body = open_body(page, light, COLOURED)
    body.tail(14)
    expect(body.row(14)).to_be_visible()
    picture(f"body-{theme}-few")
    body.tail(123)
    body.wait_in_view(123)
    picture(f"body-{theme}")
    body.button("Find").click()
    body.find_input.fill("colour")
    expect(body.card.locator(".ipyproc-find-count")).to_contain_text("of")
    body.page.mouse.move(*body.point(115, 3))
    body.page.mouse.down()
    body.page.mouse.move(*body.point(118, 6))
    body.page.mouse.up()
    body.tail(140)
    expect(body.button("17 new lines")).to_be_visible()
    picture(f"body-{theme}-find")
    body.page.keyboard.press("Escape")
    body.button("Wrap").click()
    body.wait("document.querySelector('.ipyproc-wrapped')")
    picture(f"body-{theme}-wrapped")
