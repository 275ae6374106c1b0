"""`Comparison.figure` and `Survey.figure`: the same way as a record's, what they show and what they refuse."""

from __future__ import annotations

import re
from typing import Any

import anywidget
import numpy as np
import pytest

import attnwidget as aw

pytest.importorskip("py_mini_racer", reason="figures are an optional extra")

TOKENS = ["the", "cat", "sat", "it"]


def weights(seed: int, layers: int = 2, heads: int = 3) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(layers, heads, 4, 4)) * 2
    shares = np.exp(logits)
    return (shares / shares.sum(-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def comparison() -> aw.Comparison:
    return aw.compare(*(aw.from_weights(weights(seed), TOKENS) for seed in (0, 1)))


@pytest.fixture(scope="module")
def survey() -> aw.Survey:
    model, tokenizer = aw.pocket()
    texts = ["the cat sat on the mat .", "the keys near the box are small ."]
    return aw.survey(model, texts, tokenizer, progress=False)


@pytest.fixture(autouse=True)
def _no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "a widget was made"
        raise AssertionError(message)

    monkeypatch.setattr(anywidget.AnyWidget, "__init__", refuse)


def test_two_records_are_drawn_side_by_side(comparison: aw.Comparison) -> None:
    figure = comparison.figure(layer=1, heads=[2])
    assert repr(figure) == "Figure(compare, self, layer 1, heads 2)"
    assert "B − A" in figure.svg
    data = figure.data
    rows = data if isinstance(data, list) else data.to_dict("records")
    assert {row["panel"] for row in rows} == {"A", "B", "B − A"}
    change = comparison.difference(layer=1, head=2)
    for row in rows:
        if row["panel"] == "B − A":
            assert row["weight"] == pytest.approx(change[row["query"], row["key"]], abs=1e-6)


def test_without_a_head_it_is_the_one_that_changed_most(comparison: aw.Comparison) -> None:
    table = comparison.changed(top=1)
    best = table[0] if isinstance(table, list) else table.to_dict("records")[0]
    expected = f"Figure(compare, self, layer {best['layer']}, heads {best['head']})"
    assert repr(comparison.figure()) == expected


def test_a_view_that_two_records_have_not_is_refused(comparison: aw.Comparison) -> None:
    with pytest.raises(ValueError, match="view must be 'all', 'model' or 'compare' of two records"):
        comparison.figure("neuron")
    with pytest.raises(ValueError, match=r"layer must be one of 0\.\.1"):
        comparison.figure(layer=5)


def test_a_survey_is_drawn_by_its_mean_scores(survey: aw.Survey) -> None:
    figure = survey.figure(score="previous")
    assert repr(figure) == "Figure(model, decoder)"
    assert "previous" in figure.svg
    assert "undefined" not in figure.svg
    assert "Most typical" not in figure.svg
    data = figure.data
    rows = data if isinstance(data, list) else data.to_dict("records")
    place = list(aw.SCORES).index("previous")
    means = survey.streams["decoder"].moments.mean[0, :, place]
    np.testing.assert_allclose([row["previous"] for row in rows], means, rtol=1e-6)
    assert "Most typical" in survey.figure(score="previous", layer=0, heads=[2]).svg


def test_a_survey_is_drawn_as_a_scatter(survey: aw.Survey) -> None:
    assert survey.figure("scatter", score="previous", other_score="induction").svg


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"compare": [(0, 1)]}, "compare=[[0, 1]]"),
        ({"kind": "compare"}, "kind='compare'"),
        ({"kind": "matrix"}, "kind='matrix'"),
        ({"view": "neuron"}, "view='neuron'"),
        ({"form": "matrix"}, "form='matrix'"),
    ],
)
def test_a_survey_has_no_weights_to_draw(
    survey: aw.Survey, asked: dict[str, Any], given: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{given} is drawn from weights")) as refused:
        survey.figure(**asked)
    said = str(refused.value)
    assert "survey.figure(score='previous')" in said
    assert f"attnwidget.capture(model, 'some text', tokenizer).figure({given})" in said
    # The calls that it names run.
    assert survey.figure(score="previous").svg
    model, tokenizer = aw.pocket()
    assert aw.capture(model, "the cat sat", tokenizer).figure(**asked).svg
