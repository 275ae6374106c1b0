"""Scores by the fused kernel are those of plain dense code in float64 and of whole rows, whatever a layer's mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import dense
from support.records import HEADS, dense_mask, dense_weights, random_layer

from attnwidget.analysis import fused_sums, head_scores, matching_keys
from attnwidget.analysis.fused_sums import why_dense
from attnwidget.analysis.head_scores import LayerScores, StreamScores, score_stream
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.analysis.token_features import TokenFeatures
from attnwidget.compute.fused import head_runs, kernel, row_sums
from attnwidget.compute.fused.kernel import HIDDEN, can_attend
from attnwidget.compute.masks import Band
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnwidget.record.layer import Layer

NAMES = tuple(SCORES)
LOWEST = torch.finfo(torch.float32).min
# Repeated and lone tokens, two in a row, words of several pieces, special tokens within the text.
TEXT = "[CLS] the the un ##believ ##able cat , saw a cat . [SEP] it it it saw the un ##able dog ! no one"


def positions(size: int) -> Any:
    """Return so many positions; some tokens come again and again, others once."""
    words = (f"{TEXT} " * size).split()[:size]
    return positions_from_tokens(
        [f"lone{at}" if at % 7 == 3 else word for at, word in enumerate(words)]
    )


def stream_of(layer: Layer) -> Stream:
    keys = positions(layer.n_key)
    if layer.stream == "cross":
        return Stream("cross", (layer,), positions(layer.n_query), keys)
    return Stream("self", (layer,), keys[len(keys) - layer.n_query :], keys)


def padding(keys: int, hidden: slice, heads: int = 1) -> torch.Tensor:
    bias = torch.zeros(heads, 1, keys)
    bias[..., hidden] = LOWEST
    return bias


def of_one_head(keys: int) -> torch.Tensor:
    bias = padding(keys, slice(0, 4), HEADS)
    bias[2, :, 9:14] = LOWEST
    return bias


LINEAR = torch.linspace(-2, 2, HEADS)
CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "full": lambda size: {"queries": size},
    "causal": lambda size: {"queries": size, "band": Band(causal=True)},
    "window": lambda size: {"queries": size, "band": Band(causal=True, window=6)},
    "two-sided window": lambda size: {"queries": size, "band": Band(causal=False, window=4)},
    "with a cache": lambda size: {
        "queries": size // 3, "band": Band(causal=True, offset=size - size // 3),
    },
    "one query with a cache": lambda size: {
        "queries": 1, "band": Band(causal=True, offset=size - 1),
    },
    "window with a cache": lambda size: {
        "queries": size // 2, "band": Band(causal=True, offset=size - size // 2, window=9),
    },
    "full, the last queries": lambda size: {"queries": size // 2},
    "padded on the left": lambda size: {
        "queries": size, "band": Band(causal=True), "bias": padding(size, slice(0, 5)),
    },
    "padded on the right": lambda size: {"queries": size, "bias": padding(size, slice(-4, None))},
    "a mask of one head": lambda size: {
        "queries": size, "band": Band(causal=True), "key_value_heads": 2, "bias": of_one_head(size),
    },
    "position bias": lambda size: {
        "queries": size, "bias": LINEAR[:, None, None] * torch.linspace(-1, 1, size),
    },
    "grouped": lambda size: {"queries": size, "key_value_heads": 2, "band": Band(causal=True)},
    "one key head": lambda size: {"queries": size, "key_value_heads": 1},
    "sinks": lambda size: {"queries": size, "sinks": LINEAR * 3, "band": Band(causal=True)},
    "sinks in a window": lambda size: {
        "queries": size, "sinks": LINEAR, "key_value_heads": 3, "band": Band(causal=True, window=5),
    },
    "cross": lambda size: {"queries": size // 2, "stream": "cross"},
    "cross, grouped": lambda size: {
        "queries": size * 2, "stream": "cross", "key_value_heads": 2,
        "bias": padding(size, slice(3, 5)),
    },
    "bfloat16": lambda size: {
        "queries": size, "dtype": torch.bfloat16, "band": Band(causal=True), "key_value_heads": 2,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_inputs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel read inputs that are short enough for whole rows."""
    monkeypatch.setattr(fused_sums, "_SHORT", 0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make strips, runs of heads, lists and blocks so small that these inputs have several of each."""
    for module, name, value in (
        (row_sums, "_RUN_SCORES", 1 << 7),
        (row_sums, "_BLOCK", 4),
        (row_sums, "_WINDOW_ROWS", 5),
        (head_runs, "_RUN_BYTES", 1 << 13),
        (matching_keys, "_FEW", 3),
        (matching_keys, "_ROWS", 3),
        (matching_keys, "_KEYS", 4),
        (matching_keys, "_KEPT", 6),
        (matching_keys, "_SLICE", 50),
        (matching_keys, "_NUMBERS", 64),
        (fused_sums, "_SINK_SCORES", 64),
        (fused_sums, "_FEW", 2),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def fused_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whole rows of weights raise."""

    def never(*_: object) -> None:
        message = "rows of weights were read"
        raise AssertionError(message)

    monkeypatch.setattr(head_scores, "_score_rows", never)


def by_rows(stream: Stream, monkeypatch: pytest.MonkeyPatch, *given: Any) -> StreamScores:
    """Return the scores that whole rows of weights give."""
    with monkeypatch.context() as patched:
        patched.setattr(head_scores, "why_dense", lambda *_: "so that rows are read.")
        return score_stream(stream, *given)


def same(found: StreamScores, expected: StreamScores, atol: float = 1e-5) -> None:
    """Hold all numbers of some scores against others."""
    assert found.absent == expected.absent
    for one, other in zip(found.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.rows_without, other.rows_without)
        for name in ("values", "without", "expected", "expected_without"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), rtol=0, atol=atol, err_msg=name
            )


@pytest.mark.usefixtures("fused_only")
@pytest.mark.parametrize("case", CASES)
def test_scores_agree_with_dense_code_in_double_precision(case: str) -> None:
    size = 37
    layer = random_layer(keys=size, **CASES[case](size))
    stream = stream_of(layer)
    found = score_stream(stream)
    weights = dense_weights(layer).numpy()
    seen = np.broadcast_to(~np.isinf(dense_mask(layer).numpy()), weights.shape)
    (scores,) = found.layers
    places = stream.query_positions, stream.key_positions
    for head in (0, 2):
        for at, name in enumerate(NAMES):
            if name == "sink" or name in found.absent:
                continue
            for values, without in ((scores.values, ()), (scores.without, found.sink)):
                expected = dense.score(name, weights[head], seen[head], places, without)
                if expected is None:
                    assert np.isnan(values[head, at]), (name, head, without)
                else:
                    assert abs(values[head, at] - expected) <= 1e-5, (name, head, without)


@pytest.mark.parametrize("size", [3, 5, 42])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("small")
def test_scores_agree_with_whole_rows_where_everything_comes_in_pieces(
    case: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = random_layer(keys=size, **CASES[case](size))
    stream = stream_of(layer)
    for sink in (None, (), tuple(range(0, size, 2)), tuple(range(size))):
        same(score_stream(stream, sink), by_rows(stream, monkeypatch, sink))


@pytest.mark.usefixtures("fused_only")
@pytest.mark.parametrize("case", ["full", "causal", "window", "two-sided window", "grouped"])
def test_scores_agree_with_whole_rows_at_hundreds_of_tokens(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = CASES[case](700)
    if "window" in case:
        fields["band"] = Band(causal=fields["band"].causal, window=130)
    stream = stream_of(random_layer(keys=700, **fields))
    found = score_stream(stream)
    monkeypatch.undo()
    same(found, by_rows(stream, monkeypatch))


@pytest.mark.usefixtures("fused_only")
@pytest.mark.parametrize("case", ["causal", "sinks", "padded on the left", "grouped"])
def test_lengths_of_values_are_part_of_the_scores_of_the_kernel(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = random_layer(keys=30, **CASES[case](30))
    assert layer.value is not None
    layer.value[:, 4:9] = 0
    stream = stream_of(layer)
    found = score_stream(stream, None, "value")
    monkeypatch.undo()
    same(found, by_rows(stream, monkeypatch, None, "value"))


def test_what_remains_beside_a_heavy_sink_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all weight rests on the first key: what remains as a difference from 1 would be rounding."""
    layer = random_layer(queries=60, keys=60, band=Band(causal=True))
    assert layer.query is not None
    assert layer.key is not None
    layer.query[..., 0] = 4.0
    layer.key[..., 0] = 0.0
    layer.key[:, 0] = torch.tensor([5.0, 0, 0, 0])
    stream = stream_of(layer)
    (scores,) = score_stream(stream, (0,)).layers
    assert scores.values[:, NAMES.index("sink")].mean() > 0.99
    same(score_stream(stream, (0,)), by_rows(stream, monkeypatch, (0,)), atol=2e-6)


def test_entropy_stands_where_all_keys_have_much_in_common() -> None:
    """Scores of 4,000 differ by what they differed by before: each row of weights is as it was."""
    layer = random_layer(queries=50, keys=50, band=Band(causal=True))
    assert layer.query is not None
    assert layer.key is not None
    layer.query[..., 3] = 64.0
    stream = stream_of(layer)
    plain = score_stream(stream)
    layer.key[..., 3] += 64.0
    same(score_stream(stream), plain, atol=2e-4)


def test_rows_that_put_all_weight_on_one_key_have_no_negative_entropy() -> None:
    layer = random_layer(queries=40, keys=40, scaling=400.0, band=Band(causal=True))
    (scores,) = score_stream(stream_of(layer)).layers
    broad = scores.values[:, NAMES.index("broad")]
    assert (broad >= 0).all()
    assert broad.max() < 0.05


WHOLE: dict[str, tuple[dict[str, Any], str]] = {
    "its scores are capped.": ({"softcap": 5.0}, "weights"),
    "its bias differs from query to query.": ({"bias": torch.zeros(1, 12, 12)}, "weights"),
    "its weights are read as whole matrices.": ({"exact": "model"}, "weights"),
    "its mask stands elsewhere than its positions.": ({"band": Band(causal=True, offset=2)}, "weights"),
}  # fmt: skip


@pytest.mark.parametrize("reason", WHOLE)
def test_what_the_kernel_cannot_do_is_named_and_read_row_by_row(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields, measure = WHOLE[reason]
    layer = random_layer(queries=12, keys=12, **fields)
    stream = stream_of(layer)
    assert why_dense(layer, TokenFeatures.of(stream)) == reason
    same(score_stream(stream, None, measure), by_rows(stream, monkeypatch, None, measure), atol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
def test_numbers_that_are_none_or_too_large_are_left_to_whole_rows(value: float) -> None:
    layer = random_layer(queries=12, keys=12, band=Band(causal=True))
    assert layer.key is not None
    layer.key[1, 7, 2] = value
    reason = why_dense(layer, TokenFeatures.of(stream_of(layer)))
    assert reason == "its scores are not finite, or too large."


@pytest.mark.parametrize("fault", ["sums", "logs", "missing"])
def test_a_torch_whose_kernel_gives_something_else_is_not_used(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = stream_of(random_layer(queries=20, keys=20, band=Band(causal=True)))
    expected = by_rows(stream, monkeypatch)
    attend = kernel.attend

    def wrong(*given: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if fault == "missing":
            message = "no such operation"
            raise AttributeError(message)
        sums, logs = attend(*given, **named)
        return (sums + 0.01, logs) if fault == "sums" else (sums, logs + 0.01)

    assert can_attend(torch.device("cpu"))
    monkeypatch.setattr(kernel, "attend", wrong)
    can_attend.cache_clear()
    try:
        assert not can_attend(torch.device("cpu"))
        same(score_stream(stream), expected, atol=0)
    finally:
        can_attend.cache_clear()


def test_hidden_keys_have_no_weight() -> None:
    assert torch.tensor(HIDDEN).exp() == 0
    assert torch.isfinite(torch.tensor(HIDDEN) * 2)


def test_layers_that_need_rows_stand_beside_layers_that_do_not() -> None:
    fields = [{}, {"softcap": 5.0}, {"band": Band(causal=True)}]
    layers = [
        random_layer(queries=20, keys=20, layer=at * 3, seed=at, **each)
        for at, each in enumerate(fields)
    ]
    keys = positions(20)
    together = score_stream(Stream("self", tuple(layers), keys, keys))
    alone: list[LayerScores] = [score_stream(Stream("self", (one,), keys, keys)).layers[0] for one in layers]  # fmt: skip
    for one, other in zip(together.layers, alone, strict=True):
        assert one.layer == other.layer
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.without, other.without)


def test_progress_rises_to_the_end() -> None:
    layers = [random_layer(queries=40, keys=40, layer=at, softcap=5.0 if at else None) for at in range(3)]  # fmt: skip
    keys = positions(40)
    told: list[float] = []
    score_stream(Stream("self", tuple(layers), keys, keys), progress=told.append)
    assert told == sorted(told)
    assert 0 < told[0] <= told[-1] == 1.0


def test_short_inputs_are_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    layer = random_layer(keys=256, queries=256)
    why = why_dense(layer, TokenFeatures.of(stream_of(layer)))
    assert why == "its rows are short."
    layer = random_layer(keys=257, queries=256)
    assert why_dense(layer, TokenFeatures.of(stream_of(layer))) is None
