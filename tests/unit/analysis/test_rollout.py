"""Attention followed through the layers, against the product of dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.records import dense_weights, random_layer

from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.recordings import from_weights

POSITIONS = positions_from_tokens(["the", "cat", "sat", "on", "the", "mat", "."])
SIZE = len(POSITIONS)


@pytest.mark.parametrize("band", [None, Band(causal=True), Band(causal=True, window=3)], ids=str)
def test_rollout_is_the_product_of_the_mixed_layers(band: Band | None) -> None:
    layers = [
        random_layer(queries=SIZE, keys=SIZE, layer=number, seed=number, heads=heads, band=band)
        for number, heads in ((0, 6), (1, 3), (4, 6))
    ]
    attention = Attention("m", {"self": Stream("self", tuple(layers), POSITIONS, POSITIONS)})
    found = attention.rollout()
    assert found.shape == (3, SIZE, SIZE)
    assert found.dtype == np.float32
    expected = np.eye(SIZE)
    for place, layer in enumerate(layers):
        mixed = (dense_weights(layer).numpy().mean(0) + np.eye(SIZE)) / 2
        expected = mixed / mixed.sum(1, keepdims=True) @ expected
        np.testing.assert_allclose(found[place], expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_rows_that_sum_to_less_are_filled_up() -> None:
    layer = random_layer(queries=SIZE, keys=SIZE, sinks=torch.linspace(0, 3, 6))
    attention = Attention("m", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})
    mixed = (dense_weights(layer).numpy().mean(0) + np.eye(SIZE)) / 2
    expected = mixed / mixed.sum(1, keepdims=True)
    np.testing.assert_allclose(attention.rollout("self")[0], expected, atol=1e-6)


def test_identity_layers_roll_out_to_the_identity() -> None:
    weights = torch.eye(SIZE).expand(4, 3, SIZE, SIZE)
    np.testing.assert_array_equal(
        from_weights(weights, POSITIONS).rollout(), torch.eye(SIZE).expand(4, SIZE, SIZE)
    )


def test_what_cannot_be_chained_says_so() -> None:
    cross = Stream("cross", (random_layer(queries=3, keys=3),), POSITIONS[:3], POSITIONS[:3])
    with pytest.raises(
        ValueError, match="'cross' has no rollout: queries and keys are positions of"
    ):
        Attention("m", {"cross": cross}).rollout()
    cached = Stream("self", (random_layer(queries=3, keys=SIZE),), POSITIONS[-3:], POSITIONS)
    with pytest.raises(ValueError, match="'self' has no rollout: 3 queries look at 7 keys"):
        Attention("m", {"self": cached}).rollout()
    with pytest.raises(KeyError, match="no stream 'encoder'"):
        Attention("m", {"self": cached}).rollout("encoder")
