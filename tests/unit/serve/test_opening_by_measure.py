"""What a view of a measure of gradients opens on: the link where that is largest, of which the metric is made."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.serve import opening
from attnwidget.serve.source import RecordSource

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture(scope="module")
def graded(pocket: tuple[Any, Any]) -> Any:
    return aw.capture(pocket[0], TEXT, pocket[1], metric="purred")


@pytest.mark.parametrize(
    ("measure", "said"), [("gradient", "weight × gradient"), ("relevance", "relevance")]
)
def test_it_is_the_largest_of_the_measure(
    graded: Any, measure: Literal["gradient", "relevance"], said: str
) -> None:
    sizes = {layer.layer: np.abs(np.asarray(layer.measure(measure))) for layer in graded["decoder"]}
    layer = max(sizes, key=lambda number: sizes[number].max())
    head, query, key = np.unravel_index(sizes[layer].argmax(), sizes[layer].shape)
    view = aw.view(graded, measure=measure)
    found = (view.layer, view.heads, view.query, view.key)
    assert found == (layer, [head], query, key)
    assert sizes[layer].max() > 0
    assert view.chosen["why"] == f"the link with the largest {said}"
    assert aw.view(graded).chosen["why"].startswith("the sharpest link")


def test_of_very_many_links_those_of_the_last_queries_are_read(
    graded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "READ_FIRST", 1)
    found = RecordSource(graded).choose({"measure": "gradient"})
    assert found is not None
    assert found["query"] == len(graded["decoder"].query_positions) - 1


def test_without_gradients_it_is_the_sharpest(pocket: tuple[Any, Any]) -> None:
    record = RecordSource(aw.capture(pocket[0], TEXT, pocket[1]))
    assert record.choose({"measure": "gradient"}) == record.choose({})


def test_what_is_copied_opens_at_the_same_link(graded: Any) -> None:
    view = aw.view(graded)
    view.measure = "gradient"
    for one in (view, aw.view(graded, measure="gradient")):
        again = eval(one.code(), {"aw": aw, "attention": graded})  # noqa: S307
        for name in ("layer", "heads", "query", "key", "measure"):
            assert getattr(again, name) == getattr(one, name)
