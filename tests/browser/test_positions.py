"""Several tokens at once, words instead of pieces, and measures other than weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.figures import headless, saved_by_button
from browser.widget import in_sight

if TYPE_CHECKING:
    from browser.lab import Lab, Notebook, Widget

SAT, ON, IT, CAT, THE = 3, 4, 8, 2, 5
SHOW = """
import attnwidget as aw

model, tokenizer = aw.pocket()
view = aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer, choose=False)
view
"""
# Pieces of a tokenizer that marks what continues a word; weights that no two rows share.
PIECES = """
import numpy as np
tokens = ["[CLS]", "the", "un", "##believ", "##able", "cat", "##s", "sat", "[SEP]"]
raw = np.random.default_rng(0).random((2, 1, 3, 9, 9))
pieces = aw.view(aw.from_weights(raw / raw.sum(-1, keepdims=True), tokens), heads=[1])
pieces
"""
CELLS = [SHOW, PIECES]
WINDOW = (1560, 1300)
RESET = """
view.view, view.form, view.layer, view.heads, view.compare = "all", "lines", 1, [2], []
view.query, view.key, view.measure = None, None, "weights"
"""


def says(widget: Widget, text: str) -> None:
    widget.root.locator(".aw-status", has_text=text).wait_for()


def test_shift_click_pins_several_and_the_number_is_mean_and_sum(
    notebook: Notebook, widget: Widget
) -> None:
    widget.click("head", f"query {IT}")
    widget.click("head", f"query {SAT}", shift=True)
    widget.click("head", f"key {CAT}", shift=True)
    widget.click("head", f"key {0}", shift=True)
    widget.leave()
    notebook.wait_value("[view.query, view.key]", [[IT, SAT], [CAT, 0]])
    weights = np.array(notebook.value("view.attention['decoder'][1].weights(head=2).tolist()"))
    expected = weights[np.ix_([IT, SAT], [CAT, 0])].sum(1).mean()
    says(widget, f"{expected:.3f} of their weight (mean of 2 queries, sum of 2 keys)")
    widget.click("head", f"query {IT}", shift=True)
    notebook.wait_value("view.query", SAT)
    widget.click("head", f"query {SAT}")
    notebook.wait_value("view.query", None)


def test_a_drag_pins_a_range_and_a_block(notebook: Notebook, widget: Widget) -> None:
    mouse = notebook.page.mouse

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*end)
        mouse.up()

    drag(widget.point("head", f"query {SAT}"), widget.point("head", "query 6"))
    notebook.wait_value("view.query", [3, 4, 5, 6])
    notebook.execute("view.query, view.form = None, 'matrix'")
    # Names for the keyboard follow the picture a little later.
    widget.rest()
    start = widget.point("head", "key 0")[0], widget.point("head", f"query {THE}")[1]
    end = widget.point("head", f"key {CAT}")[0], widget.point("head", f"query {IT}")[1]
    drag(start, end)
    notebook.wait_value("[view.query, view.key]", [[5, 6, 7, 8], [0, 1, 2]])


def test_python_pins_several_and_the_table_tells_their_mean(
    notebook: Notebook, widget: Widget
) -> None:
    notebook.execute(f"view.query = [{SAT}, {ON}]")
    caption = widget.root.locator("table.aw-hidden caption").first
    caption.wait_for(state="attached")
    assert "2 pinned queries, on average" in caption.inner_text()
    row = notebook.value(
        f"view.attention['decoder'][1].weights(head=2)[[{SAT}, {ON}]].mean(0).tolist()"
    )
    best = max(range(len(row)), key=row.__getitem__)
    cells = widget.root.locator("table.aw-hidden td")
    assert cells.nth(1).inner_text().startswith(f"{best} ")
    assert cells.nth(2).inner_text() == f"{row[best]:.3f}"


@pytest.mark.parametrize(
    ("measure", "legend"), [("value", "value-weighted"), ("norm", "norm-based")]
)
def test_a_measure_is_the_records_own(
    notebook: Notebook, widget: Widget, measure: str, legend: str
) -> None:
    before = widget.picture("head"), widget.picture("model")
    widget.root.locator(".aw-measure").select_option(measure)
    notebook.wait_value("view.measure", measure)
    widget.wait_for_another("head", before[0])
    widget.wait_for_another("model", before[1])
    notebook.execute(f"view.query, view.key = {IT}, {CAT}")
    value = notebook.value(
        f"float(view.attention['decoder'][1].measure({measure!r}, 2)[{IT}, {CAT}])"
    )
    says(widget, f"“it” looks at “cat”, {value:.3f} ({legend}).")
    says(widget, f"layer 1, head 2 · {legend}")
    widget.settle()


def test_a_rollout_has_no_heads(notebook: Notebook, widget: Widget) -> None:
    notebook.execute(
        f"view.heads, view.measure, view.query, view.key = [1, 3], 'rollout', {IT}, {CAT}"
    )
    value = notebook.value(f"float(view.attention.rollout()[1, {IT}, {CAT}])")
    says(widget, f"“cat” reaches “it”, {value:.3f}.")
    says(widget, "layer 1, all heads · rollout")
    assert widget.root.locator(".aw-chip").count() == 0
    widget.click("model", "layer 3 head 0")
    notebook.wait_value("[view.layer, view.heads]", [3, [1, 3]])


def test_words_are_the_records_own_and_pin_all_pieces(notebook: Notebook) -> None:
    words = notebook.widget(1)
    words.settle()
    before = words.picture("head")
    in_sight(words.root, "button[data-positions=words]").click()
    notebook.wait_value("pieces.positions", "words")
    words.wait_for_another("head", before)
    words.click("head", "query 2")
    words.click("head", "key 3", shift=True)
    words.leave()
    notebook.wait_value("[pieces.query, pieces.key]", [[2, 3, 4], [5, 6]])
    merged = notebook.value("float(pieces.attention.words()['self'][0].weights(1)[2, 3])")
    says(words, f"“unbelievable” looks at “cats”, {merged:.3f} of its weight.")
    # The same pins, piece by piece, say the same.
    in_sight(words.root, "button[data-positions=pieces]").click()
    says(words, f"{merged:.3f} of their weight (mean of 3 queries, sum of 2 keys)")
    notebook.execute("pieces.positions, pieces.query, pieces.key = 'pieces', None, None")


def test_a_measure_that_the_record_cannot_give_says_why(notebook: Notebook) -> None:
    words = notebook.widget(1)
    option = words.root.locator(".aw-measure option[value=norm]")
    assert option.is_disabled()
    assert "weights alone" in (option.get_attribute("title") or "")
    notebook.execute("pieces.measure = 'norm'")
    words.settle()
    path = Path(notebook.value("str(pieces.save('/tmp/attnwidget-missing.svg', width=900))"))
    assert "No lengths behind the output projection" in path.read_text(encoding="utf-8")
    path.unlink()
    notebook.execute("pieces.measure = 'weights'")
    words.settle()


def test_browser_and_headless_figures_are_one(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    states = [
        ("view", widget, f"view.query, view.key = [{SAT}, {IT}], [{CAT}, 0]"),
        ("view", widget, "view.measure, view.form = 'norm', 'matrix'"),
        ("view", widget, "view.measure, view.form, view.layer = 'rollout', 'lines', 2"),
        ("pieces", notebook.widget(1), "pieces.positions, pieces.query = 'words', [2, 3]"),
    ]
    for index, (name, shown, state) in enumerate(states):
        notebook.execute(state)
        notebook.rest(shown)
        drawn = headless(notebook, tmp_path / f"{index}.svg", view=name)
        assert drawn == saved_by_button(shown), state
    notebook.execute("pieces.positions, pieces.query = 'pieces', None")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 700, 1400])
def test_pictures(lab: Lab, notebook: Notebook, widget: Widget, theme: str, width: int) -> None:
    lab.set_theme(theme)
    notebook.execute(
        f"view.measure, view.query, view.key, view.heads = 'norm', [{SAT}, {IT}], [{CAT}, 1], [1, 2]"
    )
    notebook.set_output_width(0, width)
    widget.settle()
    widget.screenshot(f"positions-{width}-{theme}")
    lab.set_viewport(1560, 1300)
    lab.set_theme("light")
