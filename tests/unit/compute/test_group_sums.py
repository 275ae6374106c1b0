"""Shares of groups are those of a dense look at all weights, whatever the mask, on either way to compute them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.records import dense_weights, random_layer

from attnwidget.compute import weighted_columns as columns_of
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.group_sums import GroupNumbers, group_share_slices
from attnwidget.compute.masks import Band
from attnwidget.compute.measures import KeyLengths
from attnwidget.compute.resumable import finish
from attnwidget.compute.weighted_columns import is_plain, weighted_columns
from attnwidget.record.layer import Layer

COUNT = 4
LOWEST = torch.finfo(torch.float32).min


def groups(layer: Layer) -> GroupNumbers:
    """Four groups that lie scattered, of which the last has keys and no queries."""
    generator = np.random.default_rng(0)
    queries = generator.integers(0, COUNT - 1, layer.n_query)
    keys = generator.integers(0, COUNT, layer.n_key)
    return GroupNumbers(COUNT, queries.tolist(), keys.tolist())


def dense(weights: torch.Tensor, numbers: GroupNumbers) -> np.ndarray[Any, Any]:
    """Return the shares of weights that are all there, one pair of groups after the other."""
    found = np.full((len(weights), COUNT, COUNT), np.nan)
    for first in range(COUNT):
        rows = [at for at, group in enumerate(numbers.queries) if group == first]
        for second in range(COUNT):
            keys = [at for at, group in enumerate(numbers.keys) if group == second]
            if rows:
                found[:, first, second] = weights[:, rows][..., keys].double().sum(-1).mean(-1)
    return found


def padding(keys: int) -> torch.Tensor:
    """A mask that hides the first five keys, as an additive bias of the lowest numbers."""
    bias = torch.zeros(1, 1, keys)
    bias[..., :5] = LOWEST
    return bias


LAYERS: dict[str, dict[str, Any]] = {
    "full": {},
    "cross": {"queries": 9, "keys": 40},
    "causal": {"band": Band(causal=True)},
    "causal, more keys than queries": {"queries": 9, "keys": 40, "band": Band(causal=True)},
    "cached": {"queries": 9, "keys": 40, "band": Band(causal=True, offset=31)},
    "window": {"band": Band(causal=True, window=5)},
    "window both ways": {"band": Band(causal=False, window=3)},
    "sees nothing": {"band": Band(causal=True, offset=-4)},
    "sinks": {"band": Band(causal=True), "sinks": torch.linspace(-1, 2, 6)},
    "padding": {"bias": padding(40)},
    "padding, causal": {"band": Band(causal=True, window=30), "bias": padding(40)},
    "bias of each head": {"bias": torch.linspace(-3, 3, 6 * 40 * 40).reshape(6, 40, 40)},
    "softcap": {"band": Band(causal=True), "softcap": 2.0},
    "grouped": {"band": Band(causal=True), "key_value_heads": 2},
    "grouped, window": {"band": Band(causal=True, window=9), "key_value_heads": 3},
    "bfloat16": {"band": Band(causal=True), "dtype": torch.bfloat16},
    "broken": {"band": Band(causal=True), "scaling": -1.3},
}
PLAIN = {
    "full", "cross", "causal", "causal, more keys than queries", "grouped", "bfloat16", "broken",
}  # fmt: skip


def shares(layer: Layer, numbers: GroupNumbers, lengths: torch.Tensor | None = None) -> Any:
    factors = None if lengths is None else KeyLengths(lengths)
    return finish(group_share_slices(layer, numbers, factors)).numpy()


def made(name: str) -> Layer:
    return random_layer(**{"queries": 40, "keys": 40, **LAYERS[name]})


@pytest.mark.parametrize("name", LAYERS)
def test_shares_are_the_dense_ones(name: str) -> None:
    layer = made(name)
    assert is_plain(layer) == (name in PLAIN)
    numbers = groups(layer)
    expected = dense(dense_weights(layer), numbers)
    if name == "padding, causal":
        # The eager softmax of a row that sees padding alone spreads evenly, which the plain formula does not know.
        expected = dense(torch.from_numpy(layer.weights()), numbers)
    np.testing.assert_allclose(shares(layer, numbers), expected, atol=1e-6)
    with block_sizes(strip_queries=7, strip_scores=64, least_keys=4, row_bytes=256):
        np.testing.assert_allclose(shares(made(name), numbers), expected, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_shares_of_the_first_queries_read_no_others(name: str) -> None:
    layer = made(name)
    numbers = groups(layer)
    first = replace(numbers, queries=numbers.queries[:8])
    weights = torch.from_numpy(layer.weights())
    np.testing.assert_allclose(shares(layer, first), dense(weights, first), atol=1e-6)
    read = [
        block.queries.stop for block in weighted_columns(layer, torch.ones(1, layer.n_key, 1), 8)
    ]
    assert max(read) == 8


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_strips_and_runs_of_a_long_head_come_to_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = made(name)
    expected = shares(layer, groups(layer))
    monkeypatch.setattr(columns_of, "_HEAD_SCORES", 0)
    monkeypatch.setattr(columns_of, "_RUN_COLUMNS", 3)
    monkeypatch.setattr(columns_of, "_RUN_SCORES", 1)
    with block_sizes(strip_queries=7):
        blocks = list(weighted_columns(layer, torch.ones(1, layer.n_key, 5)))
        np.testing.assert_allclose(shares(layer, groups(layer)), expected, atol=1e-6)
    assert len(blocks) == layer.num_heads * -(-layer.n_query // 7)
    for block in blocks:
        torch.testing.assert_close(block.sums, torch.ones_like(block.sums))


def test_more_columns_than_a_head_is_wide() -> None:
    layer = random_layer(queries=40, keys=40, band=Band(causal=True))
    columns = torch.randn(1, 40, 50, generator=torch.Generator().manual_seed(0))
    sums = torch.cat([block.sums for block in weighted_columns(layer, columns)])
    expected = dense_weights(layer) @ columns.double()
    np.testing.assert_allclose(sums, expected, atol=1e-5)


def test_columns_of_each_head() -> None:
    for name in ("causal", "window", "grouped"):
        layer = made(name)
        columns = torch.randn(6, 40, 3, generator=torch.Generator().manual_seed(0))
        sums = torch.zeros(6, 40, 3)
        for block in weighted_columns(layer, columns):
            sums[block.heads, block.queries] = block.sums
        np.testing.assert_allclose(sums, dense_weights(layer) @ columns.double(), atol=1e-5)


def test_recorded_weights() -> None:
    recorded = torch.from_numpy(made("window").weights())
    layer = Layer(
        stream="s", layer=0, module_path="m", num_heads=6, recorded=recorded, reason="recorded."
    )
    numbers = groups(layer)
    np.testing.assert_allclose(shares(layer, numbers), dense(recorded, numbers), atol=1e-6)


@pytest.mark.parametrize("name", ["causal", "window"])
def test_a_measure_is_a_share_of_each_rows_sum(name: str) -> None:
    layer = made(name)
    numbers = groups(layer)
    lengths = torch.rand(6, 40, generator=torch.Generator().manual_seed(0)) + 0.1
    weighted = dense_weights(layer) * lengths[:, None]
    expected = dense(weighted / weighted.sum(-1, keepdim=True), numbers)
    np.testing.assert_allclose(shares(layer, numbers, lengths), expected, atol=1e-6)


def test_rows_that_count_differently() -> None:
    layer = made("causal")
    weights = dense_weights(layer).numpy()
    rows = [1.0] + [0.5] * 39
    numbers = GroupNumbers(1, [0] * 40, [0] * 20 + [0] * 20, rows)
    np.testing.assert_allclose(shares(layer, numbers), 1, atol=1e-6)
    numbers = GroupNumbers(2, [0] * 40, [0] + [1] * 39, rows)
    expected = (weights[..., 0] * rows).sum(-1) / sum(rows)
    np.testing.assert_allclose(shares(layer, numbers)[:, 0, 0], expected, atol=1e-6)


def test_a_head_that_is_not_numbers_leaves_the_others() -> None:
    for name in ("causal", "softcap"):
        layer = made(name)
        assert layer.query is not None
        layer.query[2, 7] = torch.nan
        numbers = groups(layer)
        found = shares(layer, numbers)
        assert np.isnan(found[2, numbers.queries[7]]).all()
        assert not np.isnan(found[[0, 1, 3, 4, 5], : COUNT - 1]).any()


def test_it_goes_on_in_slices() -> None:
    layer = random_layer(queries=600, keys=600, band=Band(causal=True, window=50))
    parts = list(group_share_slices(layer, groups(layer)))
    assert len(parts) > 2
    assert parts == sorted(parts)
    assert parts[-1] == 1
