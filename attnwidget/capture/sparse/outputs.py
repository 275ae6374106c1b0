"""`head_outputs`: what heads put out, worked out from what an adapter read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import DenseWeights

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.sparse.rows import SparseAttention, SparseRows

__all__ = ["head_outputs"]


def head_outputs(sparse: SparseAttention | DenseWeights, queries: Tensor) -> Tensor:
    """Return what all heads put out at some queries, as the module goes on with it.

    Args:
        sparse: What an adapter read of one row of a batch.
        queries: Which queries, ``[row]``, in ascending order.

    Returns:
        float32 ``[row, head, value_dim]``.
    """
    if isinstance(sparse, DenseWeights):
        found = sparse.weights[:, queries].float() @ sparse.value.float()
    else:
        found = _weighted_sums(sparse, queries)
        if sparse.second_half is not None:
            first, second = found.chunk(2, dim=-1)
            found = torch.where(sparse.second_half[queries][:, None], second, first)
    if sparse.besides is not None:
        found = found + sparse.besides[:, queries]
    return found.movedim(1, 0)


def _weighted_sums(sparse: SparseAttention, queries: Tensor) -> Tensor:
    """Return ``[head, row, value_dim]``."""
    value = sparse.value.float()
    heads, _, width = value.shape
    found = value.new_zeros(heads, len(queries), width)
    for group in sparse.row_groups:
        chosen = torch.isin(group.queries, queries).nonzero()[:, 0]
        if len(chosen):
            rows = torch.searchsorted(queries, group.queries[chosen])
            found[:, rows] = _sums(group, chosen, value)
    return found


def _sums(group: SparseRows, chosen: Tensor, value: Tensor) -> Tensor:
    """Return the weighted sums of some rows of a group, ``[head, row, value_dim]``."""
    keys = group.keys[:, chosen].expand(len(value), -1, -1)
    weights = group.weights[:, chosen].float().nan_to_num().masked_fill(keys < 0, 0.0)
    each = torch.arange(len(value), device=value.device)[:, None, None]
    return (weights[..., None, :] @ value[each, keys.clamp(min=0)])[..., 0, :]
