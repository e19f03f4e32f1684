"""The card in Notebook 7, which runs on the same server."""

import re

from playwright.sync_api import expect

from .lab import LabPage


def test_a_cell_its_card_and_stop(server, browser):
    page = browser.new_page(
        viewport={"width": 1000, "height": 760}
    )  # not the fixture: Notebook 7.6 has an error of its own
    errors = []
    page.on("console", lambda message: errors.append(message.text) if "ipyproc" in message.text else None)
    path = server.write("notebook7.ipynb", ["%load_ext ipyproc", "%%aproc\necho started; sleep 600"])
    notebook = LabPage(server, page, path)
    dialog = page.locator(".jp-Dialog")  # on a busy machine it may ask for the kernel, say
    page.add_locator_handler(dialog, lambda: dialog.locator(".jp-mod-accept").last.click())
    page.goto(f"{server.url}/notebooks/{notebook.name}?token={server.token}")
    expect(page.locator(".jp-NotebookKernelStatus, .jp-Notebook-ExecutionIndicator").first).to_be_attached()
    notebook.run(0)
    notebook.expect_done(0)
    notebook.run(1)
    card = notebook.cards
    expect(card.get_by_role("status")).to_have_text("Running")
    expect(card.get_by_role("log")).to_contain_text("started")
    expect(card.locator(".ipyproc-memory")).to_have_text(re.compile(r"^[\d.]+ MB$"))
    card.get_by_role("button", name=re.compile("^Stop")).click()
    notebook.expect_done(1)
    expect(notebook.output(1).first).to_contain_text("Stopped (SIGTERM)")
    expect(card).to_have_count(0)
    page.close()
    assert not errors
