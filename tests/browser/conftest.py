"""One JupyterLab and one profile of Chromium for all browser tests but those of Firefox; most go on in the same page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Playwright, sync_playwright

from .lab import CHROMIUM, LabPage, LabServer, chromium, lab_server

FAILED_BEFORE = pytest.StashKey[int]()  # tests of this session


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """What all tests here need: a browser, and the node that drives it, which may lack a library."""
    if not CHROMIUM:
        pytest.skip("needs chromium")
    node = subprocess.run(
        [sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True, check=False
    )
    if node.returncode:
        pytest.skip(f"needs playwright's node: {node.stderr.strip().partition(': ')[2]}")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with lab_server(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="package")  # not session: its event loop must be gone when other tests run
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright) as running:
        yield running


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """The profile of all pages: the second one finds JupyterLab's code in its cache."""
    with browser.new_context(viewport={"width": 1000, "height": 760}, reduced_motion="reduce") as context:
        yield context


@pytest.fixture(scope="package")
def tabs(profile: BrowserContext) -> list[Page]:
    """The tab that a test may go on with, if there is one: to load JupyterLab takes longer than most tests."""
    return []


@pytest.fixture
def page(profile: BrowserContext, tabs: list[Page], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page, with the mark `new_page` one that nobody had before; an error of ours in its console fails the test."""
    is_new = request.node.get_closest_marker("new_page") is not None
    is_used = bool(tabs) and not is_new
    page = tabs.pop() if is_used else profile.new_page()
    errors: list[str] = []
    loads: list[Page] = []

    def take_load(loaded: Page) -> None:
        loads.append(loaded)

    def take_error(error: Error) -> None:
        # JupyterLab 4.6 says so of its own request when a notebook is closed before the kernel has answered
        if "Canceled future for create_subshell_request" not in str(error):
            errors.append(str(error))

    def take_message(message: ConsoleMessage) -> None:
        if "ipyproc" in message.text:
            errors.append(message.text)

    page.on("pageerror", take_error)
    page.on("console", take_message)
    page.on("load", take_load)
    yield page
    page.remove_listener("pageerror", take_error)
    page.remove_listener("console", take_message)
    page.remove_listener("load", take_load)
    profile.clear_permissions()
    has_passed = not errors and request.session.testsfailed == request.node.stash[FAILED_BEFORE]
    is_reloaded = len(loads) > (0 if is_used else 1)  # JupyterLab may be about to restore what was open
    if has_passed and not is_new and not is_reloaded:
        page.set_viewport_size({"width": 1000, "height": 760})
        page.emulate_media(reduced_motion="reduce", forced_colors="none", color_scheme="light")
        tabs.append(page)
    for each in {*profile.pages} - {*tabs}:  # a test may have opened more
        each.close()
    assert not errors


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[FAILED_BEFORE] = item.session.testsfailed


@pytest.fixture
def notebook(server: LabServer, page: Page, request: pytest.FixtureRequest) -> Callable[..., LabPage]:
    """Open a notebook with these cells behind `%load_ext ipyproc`, which is run."""

    def open_notebook(*cells: str) -> LabPage:
        name = re.sub(r"\W+", "-", request.node.name)
        path = server.write(f"{name}.ipynb", ["%load_ext ipyproc", *cells])
        opened = LabPage(server, page, path).open()
        opened.run(0)
        opened.expect_done(0)
        return opened

    return open_notebook


@pytest.fixture
def picture(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Take a screenshot for somebody to look at, into $IPYPROC_SCREENSHOTS if that is set; of this page or another."""
    folder = Path(os.environ.get("IPYPROC_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name, of=page: of.screenshot(path=folder / f"{name}.png") and None
