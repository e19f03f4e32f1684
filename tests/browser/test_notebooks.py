"""The notebooks behind the first one in a real JupyterLab: Run All, in one page each and all at once (07 has a test of its own)."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from .lab import LabPage

pytestmark = [pytest.mark.new_page, pytest.mark.needs("curl", "xz")]

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("0[2-6]*.ipynb"))


def test_run_all(server, page, picture):
    opened = []
    for path in NOTEBOOKS:
        tab = page.context.new_page()
        lab = LabPage(server, tab, Path(shutil.copy(path, server.root))).open()
        tab.get_by_role("menuitem", name="Run", exact=True).click()
        tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        opened.append(lab)
    for path, lab in zip(NOTEBOOKS, opened, strict=True):
        cells = nbformat.read(path, as_version=4).cells
        code = [number for number, cell in enumerate(cells) if cell.cell_type == "code"]
        expect(lab.cell(code[-1]).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
        for number in code:
            lab.expect_done(number)
        lab.page.set_viewport_size({"width": 1000, "height": 9000})  # all of it, for the picture
        lab.page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollTo(0, 0)")
        expect(lab.cell(0)).to_be_in_viewport()  # cells out of sight are not drawn
        expect(lab.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
        picture(path.stem, lab.page)
        saved = lab.save()
        assert not saved["metadata"].get("widgets")
        ours = path.stem == "06_many_at_once"  # its control panel
        assert ("application/vnd.jupyter.widget-view+json" in str(saved)) == ours
        assert "Task was destroyed" not in str(saved)
        lab.page.close()
