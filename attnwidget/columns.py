"""A head by its keys: what every query gives some of them, and what each of them gets on average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.rows import BLOCK_BYTES
from attnwidget.selection import head_axis, position_axis
from attnwidget.slices import finish

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

    Numbers = NDArray[np.float32]

__all__ = ["column", "column_slices", "mean", "mean_slices"]


def column(layer: Layer, head: int, keys: slice) -> Numbers:
    """Return what every query gives some keys, float32 ``[query, key]``.

    Raises:
        ValueError: If there is no such head.
    """
    return finish(column_slices(layer, head, keys))


def column_slices(layer: Layer, head: int, keys: slice) -> Slices[Numbers]:
    """Return `column` as a computation in slices."""
    head_axis(head, layer.num_heads)
    count = len(position_axis("keys", keys, layer.n_key))
    return _column(layer, head, keys, count)


def _column(layer: Layer, head: int, keys: slice, count: int) -> Slices[Numbers]:
    found = np.zeros((layer.n_query, count), np.float32)
    rows = max(1, BLOCK_BYTES // (4 * layer.n_key))
    for start in range(0, layer.n_query, rows):
        some = slice(start, min(layer.n_query, start + rows))
        found[some] = layer.weights(head, some, keys)
        yield some.stop / layer.n_query
    return found


def mean(layer: Layer, head: int) -> Numbers:
    """Return the mean weight of each key over all queries, float32 ``[1, key]``.

    Raises:
        ValueError: If there is no such head.
    """
    return finish(mean_slices(layer, head))


def mean_slices(layer: Layer, head: int) -> Slices[Numbers]:
    """Return `mean` as a computation in slices."""
    head_axis(head, layer.num_heads)
    return _mean(layer, head)


def _mean(layer: Layer, head: int) -> Slices[Numbers]:
    total = np.zeros((1, layer.n_key))
    rows = max(1, BLOCK_BYTES // (4 * layer.n_key))
    for start in range(0, layer.n_query, rows):
        some = slice(start, min(layer.n_query, start + rows))
        total += layer.weights(head=head, queries=some).sum(axis=0, dtype=np.float64)
        yield some.stop / layer.n_query
    return (total / layer.n_query).astype(np.float32)
