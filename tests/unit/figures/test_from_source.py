"""What a figure computes: the numbers that it draws and no others, without a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.serve.compared_streams import ComparedLayer
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
            {
                "weights",
                "scores",
                "query_vectors",
                "key_vectors",
                "value_vectors",
                "output",
                "extents",
            },
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


SCATTER = {"score": "previous", "other_score": "broad"}


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        (("matrix", {}), ("head", {"form": "matrix"})),
        (("matrix", {}), (None, {"form": "matrix"})),
        (
            ("matrix", {"layers": -1, "head": -1}),
            ("head", {"form": "matrix", "layer": 2, "heads": [3]}),
        ),
        (("scatter", SCATTER), ("model", {"arrange": "scatter", **SCATTER})),
        (("scatter", SCATTER), (None, {"arrange": "scatter", **SCATTER})),
        (
            ("model", {"score": "broad", "selection": {"arrange": "rank"}}),
            ("model", {"score": "broad", "arrange": "rank"}),
        ),
        (("compare", {"heads": [(0, 1), (2, 3)]}), (None, {"compare": [(0, 1), (-1, -1)]})),
        (("neuron", {"query": 1}), (None, {"view": "neuron", "query": "cat"})),
        (("head", {"heads": [(2, 3), (0, 0)]}), ("head", {"heads": [(-1, -1), (-2, 0)]})),
        (("model", {"selection": {"show_layers": [2]}}), ("model", {"show_layers": [-1]})),
    ],
)
def test_figures_take_the_words_of_views(kind: Any, same: Any) -> None:
    drawn, again = (record().figure(name, **options) for name, options in (kind, same))
    assert drawn.svg == again.svg


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (
            "matrix",
            {"form": "lines"},
            r"figure\('matrix'\) is form='matrix', got form='lines' besides",
        ),
        ("scatter", {"arrange": "rank", **SCATTER}, "is arrange='scatter', got arrange='rank'"),
        ("head", {"view": "model"}, "is view='head', got view='model'"),
        ("model", {"arrange": "scatter"}, "a scatter has two scores"),
        ("head", {"form": "heatmap"}, "form must be 'lines', 'matrix'"),
        ("heatmap", {}, "figure draws 'head', 'lines'"),
        (None, {"view": "heatmap"}, "figure draws 'head', 'lines'"),
    ],
)
def test_words_that_contradict_each_other_are_refused(kind: Any, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        record().figure(kind, **options)


def test_a_views_figure_takes_another_selection_than_the_one_on_show(tmp_path: Path) -> None:
    view = aw.view(record(), view="head", choose=False)
    drawn = view.figure(layer=-1, head=[1, -1], query="cat", form="matrix")
    assert (
        drawn.svg
        == aw.view(record(), view="head", layer=2, heads=[1, 3], query=1, form="matrix")
        .figure()
        .svg
    )
    assert (view.layer, view.heads, view.query, view.form) == (0, [0], None, "image")
    saved = view.save(tmp_path / "it.svg", layers=2, heads=[1, 3], query="cat", form="matrix")
    assert saved.read_text(encoding="utf-8") == drawn.svg
    with pytest.raises(ValueError, match=r"heads must be integers in 0\.\.3, got \[9\]"):
        view.figure(head=9)


def test_a_comparison_makes_thumbnails_only_where_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    overview = ComparedLayer.overview

    def spy(self: ComparedLayer, *args: Any) -> Any:
        made.append(self.layer)
        return overview(self, *args)

    monkeypatch.setattr(ComparedLayer, "overview", spy)
    compared = aw.compare(record(), record())
    assert compared.figure("compare", layer=-1, head=1).svg
    assert made == []
    assert compared.figure("model").svg
    assert made
