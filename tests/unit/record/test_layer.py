"""Blocks, rows, outputs and thumbnails of a layer against the dense computation; what is refused."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.records import (
    HEADS,
    KEYS,
    QUERIES,
    dense_mask,
    dense_scores,
    dense_weights,
    random_layer,
)

from attnwidget.compute import blockwise_scores, online_softmax, overview
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

LOWEST = torch.finfo(torch.float32).min


def additive(heads: int = 1, queries: int = QUERIES, dtype: torch.dtype = torch.float32) -> Any:
    """Return a bias with every third entry masked, none of them on key 0."""
    bias = torch.randn(heads, queries, KEYS, generator=torch.Generator().manual_seed(9)).to(dtype)
    hidden = (torch.arange(queries)[:, None] + torch.arange(KEYS)) % 3 == 1
    return bias.masked_fill_(hidden & (torch.arange(KEYS) > 0), torch.finfo(dtype).min)


CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "causal": {"band": Band(causal=True, offset=2)},
    "causal from the first key": {"band": Band(causal=True)},
    "rows that see nothing": {"band": Band(causal=True, offset=-2)},
    "window": {"band": Band(causal=True, offset=2, window=3)},
    "two-sided window": {"band": Band(causal=False, window=1)},
    "grouped": {"key_value_heads": 2},
    "one key head": {"key_value_heads": 1, "band": Band(causal=True, offset=2)},
    "sinks": {"sinks": torch.linspace(-1, 3, HEADS), "band": Band(causal=True, offset=-1)},
    "softcap": {"softcap": 1.5, "band": Band(causal=True, offset=2)},
    "bias": {"bias": additive(HEADS), "scaling": 1.0},
    "bias of every head": {"bias": additive(), "softcap": 2.0, "key_value_heads": 3},
    "bias of every query": {"bias": additive(HEADS, 1)},
    "bias, band and sinks": {
        "bias": additive(),
        "band": Band(causal=True, offset=2),
        "sinks": torch.linspace(-1, 1, HEADS),
    },
    "bfloat16": {"dtype": torch.bfloat16, "bias": additive(dtype=torch.bfloat16)},
    "float16": {"dtype": torch.float16, "bias": additive(HEADS, 1, torch.float16)},
    "float64": {"dtype": torch.float64, "bias": additive(dtype=torch.float64)},
}
BLOCKS: list[tuple[Any, Any, Any]] = [
    (None, slice(None), slice(None)),
    (None, slice(1, 4), slice(None)),
    (None, slice(None), slice(2, 5)),
    ([4, 1, 1], [3, 0], [6, 2, 2, 0]),
    (slice(None), slice(None, None, -2), slice(0, 7, 3)),
    ([2, 3], slice(0, 2), slice(5, 7)),
]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def layer(request: pytest.FixtureRequest) -> Layer:
    return random_layer(**request.param)


SMALL = {"row_bytes": 64, "strip_scores": 16, "strip_queries": 2}


@pytest.fixture(params=[{}, SMALL], ids=["one block", "many blocks"])
def block_bytes(request: pytest.FixtureRequest) -> Iterator[int]:
    with block_sizes(**request.param) as sizes:
        yield sizes.row_bytes


def part(dense: torch.Tensor, head: Any, queries: Any, keys: Any) -> np.ndarray[Any, Any]:
    array = dense.float().numpy()
    head = slice(None) if head is None else head
    return array[head][:, queries][:, :, keys]


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_weights_of_a_block_are_that_part_of_the_dense_weights(layer: Layer, block: Any) -> None:
    head, queries, keys = block
    heads = None if head == slice(None) else head
    weights = layer.weights(heads, queries, keys)
    assert weights.dtype == np.float32
    # A score of 20 is known to 2e-6 in float32, and so is the exponential of its distance from the row's maximum.
    np.testing.assert_allclose(weights, part(dense_weights(layer), *block), atol=4e-6)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_scores_and_bias_of_a_block(layer: Layer, block: Any) -> None:
    head, queries, keys = block
    heads = None if head == slice(None) else head
    scores = layer.scores(heads, queries, keys)
    np.testing.assert_allclose(scores, part(dense_scores(layer), *block), atol=1e-5)
    bias = layer.bias_block(heads, queries, keys)
    np.testing.assert_allclose(bias, part(dense_mask(layer), *block), atol=1e-6)


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("head", [None, 3, [5, 0, 4]])
def test_output_is_weights_times_values(layer: Layer, head: Any) -> None:
    share = layer.num_heads // layer.num_key_value_heads
    assert layer.value is not None
    dense = dense_weights(layer) @ layer.value.double().repeat_interleave(share, 0)
    expected = dense.float().numpy()[slice(None) if head is None else head]
    np.testing.assert_allclose(layer.output(head), expected, atol=1e-5)


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("size", [1, 2, 3, 6, 64])
def test_overview_is_the_adaptive_max_pool_of_the_weights(layer: Layer, size: int) -> None:
    dense = dense_weights(layer)
    shape = (min(size, layer.n_query), min(size, layer.n_key))
    expected = torch.nn.functional.adaptive_max_pool2d(dense, shape)
    overview = layer.overview(size)
    assert overview.dtype == np.float32
    np.testing.assert_allclose(overview, expected.float().numpy(), atol=1e-6)


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("size", [1, 4, 10])
def test_overview_of_recorded_weights_is_exact(size: int) -> None:
    recorded = torch.softmax(torch.randn(3, 23, 37), -1)
    layer = Layer(stream="self", layer=0, module_path="", num_heads=3, recorded=recorded)
    expected = torch.nn.functional.adaptive_max_pool2d(recorded, (size, size))
    np.testing.assert_array_equal(layer.overview(size), expected.numpy())


def test_overview_of_vectors_equals_pooled_weights_where_bins_overlap() -> None:
    layer = random_layer(queries=23, keys=37, band=Band(causal=True, offset=14))
    expected = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(layer.weights()), (10, 10))
    np.testing.assert_allclose(layer.overview(10), expected.numpy(), atol=1e-6)


def test_a_long_overview_reads_a_spread_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "OVERVIEW_EXACT_ROWS", 20)
    monkeypatch.setattr(overview, "OVERVIEW_SAMPLE_ROWS", 12)
    layer = random_layer(queries=50, keys=33)
    assert layer.overview_is_sample
    bins = overview.overview_rows(50, 4)
    assert [len(sample) for sample in bins] == [3, 3, 3, 3]
    weights = torch.from_numpy(layer.weights())
    tall = torch.stack([weights[:, list(sample)].amax(1) for sample in bins], 1)
    expected = torch.nn.functional.adaptive_max_pool2d(tall, (4, 4))
    np.testing.assert_allclose(layer.overview(4), expected.numpy(), atol=1e-6)
    assert not random_layer().overview_is_sample


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_fully_masked_row_is_what_eager_attention_makes_of_it(dtype: torch.dtype) -> None:
    bias = torch.zeros(1, QUERIES, KEYS, dtype=dtype)
    bias[0, 2] = torch.finfo(dtype).min
    layer = random_layer(bias=bias, dtype=dtype)
    assert layer.query is not None
    assert layer.key is not None
    added = layer.query @ layer.key.transpose(1, 2) * layer.scaling + bias
    eager = added.softmax(-1, dtype=torch.promote_types(dtype, torch.float32)).float()
    weights = layer.weights(queries=2)
    np.testing.assert_allclose(weights, eager[:, 2].numpy(), atol=1e-6)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(
        layer.weights(queries=[1, 2], keys=slice(1, 4))[:, 1], weights[:, 1:4]
    )
    assert (layer.scores(queries=2) == -np.inf).all()


def test_a_row_masked_with_infinity_is_zero_and_not_nan() -> None:
    bias = torch.zeros(1, QUERIES, KEYS)
    bias[0, 2] = -torch.inf
    layer = random_layer(bias=bias)
    assert not layer.weights(queries=2).any()
    assert not layer.weights(queries=[2], keys=[0, 3]).any()
    assert not layer.output()[:, 2].any()
    assert layer.weights(queries=1).any()


def test_a_sink_takes_a_fully_masked_row() -> None:
    bias = torch.zeros(1, QUERIES, KEYS)
    bias[0, 2] = LOWEST
    layer = random_layer(bias=bias, sinks=torch.zeros(HEADS))
    assert not layer.weights(queries=2).any()
    online_softmax = layer.weights().sum(-1)
    assert (online_softmax < 1).all()


def test_weights_of_a_masked_key_are_exactly_zero() -> None:
    layer = random_layer(bias=additive())
    masked = np.broadcast_to(np.isinf(layer.bias_block()), (HEADS, QUERIES, KEYS))
    assert masked.any()
    assert not layer.weights()[masked].any()
    assert (layer.scores()[masked] == -np.inf).all()


def test_an_integer_drops_its_axis_as_in_numpy() -> None:
    layer = random_layer()
    whole = layer.weights()
    assert layer.weights(2).shape == (QUERIES, KEYS)
    assert layer.weights([2]).shape == (1, QUERIES, KEYS)
    np.testing.assert_allclose(layer.weights(2, -1), whole[2, -1], atol=1e-7)
    np.testing.assert_allclose(layer.weights(2, 1, 3), whole[2, 1, 3], atol=1e-7)
    np.testing.assert_allclose(layer.weights(np.int64(4), torch.tensor(1)), whole[4, 1], atol=1e-7)
    picked = layer.weights(np.array([0, 5]), torch.tensor([1, 2]), range(3))
    np.testing.assert_allclose(picked, whole[[0, 5], 1:3, :3], atol=1e-7)


@pytest.mark.parametrize("heads", [6, -7, [12], [], True, 1.0, "1", [0, None], np.array([True])])
def test_heads_out_of_range_are_named(heads: Any) -> None:
    with pytest.raises(ValueError, match=r"^heads must be integers in 0\.\.5, got \["):
        random_layer().weights(heads)


@pytest.mark.parametrize(("name", "last"), [("queries", 4), ("keys", 6)])
@pytest.mark.parametrize("index", [7, -8, [0, 99], 1.5, False, "0"])
def test_positions_out_of_range_are_named(name: str, last: int, index: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be integers in 0\.\.{last} .*got \["):
        random_layer().scores(**{name: index})


def test_an_empty_slice_gives_an_empty_block() -> None:
    layer = random_layer(band=Band(causal=True, offset=2))
    assert layer.weights(queries=slice(3, 3)).shape == (HEADS, 0, KEYS)
    assert layer.weights(keys=slice(9, 12)).shape == (HEADS, QUERIES, 0)


@pytest.mark.parametrize("size", [0, -3, 2.0, True, None])
def test_overview_refuses_other_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match="size must be a positive integer, got"):
        random_layer().overview(size)


def test_vectors_follow_the_query_head() -> None:
    layer = random_layer(key_value_heads=2, dtype=torch.bfloat16)
    assert layer.query is not None
    assert layer.key is not None
    assert layer.value is not None
    assert layer.query_vectors(4).shape == (QUERIES, 4)
    np.testing.assert_array_equal(layer.query_vectors(4), layer.query[4].float())
    np.testing.assert_array_equal(layer.key_vectors(4), layer.key[1].float())
    np.testing.assert_array_equal(layer.value_vectors([2, 3]), layer.value.float())
    assert layer.value_vectors().shape == (HEADS, KEYS, 3)


def test_results_are_the_callers_own() -> None:
    layer = random_layer()
    recorded = Layer(
        stream="self", layer=0, module_path="", num_heads=3, recorded=torch.rand(3, QUERIES, KEYS)
    )
    for read in (layer.query_vectors, layer.key_vectors, layer.weights, recorded.weights):
        before = read().copy()
        read()[:] = 9
        np.testing.assert_array_equal(read(), before)


def test_a_layer_of_weights_alone_says_why_it_has_no_vectors() -> None:
    recorded = torch.softmax(torch.randn(3, QUERIES, KEYS), -1).bfloat16()
    layer = Layer(
        stream="self",
        layer=4,
        module_path="m",
        num_heads=3,
        recorded=recorded,
        reason="this model hides them.",
    )
    assert not layer.has_vectors
    assert (layer.n_query, layer.n_key, layer.head_dim) == (QUERIES, KEYS, None)
    np.testing.assert_array_equal(layer.weights([2, 0], 1), recorded[[2, 0], 1].float())
    for method in (
        layer.scores,
        layer.bias_block,
        layer.query_vectors,
        layer.key_vectors,
        layer.value_vectors,
        layer.output,
    ):
        with pytest.raises(ValueError, match=r"layer 4 of stream 'self' .*this model hides them\."):
            method(0)


def test_a_tile_of_a_long_head_costs_a_tile() -> None:
    # 20,000 × 20,000 float32 are 1.6 GB a head: only the rows of the tile may be read.
    layer = random_layer(queries=20_000, keys=20_003, heads=3, band=Band(causal=True, offset=3))
    tile = layer.weights(1, slice(9_000, 9_016), slice(8_000, 8_064))
    assert layer.query is not None
    assert layer.key is not None
    scores = layer.query[1, 9_000:9_016].double() @ layer.key[1].double().T * layer.scaling
    hidden = torch.arange(20_003) > torch.arange(9_000, 9_016)[:, None] + 3
    expected = scores.masked_fill(hidden, -torch.inf).softmax(-1)[:, 8_000:8_064]
    np.testing.assert_allclose(tile, expected.float().numpy(), atol=1e-7, rtol=1e-4)


def test_rows_are_read_once_and_only_those_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = random_layer()
    asked: list[tuple[list[int], list[int]]] = []
    original = online_softmax.read

    def spy(strip: blockwise_scores.ScoreStrip, *cells: Any) -> Any:
        asked.append((list(strip.heads.indices), list(strip.queries.indices)))
        return original(strip, *cells)

    monkeypatch.setattr(online_softmax, "read", spy)
    layer.weights([1, 2], slice(0, 2), slice(0, 3))
    layer.weights([1, 2], slice(0, 2), slice(3, 6))
    layer.weights([2], slice(1, 3), slice(3, 6))
    assert asked == [([1, 2], [0, 1]), ([2], [2])]


def test_threads_share_the_rows() -> None:
    layer = random_layer(queries=50, keys=70, heads=6)
    expected = dense_weights(layer).float().numpy()
    wrong: list[int] = []

    def read(seed: int) -> None:
        for place in range(20):
            head, query = (seed + place) % 6, (7 * seed + 3 * place) % 40
            block = layer.weights(head, slice(query, query + 9), slice(place, place + 11))
            dense = expected[head, query : query + 9, place : place + 11]
            if not np.allclose(block, dense, atol=1e-6):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_autocast_and_gradients_change_nothing() -> None:
    layer = random_layer()
    expected = layer.weights(keys=slice(0, 4))
    assert layer.query is not None
    layer.query.requires_grad_(requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(layer.weights(keys=slice(0, 4)), expected)
        np.testing.assert_array_equal(copy.deepcopy(layer).weights(keys=slice(0, 4)), expected)


def test_a_nan_stays_in_its_rows() -> None:
    layer = random_layer()
    assert layer.query is not None
    layer.query[1, 3] = torch.nan
    weights = layer.weights()
    assert np.isnan(weights[1, 3]).all()
    assert np.isnan(weights).sum() == KEYS
    assert np.isnan(layer.weights(1, 3, [0, 2])).all()
    assert np.isnan(layer.overview(2)[1, 1]).all()
    assert np.isfinite(layer.overview(2)[0]).all()
    assert np.isnan(layer.output(1)[3]).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scaling": None}, "needs the scaling"),
        ({"key_value_heads": 4}, "has 4 key heads"),
        ({"bias": torch.zeros(2, QUERIES, KEYS)}, r"bias of .* \[6 or 1, 5 or 1, 7 or 1\], got"),
        ({"bias": torch.zeros(1, QUERIES, KEYS, dtype=torch.bool)}, "must be floating point"),
        ({"sinks": torch.zeros(3)}, r"sinks of .* \[6\], got torch.float32 \[3\]"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_layer(**fields)


def test_a_layer_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs query and key, or recorded weights"):
        Layer(stream="self", layer=0, module_path="", num_heads=3)
