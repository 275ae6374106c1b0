"""How much weight each group of queries gives each group of keys, for every head of a layer, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.resumable import within
from attnwidget.compute.weighted_columns import weighted_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.resumable import Slices

__all__ = ["LEAST_LEFT", "GroupNumbers", "group_share_slices", "without_aside"]

LEAST_LEFT = 1e-6
"""A row that has no more left than this, with some keys set aside, has nothing there that could be shared out."""


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """Which group each query and each key is in.

    Attributes:
        count: How many groups there are.
        queries: The number of each query's group, of the first queries if not of all.
        keys: The number of each key's group.
        rows: What each query counts in the mean of its group; None for one each.
        aside: Keys that are set aside: each row is divided by what remains, and left out if that is nothing.
    """

    count: int
    queries: Sequence[int]
    keys: Sequence[int]
    rows: Sequence[float] | None = None
    aside: Sequence[int] = ()


def group_share_slices(
    layer: LayerTensors, groups: GroupNumbers, factors: Factors | None = None
) -> Slices[Tensor]:
    """Return the mean over the queries of each group of their weight on each group, in slices.

    Args:
        layer: The layer.
        groups: The groups.
        factors: By what weights are multiplied first, not negative; each row is then divided by its sum.

    Returns:
        float64 ``[head, from, to]`` on the CPU, NaN from a group without queries, or whose queries have nothing left.
    """
    return within(layer, _shares(layer, groups, factors))


def _shares(layer: LayerTensors, groups: GroupNumbers, factors: Factors | None) -> Slices[Tensor]:
    device, count = layer.device, groups.count
    keys = torch.tensor(groups.keys, device=device)
    columns = torch.nn.functional.one_hot(keys, count).float()[None]
    if groups.aside:
        aside = torch.zeros_like(columns[..., :1])
        aside[:, list(groups.aside)] = 1
        columns = torch.cat([columns * (1 - aside), aside], -1)
    by_link = None
    if factors is not None and factors.by_query:
        by_link = factors
    elif factors is not None:
        every = Axis(range(layer.num_heads)), Axis(range(1)), Axis(range(layer.n_key))
        columns = columns * factors.block(*every)[:, 0, :, None].float()
    queries = torch.tensor(groups.queries, device=device)
    n_query = len(groups.queries)
    rows = torch.ones(n_query, dtype=torch.float64, device=device)
    if groups.rows is not None:
        rows = torch.tensor(groups.rows, dtype=torch.float64, device=device)
    summed = torch.zeros((layer.num_heads, count, count), dtype=torch.float64, device=device)
    size = torch.zeros(count, dtype=torch.float64, device=device).index_add_(0, queries, rows)
    left_out = torch.zeros((layer.num_heads, count), dtype=torch.float64, device=device)
    members = torch.nn.functional.one_hot(queries, count).mT * rows
    for block in weighted_columns(layer, columns, n_query, by_link):
        sums = block.sums.double()
        if factors is not None:
            sums = sums / sums.sum(-1, keepdim=True).clamp(min=1e-30)
        if groups.aside:
            sums, empty = without_aside(sums[..., :count])
            left_out[block.heads] += empty.double() @ members[:, block.queries].mT
        if bool(sums.isfinite().all()):
            summed[block.heads] += members[:, block.queries] @ sums
        else:
            # A row that is not numbers would make those of all groups so; this is slow, and keeps them apart.
            weighted = sums * rows[block.queries, None]
            summed[block.heads].index_add_(1, queries[block.queries], weighted)
        yield block.part(layer.num_heads, n_query)
    return (summed / (size - left_out)[..., None]).cpu()


def without_aside(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows divided by what remains of them, 0 where that is nothing, and which rows these are.

    Args:
        sums: What remains of each row, in parts, ``[…, part]``. A row that is not numbers stays one.
    """
    left = sums.sum(-1)
    empty = left <= LEAST_LEFT
    return (sums / left[..., None]).masked_fill(empty[..., None], 0.0), empty
