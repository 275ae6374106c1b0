"""Whole rows of weights, one block of queries at a time, ``[head, query, key]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.indexing import Axis
from attnwidget.compute.model_precision import whole_heads
from attnwidget.compute.softmax import ScoreVectors, exponentiate, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors


__all__ = [
    "WeightBlock",
    "WeightRows",
    "query_blocks",
    "row_blocks",
    "weight_blocks",
    "weight_rows",
]


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


def weight_rows(layer: LayerTensors, heads: Axis, queries: Axis) -> Iterator[WeightRows]:
    """Read whole rows block by block, in memory bounded by ``BlockSizes.row_bytes`` and without the keys a band hides.

    Of the keys only those are made float32 that some of the queries may see: a row costs a row.
    """
    sizes = current_sizes()
    share = layer.num_heads // layer.num_key_value_heads
    row_bytes = 4 * layer.n_key
    group = max(1, sizes.row_bytes // max(1, len(queries) * row_bytes) // share) * share
    if layer.key is not None and layer.key.dtype != torch.float32:
        key_heads = max(1, sizes.key_bytes // max(1, row_bytes * layer.key.shape[2]))
        group = min(group, key_heads * share)
    seen = _visible_keys(layer, queries, range(1)) if len(queries) else range(0)
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        vectors = ScoreVectors.of(layer, some, Axis(seen))
        count = max(1, sizes.row_bytes // (len(some) * row_bytes))
        for start in range(0, len(queries), count):
            rows = queries.part(start, start + count)
            keys = _visible_keys(layer, rows, seen[:1])
            here = slice(keys.start - seen.start, keys.stop - seen.start)
            scaled = scale(layer, vectors.dot(rows, here))
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


def _visible_keys(layer: LayerTensors, queries: Axis, none: range) -> range:
    """Return the keys from the first to the last that a band lets any of the queries see.

    Args:
        layer: The layer.
        queries: The queries.
        none: What rows that see nothing keep: one masked key, so that there is a score to take the largest of.
    """
    if layer.band is None:
        return range(layer.n_key)
    keys = layer.band.span(min(queries.indices), max(queries.indices), layer.n_key)
    return keys if len(keys) else none


@dataclass(frozen=True, slots=True)
class WeightBlock:
    """Weights of some heads and queries.

    Attributes:
        heads: Where the heads stand among those that were asked for.
        queries: Where the queries stand among those that were asked for.
        keys: The keys. Those that a band hides from all of the queries are left out of a block; their weight is 0.
        weights: float32 ``[head, query, key]``, free to be overwritten.
    """

    heads: slice
    queries: slice
    keys: slice
    weights: Tensor


def row_blocks(layer: LayerTensors, heads: Axis, queries: Axis) -> Iterator[WeightBlock]:
    """Yield the weights of whole rows block by block, recorded ones and those of the model's arithmetic too."""
    if not layer.has_matrices:
        for rows in weight_rows(layer, heads, queries):
            weights = rows.exponentials.div_(rows.total)
            yield WeightBlock(rows.heads, rows.queries, rows.keys, weights)
        return
    count = max(1, current_sizes().row_bytes // (4 * layer.n_key))
    group = max(1, count // max(1, len(queries)))
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        matrices = whole_heads(layer, some)
        for start in range(0, len(queries), count):
            rows_read = queries.part(start, start + count)
            weights = rows_read.take(matrices, 1).to(torch.float32, copy=True)
            where = slice(start, start + len(rows_read))
            yield WeightBlock(
                slice(first, first + len(some)), where, slice(0, layer.n_key), weights
            )


def query_blocks(num_heads: int, n_query: int, n_key: int) -> Iterator[Axis]:
    """Cut the queries so that a block of all heads stays within a core's cache, for short inputs."""
    sizes = current_sizes()
    count = max(sizes.least_rows, sizes.row_bytes // (4 * max(1, num_heads) * n_key))
    for start in range(0, n_query, count):
        yield Axis(range(start, min(start + count, n_query)))


def weight_blocks(layer: LayerTensors, queries: Axis) -> Iterator[WeightBlock]:
    """Yield the weights of all heads and these queries block by block."""
    yield from row_blocks(layer, Axis(range(layer.num_heads)), queries)
