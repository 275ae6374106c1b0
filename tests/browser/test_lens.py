"""The strip of what each layer would predict, in a page without a kernel: a token pins its query, a layer is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.lab import Widget
from browser.watch import watched
from playwright.sync_api import expect

import attnwidget as aw

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


def test_tokens_and_layers_of_the_strip_are_chosen(chromium: Browser, tmp_path: Path) -> None:
    model, tokenizer = aw.pocket()
    text = "The cat sat on the mat because it was tired"
    view = aw.view(model, text, tokenizer=tokenizer, layer=3, heads=[3], query="it", lens=True)
    saved = view.save(tmp_path / "lens.html")
    with watched(chromium, viewport={"width": 1200, "height": 900}, offline=True) as page:
        page.goto(saved.as_uri())
        frame = page.frames[-1]
        frame.locator(".attnwidget[data-pending='0']").wait_for()
        widget = Widget(page, frame.locator(".attnwidget"))
        heading = widget.panel("lens").locator("h3")
        expect(heading).to_have_text("What layer 3 would predict")
        assert "after “it”, layer 3 predicts “was” 0.481" in widget.names("lens")
        before = widget.picture("lens")
        widget.click("lens", "layer 1 predicts")
        expect(heading).to_have_text("What layer 1 would predict")
        expect(frame.locator("select[aria-label='Layer']")).to_have_value("1")
        before = widget.wait_for_another("lens", before)
        # What is pointed at is asked, whatever is pinned, and moves nothing.
        heights = widget.panel("lens").bounding_box()
        widget.hover("lens", "after “cat”")
        before = widget.wait_for_another("lens", before)
        assert widget.panel("lens").bounding_box() == heights
        head = widget.picture("head")
        widget.click("lens", "after “because”")
        widget.leave()
        widget.wait_for_another("head", head)
        assert any(
            name.startswith("layer 0 predicts") and name.endswith("after “because”")
            for name in widget.names("lens")
        )
