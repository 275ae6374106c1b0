"""What a figure computes: the numbers that it draws and no others, without a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest.importorskip("py_mini_racer", reason="figures are an optional extra")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """Every request that reaches a record while figures are drawn."""
    requests: list[Mapping[str, Any]] = []
    work = RecordSource.work

    def spy(self: RecordSource, request: Mapping[str, Any]) -> Any:
        requests.append(request)
        return work(self, request)

    monkeypatch.setattr(RecordSource, "work", spy)
    return requests


def heads(requests: list[Mapping[str, Any]]) -> set[tuple[str, int, int]]:
    return {(each["stream"], each["layer"], each["head"]) for each in requests if "head" in each}


def kinds(requests: list[Mapping[str, Any]]) -> set[str]:
    return {each["what"] for each in requests}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lines", {"weights"}),
        ("matrix", {"weights"}),
        ("text", {"mean"}),
        (
            "neuron",
            {"weights", "scores", "query_vectors", "key_vectors", "value_vectors", "output"},
        ),
    ],
)
def test_one_head_is_asked_for_alone(
    asked: list[Mapping[str, Any]], kind: Any, expected: set[str]
) -> None:
    figure = record().figure(kind, stream="decoder", layer=2, heads=[1])
    assert asked == []  # made when it is looked at
    assert figure.svg
    assert heads(asked) == {("decoder", 2, 1)}
    assert kinds(asked) <= expected
    assert "weights" in kinds(asked) or kind == "text"


def test_heads_of_a_grid_are_asked_for_alone(asked: list[Mapping[str, Any]]) -> None:
    assert record().figure("lines", stream="decoder", heads=[(0, 1), (2, 3)]).svg
    assert heads(asked) == {("decoder", 0, 1), ("decoder", 2, 3)}
    assert kinds(asked) == {"weights"}


def test_a_rollout_asks_for_its_layer_alone(asked: list[Mapping[str, Any]]) -> None:
    attention = aw.from_weights(np.full((3, 2, 4, 4), 0.25, np.float32), list("abcd"))
    assert attention.figure("lines", layer=2, measure="rollout").svg
    assert {(each["what"], each["layer"]) for each in asked} == {("rollout", 2)}


def test_a_scatter_asks_for_scores_and_no_weights(asked: list[Mapping[str, Any]]) -> None:
    options: dict[str, Any] = {"score": "previous", "other_score": "broad"}
    assert record().figure("scatter", stream="decoder", **options).svg
    assert kinds(asked) == {"head_scores", "head_labels"}


def test_the_model_view_asks_for_thumbnails_of_its_stream(asked: list[Mapping[str, Any]]) -> None:
    attention = record()
    assert attention.figure("model", stream="decoder").svg
    assert kinds(asked) == {"thumbnails", "links"}
    layers = {layer.layer for layer in attention["decoder"]}
    assert {(each["stream"], each["layer"]) for each in asked} == {("decoder", n) for n in layers}
    once = len(asked)
    assert len({tuple(sorted(each.items())) for each in asked}) == once


@pytest.mark.parametrize("kind", ["lines", "model", "compare"])
def test_a_figure_makes_no_widget(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "a widget was made"
        raise AssertionError(message)

    monkeypatch.setattr(anywidget.AnyWidget, "__init__", refuse)
    options = {"heads": [(0, 1), (2, 0)]} if kind == "compare" else {}
    assert record().figure(kind, stream="decoder", **options).svg.startswith("<svg")


@pytest.mark.parametrize("kind", ["lines", "matrix", "neuron", "model"])
def test_it_is_what_the_widget_saves(kind: Any) -> None:
    attention = record()
    state: dict[str, Any] = {"stream": "decoder", "layer": 2, "heads": [3, 1], "query": 2}
    figure = attention.figure(kind, width=640, **state)
    form = kind if kind in {"lines", "matrix"} else "lines"
    view = aw.view(attention, view="head" if kind == form else kind, form=form, **state)
    options = {"whole": True, "width": 640} | ({"marked": True} if kind == "model" else {})
    assert figure.svg == view.figure(**options).svg
