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

    Attributes:
        facts: What the positions tell.
        queries: The queries of the block.
    """

    def __init__(self, facts: Facts, queries: Axis, device: torch.device) -> None:
        self.facts = facts
        self.queries = queries
        outside = (~facts.keys["sink"]).to(device)
        self._outside = outside.float()
        ones = torch.ones_like(outside)
        columns = torch.stack([ones, *(facts.keys[name].to(device) for name in SHARES)], 1)
        self._columns = torch.cat([columns, columns & outside[:, None]], 1).float()
        self._pairs = None if facts.offset is None else self._pair_masks(facts.offset, device)
        self.distance = None if self._pairs is None else self._pairs[:, :, len(PAIRS)]

    def _pair_masks(self, offset: int, device: torch.device) -> Tensor:
        """Return the masks of `kinds.PAIRS` and the distance, with and without sink, float32 ``[query, key, mask]``."""
        facts = self.facts
        keys = torch.arange(facts.n_key, device=device)
        own = self.queries.tensor(device)[:, None] + offset
        distance = (keys - own).abs()
        elsewhere = distance > 0
        tokens = self.queries.take(facts.query_tokens, 0).to(device)[:, None]
        key_tokens = facts.key_tokens.to(device)
        before = torch.roll(key_tokens, 1)
        before[:1] = -2
        words = self.queries.take(facts.query_words, 0).to(device)[:, None]
        masks = {
            "previous": keys == own - 1,
            "next": keys == own + 1,
            "self": ~elsewhere,
            "duplicate": (key_tokens == tokens) & elsewhere,
            "induction": (before == tokens) & elsewhere & (keys - 1 != own),
            "same_word": (facts.key_words.to(device) == words) & elsewhere,
        }
        stacked = torch.stack([*(masks[name] for name in PAIRS), distance], 2).float()
        return torch.cat([stacked, stacked * self._outside[:, None]], 2)

    def sums(self, weights: Tensor, rows: slice, keys: slice) -> Sums:
        """Add up a block of weights.

        Args:
            weights: float32 ``[head, query, key]``.
            rows: Which of the block's queries they are of.
            keys: Which keys.
        """
        heads, queries, width = weights.shape
        # One product of all rows with all masks reads the weights once.
        flat = weights.reshape(heads * queries, width)
        shares = (flat @ self._columns[keys]).view(heads, queries, 2, -1).permute(2, 3, 0, 1)
        entropies = torch.special.entr(flat)
        both = torch.stack([torch.ones_like(self._outside[keys]), self._outside[keys]], 1)
        entropy = (entropies @ both).view(heads, queries, 2).permute(2, 0, 1)
        if self._pairs is None:
            pairs = weights.new_zeros((2, 0, heads, queries))
        else:
            masks = self._pairs[rows, keys]
            found = torch.bmm(weights.transpose(0, 1), masks)
            pairs = found.view(queries, heads, 2, -1).permute(2, 3, 1, 0)
        return Sums(shares[:, 0], shares[:, 1:], pairs, entropy)
