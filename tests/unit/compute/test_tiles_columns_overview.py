"""Tiles, columns, means and overviews of long heads, read in blocks, against the whole matrix in float64."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d
from torch.utils._python_dispatch import TorchDispatchMode

from attnwidget.analysis.head_scores import score_stream
from attnwidget.compute import blockwise_scores, indexing, online_softmax, tiles
from attnwidget.compute.block_sizes import BlockSizes
from attnwidget.compute.key_columns import column, mean
from attnwidget.compute.masks import Band
from attnwidget.compute.online_softmax import row_stats_slices
from attnwidget.compute.resumable import advance
from attnwidget.compute.tiles import Maps, kept_level, tile, tile_slices
from attnwidget.protocol.constants import TILE_SIZE as TILE
from attnwidget.record.layer import Layer
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

HEADS, HEAD_DIM = 6, 8
LONG = 4096
LOWEST = torch.finfo(torch.float32).min


def made(
    n_query: int,
    n_key: int,
    *,
    groups: int = HEADS,
    dtype: torch.dtype = torch.float32,
    **fields: Any,
) -> Layer:
    generator = torch.Generator().manual_seed(n_query + n_key)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    return Layer(
        stream="s", layer=0, module_path="m", num_heads=HEADS, scaling=0.6,
        query=draw(HEADS, n_query, HEAD_DIM) * 2, key=draw(groups, n_key, HEAD_DIM),
        value=draw(groups, n_key, 3), **fields,
    )  # fmt: skip


def hidden(layer: Layer) -> torch.Tensor:
    """Return what the band hides, straight from its definition, boolean ``[query, key]``."""
    centre = torch.arange(layer.n_query)[:, None]
    keys = torch.arange(layer.n_key)
    band = layer.band
    if band is None:
        return torch.zeros((layer.n_query, layer.n_key), dtype=torch.bool)
    centre = centre + band.offset
    if not band.causal:
        return (keys - centre).abs() > band.window
    seen = keys <= centre
    return ~(seen if band.window is None else seen & (keys > centre - band.window))


def dense(layer: Layer, head: int) -> torch.Tensor:
    """Return the weights of a head as eager attention computes them, float64 ``[query, key]``."""
    if layer.recorded is not None:
        return layer.recorded[head].double()
    share = layer.num_heads // layer.num_key_value_heads
    assert layer.query is not None
    assert layer.key is not None
    scores = layer.query[head].double() @ layer.key[head // share].double().T * layer.scaling
    if layer.softcap is not None:
        scores = layer.softcap * torch.tanh(scores / layer.softcap)
    if layer.bias is not None:
        bias = layer.bias[min(head, len(layer.bias) - 1)]
        # The lowest number swallows the score, as it does in the model's own precision.
        scores = torch.where(bias == LOWEST, bias.double(), scores + bias.double())
    scores = scores.masked_fill(hidden(layer), -torch.inf)
    if layer.sinks is not None:
        sink = layer.sinks[head].double().expand(layer.n_query, 1)
        return torch.cat([scores, sink], 1).softmax(-1)[:, :-1]
    return scores.softmax(-1).nan_to_num(0.0)


def padding(n_query: int, n_key: int, *, lowest: float = LOWEST) -> torch.Tensor:
    """Return an additive mask of the first keys, every key of query 3 masked."""
    bias = torch.zeros(1, n_query, n_key)
    bias[:, :, : n_key // 9] = lowest
    bias[:, 3] = lowest
    return bias


def case(name: str, n_query: int, n_key: int) -> Layer:
    """Return a layer with some of what models do to their scores."""
    behind = n_key - n_query
    generator = torch.Generator().manual_seed(5)
    cases: dict[str, dict[str, Any]] = {
        "full": {"groups": 3},
        "causal, grouped": {"groups": 2, "band": Band(causal=True, offset=behind)},
        "causal from the first key": {"groups": 1, "band": Band(causal=True)},
        "queries that see nothing": {"band": Band(causal=True, offset=-n_query // 2)},
        "window, sinks, softcap": {
            "groups": 2, "band": Band(causal=True, offset=behind, window=n_key // 5),
            "sinks": torch.linspace(-2, 3, HEADS), "softcap": 4.0,
        },
        "two-sided window": {"groups": 3, "band": Band(causal=False, window=n_key // 7)},
        "narrow window": {"band": Band(causal=True, offset=behind, window=3)},
        "padding": {"groups": 3, "bias": padding(n_query, n_key)},
        "padding as -inf": {"bias": padding(n_query, n_key, lowest=-torch.inf)},
        "padding, causal": {
            "bias": padding(n_query, n_key), "band": Band(causal=True, offset=behind),
        },
        "a bias of every head": {
            "groups": 2, "bias": torch.randn(HEADS, 1, n_key, generator=generator),
        },
        "bfloat16, causal": {
            "groups": 2, "dtype": torch.bfloat16, "band": Band(causal=True, offset=behind),
        },
        "float16": {"dtype": torch.float16},
    }  # fmt: skip
    if name == "recorded":
        weights = torch.rand(HEADS, n_query, n_key, generator=generator)
        return Layer(
            stream="s", layer=0, module_path="m", num_heads=HEADS, recorded=weights, reason="r."
        )
    return made(n_query, n_key, **cases[name])


CASES = [
    "full", "causal, grouped", "causal from the first key", "queries that see nothing", "window, sinks, softcap",
    "two-sided window", "narrow window", "padding", "padding as -inf", "padding, causal", "a bias of every head",
    "bfloat16, causal", "float16", "recorded",
]  # fmt: skip


def cells(whole: torch.Tensor, level: int, row: int, column: int) -> np.ndarray[Any, Any]:
    """Return a tile of a matrix: the largest of every ``2 ** level`` rows and columns."""
    side, cell = TILE << level, 1 << level
    part = whole[row * side : (row + 1) * side, column * side : (column + 1) * side].numpy()
    tall = np.maximum.reduceat(part, np.arange(0, part.shape[0], cell), axis=0)
    pooled: np.ndarray[Any, Any] = np.maximum.reduceat(
        tall, np.arange(0, part.shape[1], cell), axis=1
    )
    return pooled


def places(layer: Layer, level: int) -> list[tuple[int, int]]:
    """Return every tile of a level."""
    side = TILE << level
    return [
        (row, column)
        for row in range(-(-layer.n_query // side))
        for column in range(-(-layer.n_key // side))
    ]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(700, 901), (777, 777), (130, 600)], ids=str)
def test_every_tile_of_every_level_is_the_dense_one(name: str, size: tuple[int, int]) -> None:
    layer, head, kept = case(name, *size), 4, Maps()
    whole = dense(layer, head)
    for level in (0, 1, 3, 4, 5):
        for place in places(layer, level):
            found = tile(layer, head, level, place, maps=kept)
            expected = cells(whole, level, *place)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "n_query"),
    [
        ("causal, grouped", LONG),
        ("window, sinks, softcap", LONG - 95),
        ("two-sided window", LONG),
        ("padding, causal", LONG - 1),
        ("bfloat16, causal", LONG),
    ],
)
def test_tiles_of_a_long_head_are_the_dense_ones(name: str, n_query: int) -> None:
    layer, head, kept = case(name, n_query, LONG), 3, Maps()
    whole = dense(layer, head)
    draw = random.Random(2)
    for level in range(5):
        there = places(layer, level)
        chosen = draw.sample(there, min(5, len(there)))
        for place in {*chosen, there[0], there[-1]}:
            found = tile(layer, head, level, place, maps=kept if level % 2 else None)
            np.testing.assert_allclose(found, cells(whole, level, *place), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_columns_and_means_are_the_dense_ones(name: str) -> None:
    layer, head = case(name, 530, 601), 1
    whole = dense(layer, head).numpy()
    np.testing.assert_allclose(
        column(layer, head, slice(64, 71)), whole[:, 64:71], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(mean(layer, head), whole.mean(0)[None], rtol=0, atol=1e-6)
    some = mean(layer, head, queries=range(290, 400))
    np.testing.assert_allclose(some, whole[290:400].mean(0)[None], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [13, 48])
def test_overviews_are_the_dense_pools(name: str, size: int) -> None:
    layer = case(name, 530, 601)
    whole = torch.stack([dense(layer, head) for head in range(HEADS)])
    expected = adaptive_max_pool2d(whole, size).numpy()
    np.testing.assert_allclose(layer.overview(size), expected, rtol=0, atol=1e-5)
    expected = adaptive_avg_pool2d(whole, size).numpy()
    np.testing.assert_allclose(layer.overview(size, pool="mean"), expected, rtol=0, atol=1e-6)


def test_an_overview_is_pooled_in_one_of_two_ways() -> None:
    with pytest.raises(ValueError, match="pool must be 'max' or 'mean', got 'median'"):
        made(5, 7).overview(3, pool="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["causal, grouped", "recorded", "padding"])
@pytest.mark.parametrize("level", [0, 2, 4])
def test_tiles_of_weights_times_lengths(name: str, level: int) -> None:
    layer, head = case(name, 700, 901), 5
    if layer.recorded is not None:
        norms = torch.linspace(0, 9, 901).expand(HEADS, 901)
        layer = Layer(
            stream="s", layer=0, module_path="m", num_heads=HEADS, recorded=layer.recorded, value_norms=norms
        )  # fmt: skip
        measure, lengths = "norm", norms[head]
    else:
        assert layer.value is not None
        share = HEADS // layer.num_key_value_heads
        measure, lengths = "value", layer.value[head // share].norm(dim=-1)
    whole = dense(layer, head) * lengths.double()
    found = tile(layer, head, level, (0, 0), measure)
    np.testing.assert_allclose(found, cells(whole, level, 0, 0), rtol=2e-5, atol=1e-5)


def test_numbers_that_are_none_stay_so() -> None:
    layer = made(300, 310)
    assert layer.query is not None
    layer.query[2, 7, 1] = torch.nan
    assert np.isnan(tile(layer, 2, 0, (0, 0))[7]).all()
    assert np.isfinite(tile(layer, 2, 0, (0, 0))[8]).all()
    assert np.isnan(tile(layer, 2, 4, (0, 0))[0]).all()


def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[range, range]]:
    """Return the queries and keys of every block of scores that is computed from now on."""
    seen: list[tuple[range, range]] = []
    original = blockwise_scores.ScoreStrip.scores

    def scores(self: blockwise_scores.ScoreStrip, keys: range, *, hidden: bool) -> torch.Tensor:
        queries = self.queries.indices
        seen.append((range(queries[0], queries[-1] + 1), keys))
        return original(self, keys, hidden=hidden)

    monkeypatch.setattr(blockwise_scores.ScoreStrip, "scores", scores)
    return seen


def test_what_a_band_hides_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    causal = made(4096, 4096, band=Band(causal=True))
    assert not tile(causal, 0, 0, (0, 15)).any()
    assert not tile(causal, 0, 2, (1, 2)).any()
    assert not seen
    tile(causal, 0, 4, (0, 0))
    computed = sum(len(queries) * len(keys) for queries, keys in seen)
    assert computed < 0.54 * 4096**2
    seen.clear()
    tile(made(4096, 4096, band=Band(causal=True, window=200)), 0, 4, (0, 0))
    computed = sum(len(queries) * len(keys) for queries, keys in seen)
    assert computed <= 4096 * (200 + BlockSizes().strip_queries + 32)


def test_rows_are_read_once_for_all_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, kept = made(1024, 1024, groups=2), Maps()
    read = []
    original = online_softmax.read

    def spy(strip: blockwise_scores.ScoreStrip, *cells: Any) -> Any:
        read.append(strip.queries.indices)
        return original(strip, *cells)

    monkeypatch.setattr(online_softmax, "read", spy)
    tile(layer, 2, 0, (1, 0))
    assert read == [range(256, 512)]
    tile(layer, 2, 4, (0, 0), maps=kept)
    assert len(read) == 4
    seen = spied(monkeypatch)
    tile(layer, 2, 6, (0, 0), maps=kept)
    assert not seen
    tile(layer, 2, 1, (1, 1))
    column(layer, 2, slice(3, 5))
    assert len(read) == 4


class Largest(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation makes."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {
            each.untyped_storage().data_ptr() for each in args if isinstance(each, torch.Tensor)
        }
        for each in made if isinstance(made, (tuple, list)) else [made]:
            # A view, or what was written in place, is no new memory.
            if isinstance(each, torch.Tensor) and each.untyped_storage().data_ptr() not in given:
                self.nbytes = max(self.nbytes, each.untyped_storage().nbytes())
        return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("what", ["tile", "map", "column", "mean", "overview", "mean overview"])
def test_no_tensor_is_larger_than_the_block(what: str, dtype: torch.dtype) -> None:
    """The whole matrix of one head would take 144 MB in float32, its rows' totals 48 kB."""
    layer = made(6000, 6000, groups=2, dtype=dtype, band=Band(causal=True))
    with Largest() as largest:
        if what == "tile":
            tile(layer, 1, 3, (2, 0))
        elif what == "map":
            tile(layer, 1, 4, (1, 0))
        elif what == "column":
            column(layer, 1, slice(9, 10))
        elif what == "mean":
            mean(layer, 1)
        else:
            layer.overview(8, pool="mean" if what == "mean overview" else "max")
    assert largest.nbytes > 4 * 6000  # it was looking
    assert largest.nbytes <= 4 * blockwise_scores.block_scores(torch.device("cpu"))


def largest_while_scoring(size: int, **fields: Any) -> int:
    layer = made(size, size, groups=2, band=Band(causal=True), **fields)
    positions = positions_from_tokens([f"token{place % 40}" for place in range(size)])
    with Largest() as largest:
        score_stream(Stream("s", (layer,), positions, positions))
    return largest.nbytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scoring_heads_row_by_row_holds_a_block_of_queries(dtype: torch.dtype) -> None:
    assert largest_while_scoring(3000, dtype=dtype, softcap=9.0) <= BlockSizes().row_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scoring_heads_by_the_kernel_takes_memory_in_proportion_to_the_tokens(
    dtype: torch.dtype,
) -> None:
    short, long = (largest_while_scoring(size, dtype=dtype) for size in (1500, 3000))
    assert long <= 2.1 * short
    assert long < 4 * 3000 * 3000 // 8  # one head's weights


def test_a_computation_can_be_left_and_taken_up_again() -> None:
    layer, kept = made(2048, 2048), Maps()
    whole = dense(layer, 0)
    work = tile_slices(layer, 0, 4, (0, 0), maps=kept)
    parts = [next(work) for _ in range(3)]
    assert parts == sorted(parts)
    assert 0 < parts[0] < parts[2] < 1
    assert torch.is_grad_enabled()
    work.close()
    left = tile_slices(layer, 0, 4, (0, 0), maps=kept)
    assert len(list(left)) == 2048 // BlockSizes().strip_queries - 3
    step = advance(tile_slices(layer, 0, 4, (0, 0), maps=kept), 60)
    assert step.part == 1
    np.testing.assert_allclose(step.results[0], cells(whole, 4, 0, 0), rtol=0, atol=1e-5)
    assert advance(row_stats_slices(layer, *everything(layer)), 0).part < 1


def everything(layer: Layer) -> tuple[indexing.Axis, indexing.Axis]:
    return indexing.Axis(range(layer.num_heads)), indexing.Axis(range(layer.n_query))


def test_maps_used_longest_ago_go_first() -> None:
    layer = made(700, 700)
    size = 4 * (-(-700 >> kept_level(layer))) ** 2
    kept = Maps(budget=2 * size)
    for head in (0, 1, 0, 2):
        tile(layer, head, 4, (0, 0), maps=kept)
    assert kept.nbytes == 2 * size
    first = kept.of(layer, 0, "weights")
    assert list(first.tile(4, range(700), range(700))) == []


def test_a_map_of_a_very_long_head_is_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_MOST_CELLS", 100)
    layer = made(700, 901)
    assert kept_level(layer) == 7
    whole = dense(layer, 3)
    for level in (5, 6, 7):
        found = tile(layer, 3, level, (0, 0), maps=Maps())
        np.testing.assert_allclose(found, cells(whole, level, 0, 0), rtol=0, atol=1e-5)
