"""`Window` and `Windows`: which positions of a sequence the queries and keys of a call are, counted over the calls of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attnwidget.capture.architecture.stream_names import is_cross
from attnwidget.capture.calls.chunks import may_attend_in_chunks
from attnwidget.capture.edits.padding import ALL_REAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attnwidget.capture.edits.padding import RealPositions
    from attnwidget.capture.edits.resolve import EditedLayer

__all__ = ["Window", "Windows", "used_keys"]


@dataclass(frozen=True, slots=True)
class Window:
    """Which positions the queries and keys of one call are.

    Attributes:
        query: Position of the first query; ``None`` where that is not known.
        key: Position of the first key.
        queries: How many queries the call has.
        keys: How many keys, those of a cache that were never written left out.
        is_chunk: Whether they are a part of the input, which attends within itself.
        real: Which of them are no padding in one row of the batch: those are counted.
    """

    query: int | None
    key: int
    queries: int
    keys: int
    is_chunk: bool = False
    real: RealPositions = ALL_REAL

    def rows(self, positions: Sequence[int] | None) -> list[int]:
        """Return which rows of the call are queries at these positions.

        Raises:
            ValueError: If that is not known.
        """
        if positions is None:
            return list(range(self.queries))
        if self.query is None:
            msg = (
                "which query of its input a step of a generation is, is not known where it looks at another sequence and the "
                "model does not say how much it has read: name keys only, such as cut(key=3)."
            )
            raise ValueError(msg)
        return _within(_counted(positions, self.real.queries), self.query, self.queries)

    def columns(self, positions: Sequence[int] | None) -> list[int]:
        """Return which columns of the call are keys at these positions."""
        if positions is None:
            return list(range(self.keys))
        return _within(_counted(positions, self.real.keys), self.key, self.keys)

    def count(self, axis: Literal["queries", "keys"]) -> int:
        """Return how many positions an axis has without padding."""
        real: tuple[int, ...] | None = getattr(self.real, axis)
        return int(getattr(self, axis)) if real is None else len(real)


def _counted(positions: Sequence[int], real: tuple[int, ...] | None) -> Sequence[int]:
    """Return positions as the model counts them, padding included; those that are not there are left out."""
    return positions if real is None else [real[place] for place in positions if place < len(real)]


def _within(positions: Sequence[int], first: int, count: int) -> list[int]:
    return [place - first for place in positions if 0 <= place - first < count]


class Windows:
    """Counts the positions that each layer has seen.

    A step of a generation goes on where the last call ended, and so does a chunk of an input, such as one of several
    pictures, which a module attends within one after the other.
    """

    def __init__(self) -> None:
        """Start with none."""
        # By stream and layer: keys that were there before its first query, and queries so far.
        self._seen: dict[tuple[str, int], tuple[int, int]] = {}
        # Positions of the chunks of the present pass that have been.
        self._chunks: dict[tuple[str, int], int] = {}

    def begin_pass(self) -> None:
        """Begin another forward pass of the model."""
        self._chunks.clear()

    def first_of_chunk(self, layer: EditedLayer) -> int:
        """Return how many positions the chunks before the present call had; 0 where it has no chunks."""
        return self._chunks.get((layer.stream, layer.layer), 0)

    def end_call(self, layer: EditedLayer, queries: int, keys: int) -> None:
        """Count a call that has been edited, if it may be a chunk of its input."""
        if _is_chunk(layer, queries, keys):
            self._chunks[layer.stream, layer.layer] = self.first_of_chunk(layer) + queries

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
        if _is_chunk(layer, queries, keys):
            first = self.first_of_chunk(layer)
            return Window(first, first, queries, keys, is_chunk=True)
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


def _is_chunk(layer: EditedLayer, queries: int, keys: int) -> bool:
    return queries == keys and may_attend_in_chunks(layer.module)


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
