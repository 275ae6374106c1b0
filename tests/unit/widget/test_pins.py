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
    return aw.view(record())


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


@pytest.mark.parametrize("value", [[1, 9], [1, -1], [1, "it"], [True, 2], True, 1.5, {"a": 1}])
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
