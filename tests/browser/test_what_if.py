"""Edits of the model by keys and chips: what is said and drawn under them, and the exact way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser.figures import saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser.lab import Notebook, Widget

TEXT = "the cat sat on the mat because it"
CELLS = [
    "import attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    f"view = aw.view(model, {TEXT!r}, tokenizer)\nview",
]
RESET = """
view.interventions, view.metric, view.score, view.threshold = None, None, None, None
view.view, view.form, view.layer, view.heads, view.query, view.key = "all", "lines", 3, [3], None, None
"""
PARTS = "[part.to_data() for part in view.interventions.parts]"
HEAD = {"ablate": [[3, 3]], "how": "zero", "stream": None, "source": None}
LINK = {
    "cut": {"query": 8, "key": 2},
    "heads": [[3, 3]],
    "layers": None,
    "stream": None,
    "renormalise": True,
}
# What X makes of the selection, how it is said, and the probability that is left.
Case = tuple[dict[str, object], str, str]
CASES = [
    pytest.param((HEAD, "head 3·3", "0.004"), id="head"),
    pytest.param(
        (LINK, "“it” → “cat” in head 3·3", "0.003"),
        id="link",
    ),
]


def quiet(notebook: Notebook, widget: Widget) -> tuple[str, str]:
    """The pictures of heads and links with the pointer away from them."""
    notebook.rest(widget)
    widget.leave()
    widget.rest()
    return widget.picture("head"), widget.picture("model")


@pytest.mark.parametrize("case", CASES)
def test_x_takes_away_and_undo_brings_the_exact_picture_back(
    notebook: Notebook, widget: Widget, case: Case
) -> None:
    part, without, after = case
    pinned = part is LINK
    if pinned:
        widget.click("head", "query 8")
        widget.click("head", "key 2")
        notebook.wait_value("[view.query, view.key]", [8, 2])
    before = quiet(notebook, widget)
    svg = saved_by_button(widget)

    widget.root.press("x")
    said = widget.root.locator(".aw-what-said")
    wanted = rf"Without {without} the model no longer expects “purred”:\s0.478\s→\s{after}"
    expect(said).to_contain_text(re.compile(wanted))
    expect(said).to_contain_text("recomputed exactly")
    notebook.wait_value(PARTS, [part])
    widget.wait_for_another("model", before[1])
    changed = saved_by_button(widget).decode()
    for text in ("What it expects after “it”", "0.478", after, "stroke-dasharray"):
        assert text in changed, text
    assert ("was 0.999" in changed) == pinned
    widget.screenshot("what-if-link" if pinned else "what-if-head")

    # The record was replaced, and the reader goes on by the keyboard.
    widget.page.keyboard.press("Control+z")
    expect(said).to_have_count(0)
    notebook.wait_value(PARTS, [])
    assert quiet(notebook, widget) == before
    assert saved_by_button(widget) == svg

    widget.page.keyboard.press("Control+Shift+z")
    expect(said).to_contain_text("no longer expects “purred”")
    notebook.wait_value(PARTS, [part])


def test_chips_and_python_say_the_same(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.interventions = aw.ablate(heads=[(3, 3)])")
    chip = widget.root.get_by_role("button", name="− 3·3", exact=True)
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(widget.root.locator(".aw-what-said")).to_contain_text("Without head 3·3")
    chip.click()
    notebook.wait_value(PARTS, [])
    # It is kept, and can be put in force again.
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    notebook.wait_value(PARTS, [HEAD])
    widget.root.get_by_role("button", name="clear", exact=True).click()
    notebook.wait_value(PARTS, [])
    expect(chip).to_have_count(0)


def test_effects_of_all_heads_come_under_them(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.metric = 'purred'")
    widget.root.get_by_role("button", name="effects of all heads").click()
    title = widget.panel("model").locator(".aw-title")
    expect(title).to_have_text("Heads by effect on “purred”")
    notebook.wait_value("view.effects['state']", "done")
    expect(widget.root.get_by_role("button", name="effects of all heads")).to_be_visible()
    names = widget.names("model")
    assert any(name.startswith("layer 3 head 3") and "effect −4.68" in name for name in names)
    assert not any("estimated" in name for name in names)
    widget.screenshot("what-if-effects")


def test_effects_are_chosen_as_the_score_and_cut_off_in_their_own_units(
    notebook: Notebook, widget: Widget
) -> None:
    notebook.execute("view.metric = 'purred'")
    widget.root.get_by_label("Score", exact=True).select_option("effect")
    notebook.wait_value("view.effects['state']", "done")
    # Heads are scored by them as soon as some are known, without another click.
    notebook.wait_value("view.score", "effect")
    slider = widget.root.get_by_label("Least score")
    slider.fill("2.35")
    notebook.wait_value("view.threshold > 1", expected=True)
    bar = widget.root.get_by_role("group", name="Scores of heads")
    expect(bar).to_contain_text("1 of 16 heads reach 2.35")


# Of the bars, each picture that is not the one before, as the browser shows them.
WATCH = """() => {
  const seen = [];
  let going = true;
  const look = () => {
    const canvas = document.querySelector(".aw-panel-change canvas");
    if (canvas?.width) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let hash = 0;
      for (const word of new Uint32Array(data.buffer)) hash = (Math.imul(hash, 31) + word) | 0;
      if (seen.at(-1) !== hash) seen.push(hash);
    }
    if (going) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.seenOfBars = () => { going = false; return seen; };
}"""
FIRST = "view.interventions = aw.cut('it', 'cat', heads=(3, 3))"
SECOND = "view.interventions = aw.cut('it', 'mat', heads=(3, 1))"


def bars_of_change(notebook: Notebook, widget: Widget) -> list[int]:
    """The pictures of the bars from the first edit to the second."""
    notebook.execute(FIRST)
    notebook.rest(widget)
    widget.rest()
    widget.page.evaluate(WATCH)
    notebook.execute(SECOND)
    notebook.rest(widget)
    widget.rest()
    found: list[int] = widget.page.evaluate("() => window.seenOfBars()")
    return found


def test_bars_move_to_where_they_belong_for_who_wants_it_and_are_a_table(
    notebook: Notebook, widget: Widget
) -> None:
    notebook.execute("view.query = 'it'")
    moved = bars_of_change(notebook, widget)
    assert len(moved) >= 3, "nothing was drawn on the way"
    widget.page.emulate_media(reduced_motion="reduce")
    try:
        still = bars_of_change(notebook, widget)
    finally:
        widget.page.emulate_media(reduced_motion="no-preference")
    # The same first and last picture, pixel for pixel, and nothing between them.
    assert still == [moved[0], moved[-1]]
    table = widget.panel("change").get_by_role("table", name="What it expects after “it”")
    row = table.get_by_role("row").filter(has_text="purred")
    expect(row.get_by_role("cell")).to_have_text(["0.478", "0.602"])
