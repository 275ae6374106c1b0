"""Head scores against plain dense code, on attention that is one pattern exactly, and on even attention."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import dense
from support.records import HEADS, dense_mask, dense_weights, random_layer

from attnwidget.analysis.head_scores import LayerScores, StreamScores, score_stream
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.attention import Attention
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position, positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (
    "[CLS] the un ##able cat , saw the cat ##s ##s . it saw the un ##able dog , not the cat ! [SEP]"
)
TOKENS = TEXT.split()
POSITIONS = positions_from_tokens(TOKENS)
SIZE = len(TOKENS)
SINK = (0, SIZE - 1)
CACHED = 19
NAMES = tuple(SCORES)

padded = torch.zeros(1, 1, SIZE)
padded[..., -4:] = torch.finfo(torch.float32).min
ragged = torch.zeros(HEADS, SIZE, SIZE)
ragged[:, 3] = torch.finfo(torch.float32).min
ragged[2, :, 5:9] = torch.finfo(torch.float32).min
CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "causal": {"band": Band(causal=True)},
    "with a cache": {"queries": CACHED, "band": Band(causal=True, offset=SIZE - CACHED)},
    "window": {"band": Band(causal=True, window=4)},
    "two-sided window": {"band": Band(causal=False, window=3)},
    "grouped": {"key_value_heads": 2, "band": Band(causal=True)},
    "padding": {"bias": padded},
    "a mask of one head": {"bias": ragged, "band": Band(causal=True)},
    "position bias": {"bias": torch.linspace(-2, 2, HEADS * SIZE).view(HEADS, 1, SIZE)},
    "sinks": {"sinks": torch.linspace(-1, 3, HEADS), "band": Band(causal=True)},
    "bfloat16": {"dtype": torch.bfloat16},
}


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(params=[{}, {"row_bytes": 2048}], ids=["one block", "many blocks"])
def block_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    with block_sizes(least_rows=1, **request.param):
        yield


def stream_of(*layers: Layer, name: str = "self") -> Stream:
    keys = POSITIONS[: layers[0].n_key]
    return Stream(name, layers, keys[len(keys) - layers[0].n_query :], keys)


def agree(
    scores: LayerScores, weights: Any, seen: Any, stream: Stream, sink: tuple[int, ...] = SINK
) -> None:
    """Hold every score of every head against the dense code."""
    positions = (stream.query_positions, stream.key_positions)
    for head in range(len(weights)):
        for place, name in enumerate(NAMES):
            for values, without in ((scores.values, ()), (scores.without, sink)):
                if name == "sink":
                    expected = (
                        None if without else on_sink(weights[head], seen[head], stream, list(sink))
                    )
                else:
                    expected = dense.score(name, weights[head], seen[head], positions, without)
                value = values[head, place]
                if expected is None:
                    assert np.isnan(value), (name, head, without)
                else:
                    assert value == pytest.approx(expected, abs=1e-6), (name, head, without)


def on_sink(weights: Any, seen: Any, stream: Stream, sink: list[int]) -> float:
    """Return the mean weight on the sink over the rows that see two keys, one of them in the sink."""
    rows = (seen.sum(1) > 1) & seen[:, sink].any(1)
    rows &= np.array([position.text != "[PAD]" for position in stream.query_positions])
    return float(weights[rows][:, sink].sum(1).mean())


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("fields", CASES.values(), ids=CASES.keys())
def test_scores_agree_with_dense_code(fields: dict[str, Any]) -> None:
    layer = random_layer(**{"queries": SIZE, "keys": SIZE, **fields})
    stream = stream_of(layer)
    seen = np.broadcast_to(~np.isinf(dense_mask(layer).numpy()), (HEADS, layer.n_query, SIZE))
    (scores,) = score_stream(stream).layers
    agree(scores, dense_weights(layer).numpy(), seen, stream)
    even = seen / np.maximum(seen.sum(-1, keepdims=True), 1)
    agree(
        LayerScores(0, scores.expected, scores.expected_without, *[scores.rows] * 4),
        even,
        seen,
        stream,
    )


@pytest.mark.parametrize("causal", [False, True])
def test_scores_of_recorded_weights_agree_with_dense_code(causal: bool) -> None:  # noqa: FBT001
    raw = torch.randn(HEADS, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    seen = torch.ones(SIZE, SIZE).tril().bool() if causal else torch.ones(SIZE, SIZE).bool()
    weights = raw.masked_fill(~seen, -torch.inf).softmax(-1)
    padded_tokens = [*TOKENS[:-2], "[PAD]", "[PAD]"]
    stream = from_weights(weights[None], padded_tokens)["self"]
    (scores,) = score_stream(stream, sink=SINK).layers
    agree(scores, weights.double().numpy(), np.broadcast_to(seen, weights.shape), stream)


def test_the_layers_of_a_stream_are_read_each_with_its_mask() -> None:
    layers = [
        random_layer(queries=SIZE, keys=SIZE, layer=number, seed=number, heads=heads, band=band)
        for number, heads, band in (
            (0, 6, None),
            (2, 3, Band(causal=True)),
            (5, 6, Band(causal=True, window=3)),
        )
    ]
    together = score_stream(stream_of(*layers))
    for layer, scores in zip(layers, together.layers, strict=True):
        (alone,) = score_stream(stream_of(layer)).layers
        assert scores.layer == layer.layer
        np.testing.assert_array_equal(scores.values, alone.values)
        np.testing.assert_array_equal(scores.without, alone.without)
    assert together.absent == {}
    assert np.isnan(together.layers[1].values[:, NAMES.index("next")]).all()


def made(name: str) -> torch.Tensor:
    """Return weights of one head that are a pattern exactly, ``[query, key]``; where it has no key, the first one."""
    weights = torch.zeros(SIZE, SIZE)
    wanted = dense.masks(POSITIONS, POSITIONS)
    for query in range(SIZE):
        if name == "broad":
            weights[query] = 1 / SIZE
            continue
        keys = [
            key
            for key in range(SIZE)
            if (
                key in SINK
                if name == "sink"
                else wanted["self" if name == "local" else name](query, key)
            )
        ]
        weights[query, keys or [0]] = 1 / len(keys or [0])
    return weights


PATTERNS = {name: made(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_head_built_to_be_a_pattern_scores_1_and_is_ranked_first(name: str) -> None:
    patterns = torch.stack([PATTERNS[other] for other in NAMES])
    attention = from_weights(patterns[None], TOKENS)
    rows = list(attention.head_scores(name))
    assert len(rows) == len(NAMES)
    best = max(rows, key=lambda row: row["value"])
    own = rows[NAMES.index(name)]
    assert own["value"] == pytest.approx(1, abs=1e-6)
    assert best["value"] == own["value"]
    if name not in {"first", "special", "sink", "punctuation", "delimiter", "local"}:
        assert best["head"] == NAMES.index(name)  # the others are met by narrower patterns too
    if own["without_sink"] is not None and name != "delimiter":
        assert own["without_sink"] == pytest.approx(1, abs=1e-6)


def test_exact_patterns_carry_their_label() -> None:
    patterns = torch.stack([PATTERNS[name] for name in NAMES])
    (labels,) = score_stream(from_weights(patterns[None], TOKENS)["self"]).labels
    assert [None if label is None else label.name for label in labels] == [
        *("previous", "next", "self", "first", "special", "duplicate", "induction", "same_word"),
        *("sentence", "punctuation", "special", "punctuation", "self", None),
    ]
    assert [round(label.value, 3) for label in labels if label] == [1.0] * (len(NAMES) - 1)


@pytest.mark.parametrize("size", [3, 5, 24, 200])
@pytest.mark.parametrize("causal", [False, True])
def test_even_attention_has_no_label(size: int, causal: bool) -> None:  # noqa: FBT001
    positions = (POSITIONS * 10)[:size]
    seen = torch.ones(3, size, size).tril() if causal else torch.ones(3, size, size)
    weights = seen / seen.sum(-1, keepdim=True)
    stream = from_weights(weights[None], positions)["self"]
    assert score_stream(stream).labels == ((None,) * 3,)
    if causal:
        zero = torch.zeros(3, size, 4)
        layer = Layer(
            stream="self", layer=0, module_path="", num_heads=3,
            query=zero, key=zero, value=zero, scaling=1.0, band=Band(causal=True, window=7),
        )  # fmt: skip
        stream = Stream("self", (layer,), positions, positions)
        assert score_stream(stream).labels == ((None,) * 3,)


def test_the_sink_does_not_swallow_what_a_head_does() -> None:
    mixed = torch.stack(
        [0.8 * PATTERNS["first"] + 0.2 * PATTERNS[name] for name in ("next", "broad")]
    )
    mixed = torch.cat([mixed, 0.99 * PATTERNS["first"][None] + 0.01 * PATTERNS["next"]])
    (labels,) = score_stream(from_weights(mixed[None], TOKENS)["self"]).labels
    assert [label and label.name for label in labels] == ["next", "first", "first"]


def test_a_sink_of_ones_own() -> None:
    layer = random_layer(queries=SIZE, keys=SIZE)
    stream = stream_of(layer)
    attention = Attention("model", {"self": stream})
    seen = np.ones((HEADS, SIZE, SIZE), bool)
    found = score_stream(stream, sink=(5, 7))
    assert found.sink == (5, 7)
    weights = dense_weights(layer).numpy()
    positions = (POSITIONS, POSITIONS)
    for name in ("first", "special", "previous", "local"):
        expected = dense.score(name, weights[1], seen[1], positions, (5, 7))
        assert found.layers[0].without[1, NAMES.index(name)] == pytest.approx(expected, abs=1e-6)
    rows = attention.head_scores("sink", stream="self", sink=[7, 5])
    assert rows[2]["value"] == pytest.approx(weights[2][:, [5, 7]].sum(1).mean(), abs=1e-6)
    with pytest.raises(ValueError, match=r"sink must be integers in 0\.\.23"):
        attention.head_scores(stream="self", sink=24)


def test_cross_attention_has_no_pairs_and_says_so() -> None:
    layer = random_layer(queries=5, keys=SIZE, stream="cross")
    stream = Stream("cross", (layer,), POSITIONS[-5:], POSITIONS)
    attention = Attention("model", {"cross": stream})
    names = {row["score"] for row in attention.head_scores()}
    assert names == {"first", "sink", "sentence", "punctuation", "special", "delimiter", "broad"}
    with pytest.raises(ValueError, match="previous in 'cross': queries and keys are positions of"):
        attention.head_scores("previous")
    (scores,) = score_stream(stream).layers
    expected = [
        dense.score(
            "punctuation", head, np.ones((5, SIZE), bool), (stream.query_positions, POSITIONS), SINK
        )
        for head in dense_weights(layer).numpy()
    ]
    np.testing.assert_allclose(scores.without[:, NAMES.index("punctuation")], expected, atol=1e-6)


def test_positions_without_text_have_no_token_scores() -> None:
    patches = tuple(Position(label=f"r0 c{place}", kind="patch", row=0) for place in range(7))
    layer = random_layer(queries=7, keys=7)
    found = score_stream(Stream("self", (layer,), patches, patches))
    assert set(found.absent) == {
        *("duplicate", "induction", "same_word", "sentence", "punctuation", "special", "delimiter"),
    }
    assert found.absent["duplicate"] == "the positions have no text."
    assert repr(found) == "StreamScores(self: 6 heads, 7 scores of weights)"


def test_a_score_nobody_can_have_says_so() -> None:
    layer = random_layer(queries=SIZE, keys=SIZE, band=Band(causal=True))
    found: StreamScores = score_stream(stream_of(layer))
    assert found.absent == {"next": "no query sees such a key in any layer."}


def test_tokens_are_equal_when_the_tokenizer_says_so() -> None:
    # "s" after an apostrophe does not continue a word for the reader; in byte-level spelling it is one token all the same.
    spelled = positions_from_tokens(["Ġcat", "s", "'", "s"])
    pieces = positions_from_tokens(["cat", "##s", "'", "s"])
    for positions, expected in ((spelled, 2), (pieces, 0)):
        weights = torch.full((1, 1, 4, 4), 0.25)
        (scores,) = score_stream(from_weights(weights, positions)["self"]).layers
        assert scores.rows[0, NAMES.index("duplicate")] == expected


@pytest.mark.parametrize("scores", ["prev", [], ["previous", "nope"]])
def test_unknown_scores_are_named(scores: Any) -> None:
    attention = from_weights(torch.stack([PATTERNS["self"]])[None], TOKENS)
    with pytest.raises(ValueError, match=r"scores must be among previous, next, .* got"):
        attention.head_scores(scores)


def test_measures_that_are_not_there_are_named() -> None:
    attention = from_weights(torch.stack([PATTERNS["self"]])[None], TOKENS)
    with pytest.raises(
        ValueError,
        match="measure must be one of weights, value, norm, gradient, relevance, got 'flow'",
    ):
        attention.head_scores(measure="flow")
    with pytest.raises(ValueError, match="no measure 'value': the record was made from weights"):
        attention.head_scores(measure="value")


def test_every_score_says_what_it_is() -> None:
    for name, score in SCORES.items():
        assert score.name == name
        assert score.question.endswith("?")
        assert len(score.label) <= 12
        assert "mean over q" in score.formula
        assert any(char.isdigit() for char in score.source)


def test_the_table_is_a_data_frame_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = from_weights(torch.stack([PATTERNS["self"]])[None], TOKENS)
    plain = attention.head_scores("self")
    assert repr(plain).splitlines() == [
        "stream  layer  head  score  value  without_sink",
        "self        0     0   self  1.000         1.000",
    ]
    fake = types.ModuleType("pandas")
    fake.DataFrame = lambda records: ("frame", list(records))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", fake)
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: True)
    assert attention.head_scores("self") == ("frame", list(plain))
