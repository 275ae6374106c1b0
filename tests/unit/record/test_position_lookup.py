"""Positions named by text: the same words are taken wherever a query or key is asked for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.record.position_lookup import replace_text
from attnwidget.record.stream import Stream

TOKENS = ["it", "un", "##happ", "##ily", "sat", "sat"]
WORD = [1, 2, 3]


def record() -> aw.Attention:
    weights = np.random.default_rng(0).dirichlet(np.ones(6), (2, 3, 6)).astype(np.float32)
    return aw.from_weights(weights, TOKENS)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("it", 0),
        ("unhappily", WORD),
        (["it"], 0),
        (["unhappily", "it", 2], [*WORD, 0]),
        (("it", 4), [0, 4]),
        ([4, 4], 4),
        (None, None),
    ],
)
def test_a_view_takes_what_find_takes_and_holds_positions(given: object, held: object) -> None:
    view = aw.view(record())
    view.query = given
    view.key = given
    assert (view.query, view.key) == (held, held)
    made = aw.view(record(), query=given, key=given)
    assert (made.query, made.key) == (held, held)
    if given is not None:
        view.rank(query=given, key=given)
        expected = sorted(held) if isinstance(held, list) else [held]
        assert (view.ranking["queries"], view.ranking["keys"]) == (expected, expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("dog", "query='dog' is no token of this input; there are it, un, happ, ily, sat, sat."),
        ("sat", r"query='sat' occurs at \[4, 5\]: pass one of these positions, such as query=4."),
        (["it", "dog"], "^query='dog' is no token of this input"),
        ([0, "dog"], "query must be an integer in 0..5, .* query='dog' is no token"),
    ],
)
def test_text_that_is_not_there_or_there_twice_is_refused(given: object, message: str) -> None:
    view = aw.view(record(), query=4)
    with pytest.raises(ValueError, match=message):
        view.query = given
    assert view.query == 4
    with pytest.raises(ValueError, match=message):
        aw.view(record(), query=given)


def test_text_is_looked_up_in_the_stream_that_comes_with_it() -> None:
    weights = np.full((1, 1, 2, 2), 0.5, dtype=np.float32)
    both = aw.from_weights(
        encoder_attention=weights, encoder_tokens=["a", "b"],
        decoder_attention=weights, decoder_tokens=["c", "d"],
    )  # fmt: skip
    view = aw.view(both, query="d", stream="decoder")
    assert (view.stream, view.query) == ("decoder", 1)
    with view.hold_trait_notifications():
        view.query, view.stream = "b", "encoder"
    assert (view.stream, view.query) == ("encoder", 1)


def test_a_layer_of_a_stream_takes_text() -> None:
    layer = record()["self"][1]
    whole = layer.weights()
    np.testing.assert_array_equal(layer.weights(1, "it"), whole[1, 0])
    np.testing.assert_array_equal(layer.weights(1, "it", "unhappily"), whole[1, 0, WORD])
    np.testing.assert_array_equal(layer.weights(keys=["it", 5]), whole[:, :, [0, 5]])
    np.testing.assert_array_equal(layer.measure("weights", 0, "unhappily"), whole[0, WORD])
    with pytest.raises(ValueError, match="queries='dog' is no token of this input"):
        layer.weights(0, "dog")


def test_a_layer_alone_says_that_it_knows_no_tokens() -> None:
    alone = replace(record()["self"][0])
    with pytest.raises(ValueError, match=r"queries must be integers in 0..5 .* got \['it'\]"):
        alone.weights(0, "it")
    assert alone.weights(0, 0).shape == (6,)


def test_a_copied_or_pickled_record_takes_text_as_well() -> None:
    stream = record()["self"]
    pickled = pickle.loads(pickle.dumps(stream))  # noqa: S301  (its own)
    for one in (copy.deepcopy(stream), pickled, replace(stream)):
        np.testing.assert_array_equal(one[0].weights(0, "it"), stream[0].weights(0, 0))


def test_a_layer_of_two_streams_keeps_the_positions_of_each() -> None:
    stream = record()["self"]
    assert replace(stream)[0] is stream[0]
    turned = tuple(reversed(stream.query_positions))
    other = Stream("self", stream.layers, turned, turned)
    np.testing.assert_array_equal(other[0].weights(0, "it"), stream[0].weights(0, 5))
    np.testing.assert_array_equal(stream[0].weights(0, "it"), stream[0].weights(0, 0))
    assert other[0].recorded is stream[0].recorded


def test_what_is_no_text_is_returned_as_it_is() -> None:
    positions = record()["self"].query_positions
    for place in (3, None, slice(2), [1, 2], range(3)):
        assert replace_text("query", place, positions) is place
