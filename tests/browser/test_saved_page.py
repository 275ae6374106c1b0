"""The page without a kernel that `save` writes: a file, opened by itself, with the network off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.lab import PICTURE, Widget
from browser.watch import watched
from playwright.sync_api import expect

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

TEXT = "The cat sat on the mat because it was tired"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, tokenizer = aw.pocket()
    view = aw.view(model, TEXT, tokenizer=tokenizer, layer=1, heads=[0], query="it")
    return view.save(tmp_path_factory.mktemp("saved") / "attention.html")


@pytest.fixture
def page(chromium: Browser, saved: Path) -> Iterator[Page]:
    with watched(chromium, viewport={"width": 1300, "height": 900}, offline=True) as page:
        page.goto(saved.as_uri())
        yield page


def widget(page: Page) -> Locator:
    """The widget in the page or in the one frame of it, when it has drawn all it has."""
    frame = page.frames[-1]
    root = frame.locator(".attnwidget[data-pending='0']")
    root.wait_for()
    return root


def test_opens_with_nothing_but_the_file(page: Page) -> None:
    root = widget(page)
    assert root.locator(".aw-panel").count() == 3
    for canvas in root.locator("canvas").all():
        assert int(canvas.evaluate(PICTURE).split()[1]) > 10


def test_selection_moves_the_views_without_a_kernel(page: Page) -> None:
    root = widget(page)
    copy = Widget(page, page.frames[-1].locator(".attnwidget"))
    before = copy.picture("head")
    root.locator(".aw-next").click()
    expect(root.locator("select[aria-label='Layer']")).to_have_value("2")
    copy.wait_for_another("head", before)
