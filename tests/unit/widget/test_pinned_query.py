"""Where a view measures: at a query that somebody pinned, not at the one that it opened on by itself."""

from __future__ import annotations

from typing import Any

import pytest

import attnwidget as aw

TEXT = "the cat sat on the mat because it"
HEAD = aw.ablate(heads=[(3, 3)])


def opened(pocket: tuple[Any, Any], **given: Any) -> Any:
    return aw.view(pocket[0], TEXT, pocket[1], **given)


def measured(view: Any) -> tuple[Any, Any, Any]:
    """Return where the what-if line, the effects and the trace are measured."""
    view.find_effects("purred")
    effects = view.effects["at"]
    view.find_trace("purred", budget=0)
    trace = view.traced["at"]
    view.interventions = HEAD
    return view.what_if["at"], effects, trace


def test_what_the_view_opens_on_by_itself_is_no_pin(pocket: tuple[Any, Any]) -> None:
    view = opened(pocket)
    assert view.attention["decoder"].query_positions[view.query].label == "mat"
    assert measured(view) == ("it", "it", "it")


def test_what_the_caller_python_or_a_click_names_is_one(pocket: tuple[Any, Any]) -> None:
    assert measured(opened(pocket, query="cat")) == ("cat", "cat", "cat")
    view = opened(pocket)
    view.query = "cat"
    assert measured(view) == ("cat", "cat", "cat")
    view = opened(pocket)
    view.set_state({"query": 2})
    assert measured(view) == ("cat", "cat", "cat")


def test_the_query_it_opened_on_can_be_pinned(pocket: tuple[Any, Any]) -> None:
    view = opened(pocket)
    view.interventions = HEAD
    # Some hosts send the whole state back.
    view.set_state({"query": view.query, "layer": 0})
    assert view.what_if["at"] == "it"
    with pytest.raises(ValueError, match="99"):
        view.query = 99
    assert view.what_if["at"] == "it"
    at = view.query
    view.query = at
    assert view.what_if["at"] == "mat"
    names = {"aw": aw, "model": pocket[0], "tokenizer": pocket[1]}
    again = eval(view.code(), names)  # noqa: S307
    assert again.what_if["at"] == "mat"
    view.set_state({"query": None})
    assert view.what_if["at"] == "it"
    view.set_state({"query": at})
    assert view.what_if["at"] == "mat"


def test_it_stays_none_over_edits_other_heads_and_another_text(pocket: tuple[Any, Any]) -> None:
    view = opened(pocket)
    view.interventions = HEAD
    view.heads = [0]
    view.interventions = None
    view.interventions = HEAD
    view.text = "a cat sat on the mat because it was"
    assert view.query is not None
    assert view.what_if["at"] == "was"
    view.compare_with_before()
    view.compare_with_before(on=False)
    assert view.what_if["at"] == "was"


def test_a_call_names_the_query_that_somebody_pinned_and_no_other(pocket: tuple[Any, Any]) -> None:
    names = {"aw": aw, "model": pocket[0], "tokenizer": pocket[1]}
    view = opened(pocket)
    at = view.query
    view.layer, view.heads = 1, [2]
    assert (view.query, view.key) == (at, view.chosen["key"])
    assert "query=" not in view.code()
    assert "key=" not in view.code()
    again = eval(view.code(), names)  # noqa: S307
    assert (again.layer, again.heads) == (1, [2])
    assert measured(again) == measured(view) == ("it", "it", "it")
    # A figure names all that is drawn.
    assert f"query={at}" in view.figure(view="head").code()
    view.interventions = None
    view.query = at
    assert f"query={at}" in view.code()
    view.query = None
    assert "query=" not in view.code()


def test_the_page_leaves_out_the_link_that_a_view_of_a_model_opened_on(
    pocket: tuple[Any, Any],
) -> None:
    view = opened(pocket)
    python = view.meta["python"]
    assert not {"query", "key"} & set(python["placed"])
    assert python["opened"]["query"] == view.query
    # Nothing is measured in a view of a record: its copy shows what it shows.
    alone = aw.view(view.attention)
    alone.layer, alone.heads = 1, [2]
    assert f"query={alone.query}, key={alone.key}" in alone.code()


def test_what_is_copied_of_a_trace_says_where(pocket: tuple[Any, Any]) -> None:
    view = opened(pocket, form="trace")
    view.find_trace("purred", budget=0)
    view.heads = [0]
    assert view.code().endswith('# then view.find_trace("purred", position=-1, budget=0)')


def test_measures_of_gradients_are_compared_in_the_plain_recipe(pocket: tuple[Any, Any]) -> None:
    view = opened(pocket, metric="purred", measure="gradient")
    view.find_effects()
    assert view.effects["agreement"]["gradient"]["heads"] == 16
