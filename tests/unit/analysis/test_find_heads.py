"""Heads found by the weight of links: named by position, by token, by word, by a mask or a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.records import HEADS, dense_weights, random_layer

from attnwidget.analysis.find_heads import link_weights, links
from attnwidget.attention import Attention
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = ["[CLS]", "the", "cat", "un", "##able", "the", "it"]
POSITIONS = positions_from_tokens(TOKENS)
SIZE = len(TOKENS)


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(params=[{}, {"row_bytes": 64}], ids=["one block", "many blocks"], autouse=True)
def block_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    with block_sizes(least_rows=1, **request.param):
        yield


@pytest.fixture(params=[None, Band(causal=True), Band(causal=True, window=5)], ids=str)
def stream(request: pytest.FixtureRequest) -> Stream:
    layers = [
        random_layer(
            queries=SIZE,
            keys=SIZE,
            layer=number,
            seed=number,
            key_value_heads=2,
            band=request.param,
        )
        for number in (0, 2)
    ]
    return Stream("self", tuple(layers), POSITIONS, POSITIONS)


def everything(stream: Stream) -> Any:
    return np.stack([dense_weights(layer).numpy() for layer in stream])


@pytest.mark.parametrize(
    ("query", "key", "queries", "keys"),
    [
        (6, 2, [6], [2]),
        (-1, [2, 4, 2], [6], [2, 4]),
        ("it", "cat", [6], [2]),
        ("it", "unable", [6], [3, 4]),
        (["it", "cat", 5], ["unable", 0], [2, 5, 6], [0, 3, 4]),
        (slice(3, None), [1, 5], [3, 4, 5, 6], [1, 5]),
        (None, "able", range(SIZE), [4]),
        (np.array([4, 6]), torch.tensor(3), [4, 6], [3]),
    ],
)
def test_links_are_weighed_as_told(
    stream: Stream, query: Any, key: Any, queries: Any, keys: Any
) -> None:
    rows = Attention("model", {"self": stream}).find(query, key, top=None)
    dense = everything(stream)[:, :, list(queries)][..., list(keys)].sum(-1).mean(-1)
    assert len(rows) == 2 * HEADS
    assert [row["rank"] for row in rows] == list(range(1, 2 * HEADS + 1))
    for row in rows:
        expected = dense[0 if row["layer"] == 0 else 1, row["head"]]
        assert row["weight"] == pytest.approx(expected, abs=1e-6)
    weights = [row["weight"] for row in rows]
    assert weights == sorted(weights, reverse=True)


def test_a_pattern_is_a_mask_or_makes_one(stream: Stream) -> None:
    mask = torch.zeros(SIZE, SIZE)
    mask[2:, 1:3] = 1
    mask[4, 4] = 1
    expected = (everything(stream)[:, :, 2:] * mask[2:].numpy()).sum(-1).mean(-1)
    for pattern in (mask, mask.bool(), mask.int().numpy(), mask.tolist(), lambda *_: mask):
        found = link_weights(stream, links(stream, pattern=pattern))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    same = link_weights(
        stream,
        links(stream, pattern=lambda q, k: [[key.text == "cat" for key in k] for _ in q]),
    )
    np.testing.assert_allclose(same, everything(stream)[:, :, :, 2].mean(-1), atol=1e-6)


def test_the_head_that_was_built_for_it_comes_first() -> None:
    weights = torch.full((3, 4, SIZE, SIZE), 1 / SIZE)
    weights[1, 2, 6] = torch.eye(SIZE)[2]
    attention = from_weights(weights, TOKENS)
    rows = attention.find(query="it", key="cat", top=2)
    assert rows[0] == {"rank": 1, "stream": "self", "layer": 1, "head": 2, "weight": 1.0}
    assert (rows[1]["layer"], rows[1]["head"]) == (0, 0)
    assert repr(rows).splitlines() == [
        "rank  stream  layer  head  weight",
        "1       self      1     2   1.000",
        "2       self      0     0   0.143",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": "it", "key": "dog"}, r"key='dog' is no token .* there are \[CLS\], the, cat"),
        ({"query": "the", "key": 2}, r"query='the' occurs at \[1, 5\]: pass one .* query=1\."),
        ({"query": 7, "key": 2}, r"query must be integers in 0\.\.6 .* got \[7\]"),
        ({"query": 6, "key": []}, r"key names no position, got \[\]"),
        ({"query": 6}, "find takes key"),
        ({}, "find takes key"),
        ({"key": 2, "pattern": np.eye(SIZE)}, "find takes key"),
        ({"query": 2, "pattern": np.eye(SIZE)}, "find takes key"),
        ({"pattern": np.eye(SIZE - 1)}, r"shape \[7, 7\], got shape \[6, 6\]"),
        ({"pattern": np.full((SIZE, SIZE), 0.5)}, "pattern must give 0 or 1"),
        ({"pattern": [[0], [0, 1]]}, "pattern must give 0 or 1"),
        ({"pattern": np.zeros((SIZE, SIZE))}, "marks no link of these 7 queries × 7 keys"),
        ({"query": 6, "key": 2, "top": 0}, "top must be a positive integer or None"),
        ({"query": 6, "key": 2, "measure": "size"}, "measure must be one of"),
    ],
)
def test_what_cannot_be_found_is_said(
    stream: Stream, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Attention("model", {"self": stream}).find(**arguments)


def test_links_that_a_mask_hides_are_no_ranking() -> None:
    layer = random_layer(queries=SIZE, keys=SIZE, band=Band(causal=True))
    attention = Attention("model", {"self": Stream("self", (layer,), POSITIONS, POSITIONS)})
    with pytest.raises(ValueError, match=r"the mask hides the keys .* swap query and key"):
        attention.find(query="cat", key="it")


def test_several_streams_need_a_name() -> None:
    weights = torch.full((1, 2, SIZE, SIZE), 1 / SIZE)
    attention = from_weights(
        encoder_attention=weights,
        decoder_attention=weights,
        encoder_tokens=TOKENS,
        decoder_tokens=TOKENS,
    )
    with pytest.raises(
        ValueError, match=r"\['encoder', 'decoder'\]: choose one, .*stream='encoder'"
    ):
        attention.find(query="it", key="cat")
    assert len(attention.find(query="it", key="cat", stream="decoder")) == 2


def test_value_weighted_links_are_shares_of_their_row(stream: Stream) -> None:
    asked = links(stream, [4, 6], [0, 2])
    for layer, found in zip(stream, link_weights(stream, asked, "value"), strict=True):
        assert layer.value is not None
        norms = layer.value.double().norm(dim=-1).repeat_interleave(3, 0).numpy()
        weighted = dense_weights(layer).numpy() * norms[:, None]
        weighted /= weighted.sum(-1, keepdims=True)
        np.testing.assert_allclose(
            found, weighted[:, [4, 6]][..., [0, 2]].sum(-1).mean(-1), atol=1e-6
        )


def test_links_to_the_same_keys_take_the_memory_of_one_row(stream: Stream) -> None:
    asked = links(stream, None, [0, 2])
    n_query, n_key = len(stream.query_positions), len(stream.key_positions)
    assert asked.mask.shape == (n_query, n_key)
    assert asked.mask.untyped_storage().nbytes() == n_key
    assert asked.mask.nonzero()[:, 1].tolist() == [0, 2] * n_query


def without(weights: Any, queries: list[int], keys: list[int], aside: list[int]) -> Any:
    """Return the mean share of what remains of each row, rows with nothing left out, ``[…]`` of ``[…, query, key]``."""
    rows = weights[..., queries, :].copy()
    rows[..., aside] = 0
    left = rows.sum(-1)
    shares = np.where(left > 1e-6, rows[..., keys].sum(-1) / np.maximum(left, 1e-30), np.nan)
    return np.nanmean(shares, -1)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("measure", ["weights", "value"])
@pytest.mark.parametrize(("aside", "out"), [("first", [0]), ([0, 5], [0, 5]), ("cat", [2])])
def test_with_keys_set_aside_weights_are_shares_of_the_rest(
    stream: Stream, aside: Any, out: list[int], measure: str
) -> None:
    weights = everything(stream)
    if measure == "value":
        for place, layer in enumerate(stream):
            assert layer.value is not None
            norms = layer.value.double().norm(dim=-1).repeat_interleave(3, 0).numpy()
            weights[place] *= norms[:, None]
        weights /= weights.sum(-1, keepdims=True)
    attention = Attention("m", {"self": stream})
    queries = list(range(SIZE))
    for given, keys in (({"key": ["un", 6]}, [3, 6]), ({"query": [4, 6], "key": [0, 3]}, [0, 3])):
        asked = [4, 6] if "query" in given else queries
        expected = without(weights, asked, keys, out)
        found = attention.find(**given, aside=aside, top=None, measure=measure)
        for row in found:
            at = {0: 0, 2: 1}[row["layer"]], row["head"]
            assert row["weight"] == pytest.approx(expected[at], abs=1e-6, nan_ok=True)
    # From a group to another, which reads no rows of weights.
    groups = {"animals": [2, 6], "first": [0, 1, 3]}
    pair = {"from_group": "animals", "to_group": "first", "by": groups}
    expected = without(weights, [2, 6], [0, 1, 3], out)
    for row in attention.find(**pair, aside=aside, top=None, measure=measure):
        at = {0: 0, 2: 1}[row["layer"]], row["head"]
        assert row["weight"] == pytest.approx(expected[at], abs=1e-6, nan_ok=True)


def test_a_head_with_nothing_left_comes_last_without_a_warning() -> None:
    weights = torch.zeros(3, 4, 4)
    weights[..., 0] = 1
    weights[0, 3] = torch.tensor([0.5, 0, 0.4, 0.1])
    weights[2, 3] = torch.nan
    layer = Layer(stream="self", layer=0, module_path="", num_heads=3, recorded=weights)
    axis = positions_from_tokens(["a", "b", "c", "d"])
    attention = Attention("m", {"self": Stream("self", (layer,), axis, axis)})
    with pytest.warns(UserWarning, match=r"1 head has weights that are not numbers.*0·2"):
        found = attention.find(query=3, key=2, aside="first", top=None)
    assert [row["head"] for row in found] == [0, 1, 2]
    assert found[0]["weight"] == pytest.approx(0.8)
    assert all(np.isnan(row["weight"]) for row in found[1:])
    with pytest.warns(UserWarning, match="1 head has"):
        pair = attention.find(
            from_group="x", to_group="y", by={"x": [3], "y": [2]}, aside=[0], top=None
        )
    assert [row["head"] for row in pair] == [0, 1, 2]


def test_links_to_nothing_but_what_is_set_aside_are_refused(stream: Stream) -> None:
    attention = Attention("m", {"self": stream})
    with pytest.raises(ValueError, match=r"set aside, 0 \(\[CLS\]\), 2 \(cat\): ask for others"):
        attention.find(key=["cat"], aside=[0, 2])
    with pytest.raises(ValueError, match="set aside, 2"):
        attention.find(to_group="x", by={"x": "cat"}, aside="cat")
    with pytest.raises(ValueError, match="aside='dog' is no token"):
        attention.find(key="cat", aside="dog")
