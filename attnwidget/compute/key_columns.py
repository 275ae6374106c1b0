"""One head by key: the weights every query gives some keys, and their mean over queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.indexing import Axis, head_axis
from attnwidget.compute.measures import factors
from attnwidget.compute.overview import weight_strips
from attnwidget.compute.resumable import finish, within
from attnwidget.compute.tiles import read_cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.resumable import Slices

    Numbers = NDArray[np.float32]

__all__ = ["column", "column_slices", "mean", "mean_slices"]


def column(layer: LayerTensors, head: int, keys: slice) -> Numbers:
    """Return what every query gives some keys, float32 ``[query, key]``.

    Raises:
        ValueError: If there is no such head.
    """
    return finish(column_slices(layer, head, keys))


def column_slices(layer: LayerTensors, head: int, keys: slice) -> Slices[Numbers]:
    """Return `column` as a computation in slices; queries that see none of the keys are not read."""
    heads = Axis(head_axis(head, layer.num_heads).indices)
    spans = range(layer.n_query), range(layer.n_key)[keys]
    return within(layer, read_cells(layer, heads, 0, spans, None))


def mean(
    layer: LayerTensors, head: int, measure: str = "weights", queries: range | None = None
) -> Numbers:
    """Return the mean weight of each key over some queries, float32 ``[1, key]``.

    Args:
        layer: The layer.
        head: The head.
        measure: Of what, as for `Layer.measure`.
        queries: The queries, one after the other; ``None`` for all.

    Raises:
        ValueError: If there is no such head, or the layer cannot give the measure.
    """
    return finish(mean_slices(layer, head, measure, queries))


def mean_slices(
    layer: LayerTensors, head: int, measure: str = "weights", queries: range | None = None
) -> Slices[Numbers]:
    """Return `mean` as a computation in slices; arguments and errors are the same, the latter come first."""
    heads = Axis(head_axis(head, layer.num_heads).indices)
    scale = factors(layer, measure)
    some = range(layer.n_query) if queries is None else queries
    return within(layer, _mean(layer, heads, some, scale))


def _mean(
    layer: LayerTensors, heads: Axis, queries: range, scale: Factors | None
) -> Slices[Numbers]:
    summed = torch.zeros(layer.n_key, dtype=torch.float64, device=layer.device)
    size = current_sizes().strip_queries
    for start in range(0, len(queries), size):
        strip = queries[start : start + size]
        for block in weight_strips(layer, heads, Axis(strip)):
            if scale is not None and scale.by_query:
                block.weights.mul_(scale.of(block, heads, Axis(strip)))
            summed[block.keys] += block.weights.mT[0].sum(1)
        yield (start + len(strip)) / len(queries)
    means = (summed / max(1, len(queries))).float()
    if scale is not None and not scale.by_query:
        means = means * scale.block(heads, Axis(range(1)), Axis(range(layer.n_key)))[0, 0]
    array: Numbers = means[None].cpu().numpy()
    return array
