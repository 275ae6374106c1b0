"""Running text in a real notebook: pins, the switch, the strip, and a search through all views and a saved page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.lab import Widget
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook
    from playwright.sync_api import Browser, Locator

COUNT = 1600
# Every query looks at the word "Paris" at 40 and at itself; 900 looks at 1 as well.
DOCUMENT = f"""
import numpy as np
import attnwidget as aw

count = {COUNT}
words = ["The"] + [" and"] * (count - 1)
words[39], words[40], words[41] = " in", " Par", "is"
words[1500], words[1501] = " Paris", ".\\n"
words[700] = " <img src=x onerror=alert(1)>"
weights = np.eye(count, dtype=np.float32) * 0.25
weights[:, 40] += 0.75
weights[900] = 0
weights[900, [1, 40, 900]] = [0.5, 0.3, 0.2]
view = aw.view(aw.from_weights([np.stack([weights, weights])[None]], words), view="head", form="text", choose=False)
view
"""
POCKET = """
model, tokenizer = aw.pocket()
small = aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer, form="text", choose=False)
small
"""
CELLS = [DOCUMENT, POCKET]
RESET = """
view.view, view.form, view.heads, view.query, view.key = "head", "text", [0], None, None
"""
WINDOW = (900, 1200)


@pytest.fixture(autouse=True)
def searched(widget: Widget) -> None:
    """Close a search that a test before has left open."""
    close = widget.root.locator("button[aria-label='Close the search']")
    if close.count():
        close.click()
    widget.panel("head").locator(".aw-scroll").evaluate("(element) => element.scrollTo(0, 0)")
    widget.settle()


def scroll(widget: Widget) -> float:
    found: float = widget.panel("head").locator(".aw-scroll").evaluate("(e) => e.scrollTop")
    return found


def search(widget: Widget, text: str) -> Locator:
    in_sight(widget.root, ".aw-search-button").click()
    box = widget.root.locator("input[aria-label='Search the text']")
    expect(box).to_be_focused()
    box.fill(text)
    return box


def count(widget: Widget) -> Locator:
    return widget.root.locator(".aw-search-count")


def test_a_click_pins_a_token_and_python_moves_the_window(
    notebook: Notebook, widget: Widget
) -> None:
    before = widget.picture("head")
    widget.click("head", "query 41 “is”")
    notebook.wait_value("view.query", 41)
    before = widget.wait_for_another("head", before)
    expect(
        widget.panel("head").locator(".aw-stop[aria-label*='“Par” (position 40) 0.750']")
    ).to_have_count(1)
    notebook.execute("view.query = 1501")
    widget.wait_for_another("head", before)
    assert scroll(widget) > 500
    widget.stop("head", "query 1501").wait_for(state="attached")
    notebook.execute("view.query = None; view.key = 40")
    widget.stop("head", "Shade by what the token is attended by, chosen").wait_for(state="attached")


def test_the_switch_takes_the_pin_along(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.query = 900")
    widget.settle()
    widget.click("head", "Shade by what the token is attended by")
    notebook.wait_value("[view.query, view.key]", [None, 900])
    widget.settle()
    expect(
        widget.panel("head").locator(".aw-stop[aria-label*='(position 900) 0.200']")
    ).to_have_count(1)
    widget.click("head", "Shade by what the token attends to")
    notebook.wait_value("[view.query, view.key]", [900, None])
    status = widget.root.locator(".aw-status")
    notebook.execute("view.query = 42")
    widget.settle()
    widget.hover("head", "query 40 “Par”")
    expect(status).to_contain_text("“and” looks at “Par”, 0.750 of its weight.")


def test_a_drag_pins_a_range(notebook: Notebook, widget: Widget) -> None:
    page = notebook.page
    tokens = ("query 39 “in”", "query 40 “Par”", "query 41 “is”")
    first, *rest = [widget.point("head", name) for name in tokens]
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point)
    page.mouse.up()
    notebook.wait_value("view.query", [39, 40, 41])


def test_the_strip_and_the_chips_jump(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.query = 900")
    widget.settle()
    assert scroll(widget) > 100
    widget.click("head", "Jump to → ▲ “and” (position 1) 0.500")
    widget.settle()
    assert scroll(widget) < 30
    canvas = widget.panel("head").locator("canvas").bounding_box()
    assert canvas is not None
    right = canvas["x"] + canvas["width"] - 7
    notebook.page.mouse.click(right, canvas["y"] + canvas["height"] * 0.6)
    widget.settle()
    assert scroll(widget) > 200
    notebook.wait_value("view.query", 900)


def test_a_search_goes_through_the_text_and_pins(notebook: Notebook, widget: Widget) -> None:
    box = search(widget, "in paris")
    expect(count(widget)).to_have_text("1 hit")
    box.fill("PARIS")
    expect(count(widget)).to_have_text("2 hits")
    box.press("Enter")
    expect(count(widget)).to_have_text("1 of 2")
    expect(widget.root.locator(".aw-status")).to_contain_text("query 40")
    box.press("Enter")
    expect(count(widget)).to_have_text("2 of 2")
    assert scroll(widget) > 500
    box.press("Shift+Enter")
    box.press("Control+Enter")
    notebook.wait_value("view.query", [40, 41])
    box.press("Escape")
    expect(widget.root.locator(".aw-search")).to_have_count(0)
    notebook.wait_value("view.query", [40, 41])


def test_hostile_text_is_found_and_stays_text(notebook: Notebook, widget: Widget) -> None:
    box = search(widget, "<img src=x onerror=alert(1)>")
    box.press("Enter")
    expect(count(widget)).to_have_text("1 of 1")
    assert widget.root.locator("img").count() == 0
    box.fill("</span><script>alert(2)</script>")
    expect(count(widget)).to_have_text("not found")
    assert widget.root.locator("script").count() == 0
    notebook.page.keyboard.press("Escape")


@pytest.mark.parametrize("key", ["/", "Control+f"])
def test_keys_open_the_search_in_lines_too(notebook: Notebook, widget: Widget, key: str) -> None:
    notebook.execute("view.form = 'lines'")
    widget.settle()
    widget.root.focus()
    notebook.page.keyboard.press(key)
    box = widget.root.locator("input[aria-label='Search the text']")
    expect(box).to_be_focused()
    box.fill("paris")
    box.press("Enter")
    box.press("Enter")
    widget.stop("head", "query 1500 “Paris”").wait_for(state="attached")
    assert scroll(widget) > 10_000
    box.press("Escape")
    expect(box).to_have_count(0)


def test_a_search_moves_the_map_of_a_matrix(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.form = 'matrix'")
    before = widget.picture("head")
    box = search(widget, "paris")
    box.press("Enter")
    box.press("Enter")
    expect(count(widget)).to_have_text("2 of 2")
    expect(widget.root.locator(".aw-status")).to_contain_text("query 1500")
    widget.wait_for_another("head", before)
    box.press("Escape")


def test_the_keyboard_walks_through_the_tokens(notebook: Notebook, widget: Widget) -> None:
    widget.stop("head", "query 3 ").wait_for(state="attached")
    widget.stop("head", "query 3 ").focus()
    expect(widget.root.locator(".aw-status")).to_contain_text("query 3")
    assert widget.panel("head").locator(".aw-stop").count() <= 80
    notebook.page.keyboard.press("ArrowRight")
    expect(widget.root.locator(".aw-status")).to_contain_text("query 4")
    notebook.page.keyboard.press("Enter")
    notebook.wait_value("view.query", 4)
    # The focus is still there, also when the stops have been read again.
    widget.rest()
    notebook.page.keyboard.press("ArrowRight")
    expect(widget.root.locator(".aw-status")).to_contain_text("“and” does not look at “and”")


def test_a_small_text_is_answered_without_the_kernel(
    lab: Lab, notebook: Notebook, widget: Widget
) -> None:
    small = notebook.widget(1)
    notebook.execute("small.query = 8")
    small.settle()
    before, sent = small.picture("head"), lab.sent
    small.click("head", "Shade by what the token is attended by")
    before = small.wait_for_another("head", before)
    small.hover("head", "key 2 “cat”")
    status = small.root.locator(".aw-status")
    expect(status).to_contain_text("“cat” does not look at “it”")
    widget.leave()
    # The traits alone have gone to the kernel.
    assert lab.sent - sent < 8
    notebook.wait_value("[small.query, small.key]", [None, 8])


def test_a_saved_page_searches_and_turns(
    chromium: Browser, notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    target = tmp_path / "text.html"
    notebook.execute(f"view.query = 900; view.save({str(target)!r})")
    widget.settle()
    page = chromium.new_page(viewport={"width": 800, "height": 800})
    page.goto(target.as_uri())
    root = page.locator(".attnwidget")
    copy = Widget(page, root)
    before = copy.picture("head")
    in_sight(root, ".aw-search-button").click()
    box = root.locator("input[aria-label='Search the text']")
    box.fill("paris")
    box.press("Enter")
    expect(root.locator(".aw-search-count")).to_have_text("1 of 2")
    box.press("Escape")
    # What attends to a token is read from all the rows of the copy.
    turned = root.locator(".aw-stop[aria-label^='Shade by what the token is attended by']")
    copy.rest()
    box_of = turned.bounding_box()
    assert box_of is not None
    page.mouse.click(box_of["x"] + 20, box_of["y"] + 9)
    copy.wait_for_another("head", before)
    expect(root.locator(".aw-stop[aria-label*='(position 900) 0.2']")).to_have_count(1)
    expect(root.locator(".aw-failure")).to_have_count(0)
    page.close()
