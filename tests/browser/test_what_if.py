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
view.interventions, view.metric = None, None
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
