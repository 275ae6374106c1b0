"""Whole rows of weights, read block by block, and what is kept of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.selection import Axis
from attnwidget.softmax import Mask, Vectors, exponentiate, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

__all__ = ["BLOCK_BYTES", "RowCache", "WeightRows", "output", "weight_block", "weight_rows"]

# Scores held at a time while whole rows are read: they stay in a core's cache, and little of a causal mask's hidden
# half is computed. The temporaries beside them are a few times as large at most.
BLOCK_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class WeightRows:
    """Some whole rows of some heads: ``weights = exponentials / total``.

    Attributes:
        heads: Where these rows stand on the head axis that was asked for.
        queries: Where they stand on the query axis that was asked for.
        keys: The keys these rows may see; the weight of every other key is 0.
        exponentials: ``exp(score - maximum)``, float32 ``[head, query, key]``, free to be overwritten.
        maximum: Largest score, sink included, float32 ``[head, query, 1]``.
        total: Sum of the exponentials, sink included, float32 ``[head, query, 1]``.
        uniform: Rows in which every key is masked and which the model's softmax spreads all the same, boolean
            ``[head, query, 1]``.
    """

    heads: slice
    queries: slice
    keys: slice
    exponentials: Tensor
    maximum: Tensor
    total: Tensor
    uniform: Tensor


def weight_rows(layer: Layer, heads: Axis, queries: Axis) -> Iterator[WeightRows]:
    """Read whole rows block by block, in memory bounded by ``BLOCK_BYTES`` and without the keys a band hides."""
    share = layer.num_heads // layer.num_key_value_heads
    row_bytes = 4 * layer.n_key
    group = max(1, BLOCK_BYTES // max(1, len(queries) * row_bytes) // share) * share
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        vectors = Vectors.of(layer, some, Axis(range(layer.n_key)))
        count = max(1, BLOCK_BYTES // (len(some) * row_bytes))
        for start in range(0, len(queries), count):
            rows = queries.part(start, start + count)
            keys = _visible_keys(layer, rows)
            scaled = scale(layer, vectors.dot(rows, slice(keys.start, keys.stop)))
            exponentials, maximum, total, uniform = exponentiate(
                layer, scaled, some, rows, Axis(keys)
            )
            yield WeightRows(
                heads=slice(first, first + len(some)),
                queries=slice(start, start + len(rows)),
                keys=slice(keys.start, keys.stop),
                exponentials=exponentials,
                maximum=maximum,
                total=total,
                uniform=uniform,
            )


def _visible_keys(layer: Layer, queries: Axis) -> range:
    if layer.band is None:
        return range(layer.n_key)
    keys = layer.band.span(min(queries.indices), max(queries.indices), layer.n_key)
    # Rows that see nothing keep one masked key, so that the maximum below has something to look at.
    return keys if len(keys) else range(1)


def weight_block(layer: Layer, heads: Axis, queries: Axis, keys: Axis, cache: RowCache) -> Tensor:
    """Return weights, float32 ``[head, query, key]``, in memory of their own."""
    if layer.recorded is not None:
        block = keys.take(queries.take(heads.take(layer.recorded, 0), 1), 2)
        return block.to(torch.float32, copy=True)
    if keys.covers(layer.n_key):
        return _whole_rows(layer, heads, queries)
    maximum, total, uniform = cache.rows(layer, heads, queries)
    vectors = Vectors.of(layer, heads, keys)
    scaled = scale(layer, vectors.dot(queries, slice(None)))
    mask = Mask.of(layer, heads, queries, keys)
    bare = mask.add_as_model(scaled) if bool(uniform.any()) else None
    scores = mask.add(scaled)
    if bare is not None:
        scores = torch.where(uniform, bare, scores)
    return scores.sub_(maximum).exp_().div_(total)


def _whole_rows(layer: Layer, heads: Axis, queries: Axis) -> Tensor:
    shape = (len(heads), len(queries), layer.n_key)
    weights: Tensor | None = None
    for rows in weight_rows(layer, heads, queries):
        block = rows.exponentials.div_(rows.total)
        if block.shape == shape:
            return block
        if weights is None:
            weights = torch.zeros(shape, dtype=torch.float32, device=layer.device)
        weights[rows.heads, rows.queries, rows.keys] = block
    return (
        torch.zeros(shape, dtype=torch.float32, device=layer.device) if weights is None else weights
    )


def output(layer: Layer, heads: Axis, value: Tensor) -> Tensor:
    """Return weights times values, float32 ``[head, query, value_dim]``."""
    share = layer.num_heads // len(value)
    shape = (len(heads), layer.n_query, value.shape[2])
    result = torch.zeros(shape, dtype=torch.float32, device=value.device)
    queries = Axis(range(layer.n_query))
    if layer.recorded is not None:
        for at, head in enumerate(heads.indices):
            torch.matmul(layer.recorded[head].float(), value[head // share].float(), out=result[at])
        return result
    for rows in weight_rows(layer, heads, queries):
        weights = rows.exponentials.div_(rows.total)
        used = Axis(tuple(head // share for head in heads.indices[rows.heads])).take(value, 0)
        result[rows.heads, rows.queries] = torch.matmul(weights, used[:, rows.keys].float())
    return result


class RowCache:
    """The softmax denominators of a layer: each row is read once, when a block first asks for it.

    Holds a maximum and a total per head and query instead of their log-sum-exp: subtracting the maximum first keeps
    the last bits. Safe to use from several threads.
    """

    __slots__ = ("_known", "_lock", "_maximum", "_total", "_uniform")

    def __init__(self) -> None:
        """Start without any row."""
        self._lock = threading.Lock()
        self._known = torch.empty(0, dtype=torch.bool)
        self._maximum = self._total = self._uniform = torch.empty(0)

    def __reduce__(self) -> tuple[type[RowCache], tuple[()]]:
        # A copy starts empty: a lock can be neither copied nor pickled, and what is missing is read again.
        return RowCache, ()

    def rows(self, layer: Layer, heads: Axis, queries: Axis) -> tuple[Tensor, Tensor, Tensor]:
        """Return maximum, total and uniform of some rows, each ``[head, query, 1]``."""
        with self._lock:
            if not len(self._known):
                shape = (layer.num_heads, layer.n_query, 1)
                device = layer.device
                self._maximum = torch.zeros(shape, dtype=torch.float32, device=device)
                self._total = torch.ones(shape, dtype=torch.float32, device=device)
                self._uniform = torch.zeros(shape, dtype=torch.bool, device=device)
                self._known = torch.zeros(shape, dtype=torch.bool)
            missing = ~queries.take(heads.take(self._known, 0), 1)
            if bool(missing.any()):
                self._read(
                    layer,
                    _chosen(heads, missing.any(1)[:, 0]),
                    _chosen(queries, missing.any(0)[:, 0]),
                )
            held = (self._maximum, self._total, self._uniform)
            found = [queries.take(heads.take(tensor, 0), 1) for tensor in held]
        return found[0], found[1], found[2]

    def slices(self, layer: Layer, heads: Axis, queries: Axis) -> Slices[None]:
        """Read the rows that are not known yet, block by block, so that `rows` finds them."""
        rows_a_slice = max(1, BLOCK_BYTES // (4 * layer.n_key))
        for place in range(len(heads)):
            head = heads.part(place, place + 1)
            for start in range(0, len(queries), rows_a_slice):
                self.rows(layer, head, queries.part(start, start + rows_a_slice))
                done = min(len(queries), start + rows_a_slice) / len(queries)
                yield (place + done) / len(heads)

    def _read(self, layer: Layer, heads: Axis, queries: Axis) -> None:
        for rows in weight_rows(layer, heads, queries):
            some = heads.part(rows.heads.start, rows.heads.stop).tensor(self._maximum.device)[
                :, None
            ]
            at = queries.part(rows.queries.start, rows.queries.stop).tensor(self._maximum.device)[
                None, :
            ]
            self._maximum[some, at] = rows.maximum
            self._total[some, at] = rows.total
            self._uniform[some, at] = rows.uniform
            self._known[some.cpu(), at.cpu()] = True


def _chosen(axis: Axis, wanted: Tensor) -> Axis:
    chosen = [axis.indices[position] for position in wanted.nonzero()[:, 0].tolist()]
    return Axis(tuple(dict.fromkeys(chosen)))
