"""`ScoreValues`: the scores of each input while there are few, their histogram and a sample of the inputs from then on."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from attnwidget.analysis.head_scores import StreamScores

__all__ = ["BINS", "EXACT", "SAMPLE", "ScoreValues", "Scored"]

EXACT = 4096
"""Up to so many inputs every score is kept."""

SAMPLE = 512
"""Inputs whose scores are kept beyond that, chosen by their contents alone."""

BINS = 1024
"""Bins between 0 and 1 that scores are counted in beyond that: a decile is wrong by half a bin at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The scores of some inputs.

    Attributes:
        values: float32 ``[input, head, score]``, NaN where a score is not defined.
        input: Numbers of the inputs, int64.
        priority: A number that an input's contents give it, uint64: those with the lowest are the sample.
    """

    values: NDArray[np.float32]
    input: NDArray[np.int64]
    priority: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.input)

    def shifted(self, shift: int) -> Scored:
        """Return the same with inputs numbered from ``shift`` on."""
        return Scored(self.values, self.input + shift, self.priority)

    def at(self, chosen: NDArray[np.int64]) -> Scored:
        """Return some of the inputs."""
        return Scored(self.values[chosen], self.input[chosen], self.priority[chosen])

    @staticmethod
    def joined(parts: Iterable[Scored]) -> Scored:
        """Return the inputs of all parts."""
        several = list(parts)
        if len(several) == 1:
            return several[0]
        return Scored(
            np.concatenate([one.values for one in several]),
            np.concatenate([one.input for one in several]),
            np.concatenate([one.priority for one in several]),
        )

    def sampled(self) -> Scored:
        """Return the sample: of the inputs with the lowest priorities, one each, the earliest."""
        order = np.lexsort((self.input, self.priority))
        ranked = self.priority[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = ranked[1:] != ranked[:-1]
        return self.at(np.sort(order[first][:SAMPLE]))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreValues:
    """The scores of one stream's heads over many inputs.

    Which inputs are in the sample depends on these alone, and bins add up, so nothing depends on how the inputs were
    shared among processes.

    Attributes:
        parts: Inputs whose scores are not in ``bins``: all of them, up to `EXACT`. Several parts, so that adding one input
            does not copy all others.
        bins: Beyond `EXACT`, how many inputs have a score in each bin, uint32 ``[head, score, bin]``; None up to there.
        sample: The sample of the inputs in ``bins``.
    """

    parts: tuple[Scored, ...]
    bins: NDArray[np.uint32] | None = None
    sample: Scored | None = None

    @classmethod
    def of(cls, scores: StreamScores, text: str | None) -> ScoreValues:
        """Return the scores of one input."""
        values = np.concatenate([layer.values for layer in scores.layers]).astype(np.float32)
        contents = values.tobytes() if text is None else text.encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.sha256(contents).digest()[:8], "little")
        one = Scored(values[None], np.zeros(1, np.int64), np.array([number], np.uint64))
        return cls((one,))

    @property
    def exact(self) -> bool:
        """Whether every score of every input is there."""
        return self.bins is None

    @property
    def held(self) -> Scored:
        """The inputs whose scores are there: all, or the sample and those that came last."""
        return Scored.joined((*(() if self.sample is None else (self.sample,)), *self.parts))

    def shifted(self, shift: int) -> ScoreValues:
        """Return the same with inputs numbered from ``shift`` on."""
        sample = None if self.sample is None else self.sample.shifted(shift)
        return ScoreValues(tuple(one.shifted(shift) for one in self.parts), self.bins, sample)

    def merge(self, other: ScoreValues) -> ScoreValues:
        """Return the scores of both sets of inputs; those of ``other`` have later numbers."""
        parts = _stacked((*self.parts, *other.parts))
        bins = [one.bins for one in (self, other) if one.bins is not None]
        samples = [one.sample for one in (self, other) if one.sample is not None]
        made = ScoreValues(
            parts,
            sum(bins[1:], bins[0]) if bins else None,
            Scored.joined(samples).sampled() if samples else None,
        )
        count = sum(map(len, parts))
        return made._all_binned() if count > (SAMPLE if bins else EXACT) else made

    def settled(self) -> ScoreValues:
        """Return the same, all inputs in bins if any are: then nothing depends on how the inputs came."""
        if self.bins is None:
            return ScoreValues((Scored.joined(self.parts),))
        return self._all_binned() if self.parts else self

    def deciles(self, head: int, score: int) -> tuple[NDArray[np.float64], int]:
        """Return the ten deciles, the last of them the maximum, and from how many inputs; NaN without any.

        Decile d of n sorted values is value number ``ceil(n · d / 10)``, one of them and nothing between two.
        """
        settled = self.settled()
        if settled.bins is None:
            values = np.sort(settled.held.values[:, head, score].astype(np.float64))
            values = values[~np.isnan(values)]
            if not len(values):
                return np.full(10, np.nan), 0
            return values[_places(len(values))], len(values)
        counts = settled.bins[head, score]
        number = int(counts.sum())
        if not number:
            return np.full(10, np.nan), 0
        at = np.searchsorted(counts.cumsum(), _places(number), side="right")
        return (at + 0.5) / BINS, number

    def members(self, head: int, score: int, most: int) -> list[list[tuple[int, float]]]:
        """Return for each decile some of its inputs, number and score, those nearest to its middle, in order.

        Of the inputs whose scores are there: all of them, or the sample.
        """
        held = self.settled().held
        values = held.values[:, head, score]
        defined = np.flatnonzero(~np.isnan(values))
        order = defined[np.lexsort((held.input[defined], values[defined]))]
        found, ends = [], [0, *(_places(len(order)) + 1).tolist()] if len(order) else [0] * 11
        for start, end in itertools.pairwise(ends):
            count = min(most, end - start)
            begin = start + (end - start - count) // 2
            some = order[begin : begin + count]
            found.append([(int(held.input[one]), float(values[one])) for one in some])
        return found

    def _all_binned(self) -> ScoreValues:
        """Return the same with the scores of all inputs in bins."""
        _, heads, scores = self.held.values.shape
        bins = np.zeros((heads, scores, BINS), np.uint32) if self.bins is None else self.bins.copy()
        flat = bins.reshape(-1)
        for part in self.parts:
            # A few inputs at a time: their numbers of bins are four times as large as their scores.
            for start in range(0, len(part), 256):
                values = part.values[start : start + 256].reshape(-1, heads * scores)
                row, column = np.nonzero(~np.isnan(values))
                at = (values[row, column] * BINS).astype(np.int64).clip(0, BINS - 1)
                place, count = np.unique(column * BINS + at, return_counts=True)
                flat[place] += count.astype(np.uint32)
        return ScoreValues((), bins, self.held.sampled())


def _places(count: int) -> NDArray[np.int64]:
    """Return where the deciles of so many sorted values stand."""
    return np.array([-(-count * tenth // 10) - 1 for tenth in range(1, 11)], np.int64).clip(0)


def _stacked(parts: tuple[Scored, ...]) -> tuple[Scored, ...]:
    """Join neighbours of like sizes, so that there are few parts and each input is copied a few times only."""
    found: list[Scored] = []
    for part in parts:
        found.append(part)
        while len(found) > 1 and len(found[-1]) >= len(found[-2]):
            last = found.pop()
            found[-1] = Scored.joined((found[-1], last))
    return tuple(found)
