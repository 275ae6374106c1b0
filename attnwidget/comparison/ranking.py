"""Heads ranked by how much they change, as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.tables import table
from attnwidget.compute.not_numbers import strongest_first, warn_not_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ranked_heads"]


def ranked_heads(rows: Sequence[dict[str, Any]], by: str, count: int | None, *, change: str) -> Any:
    """Return the heads that change most, for a public function to return: the warning points at its caller.

    Args:
        rows: A row for each head, with ``stream``, ``layer`` and ``head``.
        by: The column they are ranked by, the largest first.
        count: How many are returned; ``None`` for all.
        change: The column that is NaN of a head whose weights are NaN; such heads come last.

    Warns:
        UserWarning: If there are such heads.
    """
    unknown = (
        (row["stream"], row["layer"], row["head"]) for row in rows if math.isnan(row[change])
    )
    warn_not_numbers(unknown, "such heads come last", stacklevel=3)
    ranked = sorted(rows, key=lambda row: strongest_first(row[by]))
    return table({"rank": place, **row} for place, row in enumerate(ranked[:count], start=1))
