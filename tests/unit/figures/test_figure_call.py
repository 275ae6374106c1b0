"""`Figure.code`: the call that is copied makes the same figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import attnwidget as aw

if TYPE_CHECKING:
    from attnwidget import Attention

pytest.importorskip("py_mini_racer")


@pytest.fixture(scope="module")
def attention() -> Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, "The cat sat on the mat", tokenizer)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (None, {}),
        ("head", {"layer": -1, "heads": [1, 3], "query": "cat", "width": "85mm"}),
        ("matrix", {"heads": [(0, 1), (2, 3)], "positions": slice(0, 4)}),
        ("matrix", {"layer": 2, "keys": np.array([0, 2]), "colour_map": "magma"}),
        ("model", {}),
        ("model", {"layer": 2, "score": "previous", "arrange": "rank"}),
        ("scatter", {"score": "previous", "other_score": "self", "selection": {"threshold": 0.3}}),
        ("compare", {"heads": [(0, 1), (2, 2)], "title": 'the "two"'}),
        ("all", {"layer": 2, "form": "matrix", "theme": "dark", "compare": [(0, 1), (1, 1)]}),
        ("neuron", {"positions": "words", "query": 1}),
        ("lines", {"top_k": 2, "threshold": 0.1, "whole": False}),
    ],
)
def test_the_call_makes_the_same_figure(
    attention: Attention, kind: Any, options: dict[str, Any]
) -> None:
    figure = attention.figure(kind, **options)
    code = figure.code()
    assert code.startswith("attention.figure(")
    again = eval(code, {"attention": attention})  # noqa: S307 - a call to be run
    assert again.svg == figure.svg
    assert again.code() == code


def test_a_figure_of_a_view_is_made_from_the_view(attention: Attention) -> None:
    view = aw.view(attention, layer=1, form="matrix")
    figure = view.figure(query=2, width="85mm")
    code = figure.code()
    assert code == 'aw.view(attention, layer=1, query=2, form="matrix").figure(width="85mm")'
    assert eval(code, {"attention": attention, "aw": aw}).svg == figure.svg  # noqa: S307 - a call


def test_a_comparison_is_named_as_one(attention: Attention) -> None:
    comparison = aw.compare(attention, attention)
    figure = comparison.figure(layer=1, heads=[2])
    assert figure.code() == 'comparison.figure("compare", layer=1, heads=[2])'
    assert eval(figure.code(), {"comparison": comparison}).svg == figure.svg  # noqa: S307 - a call


def test_a_figure_takes_the_groups_that_a_view_takes(attention: Attention) -> None:
    groups = {"animal": "cat", "place": [3, 4, 5]}
    figure = attention.figure("groups", layer=2, heads=[1], groups=groups)
    of_view = aw.view(attention, view="head", layer=2, heads=[1], form="groups", groups=groups)
    assert figure.data.equals(of_view.figure().data)
    assert "animal" in figure.svg
    assert figure.code().endswith("groups=groups)")
    again = eval(figure.code(), {"attention": attention, "groups": groups})  # noqa: S307 - a call
    assert again.svg == figure.svg
    named = attention.figure("lines", groups="special")
    assert named.code().endswith('groups="special")')
    both = aw.compare(attention, attention).figure("compare", groups="special", layer=1)
    assert both.code().endswith('groups="special")')


def test_groups_that_are_none_or_where_there_are_others_are_refused(attention: Attention) -> None:
    with pytest.raises(ValueError, match=r"groups\['x'\]"):
        attention.figure(groups={"x": 99})
    with pytest.raises(TypeError, match=r"view\(attention, groups="):
        aw.view(attention).figure(groups={"x": 1})
    model, tokenizer = aw.pocket()
    with pytest.raises(TypeError, match="a survey has no positions to group"):
        aw.survey(model, ["the cat sat"], tokenizer, progress=False).figure(groups={"x": 1})
