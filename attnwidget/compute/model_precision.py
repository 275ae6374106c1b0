"""Weights in the model's own dtype and order of operations, whole heads at once, as its eager attention computes them.

``softmax(query @ key.T * scaling + bias)``, every step rounded to the dtype of the query, the softmax in float32 or in that
dtype, and its result rounded again. Products of a block of rows may end in other bits than those of a whole head, and the
product of one head in other bits than that of all heads (a small one is shared out to threads by rows instead of by heads):
so heads are computed whole, their products together where they fit, and those that were read last are kept.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.softmax import no_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.indexing import Axis
    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.softmax_stats import StatsCache

__all__ = ["computed_heads", "whole_heads"]

_HIDDEN = -torch.inf


def whole_heads(layer: LayerTensors, heads: Axis) -> Tensor:
    """Return the recorded weights of some heads, or those that the model's arithmetic gives, ``[head, query, key]``.

    Not to be written into. Each computed head takes ``n_query * n_key`` numbers while it is computed.

    Args:
        layer: A layer of which `LayerTensors.has_matrices` is true.
        heads: The heads.
    """
    if layer.recorded is not None:
        return heads.take(layer.recorded, 0)
    found = [_latest.of(layer, head) for head in heads.indices]
    return found[0][None] if len(found) == 1 else torch.stack(found)


def computed_heads(layer: LayerTensors, head: int | None = None) -> Iterator[tuple[int, Tensor]]:
    """Yield heads with their weights in the dtype of the query, ``[query, key]``.

    Args:
        layer: A layer with queries and keys.
        head: The head that is asked for, or None for all. All are given where their products fit together.
    """
    if layer.query is None or layer.key is None:
        raise ValueError(no_vectors(layer))
    n_bytes = layer.num_heads * layer.n_query * layer.n_key * layer.query.element_size()
    group = layer.num_heads // layer.num_key_value_heads
    if n_bytes <= current_sizes().model_head_bytes:
        key = layer.key.repeat_interleave(group, 0) if group > 1 else layer.key
        # The batch stands before them, as the model has it.
        products = torch.matmul(layer.query[None], key[None].mT)[0]
        for each, product in enumerate(products):
            yield each, _weights(layer, each, product)
        return
    for each in range(layer.num_heads) if head is None else (head,):
        query, key = layer.query[each], layer.key[each // group]
        yield each, _weights(layer, each, torch.matmul(query[None, None], key[None, None].mT)[0, 0])


def _weights(layer: LayerTensors, head: int, scores: Tensor) -> Tensor:
    """Return the weights of the products ``query @ key.T`` of one head."""
    given = scores.dtype
    if layer.scaling is not None:
        scores = scores * layer.scaling
    if layer.softcap is not None:
        scores = torch.tanh(scores / layer.softcap) * layer.softcap
    scores = _masked(layer, head, scores)
    # A row that sees nothing gives zeros, as in float32.
    empty = (scores == _HIDDEN).all(-1, keepdim=True)
    dtype = torch.float32 if layer.softmax_dtype == "float32" else scores.dtype
    if layer.sinks is None:
        weights = torch.softmax(scores, -1, dtype=dtype)
    else:
        sink = layer.sinks[head].to(scores.dtype).expand(len(scores), 1)
        scores = torch.cat([scores, sink], -1)
        scores = scores - scores.amax(-1, keepdim=True)
        weights = torch.softmax(scores, -1, dtype=dtype)[:, :-1]
    return weights.masked_fill(empty, 0.0).to(given)


def _masked(layer: LayerTensors, head: int, scores: Tensor) -> Tensor:
    if layer.bias is not None:
        bias = layer.bias[head if len(layer.bias) > 1 else 0]
        # A bias of float32 makes float32 of the scores, as in the model.
        scores = scores + (bias if bias.dtype == torch.float32 else bias.to(scores.dtype))
    if layer.band is not None:
        queries = torch.arange(layer.n_query, device=layer.device)
        keys = torch.arange(layer.n_key, device=layer.device)
        scores = scores.masked_fill(~layer.band.visible(queries, keys), _HIDDEN)
    return scores


class _LatestHeads:
    """The heads that were computed last, of all layers, up to ``BlockSizes.model_head_bytes`` and one at the least."""

    def __init__(self) -> None:
        # The end of a layer may come while this very thread holds the lock.
        self._lock = threading.RLock()
        self._held: OrderedDict[
            tuple[int, int], tuple[weakref.ReferenceType[StatsCache], Tensor]
        ] = OrderedDict()
        self._bytes = 0

    def of(self, layer: LayerTensors, head: int) -> Tensor:
        owner = layer._stats  # noqa: SLF001  (private to `compute`; copies of a layer share it)
        place = (id(owner), head)
        with self._lock:
            if place in self._held:
                self._held.move_to_end(place)
                return self._held[place][1]
        found = dict(computed_heads(layer, head))
        for each, made in found.items():
            self._keep(owner, each, made)
        return found[head]

    def _keep(self, owner: StatsCache, head: int, made: Tensor) -> None:
        place = (id(owner), head)
        with self._lock:
            self._drop(place)
            self._held[place] = weakref.ref(owner, lambda _: self._drop(place)), made
            self._bytes += made.nbytes
            while self._bytes > current_sizes().model_head_bytes and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def _drop(self, place: tuple[int, int]) -> None:
        with self._lock:
            if place in self._held:
                self._bytes -= self._held.pop(place)[1].nbytes


_latest = _LatestHeads()
