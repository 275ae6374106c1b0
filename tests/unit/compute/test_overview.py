"""One pass over a layer finds what a dense look at its weights finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer


def layer(n_query: int, n_key: int, band: Band | None, *, weights_only: bool = False) -> Layer:
    torch.manual_seed(n_query + n_key)
    made = Layer(
        stream="s", layer=0, module_path="m", num_heads=6, scaling=0.7, band=band,
        query=2 * torch.randn(6, n_query, 8), key=2 * torch.randn(3, n_key, 8),
    )  # fmt: skip
    if not weights_only:
        return made
    recorded = torch.from_numpy(made.weights())
    return Layer(stream="s", layer=0, module_path="m", num_heads=6, recorded=recorded, reason="r.")


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize(
    ("n_query", "n_key", "band"),
    [
        (5, 7, None),
        (150, 170, None),
        (150, 150, Band(causal=True)),
        (40, 170, Band(causal=True, offset=130)),
        (150, 150, Band(causal=True, window=9)),
        (1, 3, None),
        (4, 1, None),
    ],
)
def test_strongest_link_and_first_key_are_the_dense_ones(
    n_query: int, n_key: int, band: Band | None, *, weights_only: bool
) -> None:
    made = layer(n_query, n_key, band, weights_only=weights_only)
    pooled, top, first_key = made.summary(16)
    weights = made.weights()
    skip = min(1, n_key - 1)
    np.testing.assert_allclose(pooled.max((1, 2)), weights.max((1, 2)), rtol=1e-5)
    for head, (query, key, weight) in enumerate(top):
        best = weights[head, :, skip:].max()
        assert weight == pytest.approx(best, rel=1e-5)
        assert weights[head, int(query), int(key)] == pytest.approx(best, rel=1e-5)
        assert key >= skip
    rows = weights[:, 1:, 0] if n_query > 1 else weights[:, :, 0]
    np.testing.assert_allclose(first_key, rows.mean(1), atol=1e-6)


@pytest.mark.parametrize("n_query", [40, 41])
def test_the_strongest_link_is_one_row_even_where_rows_of_a_bin_tie(n_query: int) -> None:
    """Rows that share a bin of the thumbnail hold the same weight under different keys."""
    recorded = torch.full((2, n_query, 30), 0.01)
    for query in range(n_query):
        recorded[:, query, 29 - query % 25] = 0.75
    made = Layer(stream="s", layer=0, module_path="m", num_heads=2, recorded=recorded, reason="r.")
    for head, (query, key, weight) in enumerate(made.summary(8)[1]):
        assert recorded[head, int(query), int(key)] == weight == 0.75
