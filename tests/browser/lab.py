"""A real JupyterLab server and its page in headless Chromium, driven as a person would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

from ..ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
COLLABORATION = ("@jupyter/collaboration-extension", "@jupyter/docprovider-extension")
PATIENCE_MS = 60_000  # how long a loaded machine may take to answer

expect.set_options(timeout=PATIENCE_MS)


class LabServer:
    """One `jupyter lab` on a free port of this machine, in a directory of its own."""

    def __init__(self, root: Path, port: int, token: str) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{port}"
        self.token = token

    def write(self, name: str, cells: list[str]) -> Path:
        """A notebook with these code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        nbformat.write(notebook, path)
        return path

    def request(self, path: str, method: str = "GET", **content: Any) -> Any:
        """Call the server's REST interface."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            method=method,
            data=json.dumps(content).encode() if content else None,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None


_OPEN = """async (path) => {
  const { shell, commands } = window.jupyterapp;
  for (const widget of [...shell.widgets('main')]) widget.dispose();  // what is not saved is no question
  const { sessionContext } = await commands.execute('docmanager:open', { path, factory: 'Notebook' });
  await sessionContext.ready;
  const { kernel } = sessionContext.session;
  while (kernel.status !== 'idle') await new Promise((resolve) => kernel.statusChanged.connect(resolve));
}"""


class LabPage:
    """One notebook, open in JupyterLab."""

    def __init__(self, server: LabServer, page: Page, path: Path) -> None:
        self.server = server
        self.page = page
        self.path = path
        self.name = path.relative_to(server.root).as_posix()
        self._was_opened = False

    def open(self) -> LabPage:
        """Open the notebook, in the JupyterLab that the page shows, or else in a new one; wait for its kernel."""
        if not self._was_opened and self.page.url.startswith(f"{self.server.url}/lab"):
            self._was_opened = True
            self.page.evaluate(_OPEN, self.name)
            return self
        self._was_opened = True
        self.page.goto(f"{self.server.url}/lab/tree/{self.name}?token={self.server.token}&reset")
        expect(self.page.locator(".jp-Notebook")).to_be_visible()
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        self.page.locator(".jp-SideBar .lm-mod-current[title^='File Browser']").click()  # room for the notebook
        return self

    @property
    def cards(self) -> Locator:
        """All process cards of the page."""
        return self.page.locator(".ipyproc-card")

    def value(self, code: str) -> Any:
        """Evaluate JavaScript in the page."""
        return self.page.evaluate(code)

    def cell(self, number: int) -> Locator:
        """A cell, counted from 0."""
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")

    def output(self, number: int) -> Locator:
        """What stands below a cell."""
        return self.cell(number).locator(".jp-OutputArea-output")

    def run(self, number: int) -> None:
        """Run one cell; does not wait for its end. A page that has just been loaded may lose the first key: press again."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[.*\]:"))
        before = prompt.inner_text()
        for patience in (5_000, 5_000, PATIENCE_MS):
            self.cell(number).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            try:
                expect(prompt).not_to_have_text(before, timeout=patience)
            except AssertionError:
                if patience == PATIENCE_MS:
                    raise
            else:
                break

    def expect_done(self, number: int) -> None:
        """Wait until the cell has its number again in its prompt."""
        prompt = expect(self.cell(number).locator(".jp-InputPrompt"), f"cell {number} of {self.name}")
        prompt.not_to_have_text("[*]:")
        prompt.not_to_have_text("[ ]:")

    def save(self) -> dict[str, Any]:
        """Save with Ctrl+S; the notebook as it is on disk then."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while self.path.stat().st_mtime_ns == before or not self.path.read_text().endswith(
            "}\n"
        ):  # it is being written
            assert time.monotonic() < deadline, "the notebook was not saved"
            self.page.wait_for_timeout(50)
        return json.loads(self.path.read_text())

    def interrupt(self) -> None:
        """The kernel's interrupt, by the button of the toolbar."""
        self.page.locator("[data-command='notebook:interrupt-kernel'], [title*='Interrupt']").first.click()


@contextmanager
def lab_server(root: Path, *, collaborates: bool = False) -> Iterator[LabServer]:
    """Start a server, end it with all its kernels. `collaborates`: with jupyter-collaboration, which all pages would notice."""
    port = free_port()
    token = secrets.token_hex(16)
    settings = root / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    if not collaborates:
        config = root / ".config"
        (config / "labconfig").mkdir(parents=True)
        of_page = {"disabledExtensions": dict.fromkeys(COLLABORATION, True)}
        (config / "labconfig/page_config.json").write_text(json.dumps(of_page))
        of_server = {"ServerApp": {"jpserver_extensions": {"jupyter_server_ydoc": False}}}
        (config / "jupyter_server_config.json").write_text(json.dumps(of_server))
    env = {
        **os.environ,
        "JUPYTER_CONFIG_PATH": str(root / ".config"),
        "JUPYTERLAB_SETTINGS_DIR": str(root / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / ".workspaces"),
        "JUPYTER_TOKEN": token,
    }
    with open(root / ".server.log", "wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
                "--LabApp.expose_app_in_browser=True",
                *("--ServerApp.port_retries=0", "--ip=127.0.0.1", f"--notebook-dir={root}"),
            ],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = LabServer(root, port, token)
    try:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            try:
                server.request("api/status")
                break
            except OSError:
                assert process.poll() is None, (root / ".server.log").read_text()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()  # it ends its kernels, all at once
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # seen on a busy machine; its kernels end when they see that it has gone
            process.kill()
            process.wait()


@contextmanager
def chromium(playwright: Playwright | None = None) -> Iterator[Browser]:
    """Debian's Chromium, headless; a thread can have only one playwright at a time."""
    with contextlib.ExitStack() as stack:
        own = playwright or stack.enter_context(sync_playwright())
        browser = own.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGS))
        yield browser
        browser.close()
