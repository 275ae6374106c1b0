"""Scores of a strip of queries against the keys they see, one key block at a time, ``[group, key, query]``.

Statistics of whole rows (`SoftmaxStats`, the largest weight of every few keys) are gathered block by block, as fused
attention does it: the maximum and the sum of exponentials so far are rescaled when a larger score comes. Blocks have
keys down and queries across: reducing over keys is then reducing over rows of memory, which is several times as fast as
along them. Keys that a band hides from all the queries of a strip are not read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.indexing import Axis
from attnwidget.compute.softmax import Mask, grouped, no_vectors, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.softmax_stats import SoftmaxStats


__all__ = ["ScoreStrip", "block_scores", "exp_", "head_groups"]

# Threads that a block is made larger for.
_MOST_THREADS = 4

_LOG2E = math.log2(math.e)


def block_scores(device: torch.device) -> int:
    """Return how many scores are held at a time on a device."""
    sizes = current_sizes()
    if device.type != "cpu":
        return sizes.device_strip_scores
    return sizes.strip_scores * min(_MOST_THREADS, torch.get_num_threads())


def head_groups(layer: LayerTensors, heads: Axis, num_queries: int) -> Iterator[slice]:
    """Cut ``heads`` into runs that are read together: whole groups of a key head, or heads within one group."""
    sizes = current_sizes()
    share = layer.num_heads // layer.num_key_value_heads
    each = min(sizes.strip_queries, num_queries) * min(sizes.least_keys, layer.n_key)
    most = max(1, block_scores(layer.device) // max(1, each))
    start = 0
    while start < len(heads):
        if not isinstance(heads.indices, range) or heads.indices.step != 1:
            count = 1
        else:
            into = heads.indices[start] % share
            aligned = into == 0 and most >= share
            count = most // share * share if aligned else min(most, share - into)
            left = len(heads) - start
            # What is left of the last group is read on its own.
            count = min(count, left if left < share else left // share * share)
        yield slice(start, start + count)
        start += count


def exp_(scores: Tensor) -> Tensor:
    """Replace scores by their exponentials: powers of two, which processors compute three times as fast.

    The last bit depends on where a score lies in memory, which is why whole rows are not computed so.
    """
    return scores.mul_(_LOG2E).exp2_()


class ScoreStrip:
    """Some queries of some heads of a layer with vectors, ready to be multiplied with keys.

    Attributes:
        layer: The layer.
        heads: The heads, a run as `head_groups` makes it.
        queries: The queries, ascending.
        share: How many heads share a key head: so many times the queries stand side by side in a block.
    """

    __slots__ = ("_folded", "_key", "_query", "heads", "layer", "queries", "share")

    def __init__(self, layer: LayerTensors, heads: Axis, queries: Axis) -> None:
        self.layer, self.heads, self.queries = layer, heads, queries
        if layer.query is None or layer.key is None:
            raise ValueError(no_vectors(layer))
        key_heads, self.share = grouped(layer, heads)
        self._key = key_heads.take(layer.key, 0)
        query = queries.take(heads.take(layer.query, 0), 1).float()
        # A power of two changes no digit of the product, wherever it is multiplied in. Other factors are left to the
        # scores, so that what is read again block by block rounds as whole rows do.
        factor = 1.0 if layer.scaling is None else layer.scaling
        self._folded = layer.softcap is None and factor > 0 and math.frexp(factor)[0] == 0.5
        if self._folded and factor != 1:
            query = query * factor
        # A copy in the memory layout that the product reads fastest.
        self._query = query.reshape(len(self._key), -1, query.shape[2]).mT.contiguous()

    def blocks(self, keys: range, grain: int = 1) -> Iterator[tuple[range, bool]]:
        """Cut those of ``keys`` that any of the queries sees into blocks.

        Args:
            keys: Keys that are wanted.
            grain: Blocks begin at multiples of so many keys after the first one wanted, and end there or with the last.

        Yields:
            The keys of a block, and whether any of them is hidden from any of the queries.
        """
        seen = clear = keys
        band = self.layer.band
        if band is not None:
            first, last = self.queries.indices[0], self.queries.indices[-1]
            seen = _outer(keys, band.span(first, last, self.layer.n_key), grain)
            clear = _inner(seen, band.common(first, last, self.layer.n_key), grain)
        columns = len(self.heads) * len(self.queries)
        step = max(1, block_scores(self.layer.device) // columns // grain) * grain
        parts = (range(seen.start, clear.start), clear, range(clear.stop, seen.stop))
        for part, hidden in zip(parts, (True, False, True), strict=True):
            for start in range(part.start, part.stop, step):
                yield range(start, min(part.stop, start + step)), hidden

    def scores(self, keys: range, *, hidden: bool) -> Tensor:
        """Return the scores of a block, float32 ``[group, key, query]``, ``-inf`` where masked.

        The queries of the heads that share a key head stand side by side.

        Args:
            keys: The keys.
            hidden: Whether a band hides any of them from any of the queries.
        """
        layer = self.layer
        block = torch.matmul(self._key[:, keys.start : keys.stop].float(), self._query)
        if not self._folded:
            scale(layer, block)
        if layer.bias is None and not hidden:
            return block
        addend = Mask.of(layer, self.heads, self.queries, Axis(keys)).addend
        if addend is not None:
            by_head = block.view(len(self._key), len(keys), self.share, len(self.queries))
            groups = len(self._key) if len(addend) > 1 else 1
            added = addend.view(groups, -1, *addend.shape[1:])
            by_head.add_(added.permute(0, 3, 1, 2))
        return block

    def weights(self, keys: range, stats: SoftmaxStats, *, hidden: bool) -> Tensor:
        """Return the weights of a block, as `scores`, of rows that are not uniform."""
        block = self.scores(keys, hidden=hidden)
        return exp_(block.sub_(self.flat(stats.maximum))).div_(self.flat(stats.total))

    def by_key(self, tensor: Tensor, keys: range) -> Tensor:
        """Bring ``[head, key]`` into a shape that can be broadcast over a block of these keys."""
        part = tensor[self.heads.indices[0] : self.heads.indices[-1] + 1, keys.start : keys.stop]
        wide = part.view(len(self._key), -1, len(keys)).mT
        return wide.repeat_interleave(len(self.queries), 2)

    def flat(self, tensor: Tensor) -> Tensor:
        """Bring ``[head, query]`` into the shape of a block of one key."""
        return tensor.reshape(len(self._key), 1, -1)

    def by_head(self, block: Tensor) -> Tensor:
        """Bring ``[group, key, query]`` into the shape ``[head, key, query]``."""
        groups, keys, _ = block.shape
        parted = block.view(groups, keys, self.share, len(self.queries)).transpose(1, 2)
        return parted.reshape(len(self.heads), keys, len(self.queries))

    def empty(self, count: int, value: float) -> Tensor:
        """Return as much as a block of ``count`` keys, filled with one value."""
        shape = (len(self._key), count, self._query.shape[2])
        return torch.full(shape, value, dtype=torch.float32, device=self._key.device)


def _outer(keys: range, span: range, grain: int) -> range:
    """Return the part of ``keys`` that covers ``span``, in whole grains."""
    start, stop = max(keys.start, span.start), min(keys.stop, span.stop)
    if start >= stop:
        return range(keys.start, keys.start)
    first = keys.start + (start - keys.start) // grain * grain
    return range(first, min(keys.stop, keys.start + -(-(stop - keys.start) // grain) * grain))


def _inner(keys: range, span: range, grain: int) -> range:
    """Return the part of ``keys`` that ``span`` covers, in whole grains; empty at the end when there is none."""
    start, stop = max(keys.start, span.start), min(keys.stop, span.stop)
    first = keys.start + -(-(start - keys.start) // grain) * grain
    end = stop if stop == keys.stop else keys.start + (stop - keys.start) // grain * grain
    return range(first, end) if first < end else range(keys.stop, keys.stop)
