"""A head by its keys: what every query gives some of them, and what each of them gets on average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.means import weight_strips
from attnwidget.selection import Axis, head_axis
from attnwidget.slices import finish, within
from attnwidget.strips import STRIP
from attnwidget.tiles import read_cells

if TYPE_CHECKING:
    import numpy as np
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
    """Return `column` as a computation in slices; queries that see none of the keys are not read."""
    heads = Axis(head_axis(head, layer.num_heads).indices)
    spans = range(layer.n_query), range(layer.n_key)[keys]
    return within(layer, read_cells(layer, heads, 0, spans, None))


def mean(layer: Layer, head: int) -> Numbers:
    """Return the mean weight of each key over all queries, float32 ``[1, key]``.

    Raises:
        ValueError: If there is no such head.
    """
    return finish(mean_slices(layer, head))


def mean_slices(layer: Layer, head: int) -> Slices[Numbers]:
    """Return `mean` as a computation in slices."""
    heads = Axis(head_axis(head, layer.num_heads).indices)
    return within(layer, _mean(layer, heads))


def _mean(layer: Layer, heads: Axis) -> Slices[Numbers]:
    summed = torch.zeros(layer.n_key, dtype=torch.float64, device=layer.device)
    for start in range(0, layer.n_query, STRIP):
        queries = Axis(range(start, min(layer.n_query, start + STRIP)))
        for _, _, keys, block in weight_strips(layer, heads, queries):
            summed[keys.start : keys.stop] += block[0].sum(1)
        yield (start + len(queries)) / layer.n_query
    array: Numbers = (summed / layer.n_query).float()[None].cpu().numpy()
    return array
