"""The page without a kernel that `save` writes: a file, opened by itself, with the network off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.lab import PICTURE, Widget
from browser.watch import watched
from browser.widget import in_sight
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


ATTEMPTS = {
    "fetch": "await fetch('http://127.0.0.1:9/x')",
    "beacon": "if (!navigator.sendBeacon('http://127.0.0.1:9/x')) throw 1; await refused",
    "socket": "new WebSocket('ws://127.0.0.1:9/x'); await refused",
    "picture": "new Image().src = 'http://127.0.0.1:9/x.png'; await refused",
    "frame": "const f = document.createElement('iframe'); f.src = 'http://127.0.0.1:9/'; document.body.append(f); await refused",
    "style sheet": "const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = 'http://127.0.0.1:9/x.css'; document.head.append(l); await refused",
    "script": "const s = document.createElement('script'); s.src = 'http://127.0.0.1:9/x.js'; document.head.append(s); await refused",
    "inline script": "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.head.append(s); await refused",
    "handler": "document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click(); await refused",
    "worker": "new Worker('data:text/javascript,'); await refused",
    "form": "const f = document.createElement('form'); f.action = 'http://127.0.0.1:9/'; document.body.append(f); f.submit(); await refused",
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_the_browser_lets_it_reach_nothing(chromium: Browser, saved: Path, attempt: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(saved.as_uri())
    widget(page)
    directive = page.evaluate(
        f"""async () => {{
          const refused = new Promise((tell) =>
            addEventListener("securitypolicyviolation", (event) => tell(event.effectiveDirective), {{ once: true }}));
          try {{ {attempt} }} catch {{}}
          return refused;
        }}"""
    )
    assert directive
    assert page.evaluate("window.ran") is None
    context.close()


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_saved_page_still_saves_figures(page: Page, kind: str) -> None:
    root = widget(page)
    with page.expect_download() as told:
        in_sight(root, f".aw-save-{kind}").click()
    assert told.value.suggested_filename.endswith(kind)
