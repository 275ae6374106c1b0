"""Several heads as one more head: figures, their numbers, the kernel's tiles, the trait."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from support.records import dense_weights, random_layer

import attnwidget as aw
from attnwidget.compute.heads_together import heads_together, together_name
from attnwidget.protocol import codec
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream
from attnwidget.serve.source import RecordSource

HEADS = [3, 0, 1]
DENSE = {
    "mean": lambda weights: weights.mean(axis=0),
    "max": lambda weights: weights.max(axis=0),
    "sum": lambda weights: weights.sum(axis=0),
}


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)


def rows_of(figure: Any) -> list[dict[str, Any]]:
    data = figure.data
    rows: list[dict[str, Any]] = data.to_dict("records") if hasattr(data, "to_dict") else data
    return rows


def matrix_of(figure: Any, count: int, column: str = "weight") -> np.ndarray:
    found = np.zeros((count, count))
    for row in rows_of(figure):
        found[row["query"], row["key"]] = row[column]
    return found


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_a_figures_numbers_are_the_dense_ones(attention: aw.Attention, how: str) -> None:
    layer = attention["decoder"][2]
    dense = DENSE[how](dense_weights(layer).numpy()[HEADS])
    figure = attention.figure("matrix", layer=2, heads=HEADS, together=how)
    np.testing.assert_allclose(matrix_of(figure, layer.n_query), dense, atol=1e-6)
    (row, *_) = rows_of(figure)
    named = together_name(how, [0, 1, 3])
    assert (row["head"], row["heads"]) == (-1, named)
    lines = attention.figure("lines", layer=2, heads=HEADS, together=how, query="it")
    for each in rows_of(lines):
        assert each["weight"] == pytest.approx(dense[each["query"], each["key"]], abs=1e-6)


@pytest.mark.parametrize("kind", ["lines", "matrix", "text"])
def test_every_form_is_drawn_under_one_name(attention: aw.Attention, kind: Any) -> None:
    options: dict[str, Any] = {"layer": 2, "heads": HEADS, "query": "it"}
    svg = attention.figure(kind, together="max", **options).svg
    assert "maximum of heads 0–1, 3" in re.sub(r"<[^>]*>", "", svg)
    assert svg != attention.figure(kind, **options).svg
    # Of single heads, whatever is chosen: a grid, and one head.
    grid = attention.figure(kind, grid=True, together="max", **options)
    assert {row["head"] for row in rows_of(grid)} == {0, 1, 3}
    alone = {**options, "heads": [3]}
    assert (
        attention.figure(kind, together="max", **alone).svg == attention.figure(kind, **alone).svg
    )


def test_measures_and_words_are_taken_together_as_they_are_drawn(attention: aw.Attention) -> None:
    layer = attention["decoder"][2]
    figure = attention.figure("matrix", layer=2, heads=HEADS, together="sum", measure="value")
    dense = layer.measure("value", [0, 1, 3]).astype(np.float64).sum(axis=0)
    np.testing.assert_allclose(matrix_of(figure, layer.n_query, "value"), dense, rtol=1e-6)
    head = [[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.1, 0.2, 0.7]]
    other = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.3, 0.1]]
    pieces = aw.from_weights([[head, other]], ["the", "cat", "##s"])
    words = pieces.words()["self"][0].weights()
    drawn = pieces.figure("matrix", heads=[0, 1], together="mean", positions="words")
    np.testing.assert_allclose(matrix_of(drawn, 2), words.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_the_largest_of_a_cell_is_taken_after_the_heads(how: str) -> None:
    layer = random_layer(heads=4, queries=30, keys=40)
    positions = [tuple(Position(str(at), kind="token") for at in range(n)) for n in (30, 40)]
    stream = Stream("self", (layer,), *positions)
    source = RecordSource(Record("model", {"self": stream}))
    request = {
        "what": "tile",
        "stream": layer.stream,
        "layer": layer.layer,
        "head": 0,
        "level": 2,
        "tile": [0, 0],
        "together": {"how": how, "heads": [0, 1, 3]},
    }
    request_0 = {**request, "level": 0}
    dense = heads_together(layer.weights([0, 1, 3]), how)
    exact = codec.decode(*source.answer(request_0))
    np.testing.assert_allclose(exact, dense, atol=1e-6)
    cells = np.zeros((8, 10))
    for row in range(8):
        for column in range(10):
            cells[row, column] = dense[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].max()
    found = codec.decode(*source.answer(request)).astype(np.float64)
    # Shades end at 1, a sum beyond it.
    drawn = found if how == "sum" else (found / 255) ** 2
    np.testing.assert_allclose(drawn, cells, atol=1e-5 if how == "sum" else 0.01)


def test_the_trait_is_two_way_and_refuses_what_is_none(attention: aw.Attention) -> None:
    view = attention.view(layer=2, heads=HEADS, together="mean")
    assert view.together == "mean"
    assert matrix_of(view.figure(form="matrix"), 11).max() < 1.0000001
    view.set_state({"together": "sum"})
    assert view.together == "sum"
    view.together = None
    for wrong in ("median", 3, True, ["mean"]):
        with pytest.raises(
            ValueError, match=r"together must be one of 'mean', 'max', 'sum', or None"
        ):
            view.together = wrong
    assert view.together is None
    reply, _ = view.blocks(
        {
            "requests": [
                {
                    "what": "tile",
                    "stream": "decoder",
                    "layer": 2,
                    "head": 0,
                    "level": 0,
                    "tile": [0, 0],
                    "together": {"how": "mean", "heads": [0, 9]},
                }
            ]
        },
        [],
    )
    assert "heads must be integers in 0..3" in reply["replies"][0]["error"]


def test_many_heads_are_summed_as_in_double_precision() -> None:
    blocks = torch.rand((64, 3, 5), generator=torch.Generator().manual_seed(0)).numpy()
    exact = blocks.astype(np.float64).sum(axis=0)
    np.testing.assert_array_equal(heads_together(blocks, "sum"), exact.astype(np.float32))


LAYERS = [1, 3]


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_heads_of_several_layers_are_one_in_figures_and_their_numbers(
    attention: aw.Attention, how: str
) -> None:
    stream = attention["decoder"]
    each = np.concatenate([dense_weights(stream[layer]).numpy()[HEADS] for layer in LAYERS])
    dense = DENSE[how](each)
    # Without a layer the first of them is the selected one.
    options: dict[str, Any] = {"heads": HEADS, "together": how, "together_layers": LAYERS}
    figure = attention.figure("matrix", **options)
    np.testing.assert_allclose(matrix_of(figure, 11), dense, atol=1e-6)
    (row, *_) = rows_of(figure)
    named = together_name(how, [0, 1, 3], LAYERS)
    assert (row["layer"], row["head"], row["heads"]) == (-1, -1, named)
    for kind in ("lines", "matrix", "text"):
        drawn = attention.figure(kind, query="it", title=True, **options)
        said = re.sub(r"<[^>]*>", "\n", drawn.svg)
        assert "layers 1, 3" in said
        assert named in said
    # A panel of a grid is of one head, and so is the neuron view.
    grid = attention.figure("matrix", grid=True, **options)
    assert {(row["layer"], row["head"]) for row in rows_of(grid)} == {(1, 0), (1, 1), (1, 3)}
    neuron = attention.figure("neuron", query="it", **options)
    assert {row["head"] for row in rows_of(neuron)} == {3}


def test_a_figure_shows_what_part_is_each_layers_and_each_heads(attention: aw.Attention) -> None:
    stream = attention["decoder"]
    at_it = np.array(
        [[dense_weights(stream[layer]).numpy()[head, 8, 2] for head in (0, 3)] for layer in LAYERS]
    )
    options: dict[str, Any] = {"heads": [0, 3], "together": "sum", "together_layers": LAYERS}
    svg = attention.figure("lines", query="it", key="cat", **options).svg
    said = re.sub(r"<[^>]*>", "\n", svg).split("\n")
    start = next(
        at for at, text in enumerate(said) if text.startswith("part of the sum: “it” → “cat”")
    )
    shown = [text for text in said[start:] if text.endswith(" %")]
    shares = [*at_it.sum(axis=1), *at_it.sum(axis=0)] / at_it.sum()
    assert shown == [f"{round(100 * share)} %" for share in shares]
    assert "part of the sum" not in attention.figure("lines", query="it", heads=[0, 3]).svg
    # Of words, at some of the positions.
    some = attention.figure(
        "matrix", positions="words", queries=range(5, 9), keys=range(9), query="it", **options
    )
    assert "part of the sum" in some.svg


def test_layers_are_a_trait_of_their_own(attention: aw.Attention) -> None:
    view = attention.view(heads=HEADS, together="mean", together_layers=range(1, 3))
    assert (view.layer, view.together_layers) == (1, [1, 2])
    rows = matrix_of(view.figure(form="matrix"), 11)
    # While the selected layer is none of them, its own heads are one.
    view.layer = 0
    own = dense_weights(attention["decoder"][0]).numpy()[HEADS].mean(axis=0)
    np.testing.assert_allclose(matrix_of(view.figure(form="matrix"), 11), own, atol=1e-6)
    view.layer = 2
    np.testing.assert_array_equal(matrix_of(view.figure(form="matrix"), 11), rows)
    view.set_state({"together_layers": None})
    assert view.together_layers is None


def test_measures_and_words_of_several_layers_are_taken_head_by_head() -> None:
    head = [[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.1, 0.2, 0.7]]
    other = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.3, 0.1]]
    pieces = aw.from_weights([[head], [other]], ["the", "cat", "##s"])
    words = [pieces.words()["self"][layer].weights(0) for layer in (0, 1)]
    for how in ("mean", "max", "sum"):
        drawn = pieces.figure(
            "matrix", heads=[0], together=how, together_layers=[0, 1], positions="words"
        )
        np.testing.assert_allclose(
            matrix_of(drawn, 2), DENSE[how](np.array(words, np.float64)), atol=1e-6
        )
        assert f"{together_name(how, [0], [0, 1])}" in re.sub(r"<[^>]*>", "", drawn.svg)


def test_shares_of_groups_are_those_of_the_heads_of_all_layers(attention: aw.Attention) -> None:
    each = attention.group_shares("special", layer=None)
    found = [
        row["share"]
        for row in (each.to_dict("records") if hasattr(each, "to_dict") else each)
        if row["layer"] in LAYERS
        and row["head"] in HEADS
        and (row["from"], row["to"]) == ("content", "special")
    ]
    assert len(found) == 6
    options: dict[str, Any] = {"heads": HEADS, "together_layers": LAYERS, "grouping": "special"}
    figure = attention.figure("groups", together="mean", **options)
    (row,) = [row for row in rows_of(figure) if (row["from"], row["to"]) == ("content", "special")]
    assert row["share"] == pytest.approx(np.mean(found), rel=1e-5)
    assert (row["layer"], row["head"]) == (-1, -1)
    assert row["heads"] == together_name("mean", [0, 1, 3], LAYERS)
    with pytest.raises(ValueError, match="the maximum of several heads has no shares"):
        _ = attention.figure("groups", together="max", **options).data
