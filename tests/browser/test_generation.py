"""A generation replayed: the slider, the keys, the trait, and a page without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget
    from playwright.sync_api import Browser

SHOW = """
import attnwidget as aw

model, tokenizer = aw.pocket()
inputs = tokenizer("the cat sat on the mat", return_tensors="pt")
with aw.recording(model, tokenizer) as attention:
    output = model.generate(**inputs, max_new_tokens=8, min_new_tokens=8)
view = aw.view(attention, layer=1, heads=[0, 2])
view
"""
CELLS = [SHOW]
# What a button is called from now on, as often as that changes.
WATCH_LABELS = """(button) => {
  window.awLabels = [];
  const note = () => window.awLabels.push(button.getAttribute("aria-label"));
  new MutationObserver(note).observe(button, { attributeFilter: ["aria-label"] });
}"""
# Press the button once the second step or a later one is on show: no step lasts until a test on a busy machine sees it.
PAUSE_AFTER_THE_FIRST = """async (root) => {
  const slider = root.querySelector("input.aw-step");
  while (!(slider.value > 0 && slider.value < 7)) await new Promise(requestAnimationFrame);
  root.querySelector(".aw-play").click();
}"""
RESET = "view.step, view.query, view.view, view.form = None, None, 'all', 'lines'"


def rows(widget: Widget) -> list[list[str]]:
    """What was expected, as a screen reader has it."""
    table = widget.root.locator("table.aw-expected")
    return [row.locator("td").all_inner_texts() for row in table.locator("tr").all()]


def test_the_slider_moves_the_trait_and_the_views(notebook: Notebook, widget: Widget) -> None:
    slider = widget.root.locator("input.aw-step")
    expect(slider).to_have_attribute("max", "7")
    before = {view: widget.picture(view) for view in ("model", "head", "neuron", "next")}
    slider.focus()
    slider.press("Home")
    notebook.wait_value("view.step", 0)
    widget.settle()
    for view, picture in before.items():
        assert widget.picture(view) != picture, view
    assert widget.root.locator(".aw-panel-next h3").inner_text() == "Next token · step 1 of 8"
    widget.screenshot("generation-first")
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    notebook.wait_value("view.step", 2)
    # The arrow keys on the slider are its own.
    notebook.rest(widget)
    assert notebook.value("view.heads") == [0, 2]
    widget.settle()
    widget.screenshot("generation-third")


def test_what_was_expected_is_what_the_record_says(notebook: Notebook, widget: Widget) -> None:
    for step in (0, 3, 7):
        notebook.execute(f"view.step = {step}")
        widget.settle()
        position = 6 + step
        tokens = notebook.value(
            f"[[t.label, t.probability, t.chosen] for t in attention.next_tokens[{position}]]"
        )
        shown = rows(widget)
        assert len(shown) == 8
        for (label, number, chosen), (name, probability, came) in zip(shown, tokens, strict=False):
            assert label == name
            assert (chosen == "chosen") == came
            if number != "<0.001":
                assert abs(float(number) - probability) < 6e-4


def test_the_newest_query_is_in_question_unless_one_is_pinned(
    notebook: Notebook, widget: Widget
) -> None:
    notebook.execute("view.step = 2")
    widget.settle()
    status = widget.root.locator(".aw-status")
    labels = notebook.value("[p.label for p in attention['decoder'].query_positions]")
    expect(status).to_contain_text(f"“{labels[8]}” looks most at")
    notebook.execute("view.query = 3")
    expect(status).to_contain_text(f"“{labels[3]}” looks most at")
    assert notebook.value("view.query") == 3
    notebook.execute("view.query = 12")  # not there yet: it waits
    expect(status).to_contain_text(f"“{labels[8]}” looks most at")


def test_a_token_to_come_cannot_be_pinned(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.step = 0")
    widget.settle()
    stops = widget.panel("head").locator
    expect(stops(".aw-stop[aria-label^='query 6 ']")).to_have_count(1)
    expect(stops(".aw-stop[aria-label^='query 7 ']")).to_have_count(0)
    expect(stops(".aw-stop[aria-label^='key 7 ']")).to_have_count(0)


def test_it_plays_to_its_end(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("view.step = 5")
    notebook.rest(widget)
    notebook.execute(
        "played = []\nview.observe(lambda change: played.append(change['new']), 'step')"
    )
    play = widget.root.locator(".aw-play")
    play.evaluate(WATCH_LABELS)
    play.click()
    notebook.wait_value("played", [6, 7])
    expect(play).to_have_attribute("aria-label", "Play the generation")
    assert notebook.page.evaluate("window.awLabels") == ["Pause", "Play the generation"]
    # From the end it begins anew, and stops where it is told to.
    play.click()
    widget.root.evaluate(PAUSE_AFTER_THE_FIRST)
    expect(play).to_have_attribute("aria-label", "Play the generation")
    notebook.rest(widget)
    steps = notebook.value("played[2:]")
    assert steps == list(range(len(steps)))
    assert 2 <= len(steps) < 8
    assert notebook.value("view.step") == steps[-1]
    widget.root.locator(".aw-every").click()
    notebook.wait_value("view.step", None)


def test_nothing_plays_for_who_wants_things_still(notebook: Notebook, widget: Widget) -> None:
    page = widget.root.page
    page.emulate_media(reduced_motion="reduce")
    try:
        notebook.execute("view.step = 4")
        widget.settle()
        expect(widget.root.locator(".aw-play")).to_have_count(0)
        expect(widget.root.locator("input.aw-step")).to_have_value("4")
    finally:
        page.emulate_media(reduced_motion="no-preference")


@pytest.mark.parametrize("width", [420, 700, 1400])
def test_nothing_moves_from_step_to_step(
    lab: Lab, notebook: Notebook, widget: Widget, width: int
) -> None:
    lab.set_viewport(width)
    try:
        places = []
        for step in (None, 0, 4, 7):
            notebook.execute(f"view.step = {step}")
            widget.settle()
            boxes = [panel.bounding_box() for panel in widget.root.locator(".aw-panel").all()]
            first = boxes[0]
            assert first is not None
            places.append(
                [(b["y"] - first["y"], b["width"], b["height"]) for b in boxes if b is not None]
            )
        assert all(each == places[0] for each in places)
        notebook.execute("view.step = 4; view.form = 'matrix'")
        widget.settle()
        widget.screenshot(f"generation-{width}")
    finally:
        lab.set_viewport(1400)


@pytest.mark.usefixtures("widget")
def test_a_page_without_a_kernel_replays_too(
    notebook: Notebook, chromium: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "generation.html"
    notebook.execute(f"view.step = 1; view.save({str(path)!r})")
    context = chromium.new_context(viewport={"width": 1300, "height": 900})
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        root = page.frames[-1].locator(".attnwidget[data-pending='0']")
        root.wait_for()
        slider = root.locator("input.aw-step")
        expect(slider).to_have_value("1")
        slider.focus()
        slider.press("ArrowRight")
        expect(root.locator(".aw-panel-next h3")).to_have_text("Next token · step 3 of 8")
    finally:
        context.close()
