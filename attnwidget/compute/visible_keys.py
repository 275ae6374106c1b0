"""Which keys each query can see, read off mask or recorded weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.softmax import Mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors


__all__ = ["VisibleKeys", "looks_ahead", "seen_keys"]


def seen_keys(layers: Iterable[LayerTensors], queries: Axis) -> range:
    """Return the keys that queries may see in any of the layers, one at least."""
    spans = []
    for layer in layers:
        if layer.band is None or not layer.has_vectors:
            return range(layer.n_key)
        first, last = queries.indices[0], queries.indices[-1]
        # Rows that see nothing are read with the first key, as `weight_rows` reads them.
        spans.append(layer.band.span(first, last, layer.n_key) or range(1))
    return range(min(span.start for span in spans), max(span.stop for span in spans))


def looks_ahead(layer: LayerTensors, offset: int) -> bool:
    """Tell whether a head of recorded weights looks past its query, the first of which stands at key ``offset``."""
    if layer.recorded is None or layer.has_vectors:
        return True
    ahead = torch.ones((layer.n_query, layer.n_key), dtype=torch.bool, device=layer.device)
    ahead = ahead.triu(offset + 1)
    # A head of NaN says nothing about the others.
    return any(bool(head[ahead].nan_to_num().any()) for head in layer.recorded)


class VisibleKeys:
    """Which keys the queries of a layer see.

    A layer with vectors has its mask. Recorded weights have none: they are taken as causal when no head of the layer
    looks ahead of its query, and as seeing everything otherwise.

    Attributes:
        key: Equal for layers that see the same, as far as can be told cheaply.
    """

    def __init__(self, layer: LayerTensors, *, offset: int | None) -> None:
        """Look at a layer whose query 0 stands at key ``offset``, or in another sequence (``None``)."""
        self._layer = layer
        self._offset = offset or 0
        self._causal = False
        if not layer.has_vectors:
            self._causal = offset is not None and not looks_ahead(layer, offset)
            self.key: tuple[object, ...] = ("recorded", self._causal, layer.n_query, layer.n_key)
            self._masked = False
        else:
            bias = layer.bias
            # A position bias hides nothing; it need not be read again for every block.
            self._masked = bias is not None and bool((bias <= layer.mask_threshold).any())
            self.key = (layer.band, id(bias) if self._masked else None)

    def of(self, queries: Axis, some: range) -> Tensor:
        """Return which of some keys are seen, boolean ``[head or 1, query, key]``."""
        layer, keys = self._layer, Axis(some)
        shape = (1, len(queries), len(keys))
        if not layer.has_vectors:
            if not self._causal:
                return torch.ones(shape, dtype=torch.bool, device=layer.device)
            own = queries.tensor(layer.device)[:, None] + self._offset
            return (keys.tensor(layer.device) <= own)[None]
        if not self._masked:
            if layer.band is None:
                return torch.ones(shape, dtype=torch.bool, device=layer.device)
            return layer.band.visible(queries.tensor(layer.device), keys.tensor(layer.device))[None]
        addend = Mask.of(layer, Axis(range(layer.num_heads)), queries, keys).addend
        everything = torch.ones(shape, dtype=torch.bool, device=layer.device)
        seen = everything if addend is None else addend != -torch.inf
        # Most masks are the same for all heads.
        if len(seen) > 1 and bool((seen == seen[:1]).all()):
            seen = seen[:1]
        return seen.expand(len(seen), len(queries), len(keys))
