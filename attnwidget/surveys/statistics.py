"""Running mean, spread and top examples of head scores over inputs, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.analysis.head_scores import LEAST_ROWS, LayerScores, lift
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.surveys.running_means import RunningMeans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attnwidget.analysis.head_scores import StreamScores
    from attnwidget.surveys.contexts.gathered import StreamContexts
    from attnwidget.surveys.gold_links.counts import LinkCounts
    from attnwidget.surveys.group_means import GroupMeans
    from attnwidget.surveys.head_means import HeadMeans

    Numbers = NDArray[np.float64]
    Whole = NDArray[np.int64]

__all__ = ["Moments", "Surveyed", "Typical"]

_FIELDS = ("values", "without", "expected", "expected_without")

_ROWS = ("rows", "rows_without")


@dataclass(frozen=True, slots=True, eq=False)
class Moments(RunningMeans):
    """The scores of one stream's heads over many inputs.

    Heads of all layers stand in one axis, ``[head]``, in order. The first axis of the other arrays is that of scores
    with the sink, without it, and what even attention would score with and without it.

    Attributes:
        layers: Number of each layer and how many heads it has.
        count: Number of inputs in which a score was defined, ``[4, head, score]``.
        mean: Mean over them.
        squares: Sum of squared distances from the mean.
        rows: Number of queries that the scores were read from, all inputs together, ``[2, head, score]``.
    """

    layers: tuple[tuple[int, int], ...]
    count: Numbers
    mean: Numbers
    squares: Numbers
    rows: Numbers

    @classmethod
    def of(cls, scores: StreamScores) -> Moments:
        """Return the moments of one input."""
        values = np.stack(
            [np.concatenate([getattr(layer, name) for layer in scores.layers]) for name in _FIELDS]
        )
        rows = np.stack(
            [np.concatenate([getattr(layer, name) for layer in scores.layers]) for name in _ROWS]
        )
        layers = tuple((layer.layer, len(layer.values)) for layer in scores.layers)
        count = (~np.isnan(values)).astype(np.float64)
        return cls(layers, count, np.nan_to_num(values), np.zeros_like(values), rows)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of inputs together.

        Raises:
            ValueError: If the heads are not the same.
        """
        if self.layers != other.layers:
            message = (
                f"the heads are not the same: layers and heads {list(self.layers)} and {list(other.layers)}; survey "
                "inputs of one model at a time."
            )
            raise ValueError(message)
        return Moments(self.layers, *self.merged(other), self.rows + other.rows)

    def scores(self) -> tuple[LayerScores, ...]:
        """Return the means layer by layer."""
        means = self.means
        found, start = [], 0
        for number, heads in self.layers:
            part = slice(start, start + heads)
            found.append(
                LayerScores(number, *(mean[part] for mean in means), *(r[part] for r in self.rows))
            )
            start += heads
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Typical:
    """The inputs in which each head does most what a score asks about.

    Inputs are ranked by how far the score stands above even attention, weighed by the number of queries it was read
    from (`attnwidget.analysis.head_scores.labels` has the formula), with the sink set aside where that is defined; broad
    by the score itself, weighed in the same way. So a text of three words does not win by its shortness.

    Attributes:
        rank: What they are ranked by, best first, ``-inf`` where there is none, ``[head, score, place]``.
        value: The score, all weight counted.
        index: Which input, -1 where there is none.
    """

    rank: Numbers
    value: Numbers
    index: Whole

    @classmethod
    def of(cls, scores: StreamScores, index: int) -> Typical:
        """Return the one input there is."""
        ranks = np.concatenate([_rank(layer) for layer in scores.layers])[..., None]
        values = np.concatenate([layer.values for layer in scores.layers])[..., None]
        there = np.isfinite(ranks)
        return cls(
            ranks, np.where(there, values, np.nan), np.where(there, index, -1).astype(np.int64)
        )

    def merge(self, other: Typical, keep: int, *, shift: int = 0) -> Typical:
        """Return the best ``keep`` of both; of equal ones those of ``self``.

        Args:
            other: The others.
            keep: How many to keep.
            shift: What to add to the index of the others.
        """
        rank = np.concatenate([self.rank, other.rank], -1)
        value = np.concatenate([self.value, other.value], -1)
        shifted = np.where(other.index >= 0, other.index + shift, -1)
        index = np.concatenate([self.index, shifted], -1)
        order = np.argsort(-rank, axis=-1, kind="stable")[..., :keep]
        return Typical(*(np.take_along_axis(one, order, -1) for one in (rank, value, index)))


def _rank(layer: LayerScores) -> Numbers:
    with_sink = lift(layer.values, layer.expected, layer.rows)
    without = lift(layer.without, layer.expected_without, layer.rows_without)
    rank = np.where(np.isfinite(without), without, with_sink)
    broad = list(SCORES).index("broad")
    rows = layer.rows[:, broad]
    read = (rows >= LEAST_ROWS) & ~np.isnan(layer.values[:, broad])
    rank[:, broad] = np.where(read, layer.values[:, broad] * rows / (rows + 1), -np.inf)
    return rank


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """One stream of a survey.

    Attributes:
        moments: Means and spreads of its scores.
        typical: Its most typical inputs.
        groups: The shares of groups, where they were asked for and an input had any.
        outputs: What its heads put out, where that was asked for.
        links: Its heads against gold links, where there were any.
        contexts: Where its heads do something, where that was asked for.
    """

    moments: Moments
    typical: Typical
    groups: GroupMeans | None = None
    outputs: HeadMeans | None = None
    links: LinkCounts | None = None
    contexts: StreamContexts | None = None
