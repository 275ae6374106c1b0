"""Which positions a widget shows: pins of several."""

from __future__ import annotations

import re

import ipywidgets
import numpy as np
import pytest
import torch
from contract.record import record

import attnwidget as aw


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record(), choose=False)


@pytest.mark.parametrize(
    "value", [[2, 4], (2, 4, 2), range(2, 5, 2), np.array([2, 4]), torch.tensor([2, 4])]
)
def test_pins_take_what_people_write(view: aw.AttentionWidget, value: object) -> None:
    view.query = value
    assert view.query == [2, 4]
    assert all(type(pin) is int for pin in view.query)


@pytest.mark.parametrize(("value", "kept"), [([3], 3), ([], None), (np.int64(3), 3), (None, None)])
def test_one_pin_is_a_number_and_none_is_none(
    view: aw.AttentionWidget, value: object, kept: int | None
) -> None:
    view.key = value
    assert view.key == kept


@pytest.mark.parametrize("value", [[1, 9], [1, -6], [True, 2], True, 1.5, {"a": 1}])
def test_a_wrong_pin_among_several_is_refused(view: aw.AttentionWidget, value: object) -> None:
    view.query = 2
    words = "query must be an integer in 0..4, a list of them, or None for no pin, got"
    with pytest.raises(ValueError, match=re.escape(words)):
        view.query = value
    assert view.query == 2


def test_several_pins_by_their_text() -> None:
    view = aw.view(record(), query=["cat", 4], key=["<bos>", "ing"])
    assert (view.query, view.key) == ([1, 4], [0, 1])
    with pytest.raises(ValueError, match="query='dog' is no token of this input"):
        aw.view(record(), query=["cat", "dog"])


def test_a_pin_may_be_set_by_its_text(view: aw.AttentionWidget) -> None:
    view.query = "cat"
    assert view.query == 1
    view.query, view.key = [4, "cat"], ["<bos>", 3]
    assert (view.query, view.key) == ([4, 1], [0, 3])
    with pytest.raises(ValueError, match="query='dog' is no token of this input; there are"):
        view.query = [1, "dog"]
    assert view.query == [4, 1]


def test_a_word_of_several_pieces_is_all_of_them() -> None:
    tokens = ["the", "un", "##happ", "##ily", "sat"]
    attention = aw.from_weights(np.full((1, 1, 5, 5), 0.2, np.float32), tokens)
    view = aw.view(attention, query="unhappily")
    assert view.query == [1, 2, 3]
    view.key = ["sat", "unhappily"]
    assert view.key == [4, 1, 2, 3]
    assert attention.figure(query="unhappily").svg == view_figure(attention, [1, 2, 3])
    view.rank(query="unhappily", key="the")
    assert view.ranking == {"queries": [1, 2, 3], "keys": [0]}


def view_figure(attention: aw.Attention, query: list[int]) -> str:
    return attention.figure(query=query).svg


def test_another_stream_keeps_the_pins_that_it_has(view: aw.AttentionWidget) -> None:
    view.query, view.key = [4, 2, 1], [6, 0]
    view.stream = "probe"
    assert (view.query, view.key) == ([2, 1], [6, 0])


def test_several_pins_are_linked_and_come_from_the_browser(view: aw.AttentionWidget) -> None:
    other = aw.view(record())
    ipywidgets.link((view, "query"), (other, "query"))
    view.set_state({"query": [0, 3], "key": 1})
    assert (other.query, view.key) == ([0, 3], 1)
    # What is read of them is what numpy and `find` make of the same value.
    found = view.attention.find(query=view.query, key=view.key, stream="decoder", top=1)
    first = found.to_dict("records")[0] if hasattr(found, "to_dict") else found[0]
    layer = view.attention["decoder"][first["layer"]]
    assert first["weight"] == pytest.approx(
        float(layer.weights(first["head"])[view.query, view.key].mean()), abs=1e-6
    )
