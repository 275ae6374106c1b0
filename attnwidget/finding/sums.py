"""What is added up of a block of weights: every score is made of these sums, one number per head and query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.finding.kinds import PAIRS, SHARES

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.finding.facts import Facts
    from attnwidget.selection import Axis

__all__ = ["Patterns", "Sums"]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over the keys, float32 or float64; each once over all keys and once over those outside of the sink.

    Attributes:
        total: Weight, ``[with or without sink, head, query]``.
        shares: Weight on the keys of each of `kinds.SHARES`, ``[with or without, share, head, query]``.
        pairs: Weight on the keys of each of `kinds.PAIRS`, then weight times distance, ``[with or without, pair or
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
        facts: What the positions tell.
        queries: The queries of the block.
        keys: The keys that any of them sees.
        distance: How far each key is from each query, float32 ``[query, key]``, or ``None`` where queries and keys are
            different sequences.
    """

    def __init__(self, facts: Facts, queries: Axis, keys: range, device: torch.device) -> None:
        self.facts, self.queries, self.keys = facts, queries, keys
        some = slice(keys.start, keys.stop)
        outside = (~facts.keys["sink"][some]).to(device)
        self._outside = outside.float()
        ones = torch.ones_like(outside)
        columns = torch.stack([ones, *(facts.keys[name][some].to(device) for name in SHARES)], 1)
        self._columns = torch.cat([columns, columns & outside[:, None]], 1).float()
        self._both = torch.stack([torch.ones_like(self._outside), self._outside], 1)
        self.distance: Tensor | None = None
        if facts.offset is not None:
            own = queries.tensor(device)[:, None] + facts.offset
            distance = torch.arange(keys.start, keys.stop, device=device) - own
            self._list(distance)
            self.distance = distance.abs_().float()
            self._far = self.distance[..., None] * self._both

    def _list(self, ahead: Tensor) -> None:
        """List the pairs of `kinds.PAIRS`: number of the score, query of the block, key.

        Args:
            ahead: How far each key is ahead of each query, int64 ``[query, key]``.
        """
        facts, device = self.facts, ahead.device
        some = slice(self.keys.start, self.keys.stop)
        elsewhere = ahead != 0
        tokens = self.queries.take(facts.query_tokens, 0).to(device, torch.int32)[:, None]
        key_tokens = facts.key_tokens.to(device, torch.int32)
        before = torch.roll(key_tokens, 1)
        before[:1] = -2
        words = self.queries.take(facts.query_words, 0).to(device, torch.int32)[:, None]
        key_words = facts.key_words.to(device, torch.int32)
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
