"""Nyströmformer: weights that are the product of three softmaxes, over some landmarks between query and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.sparse.rows import Sparse, Strip, Whole, heads_of, number

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.capture.taps.events import Notes

__all__ = ["Nystrom"]

_REASON = "its weights are a product of three softmaxes over landmarks (Nyström's approximation), some of them below 0."


class Nystrom:
    """Reads ``NystromformerSelfAttention``; with as many landmarks as positions it is plain attention."""

    children = ("query", "key", "value")

    def read(self, module: nn.Module, notes: Notes, row: int) -> Sparse | Whole:
        """Multiply the three, the middle one inverted as the model does."""
        heads = number(module, "num_attention_heads")
        query, key, value = (heads_of(notes.outputs[name][0], heads, row) for name in self.children)
        if len(notes.softmaxes) == 1:
            noted = notes.softmaxes[0]
            everyone = torch.arange(query.shape[1], device=query.device)
            strip = Strip(
                everyone,
                everyone.expand(1, len(everyone), -1),
                noted.logits[row].detach(),
                noted.weights[row].detach(),
            )
            return Sparse(query, key, value, query.shape[-1] ** -0.5, (strip,))
        to_landmarks, between, from_landmarks = (
            noted.weights.detach() for noted in notes.softmaxes
        )
        own: Any = module
        # Its start depends on the whole batch.
        left = torch.matmul(to_landmarks, own.iterative_inv(between))
        return Whole(torch.matmul(left, from_landmarks)[row], value, _REASON)
