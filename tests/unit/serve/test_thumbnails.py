"""Thumbnails that come after the first message: what travels then, and what copies and figures hold."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record
from contract.test_protocol import validate
from support.copies import snapshot_of
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.compute.online_softmax import pooled
from attnwidget.compute.overview import sampled_overview, sampled_rows
from attnwidget.protocol.codec import decode
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.meta import describe
from attnwidget.serve.thumbnails import AT_ONCE, Thumbnails

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> aw.AttentionWidget:
    """A view of a small record whose thumbnails are taken for long ones."""
    monkeypatch.setattr("attnwidget.serve.thumbnails.AT_ONCE", 0)
    return aw.view(record())


def ask(view: aw.AttentionWidget, what: str, stream: str, layer: int) -> np.ndarray:
    request = {"what": what, "stream": stream, "layer": layer, "head": 0}
    validate("Request", request)
    content, buffers = view.blocks({"requests": [request]}, [])
    validate("Reply", content["replies"][0])
    return decode(content["replies"][0]["block"], buffers[0])


def test_the_first_message_has_no_thumbnails(later: aw.AttentionWidget) -> None:
    validate("Meta", later.meta)
    assert later.overview == b""
    at_once, _ = describe(record(), Thumbnails(record()))
    for stream, expected in zip(later.meta["streams"], at_once["streams"], strict=True):
        assert stream["overview"]["later"] is True
        assert {"top", "sink"}.isdisjoint(stream)
        for name in ("rows", "columns", "sampled"):
            assert stream["overview"][name] == expected["overview"].get(name)


def test_what_comes_later_is_what_would_have_come_at_once(
    later: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.serve.thumbnails.AT_ONCE", AT_ONCE)
    meta, overview = describe(record())
    for described in meta["streams"]:
        stream, place = described["name"], described["overview"]
        assert "later" not in place
        layers = [layer["layer"] for layer in described["layers"]]
        found = [ask(later, "thumbnails", stream, layer) for layer in layers]
        shades = np.concatenate(found)
        assert shades.dtype == np.uint8
        assert shades.shape[1:] == (place["rows"], place["columns"])
        start = place["offset"]
        assert shades.tobytes() == overview[start : start + shades.size]
        links = np.concatenate([ask(later, "links", stream, layer) for layer in layers])
        np.testing.assert_allclose(links[:, :3].ravel(), described["top"], rtol=1e-6)
        for layer in layers:
            first = [
                later.attention[stream][layer].weights(head)[1:, 0].mean() for head in range(2)
            ]
            np.testing.assert_allclose(ask(later, "links", stream, layer)[:2, 3], first, rtol=1e-5)


def test_a_copy_has_them_all(later: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = snapshot_of(later.page())
    validate("Meta", copy["meta"])
    monkeypatch.setattr("attnwidget.serve.thumbnails.AT_ONCE", AT_ONCE)
    whole = aw.view(record())
    expected = snapshot_of(whole.page())
    assert copy["overview"] == expected["overview"]
    assert b64decode(copy["overview"])
    assert json.dumps(copy["meta"], sort_keys=True) == json.dumps(expected["meta"], sort_keys=True)


def test_a_figure_asks_for_them(later: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("py_mini_racer", reason="figures are an optional extra")
    later.view = "model"
    drawn = later.figure().svg
    monkeypatch.setattr("attnwidget.serve.thumbnails.AT_ONCE", AT_ONCE)
    assert drawn == aw.view(record(), view="model").figure().svg
    assert "%" not in drawn.split("<desc")[0].split("thumbnails")[-1] or "thumbnails:" not in drawn


def layers(count: int, heads: int, tokens: int) -> Attention:
    made: list[Layer] = [
        random_layer(queries=tokens, keys=tokens, heads=heads, layer=layer, band=Band(causal=True))
        for layer in range(count)
    ]
    return Attention("random", {"self": Stream("self", tuple(made), *record_positions(tokens))})


def record_positions(tokens: int) -> tuple[tuple[Position, ...], tuple[Position, ...]]:
    positions = tuple(Position(f"t{number}") for number in range(tokens))
    return positions, positions


@pytest.mark.parametrize(
    ("count", "heads", "tokens", "comes_later"),
    [(12, 12, 512, False), (2, 4, 1024, False), (4, 32, 1024, True), (1, 8, 9000, True)],
)
def test_what_takes_long_comes_later(count: int, heads: int, tokens: int, comes_later: Any) -> None:
    assert Thumbnails(layers(count, heads, tokens)).later is comes_later


def bins(count: int, size: int) -> list[range]:
    parts = min(count, size)
    return [range(at * count // parts, -(-(at + 1) * count // parts)) for at in range(parts)]


@pytest.mark.parametrize("most", [48, 5, 1])
def test_a_sample_is_a_few_rows_with_all_keys(most: int) -> None:
    (layer,) = layers(1, 6, 130)["self"]
    weights, size = layer.weights(), 48
    columns = bins(130, size)
    queries, shown = sampled_rows(130, size, most)
    assert len(queries) == most
    assert queries == sorted(set(queries))
    assert max(shown) == most - 1
    expected = np.stack(
        [weights[:, queries][:, shown, keys.start : keys.stop].max(-1) for keys in columns], -1
    )
    found = sampled_overview(layer, size, most).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if most == size:
        assert [query in rows for query, rows in zip(queries, columns, strict=True)] == [True] * 48
        assert (found <= layer.overview(size) + 1e-6).all()


def test_a_short_axis_is_sampled_whole() -> None:
    assert sampled_rows(7, 48, 48) == (list(range(7)), list(range(7)))
    (layer,) = layers(1, 2, 7)["self"]
    np.testing.assert_allclose(sampled_overview(layer, 48, 48).numpy(), layer.weights(), atol=1e-6)


def test_the_page_gets_a_sample_of_each_layer(later: aw.AttentionWidget) -> None:
    for described in later.meta["streams"]:
        stream, place = described["name"], described["overview"]
        for layer in described["layers"]:
            found = ask(later, "sample", stream, layer["layer"])
            exact = ask(later, "thumbnails", stream, layer["layer"])
            assert found.dtype == np.uint8
            assert found.shape == exact.shape
            assert found.shape[1:] == (place["rows"], place["columns"])
            # Short inputs: each row of a thumbnail is one query.
            np.testing.assert_allclose(found.astype(int), exact.astype(int), atol=1)


def test_samples_of_all_layers_read_no_more_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    record, read = layers(4, 6, 300), []

    def counted(layer: Layer, heads: Any, queries: Any, *rest: Any, **named: Any) -> Any:
        read.append(len(heads) * len(queries) * layer.n_key)
        return pooled(layer, heads, queries, *rest, **named)

    monkeypatch.setattr("attnwidget.compute.overview.pooled", counted)
    monkeypatch.setattr("attnwidget.serve.thumbnails.SAMPLED", 4 * 6 * 300 * 10)
    thumbnails = Thumbnails(record)
    for layer in record["self"]:
        thumbnails.sample(layer)
    assert sum(read) == 4 * 6 * 300 * 10


def test_a_sample_of_the_model_s_precision_needs_no_whole_heads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (layer,) = layers(1, 3, 60)["self"]
    half = {name: getattr(layer, name).bfloat16() for name in ("query", "key", "value")}
    exact = replace(layer, **half, exact="model")
    record = Attention("random", {"self": Stream("self", (exact,), *record_positions(60))})

    def refuse(*_: object) -> None:
        message = "whole heads were computed"
        raise AssertionError(message)

    monkeypatch.setattr("attnwidget.compute.weight_rows.whole_heads", refuse)
    monkeypatch.setattr("attnwidget.compute.overview.whole_heads", refuse)
    found = Thumbnails(record).sample(record["self"][0])
    assert found.shape == (3, 48, 48)
    assert found.any()
