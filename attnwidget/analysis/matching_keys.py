"""Weights of the pairs that scores ask about: neighbours by diagonals, equal tokens and words group by group.

Equal tokens are a group of queries and one of keys. Where these are few, their links are listed and computed one by one;
where they are many, they are a product of matrices, block by block. Either way a head costs what matches, not all links.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    from attnwidget.compute.resumable import Slices

    Ints = NDArray[np.int64]

__all__ = ["Matches"]

_NEIGHBOURS = {"previous": -1, "next": 1, "self": 0}
# A group with no more links than this is listed: a product of its own would take longer.
_FEW = 64
# Queries of a block of a larger group: of causal ones, no keys after the last are read.
_ROWS = 64
# Keys of a block.
_KEYS = 512
# A mask of no more links than this is kept; larger ones are made again for each run of heads.
_KEPT = 1 << 14
# Links of blocks, of all heads, that are read in one slice of the work.
_SLICE = 1 << 23
# Numbers of listed vectors at a time: they stay in a core's cache.
_NUMBERS = 1 << 19
_LOG2E = math.log2(math.e)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Queries and the keys that match them, counted along the lists of all that match in large groups.

    Attributes:
        kind: The number of the score in `PAIRS`.
        queries: The queries.
        keys: The keys.
        mask: What hides the links that do not count, float32 ``[query, key]``, ``None`` where it is made when needed.
        outside: 1 for keys outside of the sink, else 0, float32 ``[key]``, ``None`` where all are.
    """

    kind: int
    queries: slice
    keys: slice
    mask: Tensor | None
    outside: Tensor | None


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
        self._both = torch.stack([torch.ones_like(self._outside), self._outside], 1)
        self._n_key = features.n_key
        self._blocks: list[_Block] = []
        # Which of the listed queries of large groups are those of each kind.
        self._rows: dict[int, slice] = {}
        self._queries = self._keys = torch.zeros(0, dtype=torch.int64, device=self._device)
        self._listed: tuple[Tensor, Tensor, Tensor] | None = None
        self._own: Tensor | None = None
        if features.offset is None:
            return
        self._offset = features.offset
        self._own = torch.arange(features.n_query, device=self._device) + features.offset
        tokens, words = features.key_tokens, features.key_words
        before = tokens.roll(1)
        before[:1] = -2
        links: list[Ints] = []
        large: list[tuple[int, Ints, Ints]] = []
        for name, mine, theirs in (
            ("duplicate", features.query_tokens, tokens),
            ("induction", features.query_tokens, before),
            ("same_word", features.query_words, words),
        ):
            kind = PAIRS.index(name)
            listed, groups = _matching(_Numbers.of(mine), _Numbers.of(theirs))
            links.append(np.concatenate([np.full_like(listed[:1], kind), listed]))
            large += [(kind, queries, keys) for queries, keys in groups]
        kind_of, query, key = torch.from_numpy(np.concatenate(links, 1)).to(self._device)
        seen = self._counted(kind_of, query, key)
        self._listed = kind_of[seen], query[seen], key[seen]
        if large:
            self._queries, self._keys = (
                torch.from_numpy(np.concatenate([group[which] for group in large])).to(self._device)
                for which in (1, 2)
            )
            self._blocks = list(self._cut(large))
            sizes = {kind: 0 for kind, _, _ in large}
            for kind, queries, _ in large:
                sizes[kind] += len(queries)
            last = 0
            for kind, size in sizes.items():
                self._rows[kind] = slice(last, last + size)
                last += size

    def _cut(self, groups: list[tuple[int, Ints, Ints]]) -> Iterator[_Block]:
        """Cut large groups into blocks of queries, without the keys that none of these sees."""
        start, stop = self._ranges.start.cpu().numpy(), self._ranges.stop.cpu().numpy()
        queries_before = keys_before = 0
        for kind, queries, keys in groups:
            for first in range(0, len(queries), _ROWS):
                last = min(first + _ROWS, len(queries))
                bounds = start[queries[first]], stop[queries[last - 1]]
                low, high = (keys_before + int(at) for at in np.searchsorted(keys, bounds))
                rows = slice(queries_before + first, queries_before + last)
                for at in range(low, high, _KEYS):
                    some = slice(at, min(at + _KEYS, high))
                    kept = (last - first) * (some.stop - at) <= _KEPT
                    outside = self._outside[self._keys[some]]
                    yield _Block(
                        kind,
                        rows,
                        some,
                        self._mask(kind, rows, some) if kept else None,
                        None if bool(outside.all()) else outside,
                    )
            queries_before += len(queries)
            keys_before += len(keys)

    def _counted(self, kind: Tensor | int, query: Tensor, key: Tensor) -> Tensor:
        """Tell which of some links are seen, and of two different positions, of which none follows the other."""
        own = query + self._offset
        counted = (key >= self._ranges.start[query]) & (key < self._ranges.stop[query])
        follows = (key == own + 1) & (
            torch.as_tensor(kind, device=key.device) == PAIRS.index("induction")
        )
        return counted & (key != own) & ~follows

    def sums(self, run: HeadRun, log: Tensor) -> Slices[Tensor]:
        """Add up the weights of each of `PAIRS`, float64 ``[with or without sink, pair, head, query]``, in slices.

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
        yield 0.0
        yield from self._add_blocks(found, run, finite)
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

    def _add_blocks(self, found: Tensor, run: HeadRun, log: Tensor) -> Slices[None]:
        if not self._blocks:
            return
        heads = len(log)
        query = run.query.index_select(2, self._queries)
        groups, share, count, width = query.shape
        # The log-sum-exp is a column more of the product, in the place of the position.
        query[..., run.place] = -log.index_select(1, self._queries).view(groups, share, count)
        query.mul_(_LOG2E)
        key = run.key[:, 0].index_select(1, self._keys)
        key[..., run.place] = 1.0
        sums = query.new_zeros((2, heads, count))
        read = 0
        for at, block in enumerate(self._blocks):
            rows = block.queries.stop - block.queries.start
            some = query[:, :, block.queries].reshape(groups, share * rows, width)
            mask = block.mask
            if mask is None:
                mask = self._mask(block.kind, block.queries, block.keys)
            weights = torch.matmul(some, key[:, block.keys].mT).view(heads, rows, -1)
            # Added, as a fill of random entries takes far longer.
            weights.add_(mask).exp2_()
            summed = weights.sum(-1)
            sums[0, :, block.queries] += summed
            if block.outside is not None:
                summed = weights @ block.outside
            sums[1, :, block.queries] += summed
            read += weights.numel()
            if read > _SLICE:
                read = 0
                yield at / len(self._blocks)
        for kind, rows in self._rows.items():
            # A query is in one group of a kind, at most.
            found[:, kind].index_add_(2, self._queries[rows], sums[:, :, rows].double())

    def _mask(self, kind: int, rows: slice, some: slice) -> Tensor:
        """Return what hides the links of a block that do not count, float32 ``[query, key]``."""
        queries, keys = self._queries[rows], self._keys[some]
        own = (queries + self._offset)[:, None]
        hidden = keys == own
        if kind == PAIRS.index("induction"):
            hidden |= keys == own + 1
        hidden |= keys >= self._ranges.stop[queries][:, None]
        hidden |= keys < self._ranges.start[queries][:, None]
        return torch.where(hidden, -torch.inf, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """Where each number stands among some.

    Attributes:
        values: The numbers from 0 on, once each, ascending.
        starts: Where the places of each begin in ``places``.
        counts: How many each has.
        places: The places of one number after the other, ascending in each.
    """

    values: Ints
    starts: Ints
    counts: Ints
    places: Ints

    @classmethod
    def of(cls, numbers: Tensor) -> _Numbers:
        """Find them."""
        array = numbers.numpy().astype(np.int64)
        places = np.argsort(array, kind="stable").astype(np.int64)
        values, starts, counts = np.unique(array[places], return_index=True, return_counts=True)
        real = values >= 0
        return cls(values[real], starts[real], counts[real], places)

    def at(self, number: int) -> Ints:
        """Return the places of the number that comes so many-th."""
        return self.places[self.starts[number] : self.starts[number] + self.counts[number]]


def _matching(queries: _Numbers, keys: _Numbers) -> tuple[Ints, list[tuple[Ints, Ints]]]:
    """Return queries and keys of the same number.

    Returns:
        Where they are few, query and key of each link, int64 ``[2, link]``; where they are many, the queries and the keys
        of each number.
    """
    _, mine, theirs = np.intersect1d(
        queries.values, keys.values, assume_unique=True, return_indices=True
    )
    many = queries.counts[mine] * keys.counts[theirs] > _FEW
    large = [(queries.at(mine[at]), keys.at(theirs[at])) for at in np.flatnonzero(many)]
    mine, theirs = mine[~many], theirs[~many]
    # Each query of a number stands in a link with every key of that.
    some = queries.places[_runs(queries.starts[mine], queries.counts[mine])]
    number = np.repeat(theirs, queries.counts[mine])
    others = keys.places[_runs(keys.starts[number], keys.counts[number])]
    return np.stack([np.repeat(some, keys.counts[number]), others]), large


def _runs(starts: Ints, counts: Ints) -> Ints:
    """Return so many integers from each start on, one run after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())
