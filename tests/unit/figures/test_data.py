"""Every figure says its numbers: measures, words, scatters, and two records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.compute.pooling import max_pool
from attnwidget.figures.crop import crop_of, crop_snapshot
from attnwidget.protocol.codec import decode, shade
from attnwidget.serve.blocks import answer

if TYPE_CHECKING:
    import pandas as pd

TEXT = "the cat sat on the mat because it was tired"
PIECES = ["[CLS]", "the", "un", "##believ", "##able", "cat", "##s", "sat", "[SEP]"]


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, TEXT, tokenizer)


@pytest.fixture(scope="module")
def pieces() -> aw.Attention:
    raw = np.random.default_rng(0).random((2, 1, 3, 9, 9))
    return aw.from_weights(raw / raw.sum(-1, keepdims=True), PIECES)


def square(data: pd.DataFrame, column: str = "weight") -> np.ndarray:
    return data.pivot_table(index="query", columns="key", values=column).to_numpy()


@pytest.mark.parametrize("measure", ["value", "norm"])
def test_a_measure_has_its_own_column(attention: aw.Attention, measure: str) -> None:
    data = attention.figure("matrix", layer=2, heads=[1, 3], measure=measure).data
    assert "weight" not in data
    for head in (1, 3):
        expected = attention["decoder"][2].measure(measure, head)
        np.testing.assert_allclose(square(data[data["head"] == head], measure), expected)


def test_a_rollout_is_of_a_layer(attention: aw.Attention) -> None:
    data = attention.figure("matrix", layer=2, heads=[1, 3], measure="rollout").data
    assert set(data["head"]) == {-1}
    np.testing.assert_array_equal(square(data, "rollout"), attention.rollout()[2])
    lines = attention.figure("head", layer=2, measure="rollout", query="it", top_k=2).data
    assert lines["query"].tolist() == [8, 8]
    thumbnails = attention.figure("model", measure="rollout").data
    assert len(thumbnails) == 4 * 11 * 11


def test_words_are_counted_and_named_as_in_a_record_of_words(pieces: aw.Attention) -> None:
    merged = pieces.words()["self"]
    for head in (0, 2):
        data = pieces.figure("matrix", layer=1, heads=head, positions="words").data
        np.testing.assert_allclose(square(data), merged[1].weights(head), rtol=1e-6)
    labels = [position.label for position in merged.query_positions]
    assert data["query_label"].unique().tolist() == labels
    assert "unbelievable" in labels
    # One piece of it is pinned.
    fan = pieces.figure("head", layer=1, heads=1, positions="words", query=3, top_k=None).data
    assert set(fan["query_label"]) == {"unbelievable"}
    np.testing.assert_allclose(fan["weight"], merged[1].weights(1)[2], rtol=1e-6)


def test_thumbnails_of_words_are_between_words(pieces: aw.Attention) -> None:
    data = pieces.figure("model", positions="words").data
    one = data[(data["layer"] == 1) & (data["head"] == 2)]
    np.testing.assert_allclose(square(one), pieces.words()["self"][1].weights(2), rtol=1e-6)


def test_a_comparison_of_heads_under_a_measure(attention: aw.Attention) -> None:
    figure = attention.figure(
        "compare", heads=[(1, 2), (3, 1)], measure="value", selection={"form": "matrix"}
    )
    data = figure.data
    a, b = (attention["decoder"][layer].measure("value", head) for layer, head in ((1, 2), (3, 1)))
    for name, expected in (("A", a), ("B", b), ("B − A", b - a)):
        found = square(data[data["panel"] == name], "value")
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("without_sink", [False, True])
def test_a_scatter_has_a_row_for_each_head(attention: aw.Attention, *, without_sink: bool) -> None:
    selection = {"without_sink": without_sink}
    figure = attention.figure("scatter", score="previous", other_score="self", selection=selection)
    data = figure.data
    assert list(data) == ["stream", "layer", "head", "previous", "self"]
    table = attention.head_scores(["previous", "self"])
    column = "without_sink" if without_sink else "value"
    expected = table.pivot_table(index=["layer", "head"], columns="score", values=column)
    for name in ("previous", "self"):
        np.testing.assert_allclose(data[name], expected[name], rtol=1e-5)


def test_a_coloured_model_view_has_the_score(attention: aw.Attention) -> None:
    data = attention.figure("model", score="previous").data
    scores = attention.head_scores("previous").set_index(["layer", "head"])["value"]
    for (layer, head), rows in data.groupby(["layer", "head"]):
        np.testing.assert_allclose(rows["previous"], scores[layer, head], rtol=1e-5)
    ranked = aw.view(attention, view="model")
    ranked.rank(query="it", key="cat")
    rows = ranked.figure().data.drop_duplicates(["layer", "head"])
    weights = [
        attention["decoder"][layer].weights(head)[8, 2] for layer in range(4) for head in range(4)
    ]
    np.testing.assert_allclose(rows["ranking"], weights, rtol=1e-5)


def test_two_records_have_both_and_their_difference(attention: aw.Attention) -> None:
    model, tokenizer = aw.pocket()
    other = aw.capture(model, "the old dog sat on the mat because it was tired .", tokenizer)
    comparison = aw.compare(attention, other)
    view = comparison.view(layer=2, heads=[1], form="matrix")
    data = view.figure().data
    difference = comparison.difference(layer=2, head=1)
    rows = data[data["panel"] == "B − A"]
    assert len(rows) == np.isfinite(difference).sum()
    np.testing.assert_allclose(rows["weight"], difference[rows["query"], rows["key"]], atol=1e-5)
    # Each record's own rows are those of its positions.
    assert (data["panel"] == "A").sum() == attention["decoder"].query_positions.__len__() ** 2
    assert set(data["layer"]) == {2}
    view.view = "model"
    changed = view.figure().data
    assert changed["weight"].max() == pytest.approx(
        max(
            np.nanmax(np.abs(comparison.difference(layer, head)))
            for layer in range(4)
            for head in range(4)
        ),
        abs=1e-5,
    )


def test_a_survey_has_its_mean_scores() -> None:
    model, tokenizer = aw.pocket()
    found = aw.survey(model, ["the cat sat on the mat .", "the dog saw the cat ."], tokenizer)
    data = aw.view(found, view="model", score="previous").figure().data
    scores = found.head_scores("previous")
    np.testing.assert_allclose(data["previous"], scores["mean"], rtol=1e-5)
    assert list(data) == ["stream", "layer", "head", "previous"]


@pytest.mark.parametrize("measure", ["weights", "rollout"])
def test_numbers_between_words_are_those_that_are_drawn(pieces: aw.Attention, measure: str) -> None:
    column = "weight" if measure == "weights" else measure
    data = pieces.figure("matrix", layer=1, heads=2, positions="words", measure=measure).data
    where = {"stream": "self", "layer": 1, "head": 2, "level": 0, "tile": [0, 0]}
    drawn = answer(pieces, {"what": "tile", **where, "positions": "words", "measure": measure})
    np.testing.assert_array_equal(square(data, column), decode(*drawn))


def test_thumbnails_are_pooled_as_the_overview_is_whole_or_cropped() -> None:
    count, kept = 70, slice(3, 65)
    weights = np.random.default_rng(0).dirichlet(np.full(count, 0.1), (1, 2, count))
    attention = aw.from_weights(weights.astype(np.float32), [f"t{i}" for i in range(count)])
    stream = attention["self"]
    layer = stream[0]
    for head in range(2):
        for positions, expected in (
            (None, layer.overview(48)[head]),
            (kept, max_pool(layer.weights(head, kept, kept), 48)),
        ):
            options = {} if positions is None else {"positions": positions}
            data = attention.figure("model", **options).data
            np.testing.assert_array_equal(square(data[data["head"] == head]), expected)
    crop = crop_of(stream, positions=kept)
    assert crop is not None
    view = aw.view(attention, view="model", choose=False)
    meta, images = crop_snapshot(view.snapshot(), view.source, crop)
    place = meta["meta"]["streams"][0]["overview"]
    assert (place["rows"], place["columns"]) == (48, 48)
    dense = max_pool(layer.weights(None, kept, kept), 48)
    np.testing.assert_array_equal(np.frombuffer(images, np.uint8), shade(dense).ravel())


def test_the_whole_head_has_a_row_for_each_pair_of_its_matrices(attention: aw.Attention) -> None:
    figure = attention.figure("neuron", layer=2, heads=1, query=6, explain="head")
    data, layer = figure.data, attention["decoder"][2]
    weights, scores = layer.weights(1), layer.scores(1)
    where = data["query"], data["key"]
    assert set(zip(*where, strict=True)) == set(zip(*np.nonzero(np.isfinite(scores)), strict=True))
    np.testing.assert_allclose(data["weight"], weights[where], rtol=1e-6)
    np.testing.assert_allclose(data["score"], scores[where], rtol=1e-6)


def test_of_a_long_head_the_pairs_are_those_around_what_is_pinned() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(300), (1, 1, 200)).astype(np.float32)
    attention = aw.from_weights(
        cross_attention=weights,
        decoder_tokens=[f"q{i}" for i in range(200)],
        encoder_tokens=[f"k{i}" for i in range(300)],
    )
    data = attention.figure("neuron", query=190, key=10, explain="head").data
    assert (data["query"].min(), data["query"].max()) == (72, 199)
    assert (data["key"].min(), data["key"].max()) == (0, 127)
    assert len(data) == 128 * 128
