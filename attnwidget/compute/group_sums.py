"""How much weight each group of queries gives each group of keys, for every head of a layer, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.resumable import within
from attnwidget.compute.weighted_columns import weighted_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.resumable import Slices

__all__ = ["GroupNumbers", "group_share_slices"]


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """Which group each query and each key is in.

    Attributes:
        count: How many groups there are.
        queries: The number of each query's group.
        keys: The number of each key's group.
        rows: What each query counts in the mean of its group; None for one each.
    """

    count: int
    queries: Sequence[int]
    keys: Sequence[int]
    rows: Sequence[float] | None = None


def group_share_slices(
    layer: LayerTensors, groups: GroupNumbers, lengths: Tensor | None = None
) -> Slices[Tensor]:
    """Return the mean over the queries of each group of their weight on each group, in slices.

    Args:
        layer: The layer.
        groups: The groups.
        lengths: ``[head, key]``, by which weights are multiplied first; each row is then divided by its sum.

    Returns:
        float64 ``[head, from, to]`` on the CPU, NaN from a group without queries.
    """
    return within(layer, _shares(layer, groups, lengths))


def _shares(layer: LayerTensors, groups: GroupNumbers, lengths: Tensor | None) -> Slices[Tensor]:
    device, count = layer.device, groups.count
    keys = torch.tensor(groups.keys, device=device)
    columns = torch.nn.functional.one_hot(keys, count).float()[None]
    if lengths is not None:
        columns = columns * lengths[..., None].float()
    queries = torch.tensor(groups.queries, device=device)
    rows = torch.ones(layer.n_query, dtype=torch.float64, device=device)
    if groups.rows is not None:
        rows = torch.tensor(groups.rows, dtype=torch.float64, device=device)
    summed = torch.zeros((layer.num_heads, count, count), dtype=torch.float64, device=device)
    members = torch.nn.functional.one_hot(queries, count).mT * rows
    for block in weighted_columns(layer, columns):
        sums = block.sums.double()
        if lengths is not None:
            sums = sums / sums.sum(-1, keepdim=True).clamp(min=1e-30)
        if bool(sums.isfinite().all()):
            summed[block.heads] += members[:, block.queries] @ sums
        else:
            # A row that is not numbers would make those of all groups so; this is slow, and keeps them apart.
            weighted = sums * rows[block.queries, None]
            summed[block.heads].index_add_(1, queries[block.queries], weighted)
        yield block.part(layer)
    size = torch.zeros(count, dtype=torch.float64, device=device).index_add_(0, queries, rows)
    return (summed / size[:, None]).cpu()
