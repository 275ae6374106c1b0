"""Any block of weights, scores, bias or output of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.model_precision import whole_heads
from attnwidget.compute.online_softmax import row_stats
from attnwidget.compute.softmax import (
    Mask,
    ScoreVectors,
    scale,
)
from attnwidget.compute.weight_rows import (
    weight_rows,
)

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors


__all__ = ["additive_block", "output", "score_block", "weight_block"]


def score_block(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return scores before softmax, float32 ``[head, query, key]``, ``-inf`` where masked."""
    dots = ScoreVectors.of(layer, heads, keys).dot(queries, slice(None))
    return Mask.of(layer, heads, queries, keys).add(scale(layer, dots))


def additive_block(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return what is added to the scaled product, float32 ``[head, query, key]``, ``-inf`` where masked."""
    shape = (len(heads), len(queries), len(keys))
    nothing = torch.zeros(shape, dtype=torch.float32, device=layer.device)
    return Mask.of(layer, heads, queries, keys).add(nothing)


def weight_block(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return weights, float32 ``[head, query, key]``, in memory of their own."""
    if layer.recorded is not None:
        block = keys.take(queries.take(heads.take(layer.recorded, 0), 1), 2)
        return block.to(torch.float32, copy=True)
    if layer.has_matrices:
        shape = (len(heads), len(queries), len(keys))
        found = torch.empty(shape, dtype=torch.float32, device=layer.device)
        for at in range(len(heads)):
            found[at] = keys.take(queries.take(whole_heads(layer, heads.part(at, at + 1)), 1), 2)[0]
        return found
    if keys.covers(layer.n_key):
        return _whole_rows(layer, heads, queries)
    stats = row_stats(layer, heads, queries)
    vectors = ScoreVectors.of(layer, heads, keys)
    scaled = scale(layer, vectors.dot(queries, slice(None)))
    mask = Mask.of(layer, heads, queries, keys)
    bare = None if stats.uniform is None else mask.add_as_model(scaled)
    scores = mask.add(scaled)
    if bare is not None and stats.uniform is not None:
        scores = torch.where(stats.uniform[..., None], bare, scores)
    scores.sub_(stats.maximum[..., None])
    return scores.exp_().div_(stats.total[..., None])


def _whole_rows(layer: LayerTensors, heads: Axis, queries: Axis) -> Tensor:
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


def output(layer: LayerTensors, heads: Axis, queries: Axis, value: Tensor) -> Tensor:
    """Return weights times values, float32 ``[head, query, value_dim]``; of edited heads what was put in its place."""
    result = _weighted_values(layer, heads, queries, value)
    if layer.edited_output is not None:
        for at, head in enumerate(heads.indices):
            if head in layer.edited_heads:
                put = layer.edited_output[layer.edited_heads.index(head)]
                result[at] = (put if len(put) == 1 else queries.take(put, 0)).float()
    return result


def _weighted_values(layer: LayerTensors, heads: Axis, queries: Axis, value: Tensor) -> Tensor:
    share = layer.num_heads // len(value)
    shape = (len(heads), len(queries), value.shape[2])
    result = torch.zeros(shape, dtype=torch.float32, device=value.device)
    if layer.has_matrices:
        for at, head in enumerate(heads.indices):
            weights = queries.take(whole_heads(layer, heads.part(at, at + 1)), 1)[0].float()
            torch.matmul(weights, value[head // share].float(), out=result[at])
        return result
    for rows in weight_rows(layer, heads, queries):
        weights = rows.exponentials.div_(rows.total)
        used = Axis(tuple(head // share for head in heads.indices[rows.heads]))
        # Cut to the keys first: what the rows do not see is neither copied nor made float32.
        seen = used.take(value[:, rows.keys], 0).float()
        result[rows.heads, rows.queries] = torch.matmul(weights, seen)
    return result
