"""What even attention scores, and which rows a score is read from, counted along the keys: no matrix of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.analysis.score_definitions import PAIRS, SHARES
from attnwidget.analysis.score_sums import Sums, VisibleKeyStats

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.analysis.token_features import TokenFeatures
    from attnwidget.compute.fused.visible import VisibleRanges

__all__ = ["visible_stats"]


def visible_stats(features: TokenFeatures, ranges: VisibleRanges) -> VisibleKeyStats:
    """Return the statistics of the keys that all queries see, as `VisibleKeyStats.of` counts them one by one."""
    device = ranges.start.device
    readable = features.counts.to(device)
    outside = ~features.keys["sink"].to(device)
    found = [
        [
            _Counted.of(features, ranges, ~hidden & kept)
            for kept in (torch.ones_like(outside), outside)
        ]
        for hidden in ranges.hidden
    ]
    total, shares, pairs = (
        torch.stack([torch.stack([getattr(one, name) for one in both]) for both in found], where)
        for name, where in (("total", 1), ("shares", 2), ("pairs", 2))
    )
    far = None
    if features.offset is not None:
        far = torch.stack([torch.stack([one.far for one in both]) for both in found], 1)
    sums = Sums(total, shares, pairs, torch.zeros_like(total))
    return VisibleKeyStats.of_counts(sums, far, readable)


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """How many of some keys each query sees, float64.

    Attributes:
        total: Of all of them, ``[query]``.
        shares: Of those of each of `SHARES`, ``[share, query]``.
        pairs: Of those of each of `PAIRS`, then the sum of their distances, ``[pair or distance, query]``.
        far: The largest distance, ``[query]``.
    """

    total: Tensor
    shares: Tensor
    pairs: Tensor
    far: Tensor

    @classmethod
    def of(cls, features: TokenFeatures, ranges: VisibleRanges, some: Tensor) -> _Counted:
        """Count those of some keys, boolean ``[key]``."""
        device, start, stop = some.device, ranges.start, ranges.stop
        which = torch.stack([some, *(features.keys[name].to(device) & some for name in SHARES)])
        sums = torch.nn.functional.pad(which.cumsum(1), (1, 0))
        within = (sums[:, stop] - sums[:, start]).double()
        if features.offset is None:
            nothing = within.new_zeros((0, len(start)))
            return cls(within[0], within[1:], nothing, within.new_zeros(len(start)))
        own = torch.arange(len(start), device=device) + features.offset
        far, distance = _distances(some, ranges, own)
        pairs = torch.stack([*_pairs(features, ranges, some, own), distance])
        return cls(within[0], within[1:], pairs.double(), far.double())


def _distances(some: Tensor, ranges: VisibleRanges, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest distance of any of some keys that each query sees, and the sum of all, int64 ``[query]``."""
    places = some.nonzero()[:, 0]
    sums = torch.nn.functional.pad(places.cumsum(0), (1, 0))
    first, last = (torch.searchsorted(places, bound) for bound in (ranges.start, ranges.stop))
    middle = torch.searchsorted(places, own, right=True).clamp(first, last)
    before = own * (middle - first) - (sums[middle] - sums[first])
    after = (sums[last] - sums[middle]) - own * (last - middle)
    if not len(places):
        return torch.zeros_like(own), torch.zeros_like(own)
    ends = [(own - places[at.clamp(0, len(places) - 1)]).abs() for at in (first, last - 1)]
    return torch.where(last > first, torch.maximum(*ends), 0), before + after


def _pairs(
    features: TokenFeatures, ranges: VisibleRanges, some: Tensor, own: Tensor
) -> list[Tensor]:
    """Return how many of some keys each of `PAIRS` counts of those that each query sees, int64 ``[query]`` each."""
    device, n_key = some.device, features.n_key

    def shown(keys: Tensor) -> Tensor:
        there = (keys >= ranges.start) & (keys < ranges.stop)
        return there & some[keys.clamp(0, n_key - 1)]

    def number(keys: Tensor) -> Tensor:
        there = (keys >= 0) & (keys < n_key)
        return torch.where(there, tokens[keys.clamp(0, n_key - 1)], -2)

    tokens, words = features.key_tokens.to(device), features.key_words.to(device)
    own_tokens, own_words = features.query_tokens.to(device), features.query_words.to(device)
    before = tokens.roll(1)
    before[:1] = -2
    counted = {
        "previous": shown(own - 1).long(),
        "next": shown(own + 1).long(),
        "self": shown(own).long(),
        "duplicate": _equal(tokens, own_tokens, ranges, some),
        "induction": _equal(before, own_tokens, ranges, some),
        "same_word": _equal(words, own_words, ranges, some),
    }
    # The query's own position is no other copy, and what follows it no other's.
    for name, at, numbers, mine in (
        ("duplicate", own, number(own), own_tokens),
        ("induction", own, number(own - 1), own_tokens),
        ("induction", own + 1, number(own), own_tokens),
    ):
        counted[name] -= (shown(at) & (numbers == mine)).long()
    same = words[own.clamp(0, n_key - 1)] == own_words
    counted["same_word"] -= (shown(own) & same).long()
    return [counted[name] for name in PAIRS]


def _equal(numbers: Tensor, own: Tensor, ranges: VisibleRanges, some: Tensor) -> Tensor:
    """Count those of some keys that each query sees and that have its number."""
    places = some.nonzero()[:, 0]
    n_key = len(numbers) + 1
    codes = ((numbers[places] + 2) * n_key + places).sort().values
    mine = (own + 2) * n_key
    first, last = (torch.searchsorted(codes, mine + bound) for bound in (ranges.start, ranges.stop))
    return last - first
