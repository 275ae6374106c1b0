"""`ScoredRows`: the scores of some rows of weights, for those who want to know in which of them a head does something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from attnwidget.analysis.score_definitions import SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from attnwidget.analysis.score_sums import Patterns

__all__ = ["RowWatcher", "ScoredRows", "scores_of_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Rows of some heads of a layer, as they are read to be scored.

    Attributes:
        heads: Which heads of the layer.
        rows: Which queries, among those of the block ``patterns`` is of.
        keys: Which keys the weights are of.
        weights: Weights, or whatever is scored, float32 ``[head, query, key]``; to be read only.
        patterns: Which keys each score is about, for a block of queries.
        values: The score of each row, all weight counted, float64 ``[head, query, score]`` in the order of ``SCORES``.
        valid: Whether the score is read from the row, boolean, the same shape.
        counts: How many keys each query sees, ``[head or 1, query]``.
    """

    heads: slice
    rows: slice
    keys: slice
    weights: Tensor
    patterns: Patterns
    values: Tensor
    valid: Tensor
    counts: Tensor


class RowWatcher(Protocol):
    """What is shown the rows while a stream is scored."""

    def see(self, place: int, rows: ScoredRows, /) -> None:
        """Look at some rows of the layer at this place of the stream."""


def scores_of_rows(
    read: Mapping[str, tuple[Tensor, Tensor]], like: Tensor
) -> tuple[Tensor, Tensor]:
    """Return all scores of some rows side by side, in the order of ``SCORES``, and which of them are read.

    Args:
        read: Of each score its value in every row, and which rows it is read from, ``[head, query]``; a score that no row
            has may be missing.
        like: Anything of that shape.

    Returns:
        float64 and boolean ``[head, query, score]``.
    """
    none = (
        like.new_zeros(like.shape, dtype=torch.float64),
        like.new_zeros(like.shape, dtype=torch.bool),
    )
    found = [read.get(name, none) for name in SCORES]
    values = [value.double().expand(like.shape) for value, _ in found]
    return torch.stack(values, -1), torch.stack([one.expand(like.shape) for _, one in found], -1)
