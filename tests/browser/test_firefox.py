"""Debian's Firefox: the same page in a browser that lays out, scrolls, copies and mixes colours with code of its own."""

import re

import pytest
from playwright.sync_api import expect

from .firefox import firefox
from .test_colours import READABLE, SEEN, contrast, luminance

pytestmark = pytest.mark.needs("firefox-esr")
STAYS = "%aproc sh -c 'seq -f \"line %.0f\" 20000; echo last; sleep 600'"


@pytest.fixture(scope="module")
def profile(playwright):
    with firefox(playwright) as browser, browser.new_context(viewport={"width": 1000, "height": 760}) as context:
        yield context


@pytest.fixture(scope="module")
def tabs():
    return []


@pytest.fixture
def card(notebook, page):
    """The card of a program that has written 20,001 lines and goes on; tests that follow each other share it."""
    card = page.locator(".ipyproc-card", has_text="echo last")
    if not card.count():
        notebook(STAYS).run(1)
        expect(card.get_by_role("log")).to_contain_text("last")
    return card


def test_a_card_runs_and_becomes_its_transcript(notebook, page, picture):
    lab = notebook("%aproc sh -c 'echo begun; while [ ! -e on ]; do sleep 0.05; done; echo ended >&2'", "1")
    lab.run(1)
    card = lab.cell(1).locator(".ipyproc-card")
    expect(card.get_by_role("status")).to_have_text("Running")
    expect(card.get_by_role("log")).to_have_text("begun")
    expect(card.locator(".ipyproc-counts")).to_have_text(re.compile(r"1 line · 6 B · pid \d+"))
    expect(card.locator(".ipyproc-memory")).to_have_text(re.compile(r"^[\d.]+ [kM]B$"))
    head, log = card.locator(".ipyproc-head").bounding_box(), card.get_by_role("log").bounding_box()
    assert head["height"] < 40 and log["height"] < 40, "one line each"
    picture("firefox-running")
    assert "Firefox" in page.evaluate("navigator.userAgent")
    (lab.server.root / "on").touch()
    lab.expect_done(1)
    (lab.server.root / "on").unlink()
    saved = lab.output(1).locator(".ipyproc-transcript")
    expect(saved).to_contain_text("Done, exit 0")
    expect(saved.locator("pre > span")).to_have_text(["begun", "ended"])
    expect(lab.cards).to_have_count(0)
    assert "ipyproc-transcript" in str(lab.save())


def test_stop_and_kill(notebook, page):
    lab = notebook("%%aproc --grace 600\ntrap 'echo asked' TERM\necho ready; while true; do sleep 0.05 || true; done")
    lab.run(1)
    expect(lab.cards.get_by_role("log")).to_contain_text("ready")
    stop = lab.cards.get_by_role("button", name=re.compile("^Stop"))
    stop.focus()
    page.keyboard.press("x")  # for the button, and not for JupyterLab, which would cut the cell
    page.keyboard.press("Enter")
    expect(lab.cards.get_by_role("log")).to_contain_text("asked")
    expect(lab.cards.get_by_role("status")).to_have_text(re.compile(r"^Stopping \(SIGTERM sent \d s ago"))
    expect(stop).to_be_disabled()
    lab.cards.get_by_role("button", name=re.compile("^Kill")).click()
    lab.expect_done(1)
    expect(lab.output(1).first).to_contain_text("Stopped (SIGKILL)")


def test_typed_input(notebook, page):
    lab = notebook("%aproc --stdin ask python3 -uc \"print(len(input('name? ')), len(input('password: ')))\"")
    lab.run(1)
    log, row = lab.cards.get_by_role("log"), lab.cards.get_by_role("textbox", name="A line for the program")
    expect(log).to_contain_text("name? ")
    row.click()
    page.keyboard.type("Ada x")
    page.keyboard.press("Enter")
    expect(log).to_contain_text("name? Ada x")
    expect(row).to_have_attribute("type", "password")
    page.keyboard.type("hunter2")
    page.keyboard.press("Enter")
    lab.expect_done(1)
    expect(lab.output(1).first).to_contain_text("5 7")
    assert "hunter2" not in str(lab.save())


def test_scroll(card, page):
    log, row = card.get_by_role("log"), lambda n: card.locator(f"[data-row='{n}']")
    expect(row(20_000)).to_be_in_viewport()
    log.hover()
    page.mouse.wheel(0, -900)
    expect(card.get_by_role("button", name="Follow new lines")).to_have_attribute("aria-pressed", "false")
    expect(row(19_940)).to_be_in_viewport()
    expect(row(20_000)).not_to_be_attached()
    log.press("Home")
    expect(row(0)).to_have_text("line 1")
    expect(row(0)).to_be_in_viewport()
    log.press("PageDown")
    expect(row(0)).not_to_be_in_viewport()
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight / 2; }")
    expect(row(10_000)).to_have_text("line 10001")
    card.get_by_role("button", name="Follow new lines").click()
    expect(row(20_000)).to_have_text("last")
    expect(row(20_000)).to_be_in_viewport()
    log.evaluate("(log) => { log.style.height = '900px'; }")  # as somebody drags it
    expect(row(20_000 - 900 // 18)).to_be_attached()
    log.evaluate("(log) => { log.style.height = ''; }")


def test_find_and_jump(card, page, picture):
    card.get_by_role("log").click()
    page.keyboard.press("Control+f")
    page.keyboard.type("line 1234")
    expect(card.locator(".ipyproc-find-count")).to_have_text(re.compile(r"^\d+ of 11$"))
    expect(card.locator(".ipyproc-marked")).to_contain_text("line 1234")
    page.wait_for_function("CSS.highlights.get('ipyproc-match').size > 0")
    picture("firefox-find")
    page.keyboard.press("Control+a")
    page.keyboard.type(":9001")
    page.keyboard.press("Enter")
    expect(card.locator(".ipyproc-marked")).to_have_text("line 9001")
    expect(card.locator(".ipyproc-marked")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(card.get_by_role("button", name=re.compile("^Find"))).to_have_attribute("aria-pressed", "false")


def test_copy(card, page):
    card.get_by_role("log").press("Home")
    card.locator("[data-row='1']").click(position={"x": 80, "y": 9})
    card.locator("[data-row='3']").click(modifiers=["Shift"])
    page.keyboard.press("Control+c")
    pasted = "navigator.clipboard.readText()"
    assert page.evaluate(pasted).split("\n")[1:] == ["line 3", "line 4"]
    page.keyboard.press("Control+a")
    card.get_by_role("button", name=re.compile("^Copy")).click()
    expect(card.locator(".ipyproc-said")).to_have_text("Copied")
    text = page.evaluate(pasted)
    assert text.rstrip("\n").splitlines() == [*(f"line {n}" for n in range(1, 20_001)), "last"], (
        "the kernel had most of it"
    )
    card.get_by_role("button", name=re.compile("^Download")).click()
    expect(card.locator(".ipyproc-said")).to_have_text("Downloaded")


def test_the_saved_transcript_wraps(notebook, picture):
    lab = notebook("%aproc sh -c 'seq -s \" \" 500; echo; sleep 0.3; exit 3'")
    lab.run(1)
    lab.expect_done(1)
    saved = lab.output(1).locator(".ipyproc-transcript")
    line = saved.locator("pre > span").first
    scroller = saved.locator("> div:nth-child(2)")
    assert scroller.evaluate("(box) => box.scrollWidth > box.clientWidth + 100"), "it scrolls"
    height = line.bounding_box()["height"]
    saved.get_by_label("Wrap lines").check()
    assert line.bounding_box()["height"] >= 3 * height
    assert scroller.evaluate("(box) => box.scrollWidth <= box.clientWidth + 1")
    picture("firefox-wrapped")


def test_the_table(notebook, page, picture):
    lab = notebook("%aproc --bg --name sleeping sh -c 'echo here; sleep 600'", "%aprocs")
    for number in (1, 2):
        lab.run(number)
        lab.expect_done(number)
    table = lab.cell(2).locator(".ipyproc-table")
    row = table.locator("tr.ipyproc-table-row")
    table.scroll_into_view_if_needed()
    expect(table.get_by_role("status")).to_have_text("1 running, 0 ended")
    expect(row.locator(".ipyproc-table-at-memory")).to_have_text(re.compile(r"^[\d.]+ [kM]B$"))
    row.get_by_role("button", name=re.compile("^Output")).click()
    expect(table.locator(".ipyproc-card").get_by_role("log")).to_have_text("here")
    picture("firefox-table")
    assert table.locator(".ipyproc-table-scroller").evaluate("(box) => box.scrollWidth <= box.clientWidth")
    row.get_by_role("button", name=re.compile("^Stop")).click()
    expect(row.locator(".ipyproc-table-word")).to_have_text(re.compile(r"^Stopped \(SIGTERM\)"))


def test_rows_of_many_open(notebook, picture):
    body = 'echo "[ 50%] item {item}"; while [ {item} = 2 -a ! -e go ]; do sleep 0.05; done; exit {item}'
    lab = notebook("items = [0, 2]\n", f"%%aproc --each items --jobs 2 --no-raise-error\n{body}")
    lab.run(1)
    lab.run(2)
    jobs = lab.cell(2).locator(".ipyproc-jobs")
    expect(jobs.locator(".ipyproc-jobs-sentence")).to_have_text(re.compile("^1 of 2 done · 1 running"))
    expect(jobs.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "1")
    for row in jobs.get_by_role("listitem").all():
        row.get_by_role("button").first.click()
    expect(jobs.get_by_role("log")).to_have_text(["[ 50%] item 2", "[ 50%] item 0"])
    picture("firefox-jobs")
    (lab.server.root / "go").touch()
    lab.expect_done(2)
    (lab.server.root / "go").unlink()
    expect(lab.output(2).locator(".ipyproc-progress")).to_contain_text("1 failed")


def test_it_can_be_read_in_the_dark(notebook, page, picture):
    lab = notebook(
        '%aproc sh -c \'printf "\\033[41;97mERROR\\033[0m \\033[34mblue\\033[0m\\n"; echo "error: unknown type" >&2; sleep 600\''
    )
    lab.run(1)
    expect(lab.cards.locator(".ipyproc-row.ipyproc-error")).to_have_text("error: unknown type")
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    page.wait_for_function("getComputedStyle(document.querySelector('.ipyproc-card')).colorScheme === 'dark'")
    words = lab.cards.locator(
        ".ipyproc-row span, .ipyproc-error, .ipyproc-title, .ipyproc-label, .ipyproc-counts, .ipyproc-buttons button:visible"
    )
    picture("firefox-dark")
    seen = words.evaluate_all(SEEN)
    assert len(seen) >= 7 and max(luminance(ground) for _, ground in seen[-3:]) < 0.1
    assert [round(contrast(each), 2) for each in seen if contrast(each) < READABLE] == []
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })")
    lab.cards.get_by_role("button", name=re.compile("^Stop")).click()
    lab.expect_done(1)
