"""What every query gives some keys, and the means over queries, as the front end asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.pooling import max_pool_cells
from attnwidget.figures.crop import Crop, cropped_answer
from attnwidget.protocol.codec import decode
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS = 700


def read(attention: Attention, request: Mapping[str, Any]) -> np.ndarray:
    return decode(*answer(attention, request))


@pytest.fixture(scope="module")
def pieces() -> Attention:
    """A record of words of one to four pieces."""
    layers = tuple(
        random_layer(queries=TOKENS, keys=TOKENS, heads=2, layer=layer, seed=layer)
        for layer in range(2)
    )
    positions = tuple(
        Position(f"p{number}", continues=number % 7 in {1, 2, 3, 5}) for number in range(TOKENS)
    )
    return Attention("random", {"self": Stream("self", layers, positions, positions)})


HEAD = {"stream": "self", "layer": 1, "head": 1}


def test_a_column_is_that_of_the_weights_or_of_the_rollout(pieces: Attention) -> None:
    some = {"what": "column", **HEAD, "keys": [30, 33]}
    weights = pieces["self"][1].weights(1)
    np.testing.assert_allclose(read(pieces, some), weights[:, 30:33], atol=1e-6)
    rolled = read(pieces, {**some, "head": 0, "measure": "rollout"})
    np.testing.assert_allclose(rolled, pieces.rollout("self")[1][:, 30:33], atol=1e-6)


def test_a_cropped_column_counts_the_positions_that_are_kept(pieces: Attention) -> None:
    crop = Crop("self", queries=(3, 9, 8), keys=(5, 40, 600))
    request = {"what": "column", **HEAD, "keys": [1, 3]}
    block, data = cropped_answer(pieces, crop, request, lambda one: answer(pieces, one))
    weights = pieces["self"][1].weights(1)
    np.testing.assert_allclose(
        decode(block, data), weights[np.ix_([3, 9, 8], [40, 600])], atol=1e-6
    )


def test_a_mean_is_over_the_queries_asked_for(pieces: Attention) -> None:
    weights = pieces["self"][1].weights(1)
    mean = read(pieces, {"what": "mean", **HEAD})
    np.testing.assert_allclose(mean[0], weights.mean(0), atol=1e-6)
    first = read(pieces, {"what": "mean", **HEAD, "queries": [0, 300]})
    np.testing.assert_allclose(first[0], weights[:300].mean(0), atol=1e-6)
    value = read(pieces, {"what": "mean", **HEAD, "measure": "value"})
    np.testing.assert_allclose(value[0], pieces["self"][1].measure("value", 1).mean(0), atol=1e-5)


def test_words_are_those_of_the_record_of_words(pieces: Attention) -> None:
    whole = pieces.words()["self"][1].weights(1)
    as_words = {**HEAD, "positions": "words"}
    mean = read(pieces, {"what": "mean", **as_words})
    np.testing.assert_allclose(mean[0], whole.mean(0), atol=1e-6)
    exact = read(pieces, {"what": "tile", **as_words, "level": 0, "tile": [1, 0]})
    np.testing.assert_allclose(exact, whole[256:, :256], atol=1e-6)
    level, rows, columns = 1, slice(0, 512), slice(0, 512)
    shades = read(pieces, {"what": "tile", **as_words, "level": level, "tile": [0, 0]})
    expected = np.rint(255 * np.sqrt(max_pool_cells(whole[rows, columns], 2**level).clip(0, 1)))
    assert np.abs(shades.astype(int) - expected).max() <= 1


def test_of_two_records_a_column_is_that_of_the_rows() -> None:
    first = record()
    view = aw.compare(first, record()).view()
    where = {"stream": "decoder", "layer": 0, "head": 2, "side": "b"}
    n_query = len(view.source.streams["decoder"].query_positions)
    for measure in ({}, {"measure": "weights"}):
        column = decode(*view.source.answer({"what": "column", **where, "keys": [1, 4], **measure}))
        rows = decode(*view.source.answer({"what": "weights", **where, "queries": [0, n_query]}))
        np.testing.assert_allclose(column, rows[0][:, 1:4], atol=1e-6)
