"""What each link adds to a metric, to first order: weight times gradient, from the gradient of a head's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.weights import weight_block

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = ["link_gradients", "weights_times_gradients", "why_no_gradients"]


def why_no_gradients(layer: LayerTensors) -> str | None:
    """Return why a layer has no gradients, in a sentence, or ``None`` if it has."""
    if layer.output_gradient is not None and layer.value is not None:
        return None
    if layer.value is None:
        return layer.reason or "only its weights were recorded."
    return "it was recorded without: attnwidget.capture(model, inputs, tokenizer, metric=...) keeps the gradients of a metric."


def link_gradients(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return ``∂m/∂w`` of links, float32 ``[head, query, key]``.

    A head puts out ``o_i = Σ_j w_ij v_j``, so ``∂m/∂w_ij = ∂m/∂o_i · v_j``: it needs no matrix of all weights.

    Raises:
        ValueError: If the layer has no gradients.
    """
    reason = why_no_gradients(layer)
    if reason is not None or layer.output_gradient is None or layer.value is None:
        message = f"layer {layer.layer} of stream {layer.stream!r} has no gradients: {reason}"
        raise ValueError(message)
    layer.before_reading()
    share = layer.num_heads // len(layer.value)
    gradients = queries.take(heads.take(layer.output_gradient, 0), 1).float()
    used = Axis(tuple(head // share for head in heads.indices))
    values = keys.take(used.take(layer.value, 0), 1).float()
    return torch.matmul(gradients, values.mT)


def weights_times_gradients(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return ``w · ∂m/∂w`` of links, signed, float32 ``[head, query, key]``: what the metric would lose without the link, to first order.

    Raises:
        ValueError: If the layer has no gradients.
    """
    return link_gradients(layer, heads, queries, keys).mul_(
        weight_block(layer, heads, queries, keys)
    )
