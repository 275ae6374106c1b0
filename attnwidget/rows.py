"""Whole rows of weights, read block by block, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.selection import Axis
from attnwidget.softmax import Mask, Vectors, exponentiate, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.totals import RowCache

__all__ = ["BLOCK_BYTES", "WeightRows", "output", "row_blocks", "weight_block", "weight_rows"]

# Scores held at a time while whole rows are read: they stay in a core's cache, and little of a causal mask's hidden
# half is computed. The temporaries beside them are a few times as large at most.
BLOCK_BYTES = 2 << 20
# Keys held in float32 beside them where the record's are of another dtype, one key head at the least.
KEY_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class WeightRows:
    """Some whole rows of some heads: ``weights = exponentials / total``.

    Attributes:
        heads: Where these rows stand on the head axis that was asked for.
        queries: Where they stand on the query axis that was asked for.
        keys: The keys these rows may see; the weight of every other key is 0.
        exponentials: ``exp(score - maximum)``, float32 ``[head, query, key]``, free to be overwritten.
        maximum: Largest score, sink included, float32 ``[head, query, 1]``.
        total: Sum of the exponentials, sink included, float32 ``[head, query, 1]``.
        uniform: Rows in which every key is masked and which the model's softmax spreads all the same, boolean
            ``[head, query, 1]``.
    """

    heads: slice
    queries: slice
    keys: slice
    exponentials: Tensor
    maximum: Tensor
    total: Tensor
    uniform: Tensor


def weight_rows(layer: Layer, heads: Axis, queries: Axis) -> Iterator[WeightRows]:
    """Read whole rows block by block, in memory bounded by ``BLOCK_BYTES`` and without the keys a band hides."""
    share = layer.num_heads // layer.num_key_value_heads
    row_bytes = 4 * layer.n_key
    group = max(1, BLOCK_BYTES // max(1, len(queries) * row_bytes) // share) * share
    if layer.key is not None and layer.key.dtype != torch.float32:
        key_heads = max(1, KEY_BYTES // max(1, row_bytes * layer.key.shape[2]))
        group = min(group, key_heads * share)
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        vectors = Vectors.of(layer, some, Axis(range(layer.n_key)))
        count = max(1, BLOCK_BYTES // (len(some) * row_bytes))
        for start in range(0, len(queries), count):
            rows = queries.part(start, start + count)
            keys = _visible_keys(layer, rows)
            scaled = scale(layer, vectors.dot(rows, slice(keys.start, keys.stop)))
            exponentials, maximum, total, uniform = exponentiate(
                layer, scaled, some, rows, Axis(keys)
            )
            yield WeightRows(
                heads=slice(first, first + len(some)),
                queries=slice(start, start + len(rows)),
                keys=slice(keys.start, keys.stop),
                exponentials=exponentials,
                maximum=maximum,
                total=total,
                uniform=uniform,
            )


def _visible_keys(layer: Layer, queries: Axis) -> range:
    if layer.band is None:
        return range(layer.n_key)
    keys = layer.band.span(min(queries.indices), max(queries.indices), layer.n_key)
    # Rows that see nothing keep one masked key, so that the maximum below has something to look at.
    return keys if len(keys) else range(1)


def row_blocks(
    layer: Layer, heads: Axis, queries: Axis
) -> Iterator[tuple[slice, slice, slice, Tensor]]:
    """Yield the weights of whole rows block by block, recorded ones too.

    Yields:
        Where the heads and queries of a block stand among those asked for, its keys, and its weights, float32 ``[head,
        query, key]``, free to be overwritten. Keys that a band hides from all its queries are left out of a block.
    """
    if layer.recorded is None:
        for rows in weight_rows(layer, heads, queries):
            yield rows.heads, rows.queries, rows.keys, rows.exponentials.div_(rows.total)
        return
    count = max(1, BLOCK_BYTES // (4 * layer.n_key))
    group = max(1, count // max(1, len(queries)))
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        recorded = some.take(layer.recorded, 0)
        for start in range(0, len(queries), count):
            rows_read = queries.part(start, start + count)
            weights = rows_read.take(recorded, 1).to(torch.float32, copy=True)
            where = slice(start, start + len(rows_read))
            yield slice(first, first + len(some)), where, slice(0, layer.n_key), weights


def weight_block(layer: Layer, heads: Axis, queries: Axis, keys: Axis, cache: RowCache) -> Tensor:
    """Return weights, float32 ``[head, query, key]``, in memory of their own."""
    if layer.recorded is not None:
        block = keys.take(queries.take(heads.take(layer.recorded, 0), 1), 2)
        return block.to(torch.float32, copy=True)
    if keys.covers(layer.n_key):
        return _whole_rows(layer, heads, queries)
    totals = cache.rows(layer, heads, queries)
    vectors = Vectors.of(layer, heads, keys)
    scaled = scale(layer, vectors.dot(queries, slice(None)))
    mask = Mask.of(layer, heads, queries, keys)
    bare = None if totals.uniform is None else mask.add_as_model(scaled)
    scores = mask.add(scaled)
    if bare is not None and totals.uniform is not None:
        scores = torch.where(totals.uniform[..., None], bare, scores)
    scores.sub_(totals.maximum[..., None])
    return scores.exp_().div_(totals.total[..., None])


def _whole_rows(layer: Layer, heads: Axis, queries: Axis) -> Tensor:
    shape = (len(heads), len(queries), layer.n_key)
    weights: Tensor | None = None
    for rows in weight_rows(layer, heads, queries):
        block = rows.exponentials.div_(rows.total)
        if block.shape == shape:
            return block
        if weights is None:
            weights = torch.zeros(shape, dtype=torch.float32, device=layer.device)
        weights[rows.heads, rows.queries, rows.keys] = block
    return (
        torch.zeros(shape, dtype=torch.float32, device=layer.device) if weights is None else weights
    )


def output(layer: Layer, heads: Axis, value: Tensor) -> Tensor:
    """Return weights times values, float32 ``[head, query, value_dim]``."""
    share = layer.num_heads // len(value)
    shape = (len(heads), layer.n_query, value.shape[2])
    result = torch.zeros(shape, dtype=torch.float32, device=value.device)
    queries = Axis(range(layer.n_query))
    if layer.recorded is not None:
        for at, head in enumerate(heads.indices):
            torch.matmul(layer.recorded[head].float(), value[head // share].float(), out=result[at])
        return result
    for rows in weight_rows(layer, heads, queries):
        weights = rows.exponentials.div_(rows.total)
        used = Axis(tuple(head // share for head in heads.indices[rows.heads])).take(value, 0)
        result[rows.heads, rows.queries] = torch.matmul(weights, used[:, rows.keys].float())
    return result
