"""The sharpest links that are found while weights are pooled, against whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.records import random_layer

from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.indexing import Axis
from attnwidget.compute.masks import Band
from attnwidget.compute.overview import sharp_links, summary, summary_slices
from attnwidget.compute.resumable import finish
from attnwidget.compute.sharpest import Aside

SIZES = (7, 48, 131)


def aside_of(layer: Any, *, apart: bool = False) -> Aside:
    generator = torch.Generator().manual_seed(1)
    keys = torch.rand(layer.n_key, generator=generator) < 0.2
    keys[0] = True
    queries = torch.rand(layer.n_query, generator=generator) < 0.1
    return Aside(keys, queries, None if apart else layer.n_key - layer.n_query)


def dense(layer: Any, aside: Aside) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each head's weights of the links that count, its means near the query, and of its largest weights."""
    weights = np.asarray(layer.weights(), np.float64)
    counted = weights.copy()
    counted[:, :, aside.keys.numpy()] = 0
    counted[:, aside.queries.numpy()] = 0
    kept = ~aside.queries.numpy()
    near = np.zeros((len(weights), 3))
    for place, step in enumerate((-1, 0, 1)) if aside.offset is not None else ():
        pairs = [
            (query, query + aside.offset + step)
            for query in range(layer.n_query)
            if 0 <= query + aside.offset + step < layer.n_key
        ]
        for query, key in pairs:
            counted[:, query, key] = 0
        near[:, place] = np.mean([weights[:, q, k] for q, k in pairs if kept[q]], axis=0)
    return counted, near, weights.max(2)[:, kept].mean(1)


def layer_of(kind: str, tokens: int) -> Any:
    given: dict[str, dict[str, Any]] = {
        "causal": {"band": Band(causal=True)},
        "window": {"band": Band(causal=True, window=9)},
        "bidirectional": {},
        "grouped": {"heads": 6, "key_value_heads": 2, "band": Band(causal=True)},
        "fewer queries": {"queries": max(3, tokens // 3), "band": Band(causal=True)},
        "matrices": {"recorded": True},
    }
    options = {"queries": tokens, "keys": tokens, "heads": 3, **given[kind]}
    recorded = options.pop("recorded", False)
    layer = random_layer(**options)
    return layer if not recorded else matrices_of(layer)


def matrices_of(layer: Any) -> Any:
    from attnwidget.record.layer import Layer

    return Layer(
        stream="self",
        layer=0,
        module_path="",
        num_heads=layer.num_heads,
        recorded=torch.tensor(layer.weights()),
    )


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("tokens", SIZES)
@pytest.mark.parametrize(
    "kind", ["causal", "window", "bidirectional", "grouped", "fewer queries", "matrices"]
)
def test_links_are_those_of_whole_matrices(kind: str, tokens: int, *, apart: bool) -> None:
    layer = layer_of(kind, tokens)
    aside = aside_of(layer, apart=apart)
    counted, near, largest = dense(layer, aside)
    with block_sizes(strip_queries=16, strip_scores=500):
        plain = summary(layer, 12)
        found = finish(summary_slices(layer, 12, None, aside))
    # Of exponentials the last bit depends on where a score lies in memory.
    for name in ("pooled", "top", "first_key"):
        torch.testing.assert_close(getattr(found, name), getattr(plain, name), rtol=1e-6, atol=1e-7)
    for sharp in (found.sharp, sharp_links(layer, Axis(range(layer.n_query)), aside)):
        np.testing.assert_allclose(sharp.weight, counted.max((1, 2)), atol=1e-6)
        rows = counted[np.arange(layer.num_heads), sharp.query.numpy()].max(1)
        np.testing.assert_allclose(rows, counted.max((1, 2)), atol=1e-6)
        np.testing.assert_allclose(sharp.near, near, atol=1e-6)
        np.testing.assert_allclose(sharp.largest, largest, atol=1e-6)
