"""Layers of random numbers, and the dense reference that every shortcut is held against."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnwidget.record.layer import Layer

HEADS, QUERIES, KEYS, HEAD_DIM, VALUE_DIM = 6, 5, 7, 4, 3


def random_layer(
    *,
    queries: int = QUERIES,
    keys: int = KEYS,
    heads: int = HEADS,
    key_value_heads: int | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    **fields: Any,
) -> Layer:
    """Return a layer with random query, key and value; ``fields`` go to `Layer`."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    groups = key_value_heads or heads
    fields.setdefault("scaling", 0.7)
    fields.setdefault("layer", 0)
    fields.setdefault("stream", "self")
    return Layer(
        module_path="model.layers.0.attention",
        num_heads=heads,
        query=draw(heads, queries, HEAD_DIM) * 2,
        key=draw(groups, keys, HEAD_DIM),
        value=draw(groups, keys, VALUE_DIM),
        **fields,
    )


def dense_scores(layer: Layer) -> Tensor:
    """Return all scores in float64, masks as ``-inf``, written as plainly as can be."""
    share = layer.num_heads // layer.num_key_value_heads
    key = layer.key.double().repeat_interleave(share, 0)
    scores = layer.query.double() @ key.transpose(1, 2) * layer.scaling
    if layer.softcap is not None:
        scores = layer.softcap * torch.tanh(scores / layer.softcap)
    return scores + dense_mask(layer)


def dense_mask(layer: Layer) -> Tensor:
    """Return bias and band in float64, masks as ``-inf``, ``[head, query, key]``."""
    shape = (layer.num_heads, layer.n_query, layer.n_key)
    mask = torch.zeros(shape, dtype=torch.float64)
    if layer.bias is not None:
        mask = mask + layer.bias.double()
        mask[layer.bias.expand(shape) <= torch.finfo(layer.bias.dtype).min / 2] = -torch.inf
    if layer.band is not None:
        for query in range(layer.n_query):
            for key in range(layer.n_key):
                if not seen(layer.band, query, key):
                    mask[:, query, key] = -torch.inf
    return mask


def seen(band: Any, query: int, key: int) -> bool:
    """Tell whether a band lets a query see a key, straight from the definition."""
    centre = query + band.offset
    if band.causal:
        return key <= centre and (band.window is None or key > centre - band.window)
    return band.window is None or abs(key - centre) <= band.window


def dense_weights(layer: Layer) -> Tensor:
    """Return all weights in float64; a row that sees nothing is zero."""
    scores = dense_scores(layer)
    if layer.sinks is not None:
        sinks = layer.sinks.double()[:, None, None].expand(-1, layer.n_query, 1)
        return torch.softmax(torch.cat([scores, sinks], -1), -1)[..., :-1]
    return torch.softmax(scores, -1).nan_to_num(0.0)
