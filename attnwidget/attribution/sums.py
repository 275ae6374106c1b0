"""Sums of weight times gradient over links, block by block, and their matrix over a block of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.measures import why_no_gradients
from attnwidget.compute.softmax import exact
from attnwidget.compute.weight_rows import query_blocks, row_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.compute.weight_rows import WeightBlock
    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

    Array = NDArray[np.float64]

__all__ = ["key_sums", "positive_rows", "positive_sums", "stacked"]


def key_sums(layer: Layer) -> Array:
    """Return ``Σ_i w_ij ∂m/∂w_ij`` of each head and key, float64 ``[head, key]``.

    ``Σ_i w_ij (g_i · v_j) = (Σ_i w_ij g_i) · v_j``, so no matrix of all links is kept.

    Args:
        layer: A layer with the gradients ``g`` of its outputs.

    Raises:
        ValueError: If it has none.
    """
    gradients, values = _vectors(layer)
    found = torch.zeros(layer.num_heads, layer.n_key, dtype=torch.float64, device=layer.device)
    with exact(layer):
        for queries in query_blocks(layer.num_heads, layer.n_query, layer.n_key):
            for block, rows in _blocks(layer, queries):
                moved = block.weights.mT @ gradients[block.heads, rows]
                own = values[_groups(layer, block.heads), block.keys].float()
                found[block.heads, block.keys] += (moved * own).sum(-1, dtype=torch.float64)
    return found.cpu().numpy()


def positive_rows(layer: Layer) -> Iterator[tuple[slice, Tensor]]:
    """Yield ``E_h[(w ⊙ ∂m/∂w)⁺]`` block of queries by block of queries, with where they stand, float32 ``[query, key]``.

    Args:
        layer: A layer with the gradients of its outputs.

    Raises:
        ValueError: If it has none.
    """
    gradients, values = _vectors(layer)
    for queries in query_blocks(layer.num_heads, layer.n_query, layer.n_key):
        start = queries.indices[0]
        shape = len(queries), layer.n_key
        found = torch.zeros(shape, dtype=torch.float32, device=layer.device)
        with exact(layer):
            for block, rows in _blocks(layer, queries):
                own = values[_groups(layer, block.heads), block.keys].float()
                links = block.weights.mul_(gradients[block.heads, rows] @ own.mT)
                found[block.queries, block.keys] += links.clamp_(min=0).sum(0)
        yield slice(start, start + len(queries)), found.div_(layer.num_heads).cpu()


def positive_sums(layer: Layer) -> Array:
    """Return ``Σ_ij (w_ij ∂m/∂w_ij)⁺`` of each head, float64 ``[head]``.

    Args:
        layer: A layer with the gradients of its outputs.

    Raises:
        ValueError: If it has none.
    """
    gradients, values = _vectors(layer)
    found = torch.zeros(layer.num_heads, dtype=torch.float64, device=layer.device)
    with exact(layer):
        for queries in query_blocks(layer.num_heads, layer.n_query, layer.n_key):
            for block, rows in _blocks(layer, queries):
                own = values[_groups(layer, block.heads), block.keys].float()
                links = block.weights.mul_(gradients[block.heads, rows] @ own.mT)
                found[block.heads] += links.clamp_(min=0).sum((1, 2), dtype=torch.float64)
    return found.cpu().numpy()


def stacked(stream: Stream, rows: list[Array]) -> Array:
    """Return ``[head]`` of each layer as float64 ``[layer, head]``, NaN where a layer has fewer heads than another."""
    found = np.full((len(stream), max(map(len, rows))), np.nan)
    for at, row in enumerate(rows):
        found[at, : len(row)] = row
    return found


def _vectors(layer: Layer) -> tuple[Tensor, Tensor]:
    """Return the gradients of a layer's outputs, float32 ``[head, query, value_dim]``, and its values."""
    reason = why_no_gradients(layer)
    if reason is not None or layer.output_gradient is None or layer.value is None:
        message = f"layer {layer.layer} of stream {layer.stream!r} has no gradients: {reason}"
        raise ValueError(message)
    layer.before_reading()
    return layer.output_gradient.float(), layer.value


def _blocks(layer: Layer, queries: Axis) -> Iterator[tuple[WeightBlock, slice]]:
    """Yield weights of all heads and these queries, and where their queries stand in the layer."""
    start = queries.indices[0]
    for block in row_blocks(layer, Axis(range(layer.num_heads)), queries):
        yield block, slice(start + block.queries.start, start + block.queries.stop)


def _groups(layer: Layer, heads: slice) -> list[int]:
    """Return which values each of some heads uses."""
    share = layer.num_heads // layer.num_key_value_heads
    return [head // share for head in range(heads.start, heads.stop)]
