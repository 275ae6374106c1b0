"""Weights in the model's own precision: computed again from the vectors, or kept where that gives other bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.layer_tensors import EXACT
from attnwidget.compute.model_precision import computed_heads
from attnwidget.compute.softmax import exact as computing

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.store import Store
    from attnwidget.record.layer import Layer

__all__ = ["in_model_precision"]


def in_model_precision(layer: Layer, own: Tensor | None, store: Store) -> Layer:
    """Return a layer whose weights are those that the model computed.

    Args:
        layer: The layer, with vectors.
        own: ``[head, query, key]`` weights that the model computed, if it has them.
        store: Where they are kept if the vectors do not give them again, bit for bit.
    """
    said = replace(layer, exact="model")
    if own is None:
        return said
    # Processes that share a model join what they hold: each has to hold the same kinds of tensors.
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        # What the code of the eager function says is tried first.
        for dtype in sorted(EXACT, key=lambda each: each != layer.softmax_dtype):
            tried = replace(said, softmax_dtype=dtype)
            if _gives(tried, own):
                return tried
    kept: Tensor = store.place({"recorded": own.contiguous()})["recorded"]
    return replace(said, recorded=kept)


def _gives(layer: Layer, own: Tensor) -> bool:
    with computing(layer):
        return all(
            torch.equal(weights.float(), own[head].to(layer.device).float())
            for head, weights in computed_heads(layer)
        )
