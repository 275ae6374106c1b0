"""Weights times the gradients of a metric, as a record gives them and as the front end is sent them."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from contract.record import record
from contract.test_protocol import validate
from support.copies import snapshot_of

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute import tiles
from attnwidget.compute.key_columns import mean
from attnwidget.protocol import codec
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.record.words import Words
from attnwidget.serve.blocks import answer
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from pathlib import Path

METRIC = "log p(“g”)"


def asked(attention: Attention, **request: Any) -> np.ndarray:
    validate("Request", request)
    return codec.decode(*answer(attention, request))


def layer(number: int = 0, count: int = 7, **changed: Any) -> Layer:
    torch.manual_seed(number)
    given: dict[str, Any] = {
        "stream": "self",
        "layer": number,
        "module_path": f"layers.{number}",
        "num_heads": 4,
        "query": torch.randn(4, count, 3),
        "key": torch.randn(2, count, 3),
        "value": torch.randn(2, count, 5),
        "output_gradient": torch.randn(4, count, 5),
        "scaling": 0.5,
    }
    return Layer(**{**given, **changed})


def with_gradients(*layers: Layer) -> Attention:
    labels = [f"t{n}" for n in range(layers[0].n_query)]
    if len(labels) == 7:
        labels = ["a", "##b", "c", "d", "##e", "##f", "g"]
    axis = tuple(
        Position(label=label.removeprefix("##"), continues=label.startswith("##"))
        for label in labels
    )
    return Attention("Square", {"self": Stream("self", layers, axis, axis)}, metric=METRIC)


def dense(one: Layer, measure: str) -> np.ndarray:
    """Return a measure of all links, worked out link by link from weights and vectors."""
    assert one.output_gradient is not None
    assert one.value is not None
    weights, found = one.weights(), np.zeros(one.weights().shape, np.float64)
    value, gradient = one.value.double().numpy(), one.output_gradient.double().numpy()
    share = one.num_heads // len(value)
    for head in range(one.num_heads):
        found[head] = weights[head] * (gradient[head] @ value[head // share].T)
    return np.maximum(0, found) if measure == "relevance" else found


def largest(block: np.ndarray) -> float:
    return float(block.flat[np.abs(block).argmax()])


@pytest.fixture(scope="module")
def square() -> Attention:
    return with_gradients(layer(0), layer(1))


BIAS = torch.randn(1, 7, 7, generator=torch.Generator().manual_seed(3))
KINDS: dict[str, Layer] = {
    "plain": layer(2),
    "softcap and bias": layer(3, softcap=2.0, bias=BIAS),
    "recorded": layer(
        4, query=None, key=None, scaling=None, recorded=torch.rand(4, 7, 7).softmax(-1)
    ),
    "a sink": layer(5, sinks=torch.randn(4)),
}


@pytest.mark.parametrize("measure", ["gradient", "relevance"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_link_is_its_weight_times_its_gradient(kind: str, measure: str) -> None:
    one = KINDS[kind]
    expected = dense(one, measure)
    np.testing.assert_allclose(one.measure(measure), expected, atol=1e-6)
    picked = one.measure(measure, [3, 0], [5, 1], slice(2, 6))
    np.testing.assert_allclose(picked, expected[[3, 0]][:, [5, 1], 2:6], atol=1e-6)
    assert expected.min() < 0 or measure == "relevance"


@pytest.mark.parametrize("measure", ["gradient", "relevance"])
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_means_and_overviews_are_those_of_the_links(kind: str, measure: str) -> None:
    one = KINDS[kind]
    expected = dense(one, measure)
    attention = with_gradients(one)
    where = {"stream": "self", "layer": one.layer, "head": 2, "measure": measure}
    for level, side in ((0, 1), (1, 2), (2, 4)):
        found = asked(attention, what="tile", **where, level=level, tile=[0, 0])
        assert found.dtype == np.float32
        pooled = [
            [largest(expected[2][y : y + side, x : x + side]) for x in range(0, 7, side)]
            for y in range(0, 7, side)
        ]
        np.testing.assert_allclose(found, pooled, atol=1e-6)
    found = asked(attention, what="overview", **where, size=3)
    bins = [range(3), range(2, 5), range(4, 7)]
    pooled = [
        [[largest(head[np.ix_(rows, keys)]) for keys in bins] for rows in bins] for head in expected
    ]
    np.testing.assert_allclose(found, pooled, atol=1e-6)
    np.testing.assert_allclose(mean(one, 1, measure)[0], expected[1].mean(0), atol=1e-6)
    column = asked(attention, what="column", **where, keys=[2, 4])
    np.testing.assert_allclose(column, expected[2][:, 2:4], atol=1e-6)


def test_the_kept_map_of_a_long_head_has_the_largest_size_with_its_sign() -> None:
    one = layer(0, count=300, num_heads=2, query=torch.randn(2, 300, 3), key=torch.randn(1, 300, 3),
                value=torch.randn(1, 300, 5), output_gradient=torch.randn(2, 300, 5))  # fmt: skip
    expected, level = dense(one, "gradient")[1], tiles.kept_level(one)
    side = 1 << level
    found = tiles.tile(one, 1, level, [0, 0], "gradient", maps=tiles.Maps())
    pooled = [
        [largest(expected[y : y + side, x : x + side]) for x in range(0, 300, side)]
        for y in range(0, 300, side)
    ]
    np.testing.assert_allclose(found, pooled, atol=1e-6)
    assert found.min() < 0 < found.max()


def test_rows_of_gradients_come_as_blocks(square: Attention) -> None:
    found = asked(square, what="gradient", stream="self", layer=1, head=3, queries=[2, 6])
    np.testing.assert_allclose(found, dense(square["self"][1], "gradient")[3:4, 2:6], atol=1e-6)


def test_between_words_pieces_of_a_key_add_up_and_those_of_a_query_are_averaged(
    square: Attention,
) -> None:
    where = {"stream": "self", "layer": 1, "head": 1}
    found = asked(
        square, what="tile", **where, level=1, tile=[0, 0], measure="gradient", positions="words"
    )
    links = dense(square["self"][1], "gradient")[1]
    words = [[0, 1], [2], [3, 4, 5], [6]]
    assert [len(axis) for axis in Words.of(square["self"]).all] == [4, 4]
    merged = np.array([[links[np.ix_(query, key)].sum(1).mean() for key in words] for query in words])  # fmt: skip
    pooled = [[largest(merged[y : y + 2, x : x + 2]) for x in (0, 2)] for y in (0, 2)]
    np.testing.assert_allclose(found, pooled, atol=1e-6)


def test_heads_as_one_follow_and_shares_of_both_signs_are_refused(square: Attention) -> None:
    heads = {"how": "sum", "heads": [0, 2]}
    where = {"stream": "self", "layer": 0, "head": 0, "together": heads}
    links = dense(square["self"][0], "gradient")
    summed = links[0] + links[2]
    found = asked(square, what="weights", **where, measure="gradient", queries=[0, 7])
    np.testing.assert_allclose(found[0], summed, atol=1e-6)
    tile = asked(square, what="tile", **where, measure="gradient", level=3, tile=[0, 0])
    np.testing.assert_allclose(tile, [[largest(summed)]], atol=1e-6)
    with pytest.raises(ValueError, match=r"both signs .* pass measure='relevance'"):
        asked(square, what="together_shares", **where, measure="gradient")
    shares = asked(square, what="together_shares", **where, measure="relevance")
    parts = dense(square["self"][0], "relevance")[[0, 2]].sum((1, 2))
    np.testing.assert_allclose(shares[0], parts / parts.sum(), rtol=1e-5)


def test_relevance_is_scored_by_rows_and_gradients_are_refused(square: Attention) -> None:
    links = dense(square["self"][1], "relevance")
    rows = links / np.maximum(links.sum(-1, keepdims=True), 1e-30)
    found = square.find(key=3, measure="relevance", top=None)
    by_head = {(row["layer"], row["head"]): row["weight"] for row in found.to_dict("records")}
    for head in range(4):
        assert by_head[1, head] == pytest.approx(rows[head][:, 3].mean(), abs=1e-6)
    shares = square.group_shares({"left": [0, 1, 2], "right": [3, 4, 5, 6]}, measure="relevance")
    of_head = shares[(shares.layer == 1) & (shares["head"] == 2) & (shares["from"] == "left")]
    expected = [rows[2][:3, :3].sum(1).mean(), rows[2][:3, 3:].sum(1).mean()]
    np.testing.assert_allclose(of_head.share, expected, atol=1e-6)
    scores = square.head_scores(measure="relevance")
    own = scores[(scores.layer == 1) & (scores["head"] == 0)]
    diagonal = rows[0].diagonal().mean()
    assert float(own[own.score == "self"].value.iloc[0]) == pytest.approx(diagonal, abs=1e-6)
    for call in (
        lambda: square.head_scores(measure="gradient"),
        lambda: square.find(key=3, measure="gradient"),
        lambda: square.group_shares({"left": [0, 1, 2]}, measure="gradient"),
    ):
        with pytest.raises(ValueError, match=r"both signs.* pass measure='relevance'"):
            call()


def test_a_record_without_gradients_says_how_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"has no measure 'gradient': .*capture\(.*metric="):
        record()["decoder"][0].measure("gradient")
    assert all("metric" not in stream for stream in aw.view(record()).meta["streams"])


def test_meta_names_the_metric_and_what_lacks_it() -> None:
    attention = with_gradients(layer(0), layer(1, output_gradient=None))
    described, _ = RecordSource(attention).meta()
    (stream,) = described["streams"]
    assert stream["metric"] == METRIC
    missing = [each.get("missing", {}) for each in stream["layers"]]
    assert not missing[0].keys() & {"gradient", "relevance"}
    assert missing[1]["gradient"] == missing[1]["relevance"]
    assert "metric=" in missing[1]["gradient"]
    validate("Meta", described)


def test_a_comparison_has_no_gradients(square: Attention) -> None:
    (stream,) = aw.view(aw.compare(square, square)).meta["streams"]
    assert "metric" not in stream
    assert "one record" in stream["no_gradients"]


def test_a_saved_page_carries_the_gradients_of_its_heads(square: Attention, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    aw.view(square, layer=1, heads=[2], measure="gradient").save(page)
    snapshot = snapshot_of(page.read_text(encoding="utf-8"))
    stored = {
        (one["request"]["what"], one["request"]["layer"], one["request"]["head"])
        for one in snapshot["blocks"]
        if "layer" in one["request"]
    }
    assert {("gradient", number, head) for number in (0, 1) for head in range(4)} <= stored
    assert {("overview", 0, 0), ("overview", 1, 0)} <= stored


def test_the_numbers_of_a_figure_are_the_strongest_of_either_sign(square: Attention) -> None:
    figure = square.figure("head", layer=1, heads=[2], measure="gradient", top_k=2)
    links = dense(square["self"][1], "gradient")[2]
    for query, rows in figure.data.groupby("query"):
        strongest = np.argsort(-np.abs(links[query]), kind="stable")[:2]
        assert set(rows.key) == set(strongest.tolist())
        found = rows.set_index("key").gradient
        np.testing.assert_allclose(found[strongest], links[query, strongest], atol=1e-6)
    assert (figure.data.gradient < 0).any()
    text = square.figure("head", layer=1, heads=[2], measure="gradient", form="text", query=3)
    np.testing.assert_allclose(text.data.gradient, links[3], atol=1e-6)


def test_a_figure_says_what_the_gradients_are_of_and_draws_both_signs(square: Attention) -> None:
    for form in ("lines", "matrix", "text"):
        drawn = square.figure(
            "head", layer=1, heads=[2], measure="gradient", form=form, query=3
        ).svg
        assert METRIC in drawn or form == "text"
        assert "w × ∂/∂w" in drawn
    lines = square.figure("head", layer=1, heads=[2], measure="gradient").svg
    assert "adds" in lines
    assert "takes away" in lines
    relevance = square.figure("head", layer=1, heads=[2], measure="relevance").svg
    assert "takes away" not in relevance


def test_a_figure_of_some_positions_has_their_gradients(square: Attention) -> None:
    places = [0, 2, 4, 5]
    kept = dense(square["self"][1], "gradient")[2][np.ix_(places, places)]
    for form, link in (("lines", largest(kept[2])), ("text", largest(kept.mean(0)))):
        query = 4 if form == "lines" else None
        figure = square.figure(
            "head", layer=1, heads=[2], measure="gradient", form=form, positions=places, query=query
        )
        said = f"{abs(link):.{2 if form == 'lines' else 3}f}"
        assert f"{'−' if link < 0 else '+'}{said}" in figure.svg


def test_a_view_of_a_model_keeps_the_gradients_of_its_metric() -> None:
    model, tokenizer = aw.pocket()
    view = aw.view(model, "the cat sat on the mat because it", tokenizer, metric="purred")
    assert view.metric == "purred"
    assert view.attention.metric == "log p(“purred”)"
    assert view.attention["decoder"][3].measure("gradient", 3, 8, 2) > 0.5
    assert 'metric="purred"' in view.code()
    # Another text is recorded in the same way; a run under an edit is not.
    view.text = "the dog sat on the mat because it"
    assert view.attention.metric == "log p(“purred”)"
    view.interventions = aw.ablate(heads=[(3, 3)])
    assert view.attention.metric is None
    assert "metric" not in view.meta["streams"][0]
    plain = aw.view(model, "the cat sat", tokenizer)
    assert (plain.metric, plain.attention.metric) == (None, None)


def test_lens_and_metric_are_of_one_record() -> None:
    model, tokenizer = aw.pocket()
    text = "the cat sat on the mat because it"
    both = aw.view(model, text, tokenizer, metric="purred", lens=True)
    lens = aw.view(model, text, tokenizer, lens=True)
    graded = aw.view(model, text, tokenizer, metric="purred")
    assert both.meta["lens"] == lens.meta["lens"]
    assert both.attention.metric == "log p(“purred”)"
    for layer, expected in zip(both.attention["decoder"], graded.attention["decoder"], strict=True):
        np.testing.assert_array_equal(layer.measure("gradient"), expected.measure("gradient"))
    both.text = "the dog sat on the mat because it"
    assert both.attention.metric == "log p(“purred”)"
    assert both.meta["lens"] != lens.meta["lens"]


def test_the_lens_reads_an_answer_of_several_tokens_as_the_gradients_do() -> None:
    model, tokenizer = aw.pocket()
    view = aw.view(
        model, "the cat sat on the mat because", tokenizer, metric="it purred", lens=True
    )
    assert view.attention.metric == "log p(“it purred”)"
    labels = [position.label for position in view.attention["decoder"].query_positions]
    assert labels[-1] == "it"
    lens = view.meta["lens"]
    rows = len(lens["top"]) // (lens["layers"] * lens["ranks"])
    assert lens["first"] + rows == len(labels)


def test_a_metric_of_two_passes_is_measured_without_gradients() -> None:
    model, tokenizer = aw.pocket()
    pair = ["it purred", "was it"]
    view = aw.view(model, "the cat sat on the mat because", tokenizer, metric=pair)
    validate("Meta", view.meta)
    (stream,) = view.meta["streams"]
    assert "metric" not in stream
    assert "takes two passes of the model" in stream["no_gradients"]
    assert view.metric == pair
    view.query = None
    found = view.find_effects()
    assert found is not None
    assert found.metric == "log p(“it purred”) − log p(“was it”)"
    assert "agreement" not in view.effects
    view.text = "the dog sat on the mat because"
    assert "takes two passes of the model" in view.meta["streams"][0]["no_gradients"]
    # One token each of this text: gradients of one pass.
    assert aw.view(model, view.text, tokenizer, metric=["it", "was"]).attention.metric is not None
    with pytest.raises(ValueError, match="takes two passes"):
        aw.capture(model, view.text, tokenizer, metric=pair)
    copied = pickle.loads(pickle.dumps(view.attention))  # noqa: S301  of our own
    assert copied.no_gradients == view.attention.no_gradients
