"""Rows of directions in the neuron view: `view.directions`, what the page is told, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract.test_protocol import validate

import attnwidget as aw

TEXT = "the cat sat on the mat because it was tired ."


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def found(pocket: Any) -> aw.Directions:
    model, tokenizer = pocket
    return aw.directions(model, TEXT, tokenizer, layer=0, head=2, top=2)


def view_of(pocket: Any, **options: Any) -> aw.AttentionWidget:
    model, tokenizer = pocket
    given = {"layer": 0, "heads": [2], "query": 3, "key": 2, "choose": False, **options}
    return aw.view(model, TEXT, tokenizer, **given)


def test_the_page_is_told_and_rows_say_what_each_adds(pocket: Any, found: aw.Directions) -> None:
    view = view_of(pocket)
    assert view.directions == ()
    assert ">direction 1<" not in view.figure(view="neuron", width=700).svg
    view.directions = found
    assert view.directions == (found,)
    validate("Meta", view.meta)
    (told,) = view.meta["directions"]
    assert (told["stream"], told["layer"], told["head"], told["pattern"]) == ("decoder", 0, 2, "previous")  # fmt: skip
    np.testing.assert_array_equal(np.float32(told["vectors"]), found.vectors)
    layer = view.attention["decoder"][0]
    query, key = layer.query_vectors(2)[3], layer.key_vectors(2)[2]
    svg = view.figure(view="neuron", width=700).svg
    for vector in found.vectors:
        assert f">{(query @ vector) * (key @ vector):.2f}<".replace("-", "−") in svg
    assert ">direction 1<" in svg
    view.heads = [1]
    assert ">direction 1<" not in view.figure(view="neuron", width=700).svg
    view.directions = ()
    assert "directions" not in view.meta


def test_they_stay_with_another_text_and_under_edits_and_in_copies(
    pocket: Any, found: aw.Directions
) -> None:
    view = view_of(pocket)
    view.directions = [found]
    assert view.snapshot()["meta"]["directions"] == view.meta["directions"]
    view.interventions = found.removed()
    assert view.meta["directions"][0]["layer"] == 0
    # Without them nothing is left along them.
    svg = view.figure(view="neuron", width=700).svg
    assert svg.count(">0.00<") + svg.count(">−0.00<") >= 2
    view.interventions = aw.ablate([])
    view.text = "the dog sat on the rug ."
    assert view.directions == (found,)
    assert view.meta["directions"][0]["head"] == 2


@pytest.mark.parametrize("wrong", [3, "previous", [1], {"a": 1}, None])
def test_what_are_no_directions_is_refused(pocket: Any, wrong: object) -> None:
    view = view_of(pocket)
    with pytest.raises(TypeError, match=r"directions must be what attnwidget\.directions"):
        view.directions = wrong  # type: ignore[assignment]


def test_directions_of_another_record_are_refused(pocket: Any, found: aw.Directions) -> None:
    model, tokenizer = pocket
    only = aw.capture(model, TEXT, tokenizer, layers=[3])
    with pytest.raises(ValueError, match=r"the record has no head 0\.2 in a stream 'decoder'"):
        aw.view(only).directions = found
    record = aw.capture(model, TEXT, tokenizer)
    with pytest.raises(ValueError, match="the view shows no single record"):
        aw.view(aw.compare(record, record)).directions = found
