"""Per-row sums and visible-key statistics that every head score is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.analysis.score_definitions import PAIRS, SCORES, SHARES

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.analysis.token_features import TokenFeatures
    from attnwidget.compute.indexing import Axis


__all__ = ["NAMES", "Patterns", "Sums", "VisibleKeyStats", "row_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over the keys, float32 or float64; each once over all keys and once over those outside of the sink.

    Attributes:
        total: Weight, ``[with or without sink, head, query]``.
        shares: Weight on the keys of each of `SHARES`, ``[with or without, share, head, query]``.
        pairs: Weight on the keys of each of `PAIRS`, then weight times distance, ``[with or without, pair or
            distance, head, query]``; no entries where queries and keys are different sequences.
        entropy: ``-w log w``, ``[with or without, head, query]``.
    """

    total: Tensor
    shares: Tensor
    pairs: Tensor
    entropy: Tensor

    def __add__(self, other: Sums) -> Sums:
        """Add the sums over other keys."""
        return Sums(
            self.total + other.total,
            self.shares + other.shares,
            self.pairs + other.pairs,
            self.entropy + other.entropy,
        )


class Patterns:
    """The keys that each score is about, for a block of queries.

    Of the pairs only those that there are are listed: a token has few equals in a long text, and a mask of all pairs
    for each score would be what takes the most time and memory.

    Attributes:
        features: Features of the positions.
        queries: The queries of the block.
        keys: The keys that any of them sees.
        distance: How far each key is from each query, float32 ``[query, key]``, or ``None`` where queries and keys are
            different sequences.
    """

    def __init__(
        self, features: TokenFeatures, queries: Axis, keys: range, device: torch.device
    ) -> None:
        self.features, self.queries, self.keys = features, queries, keys
        some = slice(keys.start, keys.stop)
        outside = (~features.keys["sink"][some]).to(device)
        self._outside = outside.float()
        ones = torch.ones_like(outside)
        columns = torch.stack([ones, *(features.keys[name][some].to(device) for name in SHARES)], 1)
        self._columns = torch.cat([columns, columns & outside[:, None]], 1).float()
        self._both = torch.stack([torch.ones_like(self._outside), self._outside], 1)
        self.distance: Tensor | None = None
        if features.offset is not None:
            own = queries.tensor(device)[:, None] + features.offset
            distance = torch.arange(keys.start, keys.stop, device=device) - own
            self._list(distance)
            self.distance = distance.abs_().float()
            self._far = self.distance[..., None] * self._both

    def _list(self, ahead: Tensor) -> None:
        """List the pairs of `PAIRS`: number of the score, query of the block, key.

        Args:
            ahead: How far each key is ahead of each query, int64 ``[query, key]``.
        """
        features, device = self.features, ahead.device
        some = slice(self.keys.start, self.keys.stop)
        elsewhere = ahead != 0
        tokens = self.queries.take(features.query_tokens, 0).to(device, torch.int32)[:, None]
        key_tokens = features.key_tokens.to(device, torch.int32)
        before = torch.roll(key_tokens, 1)
        before[:1] = -2
        words = self.queries.take(features.query_words, 0).to(device, torch.int32)[:, None]
        key_words = features.key_words.to(device, torch.int32)
        masks = {
            "previous": ahead == -1,
            "next": ahead == 1,
            "self": ~elsewhere,
            "duplicate": (key_tokens[some] == tokens) & elsewhere,
            "induction": (before[some] == tokens) & elsewhere & (ahead != 1),
            "same_word": (key_words[some] == words) & elsewhere,
        }
        found = [masks[name].nonzero() for name in PAIRS]
        number = [torch.full_like(pairs[:, 0], place) for place, pairs in enumerate(found)]
        pairs = torch.cat(found)
        self._pairs = torch.cat(number), pairs[:, 0], pairs[:, 1]

    def mask(self, name: str) -> Tensor:
        """Return which pairs a score is about, boolean ``[query, key]`` over the queries and keys of the block.

        Args:
            name: One of `SHARES` or `PAIRS`; of the latter nothing where queries and keys are different sequences.
        """
        shape = len(self.queries), len(self.keys)
        if name in SHARES:
            return (self._columns[:, 1 + SHARES.index(name)] > 0).expand(shape)
        found = torch.zeros(shape, dtype=torch.bool, device=self._columns.device)
        if self.distance is not None:
            score, query, key = self._pairs
            some = score == PAIRS.index(name)
            found[query[some], key[some]] = True
        return found

    def sums(self, weights: Tensor, rows: slice, keys: slice) -> Sums:
        """Add up a block of weights.

        Args:
            weights: float32 ``[head, query, key]``.
            rows: Which of the block's queries they are of.
            keys: Which keys, all of them among those of the block.
        """
        heads, queries, width = weights.shape
        some = slice(keys.start - self.keys.start, keys.stop - self.keys.start)
        # One product of all rows with all masks reads the weights once.
        flat = weights.reshape(heads * queries, width)
        shares = (flat @ self._columns[some]).view(heads, queries, 2, -1).permute(2, 3, 0, 1)
        entropies = torch.special.entr(flat)
        entropy = (entropies @ self._both[some]).view(heads, queries, 2).permute(2, 0, 1)
        pairs = weights.new_zeros((2, 0, heads, queries))
        if self.distance is not None:
            far = torch.bmm(weights.transpose(0, 1), self._far[rows, some])
            pairs = torch.cat([self._sums(weights, rows, some), far.permute(2, 1, 0)[:, None]], 1)
        return Sums(shares[:, 0], shares[:, 1:], pairs, entropy)

    def _sums(self, weights: Tensor, rows: slice, keys: slice) -> Tensor:
        """Add up the weights of the listed pairs, ``[with or without sink, pair, head, query]``."""
        heads, queries, width = weights.shape
        score, query, key = self._pairs
        if queries < len(self.queries) or width < len(self.keys):
            here = (query >= rows.start) & (query < rows.stop)
            here &= (key >= keys.start) & (key < keys.stop)
            score, query, key = score[here], query[here], key[here]
        held = weights[:, query - rows.start, key - keys.start]
        place = score * queries + query - rows.start
        summed = weights.new_zeros((2, heads, len(PAIRS) * queries))
        summed[0].index_add_(1, place, held)
        summed[1].index_add_(1, place, held * self._outside[key])
        return summed.view(2, heads, len(PAIRS), queries).transpose(1, 2)


NAMES = tuple(SCORES)


@dataclass(frozen=True, slots=True, eq=False)
class VisibleKeyStats:
    """Statistics of the keys that a block of queries sees, first with, then without the sink.

    Attributes:
        counts: How many keys each query sees, ``[2, head or 1, query]``.
        far: Distance of the farthest of them, the same shape, or ``None`` where there is no distance.
        valid: Which rows each score is read from, boolean, the same shape; scores that no row has may be missing.
        expected: What even weights would score in them, float64, the same shape.
    """

    counts: Tensor
    far: Tensor | None
    valid: dict[str, Tensor]
    expected: dict[str, Tensor]

    @classmethod
    def of(cls, patterns: Patterns, seen: Tensor) -> VisibleKeyStats:
        """Compute them for a block.

        Args:
            patterns: Which of its keys each score counts.
            seen: Which of them each query sees, boolean ``[head or 1, query, key]``.
        """
        keys = slice(patterns.keys.start, patterns.keys.stop)
        sums = patterns.sums(seen.float(), slice(0, seen.shape[1]), keys)
        far = None
        if patterns.distance is not None:
            outside = ~patterns.features.keys["sink"][keys].to(seen.device)
            both = torch.stack([seen, seen & outside])
            far = (both * patterns.distance).amax(-1).double()
        readable = patterns.queries.take(patterns.features.counts, 0).to(seen.device)
        return cls.of_counts(sums, far, readable)

    @classmethod
    def of_counts(cls, sums: Sums, far: Tensor | None, readable: Tensor) -> VisibleKeyStats:
        """Compute them from numbers of keys.

        Args:
            sums: How many of the keys that each query sees each score is about, and how far these are.
            far: Distance of the farthest of them, float64 ``[2, head or 1, query]``, or ``None`` where there is none.
            readable: Queries that are no padding, boolean ``[query]``.
        """
        counts = sums.total.double()
        even = Sums(sums.total, sums.shares, sums.pairs, torch.zeros_like(sums.total))
        expected = row_scores(even, counts.clamp(min=1), counts, far)
        expected["broad"] = torch.ones_like(counts)
        readable = readable & (counts >= 2)
        found = dict(zip(SHARES, sums.shares.unbind(1), strict=True))
        if far is not None:
            found |= dict(zip(PAIRS, sums.pairs.unbind(1), strict=False))
            found["local"] = far
        found["broad"] = counts
        valid = {name: (number > 0) & readable for name, number in found.items()}
        return cls(counts, far, valid, expected)

    def part(self, heads: slice, rows: slice) -> VisibleKeyStats:
        """Return some heads and some queries of the block."""
        some = heads if self.counts.shape[1] > 1 else slice(None)
        far = None if self.far is None else self.far[:, some, rows]
        valid, expected = (
            {name: each[:, some, rows] for name, each in tensors.items()}
            for tensors in (self.valid, self.expected)
        )
        return VisibleKeyStats(self.counts[:, some, rows], far, valid, expected)


def row_scores(sums: Sums, over: Tensor, counts: Tensor, far: Tensor | None) -> dict[str, Tensor]:
    """Return the scores of every row by name, float64 ``[2, head, query]``, undefined where they are not valid.

    Args:
        sums: What was added up.
        over: What shares are shares of, broadcasting to ``[2, head, query]``.
        counts: How many keys are seen.
        far: How far they are.
    """
    total = sums.total.double().clamp(min=1e-30)
    found = dict(zip(SHARES, (sums.shares.double() / over[:, None]).unbind(1), strict=True))
    if far is not None:
        pairs = sums.pairs.double()
        shares = pairs[:, : len(PAIRS)] / over[:, None]
        found |= dict(zip(PAIRS, shares.unbind(1), strict=True))
        found["local"] = 1 - pairs[:, len(PAIRS)] / total / far.clamp(min=1)
    found["broad"] = (sums.entropy.double() / total + total.log()) / counts.clamp(min=2).log()
    return found
