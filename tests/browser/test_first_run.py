"""The first notebook in a real JupyterLab, cell by cell, with a real click on Stop."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from .lab import LabPage

pytestmark = pytest.mark.new_page

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_first_run.ipynb"


def test_first_run(server, page, picture):
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    lab = LabPage(server, page, Path(shutil.copy(NOTEBOOK, server.root))).open()
    numbers = {cell.id: number for number, cell in enumerate(cells)}
    for number, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        lab.run(number)
        if cell.id == "first-card":
            expect(lab.cards.get_by_role("log")).to_contain_text("line 3")
            picture("notebook-card")
        if cell.id == "progress":
            expect(lab.cards.get_by_role("log")).to_contain_text(re.compile(r"\d+%"))
            picture("notebook-progress")
        if cell.id == "stubborn":
            card = lab.cell(number).locator(".ipyproc-card")
            expect(card.get_by_role("log")).to_contain_text("I ignore SIGINT and SIGTERM")
            card.get_by_role("button", name=re.compile("^Stop")).click()
            expect(card.get_by_role("status")).to_contain_text("SIGKILL in")
            picture("notebook-stubborn")
            expect(lab.output(number).first).to_contain_text("Stopped (SIGKILL)")
        lab.expect_done(number)
    picture("notebook-end")
    expect(lab.output(numbers["stop"])).to_have_text("-9")
    expect(lab.output(numbers["background"])).to_contain_text("Done, exit 0")
    expect(lab.output(numbers["progress"])).to_contain_text("100%")
    expect(page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    saved = lab.save()
    assert not saved["metadata"].get("widgets")
    assert not [
        output
        for cell in saved["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
