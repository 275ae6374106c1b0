"""Fixtures of the browser tests: one server and one browser for all, one page per test file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser import chromium as chromiums
from browser.lab import BROWSER_ARGUMENTS, Lab
from browser.server import LabServer, serve
from browser.waiting import PATIENCE
from browser.watch import watched
from playwright.sync_api import Browser, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser.lab import Notebook, Widget
    from playwright.sync_api import Page

HERE = "tests/browser"
# Of a test with its fixtures, on a machine that is busy with other things.
TEST_SECONDS = 1200

expect.set_options(timeout=1000 * PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `-m "not browser"` leaves them out; and give each its time."""
    for item in items:
        if HERE in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A running JupyterLab server with its own folders."""
    folder: Path = tmp_path_factory.mktemp("lab")
    with serve(folder) as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium that reaches nothing but this machine."""
    path = chromiums.find()
    if path is None:
        pytest.fail("no Chromium found: run `make test`, or `python tests/browser/chromium.py`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(BROWSER_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(chromium: Browser, lab_server: LabServer) -> Iterator[Lab]:
    """A JupyterLab page for one test file."""
    page = Lab(chromium, lab_server)
    yield page
    page.close()


@pytest.fixture(scope="module")
def notebook(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Notebook]:
    """The notebook of a test file's ``CELLS``, all of them run, in a window of its ``WINDOW``."""
    lab.set_viewport(*getattr(request.module, "WINDOW", (1400, 1000)))
    notebook = lab.notebook(request.module.CELLS)
    notebook.run_all()
    yield notebook
    notebook.close()


@pytest.fixture
def widget(request: pytest.FixtureRequest, notebook: Notebook) -> Widget:
    """What the cell that ends in ``view`` shows, with the selection that the file's ``RESET`` brings back."""
    ends = [cell.strip().splitlines()[-1] for cell in request.module.CELLS]
    widget = notebook.widget(ends.index("view"))
    widget.leave()
    notebook.execute(request.module.RESET)
    widget.settle()
    return widget


@pytest.fixture
def offline(chromium: Browser) -> Iterator[Page]:
    """A page of its own with the network cut."""
    with watched(chromium, viewport={"width": 1300, "height": 900}, offline=True) as page:
        yield page


@pytest.fixture(autouse=True)
def clean_page(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which the page reported an error or reached for the network."""
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").watch.assert_clean()
