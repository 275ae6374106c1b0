"""Results draw themselves without importing what draws them."""

from __future__ import annotations

from typing import Any

import pytest

import attnwidget as aw
from attnwidget.record import viewers


class Result:
    """What something came to."""


class Special(Result):
    """One kind of it."""


def test_a_result_is_drawn_by_the_maker_of_its_nearest_type() -> None:
    with pytest.raises(LookupError, match="nothing makes a widget of Special"):
        viewers.make(Special(), "widget")

    def drawn(result: Result, *args: Any, **options: Any) -> tuple[Any, ...]:
        return type(result).__name__, args, options

    viewers.register(Result, "widget", drawn)
    assert viewers.make(Special(), "widget", 1, frozen=True) == ("Special", (1,), {"frozen": True})
    with pytest.raises(LookupError, match="nothing makes a figure of Result"):
        viewers.make(Result(), "figure")


def test_comparisons_and_surveys_have_widgets_and_figures() -> None:
    model, tokenizer = aw.pocket()
    texts = "the cat sat", "the dog sat"
    first, second = (aw.capture(model, text, tokenizer) for text in texts)
    comparison = aw.compare(first, second)
    assert isinstance(comparison.view(), aw.AttentionWidget)
    for kind in (None, "model"):
        assert comparison.figure(kind, layer=3, heads=1).svg.startswith("<svg")
    survey = aw.survey(model, texts, tokenizer, progress=False)
    assert isinstance(survey.view(), aw.AttentionWidget)
    assert survey.figure(score="previous").svg.startswith("<svg")
    assert survey.figure("scatter", score="previous", other_score="broad").svg.startswith("<svg")
    with pytest.raises(ValueError, match="score must be one of"):
        survey.figure(score="nonsense")
