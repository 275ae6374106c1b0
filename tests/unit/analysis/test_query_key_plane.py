"""Queries and keys in one plane, against a singular value decomposition of the same vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.records import HEAD_DIM, KEYS, QUERIES, dense_weights, random_layer

import attnwidget as aw
from attnwidget.analysis.query_key_plane import query_key_plane
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer


def stream_of(layer: Layer) -> Stream:
    axes = (
        positions_from_tokens([f"t{at}" for at in range(n)]) for n in (layer.n_query, layer.n_key)
    )
    return Stream("cross", (replace(layer, stream="cross"),), *axes)  # fmt: skip


def scaled(layer: Layer, head: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], float]:
    """Queries and keys around one mean, equally spread, written out."""
    queries, keys = (each.astype(np.float64) for each in (layer.query_vectors(head), layer.key_vectors(head)))  # fmt: skip
    spread = [np.sqrt(((each - each.mean(0)) ** 2).sum(1).mean()) for each in (queries, keys)]
    c = np.sqrt(spread[1] / spread[0])
    return c * (queries - queries.mean(0)), (keys - keys.mean(0)) / c, c


def test_it_is_the_pca_of_both_together() -> None:
    layer = random_layer(key_value_heads=2)
    stream = stream_of(layer)
    found = query_key_plane(stream, stream[0], -1)
    assert (found.stream, found.layer, found.head) == ("cross", 0, 5)
    queries, keys, c = scaled(layer, 5)
    assert found.scale == pytest.approx(c)
    both = np.concatenate([queries, keys])
    _, sizes, axes = np.linalg.svd(both, full_matrices=False)
    assert found.shares == pytest.approx(sizes[:2] ** 2 / (sizes**2).sum())
    # An axis may point either way: its largest number is positive.
    signs = np.sign(axes[[0, 1], np.abs(axes[:2]).argmax(1)])
    np.testing.assert_allclose(found.axes, axes[:2] * signs[:, None], atol=1e-5)
    expected = both @ (axes[:2] * signs[:, None]).T
    np.testing.assert_allclose(found.queries, expected[:QUERIES], atol=1e-5)
    np.testing.assert_allclose(found.keys, expected[QUERIES:], atol=1e-5)
    np.testing.assert_allclose(found.query_norms, np.linalg.norm(layer.query_vectors(5), axis=1), rtol=1e-6)  # fmt: skip
    np.testing.assert_allclose(found.key_norms, np.linalg.norm(layer.key_vectors(5), axis=1), rtol=1e-6)  # fmt: skip


def test_attention_does_not_see_how_they_were_moved_and_scaled() -> None:
    layer = random_layer()
    queries, keys, c = scaled(layer, 1)
    mean = layer.query_vectors(1).astype(np.float64).mean(0)
    moved = replace(
        layer,
        query=layer.query.double().clone(),  # type: ignore[union-attr]
        key=layer.key.double().clone(),  # type: ignore[union-attr]
    )
    moved.query[1] = torch.from_numpy(queries + c * mean)  # type: ignore[index]
    moved.key[1] = torch.from_numpy(keys + c * mean)  # type: ignore[index]
    np.testing.assert_allclose(dense_weights(moved)[1], dense_weights(layer)[1], atol=1e-9)
    spreads = [np.sqrt((each**2).sum(1).mean()) for each in (queries, keys)]
    assert spreads[0] == pytest.approx(spreads[1])


def test_the_table_has_a_row_for_each_query_and_key() -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, "the cat sat", tokenizer)
    found = attention.query_key_plane(layer=3, head=-1)
    table = found.to_dataframe()
    rows = table.to_dict("records") if hasattr(table, "to_dict") else table
    assert [row["side"] for row in rows] == ["query"] * 4 + ["key"] * 4
    assert [row["token"] for row in rows[4:]] == ["<bos>", "the", "cat", "sat"]
    assert [row["x"] for row in rows[:4]] == pytest.approx(found.queries[:, 0].tolist())
    assert [row["norm"] for row in rows[4:]] == pytest.approx(found.key_norms.tolist())
    assert repr(found).startswith("QueryKeyPlane(decoder, 3.3: 4 queries, 4 keys, axes with ")
    with pytest.raises(AttributeError):
        found.scale = 1.0  # type: ignore[misc]


def test_vectors_that_are_all_the_same_lie_at_the_origin() -> None:
    layer = random_layer()
    same = replace(layer, query=torch.ones_like(layer.query), key=torch.ones_like(layer.key))  # type: ignore[arg-type]
    stream = stream_of(same)
    found = query_key_plane(stream, stream[0], 0)
    assert not found.queries.any()
    assert not found.keys.any()
    assert (found.shares, found.scale) == ((0.0, 0.0), 1.0)


def test_vectors_of_one_number_have_one_axis() -> None:
    layer = replace(random_layer(), query=torch.randn(6, QUERIES, 1), key=torch.randn(6, KEYS, 1))
    stream = stream_of(layer)
    found = query_key_plane(stream, stream[0], 0)
    assert found.shares == (pytest.approx(1), 0)
    assert not found.queries[:, 1].any()


def test_what_has_no_plane_says_so() -> None:
    layer = random_layer()
    query = layer.query.clone()  # type: ignore[union-attr]
    query[2, 1, HEAD_DIM - 1] = torch.nan
    stream = stream_of(replace(layer, query=query))
    with pytest.raises(ValueError, match=r"Layer 0 · head 2 .* not numbers"):
        query_key_plane(stream, stream[0], 2)
    weights = torch.softmax(torch.randn(1, 2, 3, 3), -1)
    with pytest.raises(ValueError, match="has no query vectors"):
        aw.from_weights(weights, ["a", "b", "c"]).query_key_plane(layer=0, head=0)
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, "the cat", tokenizer)
    with pytest.raises(ValueError, match="9"):
        attention.query_key_plane(layer=0, head=9)
