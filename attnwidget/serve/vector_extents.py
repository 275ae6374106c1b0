"""How large the numbers of one head's vectors get over all positions: what colour scales that stay put end at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.softmax import exact

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = ["vector_extents"]


def vector_extents(layer: LayerTensors, head: int) -> Tensor:
    """Return the largest size of a number in a head's vectors, float32 ``[4]``.

    Of its queries, of its keys, of any product of a query and a key in one dimension, and of its values: 0 where the
    layer has none. No output is larger than the last, since weights of a row add up to 1 at most. What is not finite
    does not count: a scale would end nowhere.

    Args:
        layer: A layer with query and key vectors.
        head: A query head, counted from 0.

    Raises:
        ValueError: If the layer holds only weights.
    """
    if layer.query is None or layer.key is None:
        message = (
            f"layer {layer.layer} of stream {layer.stream!r} has no query and key vectors:"
            f" {layer.reason or 'only its weights were recorded.'}"
        )
        raise ValueError(message)
    with exact(layer):
        query = _sizes(layer.query[head])
        key = _sizes(layer.key[head * len(layer.key) // layer.num_heads])
        none = torch.zeros(1, dtype=torch.float32, device=query.device)
        value = none
        if layer.value is not None:
            value = _sizes(layer.value[head * len(layer.value) // layer.num_heads])
        # The largest product of a dimension is that of its largest numbers, whichever positions have them.
        found = [query, key, query * key, value]
        return torch.stack([torch.cat([none, each]).max() for each in found])


def _sizes(vectors: Tensor) -> Tensor:
    """Return the largest size in each dimension, float32 ``[dimension]``."""
    sizes = vectors.float().abs().nan_to_num(0.0, 0.0, 0.0)
    return sizes.amax(0) if len(sizes) else sizes.new_zeros(sizes.shape[1])
