"""Numbers behind what the widget draws in place of weights: measures, words, rollout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import traitlets
from contract.record import layer, record
from contract.test_protocol import validate
from support.copies import snapshot_of

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.protocol import codec
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer

if TYPE_CHECKING:
    from pathlib import Path


def asked(attention: Attention, **request: Any) -> np.ndarray:
    validate("Request", request)
    return codec.decode(*answer(attention, request))


def pieces(text: str) -> tuple[Position, ...]:
    return tuple(
        Position(label=piece.removeprefix("##"), continues=piece.startswith("##"))
        for piece in text.split()
    )


@pytest.fixture(scope="module")
def square() -> Attention:
    """Three layers of one sequence of 7 pieces, two words of which have several."""
    axis = pieces("a ##b c d ##e ##f g")
    torch.manual_seed(0)
    layers = tuple(
        Layer(
            stream="self",
            layer=number,
            module_path=f"layers.{number}",
            num_heads=4,
            query=torch.randn(4, 7, 3),
            key=torch.randn(2, 7, 3),
            value=torch.randn(2, 7, 5),
            value_norms=torch.rand(4, 7),
            scaling=0.5,
        )
        for number in range(3)
    )
    return Attention("Square", {"self": Stream("self", layers, axis, axis)})


@pytest.mark.parametrize("measure", ["value", "norm"])
@pytest.mark.parametrize("head", [0, 3])
def test_lengths_times_weights_are_the_measure(square: Attention, measure: str, head: int) -> None:
    where = {"stream": "self", "layer": 1, "head": head}
    lengths = asked(square, what="lengths", **where, measure=measure)
    weights = asked(square, what="weights", **where, queries=[0, 7])
    assert lengths.shape == (1, 7)
    expected = square["self"][1].measure(measure, head)
    np.testing.assert_allclose(weights[0] * lengths, expected, rtol=1e-6)


@pytest.mark.parametrize("measure", ["weights", "value", "norm"])
@pytest.mark.parametrize("size", [3, 7, 48])
def test_an_overview_holds_the_largest_of_each_bin(
    square: Attention, measure: str, size: int
) -> None:
    found = asked(
        square, what="overview", stream="self", layer=2, head=0, measure=measure, size=size
    )
    dense = torch.from_numpy(square["self"][2].measure(measure))
    pooled = torch.nn.functional.adaptive_max_pool2d(dense, min(size, 7))
    np.testing.assert_allclose(found, pooled.numpy(), rtol=1e-6)


def test_an_overview_leaves_recorded_weights_as_they_are() -> None:
    weights = [[[[0.5, 0.5], [0.25, 0.75]]]]
    attention = aw.from_weights(weights)
    before = attention["self"][0].weights()
    with pytest.raises(ValueError, match="has no measure 'value'"):
        asked(attention, what="overview", stream="self", layer=0, head=0, measure="value", size=2)
    asked(attention, what="overview", stream="self", layer=0, head=0, measure="weights", size=2)
    np.testing.assert_array_equal(attention["self"][0].weights(), before)


def test_a_rollout_comes_in_bands_and_tiles(square: Attention) -> None:
    expected = square.rollout()
    where = {"stream": "self", "layer": 1, "head": 0}
    found = asked(square, what="rollout", **where, queries=[2, 6])
    np.testing.assert_allclose(found, expected[1:2, 2:6], rtol=1e-6)
    tile = asked(square, what="tile", **where, level=0, tile=[0, 0], measure="rollout")
    np.testing.assert_allclose(tile, expected[1], rtol=1e-6)


def test_a_rollout_that_there_is_none_of_says_why() -> None:
    with pytest.raises(ValueError, match="stream 'decoder' has no rollout: 5 queries look at 7"):
        asked(record(), what="rollout", stream="decoder", layer=0, head=0, queries=[0, 5])
    assert "5 queries" in aw.view(record()).meta["streams"][0]["no_rollout"]


@pytest.mark.parametrize("measure", ["weights", "value", "rollout"])
def test_a_tile_between_words(square: Attention, measure: str) -> None:
    where = {"stream": "self", "layer": 2, "head": 1}
    found = asked(
        square, what="tile", **where, level=0, tile=[0, 0], measure=measure, positions="words"
    )
    dense = square.rollout()[2] if measure == "rollout" else square["self"][2].measure(measure, 1)
    words = [[0, 1], [2], [3, 4, 5], [6]]
    expected = [[dense[np.ix_(query, key)].sum(1).mean() for key in words] for query in words]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    if measure == "weights":
        np.testing.assert_allclose(found, square.words()["self"][2].weights(1), rtol=1e-5)


def test_meta_says_what_a_layer_cannot_give() -> None:
    streams = aw.view(record()).meta["streams"]
    assert streams[0]["layers"][0]["missing"].keys() == {"norm"}
    assert streams[1]["layers"][0]["missing"] == {
        "value": "the record was made from weights alone.",
        "norm": "the record was made from weights alone.",
    }


def test_measure_and_positions_are_checked() -> None:
    view = aw.view(record(), measure="norm", positions="words", query=[0, 1])
    assert (view.measure, view.positions, view.query) == ("norm", "words", [0, 1])
    for trait in ("measure", "positions"):
        with pytest.raises(traitlets.TraitError, match=trait):
            setattr(view, trait, "tokens")


@pytest.mark.parametrize("measure", ["value", "rollout"])
def test_a_page_brings_the_measure_on_show(square: Attention, measure: str, tmp_path: Path) -> None:
    view = aw.view(square, measure=measure, layer=1)
    path = view.save(tmp_path / "page.html")
    stored = {
        json.dumps(block["request"], sort_keys=True)
        for block in snapshot_of(path.read_text(encoding="utf-8"))["blocks"]
    }
    where = {"stream": "self", "head": 0}
    wanted: list[dict[str, Any]] = [
        {"what": "overview", **where, "layer": number, "size": 7, "measure": measure}
        for number in range(3)
    ]
    if measure == "rollout":
        wanted += [
            {"what": "rollout", **where, "layer": number, "queries": [0, 7]} for number in range(3)
        ]
    else:
        wanted += [
            {"what": "lengths", "stream": "self", "head": head, "layer": 2, "measure": measure}
            for head in range(4)
        ]
    assert {json.dumps(request, sort_keys=True) for request in wanted} <= stored


def test_a_layer_with_grouped_values_repeats_their_lengths() -> None:
    one = layer(0)
    attention = record()
    lengths = asked(attention, what="lengths", stream="decoder", layer=0, head=3, measure="value")
    assert one.value is not None
    np.testing.assert_allclose(lengths[0], one.value[1].norm(dim=-1).numpy(), rtol=1e-6)
