"""Streams and layers are found, shown, copied and checked; the maths is in test_layer.py."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from support.records import random_layer

from attnwidget.attention import Attention
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream


def positions(count: int, kind: str = "token") -> tuple[Position, ...]:
    return tuple(Position(label=f"{kind}{place}", kind=kind) for place in range(count))


def record(numbers: tuple[int, ...] = (0, 3)) -> Attention:
    cross = [random_layer(stream="cross", layer=number) for number in numbers]
    square = [random_layer(stream="decoder", queries=7, layer=number) for number in numbers]
    streams = {
        "decoder": Stream("decoder", tuple(square), positions(7), positions(7)),
        "cross": Stream("cross", tuple(cross), positions(5), positions(7)),
    }
    return Attention("TinyModel", streams, text="the text")


def test_streams_are_reached_by_name_and_layers_by_the_models_number() -> None:
    attention = record()
    stream = attention["cross"]
    assert list(attention) == list(attention.streams) == ["decoder", "cross"]
    assert "cross" in attention
    assert "encoder" not in attention
    assert [layer.layer for layer in stream] == [0, 3]
    assert stream[3] is stream[-1] is stream.layers[1]
    assert len(stream) == len(attention) == 2
    with pytest.raises(KeyError, match=r"no stream 'encoder'; available: \['decoder', 'cross'\]"):
        attention["encoder"]
    with pytest.raises(IndexError, match=r"layer must be one of \[0, 3\] in stream 'cross', got 1"):
        stream[1]
    for number in (slice(0, 2), "0", 0.0, True):
        with pytest.raises(IndexError, match=r"layer must be one of"):
            stream[number]
    with pytest.raises(IndexError, match=r"one of 0\.\.1 in"):
        record((0, 1))["cross"][-3]


def test_representations_are_short_and_stable() -> None:
    attention = record()
    assert repr(attention) == (
        "Attention(TinyModel, decoder: 2 layers × 6 heads, 7 tokens; "
        "cross: 2 layers × 6 heads, 5 × 7 tokens)"
    )
    assert repr(attention["cross"]) == "Stream(cross: 2 layers × 6 heads, 5 × 7 tokens)"
    assert repr(attention["cross"][3]) == "Layer(cross 3: 6 heads, 5 × 7, head_dim 4)"
    grouped = random_layer(key_value_heads=2)
    assert repr(grouped) == "Layer(self 0: 6 heads (2 key-value), 5 × 7, head_dim 4)"
    patches = Stream(
        "vision", (random_layer(stream="vision"),), *map(positions, (5, 7), ("patch",) * 2)
    )
    assert repr(patches) == "Stream(vision: 1 layer × 6 heads, 5 × 7 positions)"


def test_a_record_is_frozen_and_can_be_copied() -> None:
    attention = record()
    with pytest.raises(TypeError):
        attention.streams["x"] = attention["cross"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        attention["cross"][0].num_heads = 2  # type: ignore[misc]
    expected = attention["cross"][3].weights(keys=slice(2, 4))
    for other in (copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))):  # noqa: S301  (our own bytes)
        assert repr(other) == repr(attention)
        np.testing.assert_array_equal(other["cross"][3].weights(keys=slice(2, 4)), expected)


def test_streams_and_records_that_do_not_fit_are_refused() -> None:
    layer = random_layer()
    with pytest.raises(ValueError, match=r"has 5 queries × 7 keys, but there are 5 .* × 6 key"):
        Stream("self", (layer,), positions(5), positions(6))
    with pytest.raises(ValueError, match=r"numbers of their own, got \[0, 0\]"):
        Stream("self", (layer, layer), positions(5), positions(7))
    with pytest.raises(ValueError, match=r"numbers of their own, got \[\]"):
        Stream("self", (), positions(5), positions(7))
    stream = Stream("self", (layer,), positions(5), positions(7))
    with pytest.raises(ValueError, match=r"own name to it, got \['cross'\]"):
        Attention("TinyModel", {"cross": stream})
    with pytest.raises(ValueError, match="got no stream"):
        Attention("TinyModel", {})
