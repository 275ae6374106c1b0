"""What a figure shows of a stream: positions or words, weights or another measure, of one record or of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnwidget.drawing.cropping import pinned
from attnwidget.drawn import Rollouts
from attnwidget.finding.words import merged_positions
from attnwidget.pairing import PairedLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.attention import Stream
    from attnwidget.drawing.cropping import Crop
    from attnwidget.positions import Positions

    Indices = NDArray[np.int64]
    Numbers = NDArray[np.float32]

__all__ = ["Shown", "Side"]

Side = Literal["a", "b"]


class Axis:
    """Positions along one side of a figure, as pieces or as words."""

    def __init__(self, positions: Positions, kept: Indices, *, words: bool) -> None:
        """Take the pieces that are kept together.

        Args:
            positions: Those of the record.
            kept: The pieces that are drawn, in order.
            words: Whether pieces of a word stand as one.
        """
        self.positions, numbers = (
            merged_positions(positions) if words else (positions, range(len(positions)))
        )
        self._numbers = np.array(numbers)
        self._kept = kept
        self._words = words
        #: What is counted along this side: positions of the record, or numbers of words as `Attention.words` has them.
        self.all: Indices = np.unique(self._numbers[kept]) if words else kept

    def pinned(self, pins: int | list[int] | None) -> Indices:
        """Return what is pinned: a word is when one of its pieces is."""
        return np.array(list(dict.fromkeys(self._numbers[pinned(pins)].tolist())), np.int64)

    def pieces(self, of: Indices) -> tuple[Indices, Indices]:
        """Return the pieces of these words or positions, and of each its place among them."""
        if not self._words:
            return of, np.arange(len(of))
        place = {number: at for at, number in enumerate(of.tolist())}
        found = [piece for piece in self._kept.tolist() if self._numbers[piece] in place]
        return np.array(found), np.array([place[self._numbers[piece]] for piece in found])


class Shown:
    """The numbers of a stream as a figure shows them."""

    def __init__(
        self,
        stream: Stream,
        state: Mapping[str, Any],
        crop: Crop | None,
        *,
        plain: bool = False,
    ) -> None:
        """Settle what is shown.

        Args:
            stream: The stream.
            state: ``State`` in the schema, pins counted in the whole record.
            crop: Which positions are drawn; None for all.
            plain: Weights between pieces, whatever the state says: the neuron view keeps to them.
        """
        words = state["positions"] == "words" and not plain
        self.stream = stream
        self.measure: str = "weights" if plain else state["measure"]
        kept = (
            np.array(crop.queries if crop else range(len(stream.query_positions))),
            np.array(crop.keys if crop else range(len(stream.key_positions))),
        )
        self.queries = Axis(stream.query_positions, kept[0], words=words)
        self.keys = Axis(stream.key_positions, kept[1], words=words)
        self.pinned_queries = self.queries.pinned(state["query"])
        self.pinned_keys = self.keys.pinned(state["key"])
        self._words = words
        self._rollouts = Rollouts()

    @property
    def rolled(self) -> bool:
        """Whether heads are mixed: what is drawn is of a layer."""
        return self.measure == "rollout"

    @property
    def two(self) -> bool:
        """Whether there are two records behind it."""
        first: object = next(iter(self.stream))
        return isinstance(first, PairedLayer)

    def block(
        self,
        layer: int,
        head: int,
        queries: Indices | None = None,
        keys: Indices | None = None,
        *,
        side: Side = "a",
    ) -> Numbers:
        """Return what is drawn between these queries and keys, or all; float32 ``[query, key]``.

        NaN where the record of this side has no such position.
        """
        queries = self.queries.all if queries is None else queries
        keys = self.keys.all if keys is None else keys
        rows, into = self.queries.pieces(queries)
        columns, wide = self.keys.pieces(keys)
        pieces = self._pieces(layer, head, rows, columns, side)
        if not self._words:
            return pieces
        merged = np.zeros((len(queries), len(keys)))
        np.add.at(merged, (into[:, None], wide[None]), pieces)
        found: Numbers = (merged / np.bincount(into)[:, None]).astype(np.float32)
        return found

    def _pieces(
        self, layer: int, head: int, rows: Indices, columns: Indices, side: Side
    ) -> Numbers:
        of: object = self.stream[layer]
        if isinstance(of, PairedLayer):
            one = of.a if side == "a" else of.b
            heads = [0 if self.rolled else head]
            found: Numbers = one.rows(heads, rows.tolist(), self.measure, self._rollouts)[0]
            found = found[:, columns]
            found[[one.queries[row] is None for row in rows]] = np.nan
            found[:, [one.keys[column] is None for column in columns]] = np.nan
            return found
        if self.rolled:
            return self._rollouts.of(self.stream, layer)[np.ix_(rows, columns)]
        return self.stream[layer].measure(self.measure, head, rows.tolist(), columns.tolist())
