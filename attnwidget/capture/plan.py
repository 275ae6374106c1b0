"""`PassPlan`: which forward passes, rows and positions make up a generation's record."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAPTURE_INSTEAD", "PassPlan"]

CAPTURE_INSTEAD = "run attnwidget.capture(model, output_ids) on the ids that generate returned"


@dataclass(frozen=True, slots=True)
class PassPlan:
    """Which forward passes, rows and positions make up a record.

    Attributes:
        rows: Number of a pass to the row of it that counts; passes that are not in it do not count.
        history_rows: The same for all passes that the result depends on, also those whose positions a later one read anew.
        counts: Number of a pass to how many of its positions count.
        truncated: Number of a pass of which not all positions count to how many it had.
        total: Number of positions, those included that were in the cache before.
        prompt: How many of them were there before anything was generated.
        ids: Their token ids and the one after them, ``-1`` where it is not known.
    """

    rows: dict[int, int]
    history_rows: dict[int, int]
    counts: dict[int, int]
    truncated: dict[int, int]
    total: int
    prompt: int
    ids: tuple[int, ...]
