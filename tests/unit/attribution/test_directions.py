"""The directions of a head's pattern: what each gives, what is left without them, on random records and the pocket model."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from support.records import random_layer

import attnwidget as aw
from attnwidget.compute.masks import Band
from attnwidget.pocket import grammar
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream

POSITIONS = positions_from_tokens(["the", "cat", "sat", "on", "the", "mat", "."])
SIZE = len(POSITIONS)


def record(seed: int = 0, **fields: Any) -> Record:
    layer = random_layer(queries=SIZE, keys=SIZE, seed=seed, band=Band(causal=True), **fields)
    return Record("Model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    )
    return found


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def passages(seed: int, count: int) -> list[str]:
    rng = Random(seed)
    return [" ".join(grammar.coreference(rng).words) for _ in range(count)]


def test_directions_share_the_gap_out_and_the_first_gives_most() -> None:
    inputs = [record(seed) for seed in range(3)]
    found = aw.directions(None, inputs, layer=0, head=-1, top=99)
    assert (found.stream, found.layer, found.head, found.pattern, found.inputs) == ("self", 0, 5, "previous", 3)  # fmt: skip
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(len(found.vectors)), atol=1e-6)  # fmt: skip
    assert (np.diff(found.values) <= 0).all()
    assert (found.values > 0).all()
    for vector, value in zip(found.vectors, found.values, strict=True):
        assert vector @ found.matrix @ vector == pytest.approx(value, abs=1e-5)
        assert vector[np.abs(vector).argmax()] > 0
    # Those that give less than nothing are not among them, and all together give the gap.
    every = np.linalg.eigvalsh((found.matrix + found.matrix.T) / 2)
    assert every.sum() == pytest.approx(found.gap)
    assert found.values == pytest.approx(np.sort(every[every > 0])[::-1])
    some = aw.directions(None, inputs, layer=0, head=5, top=1)
    assert (some.vectors == found.vectors[:1]).all()
    with pytest.raises(AttributeError):
        found.gap = 1.0  # type: ignore[misc]


def test_dimensions_are_the_diagonal() -> None:
    found = aw.directions(None, record(), layer=0, head=2, pattern="first")
    dimensions = rows(found.dimensions)
    assert [row["dimension"] for row in dimensions] == list(np.argsort(-np.diag(found.matrix)))
    assert sum(row["value"] for row in dimensions) == pytest.approx(found.gap)
    assert dimensions[0]["share"] == pytest.approx(np.diag(found.matrix).max() / found.gap)
    table = rows(found.to_dataframe())
    assert [row["direction"] for row in table] == list(range(len(found.values)))
    assert table[-1]["together"] == pytest.approx(found.values.sum() / found.gap)


def test_check_reads_the_weights_of_a_run_without_them(pocket: Any) -> None:
    model, tokenizer = pocket
    texts = passages(1, 3)
    found = aw.directions(model, texts, tokenizer, layer=0, head=2, top=2, progress=False)
    assert aw.remove_directions(found) == found.removed()
    text = passages(2, 1)[0]
    changed = aw.capture(model, text, tokenizer, interventions=found.removed())["decoder"][0]
    clean = aw.capture(model, text, tokenizer)["decoder"][0]
    expected = [np.diagonal(each.weights(2), -1)[1:].mean() for each in (clean, changed)]
    table = rows(found.check(model, text, tokenizer, random=1))
    assert [row["removed"] for row in table] == ["nothing", "2 directions", "2 dimensions", "2 directions at random (0)"]  # fmt: skip
    # The query at position 1 sees the one before and itself: it counts as well.
    first = [each.weights(2)[1, 0] for each in (clean, changed)]
    count = clean.n_query - 1
    means = [(mean * (count - 1) + one) / count for mean, one in zip(expected, first, strict=True)]
    assert [row["score"] for row in table[:2]] == pytest.approx(means, abs=1e-6)
    assert table[1]["left"] == pytest.approx(means[1] / means[0])
    # What is removed of the gap is what the directions give here.
    scores = [each.scores(2).astype(np.float64) for each in (clean, changed)]
    gaps = [
        np.mean(
            [one[q, q - 1] - np.delete(one[q, : q + 1], q - 1).mean() for q in range(1, len(one))]
        )
        for one in scores
    ]
    assert [row["gap"] for row in table[:2]] == pytest.approx(gaps, abs=1e-4)


def test_four_directions_of_the_previous_token_head_leave_half_and_random_ones_most(
    pocket: Any,
) -> None:
    model, tokenizer = pocket
    found = aw.directions(model, passages(7, 14), tokenizer, layer=0, head=2, progress=False)
    assert found.values[0] / found.gap > 0.12
    largest = rows(found.dimensions)[0]["share"]
    assert largest < 0.1  # a direction gives what two dimensions do not
    table = {row["removed"]: row for row in rows(found.check(model, passages(8, 6), tokenizer))}
    assert table["nothing"]["score"] > 0.85
    assert table["4 directions"]["score"] <= 0.55
    assert table["4 dimensions"]["score"] > 0.7
    for place in range(3):
        assert table[f"4 directions at random ({place})"]["score"] >= 0.8


def test_links_and_own_patterns(pocket: Any) -> None:
    model, tokenizer = pocket
    text = "the cat sat on the mat because it was tired ."
    links = aw.directions(model, text, tokenizer, layer=3, head=3, links=[("it", "cat")])
    assert links.pattern == "links"
    assert links.gap > 0  # it looks there
    assert repr(links).startswith("Directions(decoder, 3.3 on links: ")

    def two_back(queries: Any, keys: Any) -> Any:
        return np.eye(len(queries), len(keys), k=-2)

    own = aw.directions(model, [text, text], tokenizer, layer=0, head=2, pattern=two_back, progress=False)  # fmt: skip
    assert own.pattern == "own pattern"
    assert len(rows(own.check(model, text, tokenizer, random=0))) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "directions are of one head, got layer=None"),
        ({"layer": 0, "head": [1, 2]}, "directions are of one head, got"),
        ({"layer": 0, "head": 99}, "99"),
        ({"layer": 0, "head": 1, "pattern": "nearby"}, "pattern must be one of"),
        ({"layer": 0, "head": 1, "pattern": "next"}, "no query of these inputs sees keys on the pattern"),
        ({"layer": 0, "head": 1, "top": 0}, "top must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        aw.directions(None, record(), **given)


def test_texts_need_a_model_and_records_of_weights_have_no_directions() -> None:
    with pytest.raises(ValueError, match="texts are run by a model, got model=None"):
        aw.directions(None, ["the cat"], layer=0, head=0)
    with pytest.raises(ValueError, match="texts holds no input"):
        aw.directions(None, [], layer=0, head=0)
    weights = torch.softmax(torch.randn(1, 2, SIZE, SIZE), -1)
    with pytest.raises(ValueError, match="weights"):
        aw.directions(None, aw.from_weights(weights, POSITIONS), layer=0, head=0)


def test_random_directions_are_those_of_the_seed() -> None:
    found = aw.directions(None, record(), layer=0, head=1, top=2)

    def at_random(seed: int) -> list[float]:
        return [row["score"] for row in rows(found.check(None, record(1), seed=seed))[3:]]

    assert at_random(0) == at_random(0)
    assert len(set(at_random(0))) == 3
    assert at_random(0) != at_random(1)


def test_queries_that_are_no_numbers_are_refused() -> None:
    broken = record()
    query = broken["self"][0].query
    assert query is not None
    query[1, 3] = float("nan")
    with pytest.raises(ValueError, match=r"head 0\.1 .* not numbers"):
        aw.directions(None, broken, layer=0, head=1)
