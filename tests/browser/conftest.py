"""One JupyterLab and one profile of Chromium for all browser tests; a page of its own for each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from .lab import LabPage, LabServer, chromium, lab_server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with lab_server(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="package")  # not session: its event loop must be gone when other tests run
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """The profile of all pages: the second one finds JupyterLab's code in its cache."""
    with browser.new_context(viewport={"width": 1000, "height": 760}, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """A new page; an error of ours in its console fails the test."""
    page = profile.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "ipyproc" in message.text else None)
    yield page
    for each in profile.pages:  # a test may have opened more
        each.close()
    profile.clear_permissions()
    assert not errors


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
