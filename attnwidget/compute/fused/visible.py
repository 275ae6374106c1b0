"""Which keys each query sees, as a range and a list of hidden keys: no matrix of queries and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = ["VisibleRanges"]


@dataclass(frozen=True, slots=True, eq=False)
class VisibleRanges:
    """The keys that the queries of a layer see: those of a range that no query is denied.

    Attributes:
        start: The first key of each query's range, int64 ``[query]``.
        stop: The key after the last one, int64 ``[query]``.
        hidden: Keys that no query sees, boolean ``[head or 1, key]``.
    """

    start: Tensor
    stop: Tensor
    hidden: Tensor

    @classmethod
    def of(cls, layer: LayerTensors) -> VisibleRanges:
        """Read band and bias of a layer, whose bias is the same for all queries if there is one."""
        device, n_key, band = layer.device, layer.n_key, layer.band
        queries = torch.arange(layer.n_query, device=device)
        start, stop = torch.zeros_like(queries), torch.full_like(queries, n_key)
        if band is not None:
            centre = queries + band.offset
            if band.causal:
                stop = centre + 1
                if band.window is not None:
                    start = centre - band.window + 1
            elif band.window is not None:
                start, stop = centre - band.window, centre + band.window + 1
        start = start.clamp(0, n_key)
        stop = torch.maximum(stop.clamp(0, n_key), start)
        hidden = torch.zeros((1, n_key), dtype=torch.bool, device=device)
        if layer.bias is not None:
            hidden = (layer.bias[:, 0] <= layer.mask_threshold).expand(-1, n_key)
            # Most masks are the same for all heads.
            if len(hidden) > 1 and bool((hidden == hidden[:1]).all()):
                hidden = hidden[:1]
        return cls(start, stop, hidden)
