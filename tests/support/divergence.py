"""The Jensen–Shannon divergence of two records' heads, from its definition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from support.records import dense_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.attention import Attention

__all__ = ["dense_divergence"]


class _Place(Protocol):
    @property
    def at(self) -> tuple[int | None, ...]: ...


def dense_divergence(
    two: tuple[Attention, Attention],
    axis: Sequence[_Place],
    where: tuple[int, int],
    at: tuple[int, int] = (0, 1),
) -> float:
    """Compute the divergence of a head, one query after the other.

    Args:
        two: Records of a stream ``"self"``, whose queries are its keys.
        axis: The places of their common axis.
        where: Layer and head.
        at: Which entries of a place are the two records' positions.
    """
    layer, head = where
    weights = [dense_weights(each["self"][layer]).numpy()[head] for each in two]
    found = []
    for query in axis:
        own = [query.at[number] for number in at]
        if None in own:
            continue
        rows = [
            [0.0 if key.at[number] is None else row[mine][key.at[number]] for key in axis]
            for number, mine, row in zip(at, own, weights, strict=True)
        ]
        rows = [[*row, max(0.0, 1 - sum(row))] for row in rows]
        middle = [sum(both) / 2 for both in zip(*rows, strict=True)]
        found.append(
            sum(
                p * math.log2(p / m) / 2
                for row in rows
                for p, m in zip(row, middle, strict=True)
                if p > 0
            )
        )
    return sum(found) / len(found)
