"""The line of controls, in a notebook: one line, one tab stop, what is chosen can be copied as Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.widget import Widget, in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook
    from playwright.sync_api import Browser, Locator

TEXT = "The cat sat on the mat because it was tired"
SHOW = f"""
import attnwidget as aw
import torch

model, tokenizer = aw.pocket()
view = aw.view(model, {TEXT!r}, tokenizer=tokenizer)
view
"""
# Of many heads; and several streams, whose names stand in the line as well.
MANY = """
def weights(heads):
    return [torch.rand(heads, 8, 8).softmax(-1) for _ in range(14)]

many = aw.view(aw.from_weights(weights({heads}), list("abcdefgh")), choose=False)
many
"""
STREAMS = """
parts = {f"{name}_attention": weights(12) for name in ("encoder", "decoder", "cross")}
tokens = {f"{name}_tokens": list("abcdefgh") for name in ("encoder", "decoder")}
streams = aw.view(aw.from_weights(**parts, **tokens))
streams
"""
CELLS = [SHOW, *[MANY.replace("{heads}", str(heads)) for heads in (12, 32, 64)], STREAMS]
RESET = """
view.view, view.form, view.layer, view.heads, view.compare = "all", "lines", 0, [0], []
view.query, view.key, view.score, view.arrange, view.theme = None, None, None, "layers", "auto"
"""
# The rows in which the controls of the line stand.
ROWS = """(bar) => {
  const tops = [...bar.querySelectorAll(".aw-control, .aw-ends > *")]
    .map((element) => element.getBoundingClientRect())
    .filter(({ width }) => width > 0)
    .map(({ top, height }) => Math.round((top + height / 2) / 8));
  return new Set(tops).size;
}"""
# What has the focus: its view, or the part of the widget that it stands in.
FOCUS = """(root) => {
  const at = document.activeElement;
  if (!root.contains(at)) return "outside";
  for (const part of ["toolbar", "edit", "reading", "what-if"]) if (at.closest(`.aw-${part}`)) return part;
  return at.closest(".aw-panel")?.className.split("aw-panel-")[1] ?? "elsewhere";
}"""
ON_TOP = """(box) => {
  const { left, top, width, height } = box.getBoundingClientRect();
  const points = [[4, 4], [width - 4, 4], [4, height - 4], [width - 4, height - 4]];
  return points.every(([x, y]) => box.contains(document.elementFromPoint(left + x, top + y)));
}"""


def boxes(widget: Widget) -> list[object]:
    return [panel.bounding_box() for panel in widget.root.locator(".aw-panel").all()]


@pytest.mark.parametrize("cell", range(len(CELLS)), ids=["4", "12", "32", "64", "streams"])
def test_one_line_of_controls_and_never_more_than_two(
    lab: Lab, notebook: Notebook, cell: int
) -> None:
    widget = notebook.widget(cell)
    names: set[str] = set()
    for width, rows in ((1400, 1), (1000, 1), (700, 2), (420, 2)):
        notebook.set_output_width(cell, width)
        widget.settle()
        assert widget.root.locator(".aw-bar").evaluate(ROWS) <= rows
        assert widget.root.evaluate("(root) => root.scrollWidth - root.clientWidth") <= 0
        found = [
            each.get_attribute("data-control") or ""
            for each in widget.root.locator("[data-control]").all()
        ]
        # Each in one place, and at every width the same ones.
        assert len(set(found)) == len(found)
        assert not names or set(found) == names
        names = set(found)
    lab.set_viewport(1400)
    assert names >= {"layer", "heads", "form", "measure", "view", "theme", "save"}


def test_many_heads_are_chosen_in_a_box_over_everything(notebook: Notebook) -> None:
    widget = notebook.widget(2)
    widget.settle()
    chip = in_sight(widget.root, "[data-head='31']")
    box = chip.locator("xpath=ancestor::*[@popover]")
    assert box.evaluate(ON_TOP)
    chip.click()
    expect(widget.root.locator(".aw-menu-heads")).to_contain_text("0, 31")
    chip.dblclick()
    expect(widget.root.locator(".aw-menu-heads")).to_have_text(re.compile(r"^\s*31 ▾"))
    chip.dblclick()
    expect(widget.root.locator(".aw-menu-heads")).to_contain_text("all 32")
    notebook.page.keyboard.press("Escape")
    expect(box).to_be_hidden()


def test_what_does_nothing_in_the_open_view_is_not_there(
    notebook: Notebook, widget: Widget
) -> None:
    forms = widget.root.locator("[data-form]")
    links = widget.root.locator("[data-control='links']")
    assert forms.count() == 5
    widget.root.locator("select[aria-label='View']").select_option("model")
    notebook.wait_value("view.view", "model")
    # Beside the heads stands the one that is selected: what is drawn of it can be chosen.
    expect(widget.panel("head")).to_be_visible()
    expect(forms).to_have_count(5)
    expect(links).to_have_count(1)
    widget.root.locator("[data-form=matrix]").click()
    notebook.wait_value("view.form", "matrix")
    expect(links).to_have_count(0)
    notebook.execute("view.view = 'neuron'")
    expect(forms).to_have_count(0)
    assert widget.root.locator(".aw-measure, [data-control='aside']").count() == 0


def test_the_score_takes_no_row_before_it_is_chosen(notebook: Notebook, widget: Widget) -> None:
    score = widget.panel("model").locator("select[aria-label='Score']")
    expect(score.locator("option:checked")).to_have_text("none")
    assert widget.root.locator(".aw-scores").count() == 0
    score.select_option("previous")
    notebook.wait_value("view.score", "previous")
    expect(widget.root.locator(".aw-scores")).to_have_count(1)


def test_one_tab_stop_for_the_line_and_one_for_each_view(
    notebook: Notebook, widget: Widget
) -> None:
    press = notebook.page.keyboard.press
    widget.rest()
    widget.root.locator(".aw-toolbar [tabindex='0']").focus()
    seen = []
    for _ in range(9):
        seen.append(widget.root.evaluate(FOCUS))
        press("Tab")
        widget.rest()
        if widget.root.evaluate(FOCUS) == "outside":
            break
    # The reading line names other heads, below it are edits; the score stands at the title of the model view.
    stops = ["toolbar", "reading", "edit", "what-if", "model", "model", "head", "neuron"]
    assert seen == stops
    widget.panel("neuron").locator(".aw-stop[tabindex='0']").focus()
    press("Shift+Tab")
    assert widget.root.evaluate(FOCUS) == "head"
    others = widget.root.locator(".aw-also button")
    others.first.focus()
    press("ArrowRight")
    expect(others.nth(1)).to_be_focused()
    press("End")
    expect(others.last).to_be_focused()
    assert widget.root.locator(".aw-reading [tabindex='0']").count() == 1
    # Only the focus moved.
    assert notebook.value("[view.layer, view.heads]") == [0, [0]]


def test_arrows_walk_along_the_line_and_through_a_view(notebook: Notebook, widget: Widget) -> None:
    press = notebook.page.keyboard.press
    widget.rest()
    widget.root.locator(".aw-toolbar [tabindex='0']").focus()
    press("Home")
    expect(widget.root.locator(".aw-previous")).to_be_focused()
    press("ArrowRight")
    expect(widget.root.locator("select[aria-label='Layer']")).to_be_focused()
    press("ArrowDown")
    notebook.wait_value("view.layer", 1)
    press("ArrowRight")
    expect(widget.root.locator(".aw-next")).to_be_focused()
    press("End")
    expect(widget.root.locator(".aw-help-button")).to_be_focused()
    notebook.wait_value("[view.layer, view.heads]", [1, [0]])
    assert widget.root.locator(".aw-toolbar [tabindex='0']").count() == 1
    stop = widget.stop("model", "layer 1 head 0")
    stop.focus()
    press("ArrowRight")
    press("ArrowDown")
    expect(widget.stop("model", "layer 2 head 1")).to_be_focused()
    press("Enter")
    notebook.wait_value("[view.layer, view.heads]", [2, [1]])
    query = widget.stop("head", "query 2 ")
    query.focus()
    press("ArrowRight")
    expect(widget.stop("head", "key 2 ")).to_be_focused()


def test_escape_lets_go_and_then_leaves(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.query = 2")
    widget.rest()
    widget.root.locator(".aw-toolbar [tabindex='0']").focus()
    notebook.page.keyboard.press("Escape")
    notebook.wait_value("view.query", None)
    assert widget.root.evaluate(FOCUS) == "toolbar"
    notebook.page.keyboard.press("Escape")
    assert widget.root.evaluate(FOCUS) == "outside"
    assert notebook.page.evaluate("document.activeElement !== document.body")


def test_help_and_search_lie_over_the_views(notebook: Notebook, widget: Widget) -> None:
    before = boxes(widget)
    widget.root.locator(".aw-help-button").click()
    help_box = widget.root.get_by_role("dialog")
    expect(help_box).to_be_visible()
    assert boxes(widget) == before
    assert help_box.evaluate(ON_TOP)
    help_box.get_by_role("button", name="Close", exact=True).click()
    expect(help_box).to_have_count(0)
    in_sight(widget.root, ".aw-search-button").click()
    expect(widget.root.locator(".aw-search")).to_be_visible()
    assert boxes(widget) == before
    notebook.page.keyboard.press("Escape")


def copied(root: Locator) -> str:
    button = in_sight(root, ".aw-copy")
    button.click()
    box = button.locator("xpath=ancestor::*[@popover]")
    expect(box.get_by_role("status")).to_contain_text(re.compile("Copied|Selected"))
    text: str = box.locator("textarea").input_value()
    root.page.keyboard.press("Escape")
    return text


def test_what_is_shown_is_copied_as_python(
    chromium: Browser, notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.execute("view.layer, view.heads, view.query, view.form = 3, [1, 3], 8, 'matrix'")
    widget.settle()
    text = copied(widget.root)
    assert notebook.value("view.code()") == text
    assert text.startswith(f'aw.view(model, "{TEXT}", tokenizer=tokenizer, layer=3')
    notebook.execute(f"again = {text}")
    parts = "[{0}.layer, {0}.heads, {0}.query, {0}.form]"
    assert notebook.value(parts.format("again")) == notebook.value(parts.format("view"))
    # Without a kernel the page says it itself, of what it shows by then.
    target = tmp_path / "copy.html"
    notebook.execute(f"view.save({str(target)!r}); again.close()")
    page = chromium.new_page()
    page.goto(target.as_uri())
    root = page.locator(".attnwidget[data-pending='0']")
    assert copied(root) == text
    root.locator("[data-form=lines]").click()
    assert copied(root) == text.replace(', form="matrix"', "")
    page.close()


def test_forced_colours_keep_what_is_chosen(lab: Lab, widget: Widget) -> None:
    ground = "(button) => getComputedStyle(button).backgroundColor"
    chosen, other = (widget.root.locator(f"[data-form={form}]") for form in ("lines", "matrix"))
    chip = widget.root.locator("[data-head='0']")
    lab.page.emulate_media(forced_colors="active")
    assert chosen.evaluate(ground) != other.evaluate(ground)
    assert chip.evaluate(ground) == chosen.evaluate(ground)
    widget.screenshot("toolbar-forced-colours")
    lab.page.emulate_media(forced_colors="none")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    lab: Lab, notebook: Notebook, widget: Widget, theme: str
) -> None:
    # Also where the notebook's own ground is the other one.
    notebook.execute(f"view.theme, view.score, view.query, view.key = {theme!r}, 'previous', 8, 2")
    widget.rest()
    widget.root.evaluate("(root) => root.setAttribute('data-checked', '')")
    for opened in ("", ".aw-menu-save", ".aw-menu-more", ".aw-help-button"):
        if opened:
            widget.root.locator(opened).click()
        found = Axe().run(lab.page, context="[data-checked]").response["violations"]
        serious = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []
    notebook.page.keyboard.press("Escape")
