"""Directions to remove as values: checked, made orthonormal, printed, combined, written as JSON; layers without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.records import HEAD_DIM, dense_weights, random_layer

import attnwidget as aw
from attnwidget.compute.masks import Band
from attnwidget.edits.removed_directions import orthonormal, without_directions


def test_they_are_values() -> None:
    one = aw.remove_directions([[3.0, 4.0], [4.0, -3.0]], heads=(0, 2))
    assert repr(one) == "remove_directions(<2 directions>, heads=[(0, 2)])"
    assert repr(aw.remove_directions([2.0, 0.0], (0, -1), stream="decoder")) == (
        "remove_directions(<1 direction>, heads=[(0, -1)], stream='decoder')"
    )
    assert one == aw.remove_directions(torch.tensor([[3.0, 4.0], [4.0, -3.0]]), head=(0, 2))
    assert hash(one) == hash(aw.remove_directions([[3.0, 4.0], [4.0, -3.0]], (0, 2)))
    assert one + one == one
    assert one.inside == one
    assert one != aw.remove_directions([[1.0, 0.0]], (0, 2))
    both = one + aw.ablate((1, 0))
    assert aw.Edits.from_json(both.to_json()) == both


def test_vectors_become_unit_vectors_at_right_angles_that_span_the_same() -> None:
    given = np.array([[1.0, 1, 0, 0], [2, 2, 0, 0], [0, 0, 3, 1]])
    found = orthonormal(given).astype(np.float64)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(given @ found.T @ found, given, atol=1e-6)
    right = np.float32([[0.6, 0.8], [0.8, -0.6]])
    assert (orthonormal(right) == right).all()  # to the last bit, so that JSON is read back


@pytest.mark.parametrize("wrong", [None, "north", [], [[0.0, 0.0]], [[1.0, np.nan]], [[1.0], [1.0, 2.0]], 3.0, np.ones((1, 2, 2))])  # fmt: skip
def test_what_is_no_direction_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"directions must be vectors .*\[count, head_dim\]"):
        aw.remove_directions(wrong, heads=(0, 2))


@pytest.mark.parametrize("heads", [None, [(0, 1), (0, 2)], []])
def test_one_head_is_named(heads: object) -> None:
    with pytest.raises(ValueError, match=r"takes one head, .* pass heads=\(0, 2\)"):
        aw.remove_directions([[1.0, 0.0]], heads=heads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_without_them_has_the_softmax_of_the_scores_without_them(
    dtype: torch.dtype,
) -> None:
    layer = random_layer(dtype=dtype, key_value_heads=2, band=Band(causal=True, offset=2))
    vectors = orthonormal(np.random.default_rng(0).standard_normal((2, HEAD_DIM)))
    found = without_directions(layer, 4, vectors)
    query = layer.query.double()  # type: ignore[union-attr]
    basis = torch.from_numpy(vectors).double()
    query[4] = query[4] - query[4] @ basis.T @ basis
    expected = dense_weights(replace(layer, query=query, key=layer.key.double())).numpy()  # type: ignore[union-attr]
    far = 1e-5 if dtype == torch.float32 else 3e-2  # a query rounds to bfloat16
    np.testing.assert_allclose(found.weights(), expected, atol=far)
    assert (found.weights([0, 1, 2, 3, 5]) == layer.weights([0, 1, 2, 3, 5])).all()
    assert np.abs(found.weights(4) - layer.weights(4)).max() > 0.05


def test_recorded_weights_of_other_heads_stand() -> None:
    layer = random_layer()
    recorded = torch.from_numpy(layer.weights())
    vectors = orthonormal(np.eye(HEAD_DIM)[:1])
    found = without_directions(replace(layer, recorded=recorded), 1, vectors)
    np.testing.assert_allclose(
        found.weights(1), without_directions(layer, 1, vectors).weights(1), atol=1e-6
    )
    assert (found.weights([0, 2]) == recorded[[0, 2]].numpy()).all()


def test_a_layer_of_weights_alone_is_refused() -> None:
    layer = random_layer()
    recorded = torch.from_numpy(layer.weights())
    alone = replace(layer, query=None, key=None, recorded=recorded, reason="It is sparse.")
    with pytest.raises(ValueError, match="has no query vectors: It is sparse"):
        without_directions(alone, 0, orthonormal([1.0]))
