"""Nyströmformer: weights that are the product of three softmaxes over landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.sparse.rows import (
    BESIDE,
    DenseWeights,
    SparseAttention,
    SparseRows,
    read_size,
    split_heads,
)

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.capture.taps.events import ModuleTrace

__all__ = ["Nystrom"]

_REASON = "its weights are a product of three softmaxes over landmarks (Nyström's approximation), some of them below 0."


class Nystrom:
    """Reads ``NystromformerSelfAttention``; with as many landmarks as positions it is plain attention."""

    children = ("query", "key", "value", "conv")
    projections = BESIDE

    def read(
        self, module: nn.Module, trace: ModuleTrace, row: int
    ) -> SparseAttention | DenseWeights:
        """Multiply the three, the middle one inverted as the model does."""
        heads = read_size(module, "num_attention_heads")
        query, key, value = (
            split_heads(trace.outputs[name][0], heads, row) for name in self.children[:3]
        )
        # A convolution of the values, head by head.
        besides = trace.outputs["conv"][0][row].detach() if "conv" in trace.outputs else None
        if len(trace.softmaxes) == 1:
            softmax = trace.softmaxes[0]
            everyone = torch.arange(query.shape[1], device=query.device)
            group = SparseRows(
                everyone,
                everyone.expand(1, len(everyone), -1),
                softmax.logits[row].detach(),
                softmax.weights[row].detach(),
            )
            return SparseAttention(
                query, key, value, query.shape[-1] ** -0.5, (group,), besides=besides
            )
        to_landmarks, between, from_landmarks = (
            softmax.weights.detach() for softmax in trace.softmaxes
        )
        own: Any = module
        # Its start depends on the whole batch.
        left = torch.matmul(to_landmarks, own.iterative_inv(between))
        weights = torch.matmul(left, from_landmarks)[row]
        return DenseWeights(weights, value, _REASON, besides)
