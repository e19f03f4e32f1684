"""Every state of card, transcript, table and jobs: nothing is cut off, axe-core finds nothing; pause, figures and progress in a real notebook."""

import json
import re
from pathlib import Path

import axe_playwright_python
import psutil
import pytest
from playwright.sync_api import expect

from .gallery import KINDS, LOOKS, show_states, show_table

NEWEST_AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"  # where npm has brought it
if NEWEST_AXE.exists():
    AXE = NEWEST_AXE.read_text()
else:  # 4.12 takes a <section role="group"> for a landmark; 4.14 does not
    AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
    AXE += "\naxe.configure({ rules: [{ id: 'landmark-unique', enabled: false }] })"
WORDS, SIGNALS = ("Pause", "Stop", "Kill"), ("SIGSTOP", "SIGTERM", "SIGKILL")
CUT_OFF = """[...document.querySelectorAll('.ipyproc-head, .ipyproc-table-top, .ipyproc-table-row')].filter((head) => {
  const box = head.getBoundingClientRect();
  return [...head.querySelectorAll('button, time')].some((each) => each.offsetWidth &&
    (each.getBoundingClientRect().right > box.right + 0.5 || each.getBoundingClientRect().bottom > box.bottom + 0.5));
}).map((head) => head.textContent)"""


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off_and_axe_finds_nothing(page, kind, look, picture):
    KINDS[kind](page, look)
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert page.locator(".ipyproc-tall").count() == 0, "a log that is there whole can be made no higher"
    picture(f"{kind}-{look}")
    page.evaluate(AXE)
    found = page.evaluate("axe.run('#cell').then(({ violations }) => violations)")
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("width", [360, 420, 560, 561, 700, 800, 860, 861, 900, 1000, 1200, 1500])
def test_the_table_needs_no_scrolling_sideways(page, width):
    show_table(page, "light")
    page.set_viewport_size({"width": width + 34, "height": 700})  # less the margins of the page and the border
    sizes = "(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])(document.querySelector('.ipyproc-table-scroller'))"
    assert page.evaluate(sizes) == [width, width]
    command = page.evaluate(
        "Math.min(...[...document.querySelectorAll('.ipyproc-table-name')].map((each) => each.offsetWidth))"
    )
    assert command >= 130, "some of the command can be read"


def test_columns_of_what_runs_are_there_while_something_does(page):
    show_table(page, "light")
    head = page.get_by_role("columnheader")
    expect(head).to_have_text(["State", "ID", "Command", "Time", "CPU", "Memory", "Lines"])
    page.evaluate(
        "told.length = 0; rows = rows.filter(({ runs }) => !runs); document.querySelector('#cell').replaceChildren(); showTable()"
    )
    expect(head).to_have_text(["State", "ID", "Command", "Time", "Lines"])


@pytest.mark.parametrize("look", ["light", "dark", "high-contrast", "zoom-80"])
def test_each_state_is_as_high_as_the_others(page, look):
    show_states(page, look)
    heads = page.locator("[data-state='running'] .ipyproc-head, [data-state='ok'] .ipyproc-head").all()
    assert len({round(head.bounding_box()["height"]) for head in heads}) == 1


def test_each_state_has_a_look_without_colour(page):
    show_states(page, "light")
    looks = page.evaluate(
        "[...document.querySelectorAll('.ipyproc-card')].map((card) => [card.dataset.state, "
        "card.querySelector('.ipyproc-icon').innerHTML, card.querySelector('[role=status]').textContent.split(/[ ,:;]/)[0]])"
    )
    icons = {state: icon for state, icon, _ in looks}
    assert len(set(icons.values())) == len(icons) == 10
    show_table(page, "light")
    marks = page.evaluate("[...document.querySelectorAll('.ipyproc-table-mark')].map((mark) => mark.textContent)")
    assert len(set(marks)) == len(marks) == 9


def test_a_running_card_moves_once_a_second_and_needs_no_animation(page):
    show_states(page, "light")
    assert page.evaluate("document.getAnimations().length") == 0, "it costs a frame for each refresh of the screen"
    turned = "getComputedStyle(document.querySelector('.ipyproc-spinner')).rotate"
    assert page.evaluate(turned) == "none", "the reader does not want it"
    page.emulate_media(reduced_motion="no-preference")
    before = page.evaluate(turned)
    page.wait_for_function(f"{turned} !== '{before}'")


def test_a_countdown_is_not_read_out(page):
    show_states(page, "light")  # a second has passed
    live = "[...document.querySelectorAll('[role=status]')].map((each) => each.closest('[data-state]').dataset.state + ' ' + each.ariaLive)"
    told = set(page.evaluate(live))
    assert "stopping off" in told and {each.split()[1] for each in told - {"stopping off"}} == {"polite"}


def test_the_table_with_the_keyboard_alone(page):
    show_table(page, "light")
    names = []
    for _ in range(10):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    train = "9: python train.py --epochs 10 --data /mnt/imagenet --lr 3e-4 --amp"
    assert names[:8] == [
        *(f"{word} all: send {signal} to all that runs" for word, signal in zip(WORDS, SIGNALS, strict=True)),
        "Table of processes",
        *(f"{word} {train}" for word in (*WORDS, "Output")),
    ]
    for _ in range(5):
        page.keyboard.press("Shift+Tab")
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
    assert (
        page.evaluate("sent.filter(({ op }) => op !== 'ready' && op !== 'watch').map(({ op, id }) => [op, id])")
        == [["pause", 9]] * 2
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("[sent.at(-1).op, sent.at(-1).id]") == ["kill", 9]
    for word in WORDS:
        page.get_by_role("button", name=f"{word} all").press("Enter")
    assert page.evaluate("sent.slice(-3).map(({ op, id }) => [op, id])") == [["pause", 0], ["stop", 0], ["kill", 0]]


def test_all_can_be_resumed_although_one_of_them_is_being_stopped(page):
    show_table(page, "light")
    page.evaluate(
        "rows.filter(({ state }) => state === 'running' || state === 'closed').forEach((row) => (row.state = 'paused'));"
        "document.querySelector('#cell').replaceChildren(); showTable()"
    )
    page.get_by_role("button", name="Resume all").press("Enter")
    assert page.evaluate("[sent.at(-1).op, sent.at(-1).id]") == ["resume", 0]


def test_pause_resume_and_figures(notebook, picture):
    lab = notebook("%%aproc --name spin python3\nprint('ready', flush=True)\nwhile True: pass")
    lab.run(1)
    card = lab.cell(1).locator(".ipyproc-card")
    expect(card.locator(".ipyproc-cpu")).to_have_text(re.compile(r"^\d+ %$"))
    expect(card.locator(".ipyproc-memory")).to_have_text(re.compile(r"^[\d.]+ MB$"))
    expect(card.locator(".ipyproc-counts")).to_contain_text("pid ")
    program = psutil.Process(int(card.locator(".ipyproc-counts").inner_text().rpartition("pid ")[2]))
    picture("figures")
    card.get_by_role("button", name=re.compile("^Pause")).click()
    expect(card.get_by_role("status")).to_have_text("Paused")
    assert program.status() == psutil.STATUS_STOPPED
    expect(card.get_by_role("progressbar")).to_have_count(0)
    picture("paused")
    card.get_by_role("button", name=re.compile("^Resume")).press("Enter")
    expect(card.get_by_role("status")).to_have_text("Running")
    card.get_by_role("button", name=re.compile("^Pause")).click()
    expect(card).to_have_attribute("data-state", "paused")
    card.get_by_role("button", name=re.compile("^Stop")).click()
    lab.expect_done(1)
    expect(lab.output(1).first).to_contain_text("Stopped (SIGTERM)")


def test_progress_and_the_title_of_a_hidden_tab(notebook, page, picture, program):
    lab = notebook(f"program = {program('out', '[ 42%] Building a.o', 'stall')!r}", "%aproc {program}")
    lab.run(1)
    lab.run(2)
    bar = lab.cards.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "42")
    picture("progress")
    title = page.title()
    hide = (
        "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }}); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.evaluate(hide.format("true"))
    assert page.title() == f"42 % · {title}"
    page.evaluate(hide.format("false"))
    assert page.title() == title
    lab.interrupt()
    lab.expect_done(2)


def test_the_whole_and_the_round_it_is_in(page):
    show_states(page, "light")
    card = page.locator(".ipyproc-card", has_text="python train.py --epochs").first
    bar = card.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "57")
    expect(bar).to_have_attribute("aria-valuetext", "57 %, epoch 6/10")
    shares = bar.evaluate("(bar) => [...bar.children].map((each) => each.offsetWidth / bar.offsetWidth)")
    assert shares == [pytest.approx(0.571, abs=0.005), pytest.approx(0.71, abs=0.005)]
    expect(card.locator(".ipyproc-note")).to_have_text("epoch 6/10 · about 3 min left")
    other = page.locator(".ipyproc-card", has_text="sleep 600").first
    assert other.locator(".ipyproc-inner").is_hidden() and other.locator(".ipyproc-note").inner_text() == ""


def test_typing_for_the_program(notebook, page, picture):
    code = "name = input('name? '); secret = input('password: '); print(name, len(secret)); print(len(input('more? ')))"
    lab = notebook(f"code = {code!r}", "%aproc --stdin ask python3 -u -c {code}")
    lab.run(1)
    lab.run(2)
    card = lab.cell(2).locator(".ipyproc-card")
    log, row = card.get_by_role("log"), card.get_by_role("textbox", name="A line for the program")
    expect(log).to_contain_text("name? ")
    row.click()
    page.keyboard.type("Ada x")  # "x" is a command of JupyterLab
    page.keyboard.press("Enter")
    expect(log).to_contain_text("name? Ada x")
    expect(row).to_have_value("")
    expect(row).to_have_attribute("type", "password")
    picture("stdin-password")
    page.keyboard.type("hunter2")
    page.keyboard.press("Enter")
    expect(log).to_contain_text("password: ••••••••")
    expect(log).to_contain_text("Ada x 7")
    expect(row).to_have_attribute("type", "text")
    expect(log).to_contain_text("more? ")
    picture("stdin")
    page.keyboard.press("Control+d")
    lab.expect_done(2)
    expect(lab.output(2).first).to_contain_text("EOFError")
    saved = json.dumps(lab.save())
    assert "hunter2" not in saved and "Ada x" in saved
