"""The form "geometry": its block, cropped blocks, figures with their numbers, the trait, where it is lines."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from contract.test_protocol import validate
from support.records import random_layer

import attnwidget as aw
from attnwidget.protocol.codec import decode
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer, requests_for_head

TEXT = "The cat sat on the mat because it was tired"


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    model, tokenizer = aw.pocket()
    return aw.capture(model, TEXT, tokenizer)


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    )
    return found


def test_the_block_is_the_plane(attention: aw.Attention) -> None:
    request = {"what": "geometry", "stream": "decoder", "layer": 3, "head": 3}
    validate("Request", request)
    block = decode(*answer(attention, request))
    plane = attention.query_key_plane(layer=3, head=3)
    count = len(plane.queries)
    np.testing.assert_array_equal(block[:count, :2], plane.queries)
    np.testing.assert_array_equal(block[count:-1, :2], plane.keys)
    np.testing.assert_array_equal(block[:count, 2], plane.query_norms)
    np.testing.assert_array_equal(block[count:-1, 2], plane.key_norms)
    assert block[-1] == pytest.approx([*plane.shares, plane.scale])
    layer = attention["decoder"][3]
    assert request in list(requests_for_head(layer, 3))  # copies without a kernel have it


def test_a_figure_has_a_point_for_each_query_and_key(attention: aw.Attention) -> None:
    figure = attention.figure("geometry", layer=3, heads=[1, 3], query="it", key="cat")
    svg = figure.svg
    assert re.findall(r">(head \d)<", svg) == ["head 1", "head 3"]
    group = svg[svg.index('id="points-of-head-3"') :]
    count = len(attention["decoder"].query_positions)
    # Each query once, the pinned one twice more: above the others, and its ring.
    assert group.count("<circle") == count + 2 + 1  # and the key to shapes
    found = rows(figure.data)
    assert len(found) == 2 * 2 * count
    plane = attention.query_key_plane(layer=3, head=3)
    of_keys = [row for row in found if row["head"] == 3 and row["side"] == "key"]
    assert [row["y"] for row in of_keys] == pytest.approx(plane.keys[:, 1].tolist())
    assert [row["norm"] for row in of_keys] == pytest.approx(plane.key_norms.tolist())
    assert of_keys[2]["label"] == "cat"
    again: aw.Figure = eval(figure.code(), {"attention": attention})  # noqa: S307
    assert again.svg == svg


def test_colours_are_of_what_is_asked_for(attention: aw.Attention) -> None:
    def drawn(**options: Any) -> str:
        return attention.figure("geometry", layer=3, heads=[3], **options).svg

    assert "position" in drawn()
    assert "length of the vector" in drawn(colour="norm")
    groups = drawn(colour="group", grouping="special")
    assert ">special<" in groups
    assert ">content<" in groups
    assert drawn(colour="group", grouping=None) == drawn()
    with pytest.raises(ValueError, match="colour must be 'position', 'group' or 'norm', got 'red'"):
        drawn(colour="red")


def test_some_positions_lie_where_they_do_among_all(attention: aw.Attention) -> None:
    figure = attention.figure("geometry", layer=3, heads=[3], queries=[1, 8], keys=[2])
    plane = attention.query_key_plane(layer=3, head=3)
    found = rows(figure.data)
    assert [(row["side"], row["position"]) for row in found] == [("query", 1), ("query", 8), ("key", 2)]  # fmt: skip
    assert [row["x"] for row in found] == pytest.approx([*plane.queries[[1, 8], 0], plane.keys[2, 0]])  # fmt: skip
    group = figure.svg[figure.svg.index('id="points-of-head-3"') :]
    assert group.count("<circle") == 2 + 1


def test_a_word_lies_at_the_mean_of_its_pieces() -> None:
    layer = random_layer(queries=3, keys=3)
    positions = (Position("un"), Position("do", continues=True), Position("it"))
    made = aw.Attention("m", {"self": Stream("self", (layer,), positions, positions)})
    found = rows(made.figure("geometry", heads=[0], positions="words").data)
    plane = made.query_key_plane(layer=0, head=0)
    assert [row["label"] for row in found] == ["undo", "it", "undo", "it"]
    assert found[0]["x"] == pytest.approx(plane.queries[:2, 0].mean())
    assert found[3]["y"] == pytest.approx(plane.keys[2, 1])


def test_a_plane_is_of_one_head(attention: aw.Attention) -> None:
    together = attention.figure("geometry", layer=3, heads=[1, 3], together="mean")
    assert re.findall(r">(head \d)<", together.svg) == ["head 1", "head 3"]
    assert {row["head"] for row in rows(together.data)} == {1, 3}
    grid = attention.figure("geometry", heads=[(0, 2), (3, 3)])
    assert {(row["layer"], row["head"]) for row in rows(grid.data)} == {(0, 2), (3, 3)}


def test_views_have_it_and_pages_keep_it(attention: aw.Attention) -> None:
    view = aw.view(attention, form="geometry", colour="norm", view="head", layer=3, heads=[3])
    assert view.snapshot()["state"]["colour"] == "norm"
    assert 'form="geometry", colour="norm"' in view.code()
    script = attention.figure("geometry", layer=3, heads=[3], colour="norm", width=500)
    assert view.figure(width=500, whole=True, query=None, key=None).svg == script.svg


def test_weights_alone_and_two_records_have_no_planes(attention: aw.Attention) -> None:
    weights = torch.softmax(torch.randn(1, 2, 3, 3), -1)
    alone = aw.from_weights(weights, ["a", "b", "c"])
    with pytest.raises(ValueError, match="got 'geometry': no layer with queries and keys"):
        alone.figure("geometry")
    both = aw.compare(attention, attention)
    with pytest.raises(ValueError, match="got 'geometry': no layer with queries and keys"):
        aw.view(both, form="geometry")
