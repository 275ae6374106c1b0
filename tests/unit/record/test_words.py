"""Pieces merged to words against plain sums, and what a merged record still is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from contract.record import record
from support.records import dense_weights, random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.masks import Band
from attnwidget.compute.resumable import finish
from attnwidget.record import words
from attnwidget.record.positions import Position, positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.record.words import Words
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.compute.resumable import Slices

TOKENS = ["[CLS]", "un", "##believ", "##able", "the", "cat", "##s", ".", "[SEP]"]
WORDS = ["[CLS]", "unbelievable", "the", "cats", ".", "[SEP]"]
MEMBERS = [[0], [1, 2, 3], [4], [5, 6], [7], [8]]
POSITIONS = positions_from_tokens(TOKENS)
SIZE = len(TOKENS)


@pytest.fixture(params=[{}, {"row_bytes": 64}], ids=["one block", "many blocks"], autouse=True)
def block_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    with block_sizes(least_rows=1, **request.param):
        yield


def merged(weights: Any, queries: list[list[int]], keys: list[list[int]]) -> Any:
    """Sum over keys, mean over queries, one word after the other."""
    return np.stack(
        [
            np.stack([weights[:, query][:, :, key].sum(2).mean(1) for key in keys], -1)
            for query in queries
        ],
        1,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"band": Band(causal=True), "key_value_heads": 2},
        {"band": Band(causal=True, window=3)},
        {"sinks": torch.linspace(-1, 2, 6)},
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
def test_keys_are_summed_and_queries_averaged(fields: dict[str, Any]) -> None:
    layer = random_layer(queries=SIZE, keys=SIZE, **fields)
    attention = Attention("model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)}, "text")
    found = attention.words()
    assert repr(found) == "Attention(model, self: 1 layer × 6 heads, 6 tokens)"
    assert found.text == "text"
    stream = found["self"]
    assert [position.label for position in stream.key_positions] == WORDS
    assert [position.kind for position in stream.key_positions] == [
        *("special", "word", "token", "word", "token", "special"),
    ]
    expected = merged(dense_weights(layer).numpy(), MEMBERS, MEMBERS)
    np.testing.assert_allclose(stream[0].weights(), expected, atol=1e-6)
    np.testing.assert_allclose(stream[0].weights(2, 1, [0, 3]), expected[2, 1, [0, 3]], atol=1e-6)
    np.testing.assert_allclose(
        stream[0].weights().sum(-1)[:, 0], layer.weights().sum(-1)[:, 0], atol=1e-6
    )


def test_queries_and_keys_of_two_sequences_are_merged_each() -> None:
    layer = random_layer(queries=4, keys=SIZE, stream="cross")
    queries = positions_from_tokens(["▁ein", "▁Tri", "ck", "s"])
    attention = Attention("model", {"cross": Stream("cross", (layer,), queries, POSITIONS)})
    stream = attention.words()["cross"]
    assert [position.label for position in stream.query_positions] == ["ein", "Tricks"]
    assert stream.query_positions[1].text == " Tricks"
    expected = merged(dense_weights(layer).numpy(), [[0], [1, 2, 3]], MEMBERS)
    np.testing.assert_allclose(stream[0].weights(), expected, atol=1e-6)


def test_a_record_of_weights_is_merged_too() -> None:
    weights = torch.softmax(torch.randn(2, 3, SIZE, SIZE), -1)
    stream = from_weights(weights, TOKENS).words()["self"]
    expected = merged(weights[1].double().numpy(), MEMBERS, MEMBERS)
    np.testing.assert_allclose(stream[1].weights(), expected, atol=1e-6)


def test_words_say_why_they_have_no_vectors() -> None:
    layer = random_layer(queries=SIZE, keys=SIZE, layer=3)
    attention = Attention("model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})
    merged_layer = attention.words()["self"][3]
    assert not merged_layer.has_vectors
    with pytest.raises(ValueError, match="pieces were merged to words"):
        merged_layer.query_vectors(0)
    with pytest.raises(ValueError, match="no measure 'norm': pieces were merged to words"):
        merged_layer.measure("norm")


def test_what_has_no_pieces_stays_what_it_is() -> None:
    patches = tuple(Position(label=f"r0 c{place}", kind="patch", row=0) for place in range(7))
    layer = random_layer(queries=7, keys=7)
    stream = Stream("vision", (random_layer(queries=7, keys=7, stream="vision"),), patches, patches)
    plain = positions_from_tokens(["the", "cat", ".", "it", "'", "s", "a"])
    attention = Attention("m", {"vision": stream, "self": Stream("self", (layer,), plain, plain)})
    assert attention.words()["vision"] is stream
    assert attention.words()["self"] is attention["self"]


def test_words_can_be_scored_found_and_shown() -> None:
    from attnwidget.widget.widget import AttentionWidget

    layer = random_layer(queries=SIZE, keys=SIZE)
    attention = Attention("model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})
    found = attention.words()
    best = found.find(query="cats", key="unbelievable", top=None)
    whole = attention.find(query="cats", key="unbelievable", top=None)
    for rows in (best, whole):
        assert len(rows) == 6
    first, second = (
        [
            float(x)
            for x in (rows["weight"] if hasattr(rows, "columns") else [r["weight"] for r in rows])
        ]
        for rows in (best, whole)
    )
    assert first == pytest.approx(second, abs=1e-6)
    assert (
        repr(AttentionWidget(found)) == "AttentionWidget(model, self: 1 layer × 6 heads, 6 tokens)"
    )


def test_a_recording_has_words_too() -> None:
    model, tokenizer = aw.pocket()
    with aw.recording(model, tokenizer) as attention:
        model(**tokenizer("the cat sat", return_tensors="pt"))
    assert attention.words()["decoder"] is attention["decoder"]


def test_words_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST", 100)
    layer = random_layer(queries=SIZE, keys=SIZE)
    attention = Attention("model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})
    with pytest.raises(ValueError, match=r"would take 0\.0 GB of weights"):
        attention.words()


def test_next_tokens_follow_pieces_and_so_do_not_follow_words() -> None:
    whole = record()
    assert whole.words().next_tokens is whole.next_tokens is not None
    decoder = whole["decoder"]
    first, second, *rest = decoder.query_positions
    queries = (first, replace(second, continues=True), *rest)
    keys = (*decoder.key_positions[:2], *queries)
    pieces = replace(whole, streams={"decoder": Stream("decoder", decoder.layers, queries, keys)})
    merged = pieces.words()
    assert len(merged["decoder"].query_positions) == len(queries) - 1
    assert merged.next_tokens is None


def test_blocks_of_some_words_in_any_order() -> None:
    some = Words(np.array([0, 0, 1, 3, 3, 3]), np.array([0, 1, 1, 2]))
    pieces = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    of_query, of_key = {0: [0, 1], 1: [2], 3: [3, 4, 5]}, {0: [0], 1: [1, 2], 2: [3]}

    def read(rows: Any, columns: Any) -> Slices[Any]:
        yield from ()
        return pieces[np.ix_(list(rows), list(columns))]

    for queries, keys in (
        (range(2), range(1, 3)),
        (np.array([3, 0]), np.array([2, 0])),
        (np.array([1]), np.array([1, 2, 0])),
    ):
        expected = [
            [pieces[np.ix_(of_query[query], of_key[key])].sum(1).mean() for key in keys]
            for query in queries
        ]
        found = finish(some.block(read, queries, keys))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
