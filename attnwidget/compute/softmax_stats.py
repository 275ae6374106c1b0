"""Row maximum and sum of exponentials (`SoftmaxStats`), and the cache of them that each layer has."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis, ascending

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["SoftmaxStats", "StatsCache"]


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxStats:
    """Softmax statistics of whole rows: ``weight = exp(score - maximum) / total``.

    Attributes:
        maximum: Largest score, sink included, 0 in rows that see nothing, float32 ``[head, query]``.
        total: Sum of the exponentials, sink included, 1 in rows that see nothing, float32 ``[head, query]``.
        uniform: Rows in which every key is masked and which the model's softmax spreads all the same, boolean
            ``[head, query]``; ``None`` where there are none.
    """

    maximum: Tensor
    total: Tensor
    uniform: Tensor | None = None


class StatsCache:
    """The statistics of a layer's rows: each row is read once, when a block first asks for it.

    Holds a maximum and a total per head and query, 8 bytes, instead of their log-sum-exp: subtracting the maximum
    first keeps the last bits. Safe to use from several threads.
    """

    __slots__ = ("__weakref__", "_held", "_lock", "_uniform")

    def __init__(self) -> None:
        """Start without any row."""
        self._lock = threading.Lock()
        # Of each head maximum and total, [2, query]; a total of 0 is one that is not known.
        self._held: dict[int, Tensor] = {}
        # Of each head that has any, which rows are uniform.
        self._uniform: dict[int, Tensor] = {}

    def __reduce__(self) -> tuple[type[StatsCache], tuple[()]]:
        # A copy starts empty: a lock can be neither copied nor pickled, and what is missing is read again.
        return StatsCache, ()

    def known(self, heads: Axis, queries: Axis) -> SoftmaxStats | None:
        """Return the statistics of some rows if all of them are known."""
        with self._lock:
            held = [self._held.get(head) for head in heads.indices]
            if any(each is None for each in held):
                return None
            taken = torch.stack([queries.take(each, 1) for each in held if each is not None], 1)
            if bool((taken[1] == 0).any()):
                return None
            uniform = None
            if any(head in self._uniform for head in heads.indices):
                nothing = torch.zeros(taken.shape[2], dtype=torch.bool, device=taken.device)
                parts = [self._uniform.get(head) for head in heads.indices]
                uniform = torch.stack(
                    [nothing if part is None else queries.take(part, 0) for part in parts]
                )
        if uniform is not None and not bool(uniform.any()):
            uniform = None
        return SoftmaxStats(taken[0], taken[1], uniform)

    def keep(self, heads: Axis, queries: Axis, stats: SoftmaxStats, *, n_query: int) -> None:
        """Keep the statistics of some rows of a layer with ``n_query`` of them."""
        device = stats.maximum.device
        at = queries.tensor(device)
        with self._lock:
            for place, head in enumerate(heads.indices):
                if head not in self._held:
                    self._held[head] = torch.zeros((2, n_query), dtype=torch.float32, device=device)
                self._held[head][0, at] = stats.maximum[place]
                self._held[head][1, at] = stats.total[place]
                if stats.uniform is not None and bool(stats.uniform[place].any()):
                    nothing = torch.zeros(n_query, dtype=torch.bool, device=device)
                    self._uniform.setdefault(head, nothing)[at] = stats.uniform[place]

    def missing(self, heads: Axis, queries: Axis) -> Axis:
        """Return the queries of which any of the heads' rows is not known."""
        with self._lock:
            held = [self._held.get(head) for head in heads.indices]
            if any(each is None for each in held):
                return queries
            unknown = [queries.take(each[1], 0) == 0 for each in held if each is not None]
            places = torch.stack(unknown).any(0).nonzero()[:, 0].tolist()
        return ascending([queries.indices[place] for place in places])
