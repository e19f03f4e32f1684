"""A marimo notebook in its own page: a process, results and many commands show themselves, and Stop works."""

import os
import re
import subprocess
import sys
import textwrap
import urllib.request

import pytest
from playwright.sync_api import expect

from ..ports import free_port

CELLS = (
    "import ipyproc",
    """
    p = await ipyproc.start("sh", "-c", "while true; do echo line; sleep 0.1; done", name="tool")
    p
    """,
    """
    done = await ipyproc.run("echo", "a result")
    [done, done]
    """,
    """
    many = await ipyproc.parallel(
        [["true"], ["true"], ("<b>bold</b>", ["sh", "-c", "echo '<i>why</i>'; exit 3"])], check=False, on_failure="finish"
    )
    """,
    """
    p.pid, f"{[each.returncode for each in many]}"
    """,
)


@pytest.fixture
def address(tmp_path):
    """Where a notebook of these cells is shown."""
    names = [[], ["ipyproc"], ["ipyproc"], ["ipyproc"], ["many", "p"]]
    file = tmp_path / "notebook.py"
    text = "import marimo\napp = marimo.App()\n"
    for cell, given in zip(CELLS, names, strict=True):
        body = textwrap.indent(textwrap.dedent(cell).strip(), "    ")
        text += f"\n@app.cell\nasync def _({', '.join(given)}):\n{body}\n    return\n"
    file.write_text(text)
    port = free_port()
    command = [sys.executable, "-m", "marimo", "run", file, "--headless", "--no-token", "--port", str(port)]
    environment = {**os.environ, "MARIMO_SKIP_UPDATE_CHECK": "1", "HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            while server.poll() is None:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                    break
                except OSError:
                    pass
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_what_is_started_shows_itself(address, browser, tmp_path):
    page = browser.new_page()
    page.goto(address)
    card = page.locator(".ipyproc-card")
    expect(card.get_by_role("log")).to_contain_text("line")
    expect(card.get_by_role("status")).to_have_text("Running")
    expect(page.get_by_text("Done, exit 0")).to_have_count(2)
    expect(page.get_by_text(re.compile(r"^2 of 3 done · 1 failed · "))).to_be_visible()
    expect(page.get_by_text(re.compile("✘ <b>bold</b> exited with status 3"))).to_be_visible()  # as text
    expect(page.get_by_text("[0, 0, 3]")).to_be_visible()
    card.get_by_role("button", name=re.compile("^Stop")).click()
    expect(card.get_by_role("status")).to_have_text(re.compile(r"^Stopped \(SIGTERM\)"))
    if folder := os.environ.get("IPYPROC_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/marimo.png")
    page.close()
