"""Vectors by bands of positions, their extents, and parts of weights, scores and bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from contract.test_protocol import validate

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.figures.crop import Crop, cropped_answer
from attnwidget.protocol.codec import decode
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer, requests_for_head
from attnwidget.serve.vector_extents import vector_extents

if TYPE_CHECKING:
    from collections.abc import Mapping

QUERIES, KEYS = 300, 310
HEAD = {"stream": "self", "layer": 0, "head": 3}


@pytest.fixture(scope="module")
def attention() -> Attention:
    """A record of one long layer, two query heads to a key head."""
    torch.manual_seed(0)
    layer = Layer(
        stream="self",
        layer=0,
        module_path="",
        num_heads=4,
        query=torch.randn(4, QUERIES, 128),
        key=torch.randn(2, KEYS, 128),
        value=torch.randn(2, KEYS, 96),
        scaling=0.1,
    )
    axes = (tuple(Position(f"p{at}") for at in range(count)) for count in (QUERIES, KEYS))
    return Attention("random", {"self": Stream("self", (layer,), *axes)})


def asked(attention: Attention, **request: Any) -> np.ndarray:
    validate("Request", request)
    return decode(*answer(attention, request))


@pytest.mark.parametrize("what", ["query_vectors", "key_vectors", "value_vectors", "output"])
def test_vectors_come_in_bands_that_make_up_the_whole(attention: Attention, what: str) -> None:
    layer = attention["self"][0]
    whole = getattr(layer, what)(3)
    np.testing.assert_array_equal(asked(attention, what=what, **HEAD), whole)
    bands = [one for one in requests_for_head(layer, 3) if one["what"] == what]
    assert len(bands) > 1
    found = np.concatenate([asked(attention, **one) for one in bands])
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)


def test_an_output_of_some_queries_is_that_of_all(attention: Attention) -> None:
    layer = attention["self"][0]
    some = layer.output([1, 3], queries=[5, 280])
    assert some.shape == (2, 2, layer.value.shape[2])
    np.testing.assert_allclose(some, layer.output([1, 3])[:, [5, 280]], atol=1e-6)
    assert layer.output(1, -1).shape == layer.value.shape[2:]
    with pytest.raises(ValueError, match=r"queries must be integers in 0\.\.299"):
        layer.output(1, queries=[300])


def test_an_output_of_the_model_s_precision_is_of_some_queries_too() -> None:
    torch.manual_seed(3)
    query, key, value = (torch.randn(2, 9, 4, dtype=torch.bfloat16) for _ in range(3))
    layer = Layer(
        stream="self", layer=0, module_path="", num_heads=2, query=query, key=key, value=value,
        scaling=0.5, exact="model",
    )  # fmt: skip
    whole = layer.output(1)
    np.testing.assert_array_equal(layer.output(1, [7, 2]), whole[[7, 2]])


@pytest.mark.parametrize("what", ["weights", "scores", "bias"])
def test_a_part_is_cut_from_the_whole(attention: Attention, what: str) -> None:
    layer = attention["self"][0]
    whole = getattr(layer, {"bias": "bias_block"}.get(what, what))(3)
    part = asked(attention, what=what, **HEAD, queries=[250, 290], keys=[240, 305])
    assert part.shape == (1, 40, 65)
    np.testing.assert_allclose(part[0], whole[250:290, 240:305], rtol=1e-5, atol=1e-6)


def test_extents_are_the_largest_of_all_positions(attention: Attention) -> None:
    layer = attention["self"][0]
    query, key, value = (getattr(layer, f"{name}_vectors")(3) for name in ("query", "key", "value"))
    products = max(np.abs(row * key).max() for row in query)
    expected = [np.abs(query).max(), np.abs(key).max(), products, np.abs(value).max()]
    found = asked(attention, what="extents", **HEAD)
    assert found.shape == (1, 4)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    # The scale of the values holds every output.
    assert np.abs(layer.output(3)).max() <= found[0, 3]


def test_extents_leave_out_what_is_no_number_and_what_is_not_there() -> None:
    query = torch.tensor([[[1.0, -2.0], [float("nan"), float("inf")]]])
    layer = Layer(
        stream="self",
        layer=0,
        module_path="",
        num_heads=1,
        query=query,
        key=query * 0.5,
        scaling=1.0,
    )
    assert vector_extents(layer, 0).tolist() == [2.0, 1.0, 2.0, 0.0]
    weights = Layer(
        stream="self", layer=7, module_path="", num_heads=1, recorded=torch.ones(1, 1, 1)
    )
    with pytest.raises(ValueError, match="layer 7 of stream 'self' has no query and key vectors"):
        vector_extents(weights, 0)


def test_a_crop_counts_its_own_positions(attention: Attention) -> None:
    crop = Crop("self", queries=(3, 290, 8), keys=(5, 40, 300, 7))

    def cropped(**request: Any) -> np.ndarray:
        def whole(one: Mapping[str, Any]) -> Any:
            validate("Request", one)
            return answer(attention, one)

        return decode(*cropped_answer(attention, crop, {**HEAD, **request}, whole))

    layer = attention["self"][0]
    rows, keys = [290, 8], [40, 300]
    np.testing.assert_array_equal(
        cropped(what="query_vectors", queries=[1, 3]), layer.query_vectors(3)[rows]
    )
    np.testing.assert_array_equal(
        cropped(what="value_vectors", queries=[1, 3]), layer.value_vectors(3)[keys]
    )
    np.testing.assert_array_equal(
        cropped(what="key_vectors"), layer.key_vectors(3)[[5, 40, 300, 7]]
    )
    part = cropped(what="weights", queries=[1, 3], keys=[1, 3])
    np.testing.assert_allclose(part[0], layer.weights(3)[np.ix_(rows, keys)], atol=1e-6)
    whole = asked(attention, what="extents", **HEAD)
    np.testing.assert_array_equal(cropped(what="extents"), whole)


def test_a_band_of_an_output_has_no_more_rows_than_one_of_the_weights(attention: Attention) -> None:
    bands = [one for one in requests_for_head(attention["self"][0], 3) if one["what"] == "output"]
    assert {stop - start for start, stop in (one["queries"] for one in bands[:-1])} == {52}


def test_vectors_of_some_positions_are_cut_before_they_are_copied(attention: Attention) -> None:
    layer = attention["self"][0]
    for what in ("query_vectors", "key_vectors", "value_vectors"):
        whole, read = getattr(layer, what)([0, 3]), getattr(layer, what)
        np.testing.assert_array_equal(read([0, 3], [7, 2]), whole[:, [7, 2]])
        np.testing.assert_array_equal(read(3, slice(40, 42)), whole[1, 40:42])
        assert read(3, -1).shape == whole.shape[2:]
    with pytest.raises(ValueError, match=r"keys must be integers in 0\.\.309"):
        layer.value_vectors(0, keys=[310])


def test_the_page_is_refused_vectors_that_no_message_holds(
    attention: Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.serve.requests.MESSAGE_BYTES", 4 * 128 * 305)
    view = aw.view(attention, choose=False)
    requests = [
        {"what": "query_vectors", **HEAD},
        {"what": "key_vectors", **HEAD},
        {"what": "key_vectors", **HEAD, "queries": [0, 305]},
    ]
    replies = view.blocks({"requests": requests}, [])[0]["replies"]
    assert [reply["ok"] for reply in replies] == [True, False, True]
    assert replies[1]["error"] == (
        "key_vectors of all 310 positions are more than one message holds: ask for up to 305 of them at a time,"
        " for instance queries=[0, 305]."
    )
