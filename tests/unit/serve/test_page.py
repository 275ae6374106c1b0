"""What is handed on stays within its budget: pages and frozen outputs of a BERT's and of a large model's size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.jobs import MESSAGE_BYTES
from attnwidget.serve.page import FROZEN_BYTES

if TYPE_CHECKING:
    from pathlib import Path

# Layers, heads, tokens.
SIZES = [(12, 12, 128), (32, 32, 512)]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: " × ".join(map(str, size)))
def view(request: pytest.FixtureRequest) -> aw.AttentionWidget:
    """A view of a record of random vectors, which no encoding makes smaller; no model."""
    layers, heads, tokens = request.param
    places = tuple(Position(f"word{place}") for place in range(tokens))
    stack = tuple(
        random_layer(queries=tokens, keys=tokens, heads=heads, layer=layer, seed=layer)
        for layer in range(layers)
    )
    record = Attention("RandomModel", {"self": Stream("self", stack, places, places)})
    return aw.view(record, layer=layers // 2, heads=[3, 5], query=tokens // 2)


@pytest.mark.parametrize(
    ("budget", "limit"), [(None, 5_000_000), ("1 MB", 1_000_000), (2_500_000, 2_500_000)]
)
def test_a_page_is_within_its_budget_and_uses_it(
    view: aw.AttentionWidget, tmp_path: Path, budget: str | int | None, limit: int
) -> None:
    options = {} if budget is None else {"budget": budget}
    # The selected head is in it: that it is not would be a warning, and warnings are errors here.
    size = view.save(tmp_path / "page.html", **options).stat().st_size
    assert 0.7 * limit < size <= limit


def test_a_frozen_output_keeps_the_notebook_below_a_megabyte(view: aw.AttentionWidget) -> None:
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": view._notebook.frozen_bundle(view, FROZEN_BYTES),
    }
    size = len(json.dumps(output, indent=1).encode())
    # What is left is less than the next head of 512 tokens would take.
    assert 0.7e6 < size < 1e6


def test_a_live_widget_starts_with_less_than_a_message(view: aw.AttentionWidget) -> None:
    state = view.get_state().values()
    size = sum(len(value) for value in state if isinstance(value, (bytes, str)))
    assert size + len(json.dumps(view.meta)) < MESSAGE_BYTES
