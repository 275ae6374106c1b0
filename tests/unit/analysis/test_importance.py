"""Michel's importance as a score of heads: absent, with the reason, in records without gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from attnwidget.analysis.score_tables import head_scores
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


def layer_of(number: int) -> Layer:
    generator = torch.Generator().manual_seed(number)
    query, key, value, gradient = (
        torch.randn(heads, 5, size, generator=generator)
        for heads, size in ((4, 6), (2, 6), (2, 3), (4, 3))
    )
    return Layer(
        stream="self", layer=number, module_path=f"layers.{number}", num_heads=4, query=query, key=key, value=value,
        scaling=0.4, output_gradient=gradient,
    )  # fmt: skip


def record_of(*layers: Layer) -> Record:
    positions = tuple(Position(label) for label in "abcde")
    return Record("tiny", {"self": Stream("self", layers, positions, positions)})


def test_it_is_the_size_of_output_times_gradient() -> None:
    layers = [layer_of(0), layer_of(1)]
    rows: Any = head_scores(record_of(*layers), "importance", only=(1, [0, 3]))
    assert [(row["layer"], row["head"], row["score"]) for row in rows] == [
        (1, 0, "importance"), (1, 3, "importance"),
    ]  # fmt: skip
    gradient = layers[1].output_gradient
    assert gradient is not None
    expected = (torch.tensor(layers[1].output()) * gradient).sum((1, 2)).abs()
    assert [row["value"] for row in rows] == pytest.approx(expected[[0, 3]].tolist(), rel=1e-5)
    assert {row["without_sink"] for row in rows} == {None}


def test_it_stands_beside_other_scores_and_is_none_of_all() -> None:
    record = record_of(layer_of(0))
    rows: Any = head_scores(record, ["broad", "importance"])
    assert [row["score"] for row in rows] == ["broad"] * 4 + ["importance"] * 4
    every: Any = head_scores(record)
    assert "importance" not in {row["score"] for row in every}


def test_a_record_without_gradients_has_none() -> None:
    record = record_of(replace(layer_of(0), output_gradient=None))
    with pytest.raises(
        ValueError,
        match=r"importance in 'self': it was recorded without.*metric=.*but for layers in sparse",
    ):
        head_scores(record, "importance")
    rows: Any = head_scores(record, ["broad", "importance"])
    assert {row["score"] for row in rows} == {"broad"}
