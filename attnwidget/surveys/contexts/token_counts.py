"""`TokenCounts`: how often each token, and each pair of tokens, is the query or the key of a link that fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.surveys.contexts.places import FiringLinks

__all__ = ["BLOCK", "COUNTERS", "KINDS", "Counters", "InputLinks", "TokenCounts"]

COUNTERS = 256
"""Counters of each kind that are kept for each head."""

BLOCK = 64
"""Inputs that are counted together before counters are given up."""

KINDS = ("query", "key", "pair")


@dataclass(frozen=True, slots=True, eq=False)
class InputLinks:
    """The links of one input that fire.

    Attributes:
        tokens: Tokens of the input, each once.
        head: Head of each link among all of the stream, int32 ``[link]``.
        query: The query's token, by its place in ``tokens``.
        key: The key's.
    """

    tokens: tuple[str, ...]
    head: NDArray[np.int32]
    query: NDArray[np.int32]
    key: NDArray[np.int32]

    @classmethod
    def of(cls, links: FiringLinks, queries: Sequence[str], keys: Sequence[str]) -> InputLinks:
        """Return links with their tokens in place of positions."""
        known: dict[str, int] = {}
        used = [queries[one] for one in links.query.tolist()]
        seen = [keys[one] for one in links.key.tolist()]
        query = np.array([known.setdefault(one, len(known)) for one in used], np.int32)
        key = np.array([known.setdefault(one, len(known)) for one in seen], np.int32)
        return cls(tuple(known), links.head, query, key)


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """Counters of one kind, at most `COUNTERS` for each head (Misra & Gries 1982; merged as Agarwal et al. 2012).

    A count is too small by ``error`` of its head at most, and whatever has no counter occurred so often at most; adding
    the error to each count makes this the space-saving summary of Metwally et al. 2005. The error is 0 as long as no
    head had more than `COUNTERS` different tokens or pairs, and never more than the head's links / (`COUNTERS` + 1).

    Attributes:
        head: Head of each counter, int32, ascending.
        query: Number of the query's token, -1 for counts of keys, int32.
        key: Number of the key's token, -1 for counts of queries.
        count: The counter, int64.
        error: What was subtracted from all counters of each head, int64 ``[head]``.
    """

    head: NDArray[np.int32]
    query: NDArray[np.int32]
    key: NDArray[np.int32]
    count: NDArray[np.int64]
    error: NDArray[np.int64]

    @classmethod
    def none(cls, heads: int) -> Counters:
        """Return no counter."""
        nothing = np.zeros(0, np.int32)
        return cls(nothing, nothing, nothing, np.zeros(0, np.int64), np.zeros(heads, np.int64))

    def with_more(self, more: Sequence[Counters]) -> Counters:
        """Return the sums of these and others, of which as many as there is room for; all number tokens alike."""
        every = (self, *more)
        head, query, key, count = (
            np.concatenate([getattr(one, name) for one in every])
            for name in ("head", "query", "key", "count")
        )
        error = np.sum([one.error for one in every], axis=0)
        order = np.lexsort((key, query, head))
        head, query, key, count = head[order], query[order], key[order], count[order]
        new = np.ones(len(head), dtype=bool)
        new[1:] = (head[1:] != head[:-1]) | (query[1:] != query[:-1]) | (key[1:] != key[:-1])
        starts = np.flatnonzero(new)
        count = np.add.reduceat(count, starts) if len(starts) else count
        return _bounded(head[starts], query[starts], key[starts], count, error)


def _bounded(
    head: NDArray[np.int32],
    query: NDArray[np.int32],
    key: NDArray[np.int32],
    count: NDArray[np.int64],
    error: NDArray[np.int64],
) -> Counters:
    """Subtract the largest count that has no room from all of its head, and let go what is left with none."""
    number = np.bincount(head, minlength=len(error))
    if (number <= COUNTERS).all():
        return Counters(head, query, key, count, error)
    starts = np.cumsum(number) - number
    ranked = np.lexsort((-count, head))
    full = np.flatnonzero(number > COUNTERS)
    taken = np.zeros(len(error), np.int64)
    taken[full] = count[ranked[starts[full] + COUNTERS]]
    left = count - taken[head]
    kept = left > 0
    return Counters(head[kept], query[kept], key[kept], left[kept], error + taken)


@dataclass(frozen=True, slots=True, eq=False)
class TokenCounts:
    """How often tokens and pairs of tokens are linked, of one stream's heads over many inputs.

    Inputs are counted in blocks of `BLOCK`, in their order, so that nothing depends on how they were shared among
    processes; those that do not fill a block wait.

    Attributes:
        links: Number of links that fire of each head, int64 ``[head]``, all inputs together.
        tokens: The tokens that have counters, in order.
        counters: The counters of each of `KINDS`.
        waiting: Inputs that were not counted yet, in order.
    """

    links: NDArray[np.int64]
    tokens: tuple[str, ...]
    counters: tuple[Counters, ...]
    waiting: tuple[InputLinks, ...] = ()

    @classmethod
    def of(cls, links: InputLinks, heads: int) -> TokenCounts:
        """Return the counts of one input."""
        counted = np.bincount(links.head, minlength=heads).astype(np.int64)
        return cls(counted, (), tuple(Counters.none(heads) for _ in KINDS), (links,))

    def merge(self, other: TokenCounts) -> TokenCounts:
        """Return the counts of both sets of inputs, those of ``other`` after these."""
        links = self.links + other.links
        if any(len(one.count) or one.error.any() for one in other.counters):
            first, second = self.settled(), other.settled()
            tokens = tuple(sorted({*first.tokens, *second.tokens}))
            both = first.numbered(tokens), second.numbered(tokens)
            return TokenCounts(
                links, tokens, tuple(a.with_more([b]) for a, b in zip(*both, strict=True))
            ).used()
        made = TokenCounts(links, self.tokens, self.counters, self.waiting + other.waiting)
        while len(made.waiting) >= BLOCK:
            made = made._counted(BLOCK)
        return made

    def settled(self) -> TokenCounts:
        """Return the same with all inputs counted."""
        return self._counted(len(self.waiting)) if self.waiting else self

    def _counted(self, inputs: int) -> TokenCounts:
        """Count the first of the inputs that wait."""
        some = self.waiting[:inputs]
        tokens = tuple(sorted({*self.tokens, *(token for one in some for token in one.tokens)}))
        number = {token: place for place, token in enumerate(tokens)}
        head, query, key = [], [], []
        for one in some:
            own = np.array([number[token] for token in one.tokens], np.int32)
            head.append(one.head)
            query.append(own[one.query])
            key.append(own[one.key])
        parts = np.concatenate(head), np.concatenate(query), np.concatenate(key)
        none, ones = np.full(len(parts[0]), -1, np.int32), np.ones(len(parts[0]), np.int64)
        error = np.zeros_like(self.links)
        new = (
            Counters(parts[0], parts[1], none, ones, error),
            Counters(parts[0], none, parts[2], ones, error),
            Counters(*parts, ones, error),
        )
        counters = tuple(
            old.with_more([more]) for old, more in zip(self.numbered(tokens), new, strict=True)
        )
        return TokenCounts(self.links, tokens, counters, self.waiting[inputs:]).used()

    def numbered(self, tokens: tuple[str, ...]) -> tuple[Counters, ...]:
        """Return the counters with the numbers of other tokens, these among them."""
        number = {token: place for place, token in enumerate(tokens)}
        # The last stands for "no token", -1.
        new = np.array([*(number[token] for token in self.tokens), -1], np.int32)
        return tuple(
            Counters(one.head, new[one.query], new[one.key], one.count, one.error)
            for one in self.counters
        )

    def used(self) -> TokenCounts:
        """Return the same without tokens that have no counter any more."""
        used = np.unique(
            np.concatenate([part for one in self.counters for part in (one.query, one.key)])
        )
        used = used[used >= 0]
        new = np.full(len(self.tokens) + 1, -1, np.int32)
        new[used] = np.arange(len(used))
        counters = tuple(
            Counters(one.head, new[one.query], new[one.key], one.count, one.error)
            for one in self.counters
        )
        tokens = tuple(self.tokens[place] for place in used.tolist())
        return TokenCounts(self.links, tokens, counters, self.waiting)
