"""`Windows`: which positions of a sequence the queries and keys of a call are, counted over the calls of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnwidget.capture.architecture.stream_names import is_cross
from attnwidget.capture.edits.links import Window

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.edits.resolve import EditedLayer

__all__ = ["Windows", "used_keys"]


class Windows:
    """Counts the positions that each layer has seen: a step of a generation goes on where the last call ended."""

    def __init__(self) -> None:
        """Start with none."""
        # By stream and layer: keys that were there before its first query, and queries so far.
        self._seen: dict[tuple[str, int], tuple[int, int]] = {}

    def of(
        self, layer: EditedLayer, queries: int, used: int, keys: int, *, before: int | None = None
    ) -> Window:
        """Return what the queries and keys of a call are, and count them.

        Args:
            layer: The layer.
            queries: How many queries it has.
            used: How many keys were written.
            keys: How many keys it has, those of a buffer that were never written among them.
            before: How many positions the model had read before this pass, where it says so.
        """
        name = layer.stream, layer.layer
        if is_cross(layer.place.path, layer.module):
            # All steps look at the same keys: which query of its sequence one alone is, is not told by them.
            if before is None and queries > 1:
                before = 0
            return Window(before, 0, queries, keys)
        first_of, count = self._seen.get(name, (max(0, used - queries), 0))
        if used - queries == first_of:
            count = 0  # from the start: another sequence
        self._seen[name] = first_of, count + queries
        # A window of a cache that moves along holds the last keys only.
        first = max(0, first_of + count + queries - used) if _slides(layer) else 0
        return Window(count, first, queries, used)


def _slides(layer: EditedLayer) -> bool:
    return bool(
        getattr(layer.module, "sliding_window", None) or getattr(layer.module, "is_sliding", False)
    )


def used_keys(weights: Tensor) -> int:
    """Return how many keys of a weighted sum were written: what follows has no weight.

    Args:
        weights: ``[row, head, query, key]``.
    """
    queries, keys = weights.shape[-2:]
    if keys <= queries:
        return int(keys)
    weighted = (weights != 0).flatten(0, 2).any(dim=0).nonzero()
    return max(int(queries), int(weighted.max()) + 1 if len(weighted) else 0)
