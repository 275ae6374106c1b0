"""A view opens on an answer, and one line above the views says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget
    from playwright.sync_api import Browser, Locator

SHOW = """
import attnwidget as aw

model, tokenizer = aw.pocket()
view = aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer)
opened = view.layer, view.heads, view.query, view.key
view
"""
CELLS = [SHOW]
RESET = """
view.score, view.ranking, view.arrange = None, None, "layers"
view.layer, view.heads, view.query, view.key = opened
"""
OPENED = (
    "“was” looks at “cat”, 0.999 of its weight. layer 3, head 3 · chosen for you: the sharpest link"
)


def line(widget: Widget) -> Locator:
    return widget.root.locator(".aw-status")


def height(widget: Widget) -> float:
    box = widget.root.locator(".aw-reading").bounding_box()
    assert box is not None
    return box["height"]


def test_it_opens_on_a_link_and_says_why(notebook: Notebook, widget: Widget) -> None:
    assert notebook.value("[view.layer, view.heads, view.query, view.key]") == [3, [3], 9, 2]
    expect(line(widget)).to_contain_text(OPENED)
    expect(line(widget)).to_have_attribute("aria-live", "polite")
    widget.screenshot("reading-line")


def test_it_follows_the_pointer_and_is_as_high_whatever_it_says(widget: Widget) -> None:
    high = height(widget)
    widget.hover("head", "query 8 ")
    expect(line(widget)).to_contain_text("“it” looks at “cat”, 0.999 of its weight.")
    expect(line(widget)).not_to_contain_text("chosen for you")
    assert height(widget) == high
    widget.leave()
    expect(line(widget)).to_contain_text(OPENED)


def test_other_heads_are_a_click_away(notebook: Notebook, widget: Widget) -> None:
    widget.root.locator(".aw-also button", has_text="previous token 0·2").click()
    notebook.wait_value("[view.layer, view.heads]", [0, [2]])
    expect(line(widget)).to_contain_text("layer 0, head 2")


def test_a_saved_page_says_it_too(
    chromium: Browser, notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    target = tmp_path / "page.html"
    expect(line(widget)).to_contain_text(OPENED)
    notebook.execute(f"view.save({str(target)!r})")
    page = chromium.new_page()
    page.goto(target.as_uri())
    expect(page.locator(".aw-status")).to_contain_text(OPENED)
    page.close()


# Last: what was chosen is what the ranking chose from here on.
def test_a_ranking_shows_its_first_head_and_b_goes_back(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.layer, view.heads, view.query, view.key = 0, [1], 8, 2")
    widget.settle()
    widget.root.locator("select[aria-label='Score']").select_option("pinned")
    notebook.wait_value("[view.layer, view.heads, view.query, view.key]", [3, [3], 8, 2])
    expect(line(widget)).to_contain_text(
        "chosen for you: the first of the heads ranked by these links"
    )
    widget.root.focus()
    notebook.page.keyboard.press("b")
    notebook.wait_value("[view.layer, view.heads]", [0, [1]])
    notebook.page.keyboard.press("b")
    notebook.wait_value("[view.layer, view.heads]", [3, [3]])
    notebook.execute("view.layer, view.heads = 1, [0]\nview.rank(query='it', key='cat')")
    notebook.wait_value("view.heads", [3])
    widget.root.locator(".aw-back").click()
    notebook.wait_value("[view.layer, view.heads]", [1, [0]])
