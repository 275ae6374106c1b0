"""Weights of the pairs that scores ask about: neighbours by diagonals, equal tokens and words group by group.

Equal tokens are a group of queries and one of keys. Where these are few, their links are listed and computed one by one;
where they are many, they are a product of matrices, block by block. Either way a head costs what matches, not all links.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnwidget.analysis.score_definitions import PAIRS
from attnwidget.compute.fused.kernel import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.analysis.token_features import TokenFeatures
    from attnwidget.compute.fused.head_runs import HeadRun
    from attnwidget.compute.fused.visible import VisibleRanges

    Ints = NDArray[np.int64]

__all__ = ["Matches"]

_NEIGHBOURS = {"previous": -1, "next": 1, "self": 0}
# A group with no more links than this is listed: a product of its own would take longer.
_FEW = 64
# Queries of a block of a larger group: of causal ones, no keys after the last are read.
_ROWS = 256
# Numbers of a product, or of listed vectors, at a time: they stay in a core's cache.
_NUMBERS = 1 << 19
_LOG2E = math.log2(math.e)


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Queries and keys that match, as far as any of the former sees any of the latter.

    Attributes:
        kind: The number of the score in `PAIRS`.
        queries: The queries, ascending, int64 ``[query]``.
        keys: The keys, ascending, int64 ``[key]``.
    """

    kind: int
    queries: Tensor
    keys: Tensor


class Matches:
    """Which links of a stream each of `PAIRS` is about, for layers that see the same keys."""

    def __init__(self, features: TokenFeatures, ranges: VisibleRanges) -> None:
        """Find them.

        Args:
            features: Features of the positions.
            ranges: Which keys each query sees; hidden ones may be among the matches, with a weight of 0.
        """
        self._ranges, self._device = ranges, ranges.start.device
        self._outside = (~features.keys["sink"]).float().to(self._device)
        self._n_key = features.n_key
        self._groups: list[_Group] = []
        self._listed: tuple[Tensor, Tensor, Tensor] | None = None
        self._own: Tensor | None = None
        if features.offset is None:
            return
        self._offset = features.offset
        self._own = torch.arange(features.n_query, device=self._device) + features.offset
        tokens, words = features.key_tokens, features.key_words
        before = tokens.roll(1)
        before[:1] = -2
        listed = []
        for name, mine, theirs in (
            ("duplicate", features.query_tokens, tokens),
            ("induction", features.query_tokens, before),
            ("same_word", features.query_words, words),
        ):
            kind = PAIRS.index(name)
            for queries, keys in _equal(mine, theirs, features.offset):
                if len(queries) * len(keys) > _FEW:
                    own = (torch.from_numpy(each).to(self._device) for each in (queries, keys))
                    self._groups.append(_Group(kind, *own))
                else:
                    listed.append((kind, queries, keys))
        self._listed = self._links(listed)

    def _links(self, groups: list[tuple[int, Ints, Ints]]) -> tuple[Tensor, Tensor, Tensor]:
        """List number of the score, query and key of the links of small groups that are seen."""
        parts = [np.zeros((3, 0), np.int64)]
        for kind, queries, keys in groups:
            query, key = np.repeat(queries, len(keys)), np.tile(keys, len(queries))
            parts.append(np.stack([np.full_like(key, kind), query, key]))
        kind, query, key = torch.from_numpy(np.concatenate(parts, 1)).to(self._device)
        seen = self._counted(kind, query, key)
        return kind[seen], query[seen], key[seen]

    def _counted(self, kind: Tensor | int, query: Tensor, key: Tensor) -> Tensor:
        """Tell which of some links are seen, and of two different positions, of which none follows the other."""
        own = query + self._offset
        counted = (key >= self._ranges.start[query]) & (key < self._ranges.stop[query])
        follows = (key == own + 1) & (
            torch.as_tensor(kind, device=key.device) == PAIRS.index("induction")
        )
        return counted & (key != own) & ~follows

    def sums(self, run: HeadRun, log: Tensor) -> Tensor:
        """Add up the weights of each of `PAIRS`, float64 ``[with or without sink, pair, head, query]``.

        Args:
            run: The heads, with the sink among the keys they see.
            log: Log-sum-exp of whole rows, float64 ``[head, query]``.
        """
        heads, n_query = log.shape
        if self._own is None:
            return log.new_zeros((2, 0, heads, n_query))
        found = log.new_zeros((2, len(PAIRS), heads, n_query))
        # Rows that see nothing give nothing.
        finite = log.float().masked_fill_(log == -torch.inf, -HIDDEN)
        self._add_neighbours(found, run, finite)
        self._add_listed(found, run, finite)
        for group in self._groups:
            self._add_group(found, run, finite, group)
        return found

    def _add_neighbours(self, found: Tensor, run: HeadRun, log: Tensor) -> None:
        if self._own is None:
            return
        heads, n_query = log.shape
        size = max(1, _NUMBERS // (heads * run.scored))
        for name, ahead in _NEIGHBOURS.items():
            first = max(0, -self._offset - ahead)
            last = min(n_query, self._n_key - self._offset - ahead)
            for start in range(first, last, size):
                rows = slice(start, min(start + size, last))
                keys = slice(rows.start + self._offset + ahead, rows.stop + self._offset + ahead)
                places = self._own[rows] + ahead
                seen = (places >= self._ranges.start[rows]) & (places < self._ranges.stop[rows])
                if not bool(seen.any()):
                    continue
                weights = (run.link_scores(rows, keys) - log[:, rows]).exp_() * seen
                kind = PAIRS.index(name)
                found[0, kind, :, rows] = weights
                found[1, kind, :, rows] = weights * self._outside[keys]

    def _add_listed(self, found: Tensor, run: HeadRun, log: Tensor) -> None:
        if self._listed is None:
            return
        heads, n_query = log.shape
        flat = found.view(2, len(PAIRS), heads, n_query).transpose(1, 2)
        sums = log.new_zeros((2, heads, len(PAIRS) * n_query), dtype=torch.float64)
        kinds, queries, keys = self._listed
        size = max(1, _NUMBERS // (heads * run.scored))
        for start in range(0, len(keys), size):
            kind, query, key = (each[start : start + size] for each in (kinds, queries, keys))
            weights = (run.link_scores(query, key) - log[:, query]).exp_().double()
            places = kind * n_query + query
            sums[0].index_add_(1, places, weights)
            sums[1].index_add_(1, places, weights * self._outside[key])
        flat += sums.view(2, heads, len(PAIRS), n_query)

    def _add_group(self, found: Tensor, run: HeadRun, log: Tensor, group: _Group) -> None:
        heads = len(log)
        for start in range(0, len(group.queries), _ROWS):
            queries = group.queries[start : start + _ROWS]
            seen = self._ranges.start[queries[:1]], self._ranges.stop[queries[-1:]]
            first, last = (int(torch.searchsorted(group.keys, bound)) for bound in seen)
            size = max(1, _NUMBERS // (heads * len(queries)))
            query = run.query[:, :, queries, : run.scored] * _LOG2E
            groups, share, count, width = query.shape
            # The log-sum-exp is a column more of the product.
            logs = log[:, queries].view(groups, share, count, 1) * -_LOG2E
            flat = torch.cat([query, logs], -1).view(groups, share * count, width + 1)
            for at in range(first, last, size):
                keys = group.keys[at : min(at + size, last)]
                key = run.key[:, 0, keys, : run.scored]
                key = torch.cat([key, key.new_ones((groups, len(keys), 1))], -1)
                hidden = ~self._counted(group.kind, queries[:, None], keys)
                weights = torch.matmul(flat, key.mT).view(heads, count, len(keys))
                # Added, as a fill of random entries takes far longer.
                weights.add_(torch.where(hidden, -torch.inf, 0.0)).exp2_()
                both = torch.stack(
                    [torch.ones(len(keys), device=keys.device), self._outside[keys]], 1
                )
                summed = (weights.view(-1, len(keys)) @ both).view(heads, count, 2)
                found[:, group.kind][..., queries] += summed.permute(2, 0, 1)


def _equal(mine: Tensor, theirs: Tensor, offset: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield queries and keys that have the same number, from 0 on, where these may be different positions."""
    by_key = dict(_places(theirs))
    for number, queries in _places(mine):
        keys = by_key.get(number)
        if keys is None:
            continue
        # Most tokens occur once.
        if len(queries) == len(keys) == 1 and queries[0] + offset in (keys[0], keys[0] - 1):
            continue
        yield queries, keys


def _places(numbers: Tensor) -> Iterator[tuple[int, Ints]]:
    """Yield each number from 0 on, and where it stands, ascending."""
    array = numbers.numpy()
    order = np.argsort(array, kind="stable")
    ordered = array[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-3))
    for start, stop in pairwise([*starts.tolist(), len(order)]):
        if ordered[start] >= 0:
            yield int(ordered[start]), order[start:stop]
