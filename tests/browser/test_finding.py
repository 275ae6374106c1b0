"""Which head is it: scores on the model view, sorted, filtered, as a scatter, and heads ranked by an example."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser.figures import headless, saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget

SHOW = """
import attnwidget as aw

model, tokenizer = aw.pocket()
view = aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer, choose=False)
view
"""
CELLS = [SHOW]
RESET = """
view.score, view.ranking, view.other_score, view.aside = None, None, None, None
view.threshold, view.arrange, view.view, view.layer, view.heads = None, "layers", "all", 0, [0]
view.query, view.key, view.compare = None, None, []
"""


def choose(widget: Widget, what: str, value: str) -> None:
    widget.root.locator(f"select[aria-label='{what}']").select_option(value)
    widget.settle()


def names(widget: Widget) -> list[str]:
    """The heads that a screen reader finds in the model view, in their order on the page."""
    found = widget.names("model")
    assert found
    return [name.split(",")[0] for name in found]


def test_a_score_colours_the_heads(notebook: Notebook, widget: Widget) -> None:
    # What each head does is worked out once there is nothing else to do.
    notebook.rest(widget)
    plain = widget.picture("model")
    choose(widget, "Score", "previous")
    notebook.wait_value("view.score", "previous")
    coloured = widget.wait_for_another("model", plain)
    named = "layer 0 head 2, previous 0.863, label previous 0.891"
    expect(widget.stop("model", named)).to_have_count(1)
    # The one special token is the first: words that set the same aside stand once.
    options = widget.root.locator("select[aria-label='Set aside'] option")
    assert [option.get_attribute("value") for option in options.all()] == ["", "first"]
    choose(widget, "Set aside", "first")
    notebook.wait_value("view.aside", expected="first")
    widget.wait_for_another("model", coloured)
    choose(widget, "Set aside", "")
    choose(widget, "Score", "")
    notebook.wait_value("view.score", None)
    widget.leave()
    assert widget.picture("model") == plain


def test_heads_are_sorted_and_the_arrow_keys_follow(notebook: Notebook, widget: Widget) -> None:
    choose(widget, "Score", "previous")
    choose(widget, "Arrangement", "rank")
    notebook.wait_value("view.arrange", "rank")
    ranked = names(widget)
    scores = notebook.value(
        "sorted((-row['value'], row['layer'], row['head']) "
        "for row in view.attention.head_scores('previous').to_dict('records'))"
    )
    assert ranked[:5] == [f"layer {layer} head {head}" for _, layer, head in scores[:5]]
    widget.click("model", "layer 0 head 2")
    notebook.wait_value("[view.layer, view.heads]", [0, [2]])
    notebook.page.keyboard.press("ArrowRight")
    notebook.wait_value("[view.layer, view.heads]", [scores[1][1], [scores[1][2]]])
    choose(widget, "Arrangement", "rank_by_layer")
    assert names(widget) != ranked
    widget.screenshot("finding-rank-by-layer")


def test_a_threshold_leaves_few(notebook: Notebook, widget: Widget) -> None:
    choose(widget, "Score", "previous")
    choose(widget, "Arrangement", "rank")
    slider = widget.root.locator("input.aw-threshold")
    slider.focus()
    slider.press("End")
    notebook.wait_value("view.threshold", 1.0)
    notebook.execute("view.threshold = 0.8")
    expect(widget.root.locator(".aw-remaining")).to_have_text("1 of 16 heads reach 0.80")
    widget.settle()
    assert names(widget) == ["layer 0 head 2"]
    choose(widget, "Arrangement", "layers")
    assert len(names(widget)) == 16
    assert widget.stop("model", "layer 1 head 1, previous").get_attribute("aria-label")
    widget.screenshot("finding-threshold")


def test_a_scatter_selects_by_click(notebook: Notebook, widget: Widget) -> None:
    choose(widget, "Score", "previous")
    choose(widget, "Arrangement", "scatter")
    choose(widget, "Other score", "self")
    notebook.wait_value("[view.arrange, view.other_score]", ["scatter", "self"])
    widget.click("model", "layer 0 head 2")
    notebook.wait_value("[view.layer, view.heads]", [0, [2]])
    widget.click("model", "layer 3 head 0", shift=True)
    notebook.wait_value("view.compare", [[0, 2], [3, 0]])
    widget.hover("model", "layer 3 head 0")
    expect(widget.root.locator(".aw-status")).to_contain_text("layer 3, head 0")
    widget.screenshot("finding-scatter")


def test_heads_are_ranked_by_an_example(notebook: Notebook, widget: Widget) -> None:
    score = widget.root.locator("select[aria-label='Score']")
    pinned = score.locator("option[value=pinned]")
    expect(pinned).to_have_count(0)
    widget.click("head", "query 8 ")
    widget.click("head", "key 2 ")
    expect(pinned).to_have_text("weight of “it” → “cat”")
    choose(widget, "Score", "pinned")
    notebook.wait_value(
        "[view.score, view.arrange, view.ranking]",
        ["ranking", "rank", {"queries": [8], "keys": [2]}],
    )
    widget.settle()
    assert names(widget)[:2] == ["layer 3 head 3", "layer 3 head 2"]
    expect(pinned).to_have_count(0)
    expect(score).to_have_value("ranking")
    widget.screenshot("finding-example")
    widget.root.locator(".aw-no-score").click()
    notebook.wait_value("[view.score, view.arrange]", [None, "layers"])


def test_python_ranks_and_sorts(notebook: Notebook, widget: Widget) -> None:
    before = widget.picture("model")
    notebook.execute("view.rank(query='it', key='cat')")
    picture = widget.wait_for_another("model", before)
    score = widget.root.locator("select[aria-label='Score']")
    expect(score).to_have_value("ranking")
    notebook.execute(
        "view.rank(pattern=lambda q, k: [[a.text == b.text and i != j for j, b in enumerate(k)] "
        "for i, a in enumerate(q)], name='copies')"
    )
    widget.wait_for_another("model", picture)
    expect(score.locator("option:checked")).to_contain_text("weight of copies")


def test_what_hides_the_link_is_said(widget: Widget) -> None:
    widget.click("head", "query 2 ")
    widget.click("head", "key 8 ")
    choose(widget, "Score", "pinned")
    expect(widget.root.locator(".aw-failure")).to_contain_text("the mask hides the keys")
    widget.click("model", "layer 1 head 1")  # the heads are still there


def test_the_figure_from_the_button_is_the_headless_one(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    target = tmp_path / "headless.svg"
    for arrange in ("layers", "rank", "rank_by_layer", "scatter"):
        notebook.execute(f"view.view, view.score, view.arrange = 'model', 'previous', {arrange!r}")
        notebook.rest(widget)
        assert saved_by_button(widget) == headless(notebook, target), arrange


def test_the_help_lists_the_scores(widget: Widget) -> None:
    widget.root.locator(".aw-help-button").click()
    widget.root.locator(".aw-score-help summary").click()
    scores = widget.root.locator(".aw-score-help dt")
    assert scores.count() == 14
    expect(widget.root.locator(".aw-score-help")).to_contain_text("Olsson et al. 2022")
    widget.screenshot("finding-help")
    widget.root.locator(".aw-help-button").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_width_in_both_themes(
    lab: Lab, notebook: Notebook, widget: Widget, theme: str
) -> None:
    lab.set_theme(theme)
    notebook.execute("view.rank(query='it', key='cat'); view.query, view.key = 8, 2")
    for width in (420, 700, 1400):
        notebook.set_output_width(0, width)
        widget.settle()
        widget.screenshot(f"finding-{width}-{theme}")
        overflow = widget.root.evaluate("(root) => root.scrollWidth - root.clientWidth")
        assert overflow <= 0
    lab.set_theme("light")
    lab.set_viewport(1400)


SURVEY = """
texts = [
    "tom bought tea , rice and milk . he loved tea , rice and milk .",
    "the keys near the box are small .",
    "the cat sat on the mat because it was tired .",
    "rice deep he two tea milk cat dog rice deep he two tea milk cat dog",
]
found = aw.survey(model, texts, tokenizer=tokenizer, progress=False)
over = found.view(model, tokenizer, choose=False)
over
"""


@pytest.fixture(scope="module")
def surveyed(notebook: Notebook) -> Widget:
    """The view `over` of the survey `found` of four `texts`."""
    return notebook.widget(notebook.append(SURVEY))


@pytest.mark.usefixtures("widget")
def test_a_survey_shows_mean_scores_and_opens_examples(
    notebook: Notebook, surveyed: Widget, tmp_path: Path
) -> None:
    survey = surveyed
    survey.settle()
    assert survey.panel("head").count() == 0
    survey.click("model", "layer 2 head 1")
    notebook.wait_value("[over.layer, over.heads]", [2, [1]])
    survey.settle()
    survey.screenshot("finding-survey")
    survey.click("examples", "example 3, ")
    notebook.wait_value("over.example", 3)
    survey.panel("head").wait_for()
    survey.settle()
    expect(survey.stop("head", "query 9 “rice”")).to_have_count(1)
    assert notebook.value("over.attention.text").startswith("rice deep")
    # Whatever was drawn before is gone, and another example takes its place.
    survey.click("examples", "example 0, ")
    notebook.wait_value("over.example", 0)
    survey.settle()
    expect(survey.stop("head", "query 1 “tom”")).to_have_count(1)
    survey.screenshot("finding-survey-open")
    notebook.rest(survey)
    drawn = headless(notebook, tmp_path / "survey.svg", view="over")
    assert drawn == saved_by_button(survey)


@pytest.mark.usefixtures("widget", "surveyed")
def test_a_context_is_found_by_its_text_and_opens_its_input_at_the_link(notebook: Notebook) -> None:
    kept = "aw.survey(model, texts, tokenizer=tokenizer, progress=False, contexts=8)"
    survey = notebook.widget(
        notebook.append(f"near = {kept}.view(model, tokenizer, layer=2, heads=[1])\nnear")
    )
    survey.settle()
    found = survey.stop("examples", "context in input 3, ")
    expect(found).to_have_count(1)
    survey.root.get_by_label("Contexts with this text").fill("tea milk")
    survey.settle()
    survey.screenshot("finding-contexts")
    expect(found).to_have_attribute("aria-label", re.compile("tea milk"))
    name = found.get_attribute("aria-label")
    assert name
    query, key = re.findall(r"query (\S+), key (\S+):", name)[0]
    survey.click("examples", name)
    notebook.wait_value("near.example", 3)
    labels = notebook.value(
        "[near.attention['decoder'].key_positions[at].label for at in (near.query, near.key)]"
    )
    assert labels == [query, key]
    survey.panel("head").wait_for()


@pytest.mark.usefixtures("widget", "surveyed")
def test_gold_links_are_scores_of_the_heads(notebook: Notebook, tmp_path: Path) -> None:
    gold = "[[], [], [(9, 2, 'pronoun')], []]"
    kept = f"aw.survey(model, texts, tokenizer=tokenizer, progress=False, contexts=8, links={gold})"
    survey = notebook.widget(
        notebook.append(f"linked = {kept}.view(model, tokenizer, layer=2, heads=[1])\nlinked")
    )
    survey.settle()
    score = "precision of pronoun (forward)"
    survey.root.get_by_label("Score", exact=True).select_option(score)
    notebook.wait_value("linked.score", score)
    survey.settle()
    survey.screenshot("finding-gold-links")
    # The head that finds the only link is coloured, and no input is typical of it.
    expect(survey.stop("model", "layer 3 head 3, precision of pronoun (forward) 1")).to_have_count(
        1
    )
    expect(survey.stop("examples", "example ")).to_have_count(0)
    survey.click("model", "layer 3 head 3")
    notebook.wait_value("[linked.layer, linked.heads]", [3, [3]])
    survey.settle()
    notebook.rest(survey)
    drawn = headless(notebook, tmp_path / "linked.svg", view="linked")
    assert b"best fixed offset" in drawn
    assert drawn == saved_by_button(survey)


@pytest.mark.usefixtures("widget", "surveyed")
def test_a_survey_without_its_model_says_how_to_open_an_example(notebook: Notebook) -> None:
    alone = notebook.widget(notebook.append("aw.view(found, layer=2, heads=[1])"))
    alone.settle()
    # There is no model to record it with: nothing offers to, and a click on one asks for nothing.
    # Its text is read out all the same.
    expect(alone.stop("examples", "example 3, ")).to_have_attribute("role", "img")
    expect(alone.panel("examples").get_by_role("button")).to_have_count(0)
    alone.panel("examples").locator("canvas").click(position={"x": 60, "y": 60})
    notebook.rest(alone)
    alone.settle()
    expect(alone.root.locator(".aw-failure")).to_have_count(0)
    assert alone.panel("head").count() == 0
