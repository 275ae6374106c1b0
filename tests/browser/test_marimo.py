"""The widget in marimo, whose bridge for anywidgets is its own: messages, binary buffers, traits, shadow trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.marimo_page import Marimo, marimo
from browser.waiting import until
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser.widget import Widget
    from playwright.sync_api import Browser, Locator

TEXT = "The cat sat on the mat because it was tired"
PLAIN, WRAPPED, SAYS, MOVES, SAVES, FROZEN, FREEZES, EDITED = range(1, 9)


def cells(figure: Path) -> list[str]:
    return [
        f"""
import attnwidget as aw
import marimo as mo

model, tokenizer = aw.pocket()
attention = aw.capture(model, {TEXT!r}, tokenizer)
""",
        "plain = aw.view(attention, layer=1, query='it')\nplain",
        "wrapped = mo.ui.anywidget(aw.view(attention, layer=2))\nwrapped",
        "mo.md(f'layer {wrapped.layer}, heads {wrapped.heads}, query {wrapped.query}')",
        """
def move(_):
    plain.layer, plain.heads, plain.query = 3, [1, 2], 6

mo.ui.button(label="move it", on_click=move)
""",
        f"""
def save(_):
    plain.save({str(figure)!r}, renderer="browser")

mo.ui.button(label="save it", on_click=save)
""",
        "aw.view(attention, layer=2, heads=[1], frozen=True)",
        "aw.view(attention, layer=1, heads=[2]).freeze()",
        f"aw.view(model, {TEXT!r}, tokenizer, layer=1)",
    ]


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved") / "figure.png"


@pytest.fixture(scope="module")
def app(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, figure: Path
) -> Iterator[Marimo]:
    """The notebook as ``marimo run`` serves it."""
    with marimo(cells(figure), tmp_path_factory.mktemp("marimo"), "run") as url:
        page = Marimo(chromium, url, shows=WRAPPED)
        yield page
        page.close()


@pytest.fixture(autouse=True)
def clean(app: Marimo) -> Iterator[None]:
    yield
    app.watch.assert_clean()


@pytest.fixture
def plain(app: Marimo) -> Widget:
    widget = app.widget(PLAIN)
    widget.leave()
    widget.settle()
    return widget


def copies(app: Marimo, cell: int) -> Locator:
    return app.output(cell).frame_locator("iframe.attnwidget-frozen").locator(".attnwidget")


def test_all_views_have_their_numbers(app: Marimo, plain: Widget) -> None:
    for widget in (plain, app.widget(WRAPPED)):
        widget.settle()
        for view in ("model", "head", "neuron"):
            assert int(widget.picture(view).split()[1]) > 10, f"the {view} view is nearly empty"
        expect(widget.root.locator(".aw-failure")).to_have_count(0)


def test_hover_shows_a_fan(plain: Widget) -> None:
    plain.hover("head", "query 4")
    before = plain.picture("head")
    plain.hover("head", "query 10")
    plain.wait_for_another("head", before)


def test_a_click_reaches_python_and_the_cells_that_read_it(app: Marimo) -> None:
    widget, says = app.widget(WRAPPED), app.output(SAYS)
    expect(says).to_contain_text("layer 2, heads [0], query None")
    widget.click("model", "layer 3 head 1")
    expect(says).to_contain_text("layer 3, heads [1], query None")
    widget.click("head", "query 8 ")
    expect(says).to_contain_text("layer 3, heads [1], query 8")


def test_python_moves_it(app: Marimo, plain: Widget) -> None:
    before = {view: plain.picture(view) for view in ("model", "head", "neuron")}
    app.output(MOVES).get_by_role("button").click()
    for view, picture in before.items():
        plain.wait_for_another(view, picture)
    expect(plain.root.locator("select[aria-label='Layer']")).to_have_value("3")


def test_scores_come_and_a_figure_goes(app: Marimo, plain: Widget, figure: Path) -> None:
    unscored = plain.picture("model")
    plain.root.locator("select[aria-label='Score']").select_option("previous")
    plain.wait_for_another("model", unscored)
    expect(plain.root.locator(".aw-failure")).to_have_count(0)
    app.output(SAVES).get_by_role("button").click()
    # Its last bytes are those of the end of a PNG.
    assert until(
        app.page, lambda: figure.exists() and figure.read_bytes().endswith(b"IEND\xaeB`\x82")
    )
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_frozen_it_needs_no_kernel(app: Marimo) -> None:
    for cell, layer in ((FROZEN, 2), (FREEZES, 1)):
        root = copies(app, cell)
        expect(root).to_have_attribute("data-pending", "0")
        expect(root.locator("select[aria-label='Layer']")).to_have_value(str(layer))
        root.locator(".aw-next").click()
        expect(root.locator("select[aria-label='Layer']")).to_have_value(str(layer + 1))
        expect(root.locator(".aw-failure")).to_have_count(0)


def test_the_button_says_what_marimo_cannot_do(plain: Widget) -> None:
    in_sight(plain.root, ".aw-freeze").click()
    expect(plain.root.locator(".aw-failure")).to_contain_text(
        "In marimo a widget has no output of its own to replace: call view.freeze() in a cell"
    )


def test_another_text_leaves_the_keyboard_where_it_was(app: Marimo) -> None:
    """In a shadow tree, of whose focus the document knows nothing."""
    widget = app.widget(EDITED)
    edit = widget.root.get_by_role("button", name="✎ edit the text")
    edit.click()
    field = widget.root.get_by_role("textbox", name="text", exact=True)
    before = widget.picture("head")
    field.fill("the dog sat on the mat because it was old")
    field.press("Enter")
    widget.wait_for_another("head", before)
    expect(edit).to_be_focused()


def test_it_follows_the_theme(app: Marimo, plain: Widget) -> None:
    copy = copies(app, FROZEN)
    for theme in ("dark", "light"):
        app.page.emulate_media(color_scheme=theme)
        expect(plain.root).to_have_attribute("data-theme", theme)
        expect(copy).to_have_attribute("data-theme", theme)
        plain.screenshot(f"marimo-{theme}")


def test_in_the_editor_too(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, figure: Path
) -> None:
    with marimo(cells(figure)[:4], tmp_path_factory.mktemp("editor"), "edit") as url:
        page = Marimo(chromium, url, shows=WRAPPED)
        widget = page.widget(WRAPPED)
        widget.settle()
        widget.click("model", "layer 3 head 1")
        expect(page.output(SAYS)).to_contain_text("layer 3, heads [1], query None")
        page.watch.assert_clean()
        page.close()
