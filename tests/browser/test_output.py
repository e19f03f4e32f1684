"""Real progress bars in the card, in the saved notebook and in what nbconvert makes of it; and a log of millions of lines."""

import re

import nbconvert
import nbformat
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.new_page

TQDM = """
import time, tqdm
for epoch in tqdm.trange(3, desc="epochs"):
    for step in tqdm.trange(40, desc=f"epoch {epoch}", position=1, leave=False):
        time.sleep(0.02)
    tqdm.tqdm.write(f"loss {1 / (epoch + 1):.3f}")
    time.sleep(0.1)
"""
RICH = """
import time
from rich.progress import Progress
with Progress() as progress:
    tasks = [progress.add_task(name, total=40) for name in ("[red]download", "[green]unpack", "[cyan]index")]
    for step in range(40):
        for task in tasks:
            progress.advance(task)
        if step % 20 == 0:
            progress.console.log("step", step)
        time.sleep(0.05)
"""
PIP = """
import time
from pip._internal.cli.progress_bars import get_download_progress_renderer
def chunks():
    for _ in range(40):
        time.sleep(0.05)
        yield b"x" * 100_000
for _ in get_download_progress_renderer(bar_type="on", size=4_000_000)(chunks()): pass
"""


def test_bars_look_right_everywhere(notebook, picture, page, tmp_path):
    lab = notebook(
        f"import sys; tqdm_bars = {TQDM!r}; rich_bars = {RICH!r}; pip_bar = {PIP!r}",
        "%aproc --name tqdm {sys.executable} -c {tqdm_bars}",
        "%aproc --name rich --env FORCE_COLOR=1 {sys.executable} -c {rich_bars}",
        "%aproc --name pip --env FORCE_COLOR=1 {sys.executable} -c {pip_bar}",
    )
    lab.run(1)
    lab.expect_done(1)
    card = lab.cards
    for number, sight in (
        (2, r"epochs: +33%.*\n.*epoch 1"),
        (3, r"download .*\n.*unpack .*\n.*index "),
        (4, r"━.* MB/s"),
    ):
        lab.run(number)
        log = card.get_by_role("log")
        expect(log).to_have_text(re.compile(sight.replace(r"\n", ""), re.DOTALL))
        picture(f"bars-{number}")
        lab.expect_done(number)
    expect(card).to_have_count(0)
    texts = ["".join(cell["outputs"][0]["data"]["text/plain"]) for cell in lab.save()["cells"][2:]]
    assert re.fullmatch(r"loss 1.000\nloss 0.500\nloss 0.333\nepochs: 100%\|█+\| 3/3 .*\n✔ Done.*tqdm", texts[0])
    assert re.fullmatch(r"\[.*\] step 0 .*\n.* step 20 .*\n(.* ━+ 100% .*\n){3}✔ Done.*rich", texts[1])
    assert re.fullmatch(r" +━+ 4.0/4.0 MB .*\n✔ Done.*pip", texts[2])
    page.evaluate("scrollTo(0, 0)")
    lab.open()
    expect(lab.output(4)).to_contain_text("4.0/4.0 MB")
    picture("bars-reopened")
    exported = tmp_path / "bars.html"
    exported.write_text(nbconvert.HTMLExporter().from_notebook_node(nbformat.read(lab.path, as_version=4))[0])
    page.goto(exported.as_uri())
    expect(page.get_by_text("4.0/4.0 MB")).to_be_visible()
    picture("bars-nbconvert")


def test_a_log_of_millions_of_lines(notebook, picture, page):
    lab = notebook("%%aproc --bg --proc p\nseq -f 'line %.0f' 3000000; echo done; sleep 1000", "await p.stop()")
    lab.run(1)
    log = lab.cards.get_by_role("log")
    expect(log).to_contain_text("done")
    expect(lab.cards.locator(".ipyproc-counts")).to_contain_text("3,000,001 lines")
    lab.cards.get_by_role("button", name=re.compile("^Find")).click()
    find = lab.cards.get_by_role("textbox")
    find.fill(":1500000")
    find.press("Enter")
    expect(log).to_contain_text("line 1500000")
    find.fill("line 29999")
    expect(lab.cards).to_contain_text(re.compile(r"\d+ of 111"))
    picture("find-in-millions")
    assert log.locator("[data-row]").count() < 80
    log.press("End")
    expect(log).to_contain_text("done")
    with page.expect_download() as download:
        lab.cards.get_by_role("button", name=re.compile("^Download")).click()
    with open(download.value.path(), "rb") as file:
        assert sum(1 for _ in file) == 3_000_001
    lab.run(2)
    lab.expect_done(2)
