"""What Python sends fits the schema, and is what the committed fixtures say; vitest reads the same fixtures."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest
from contract.record import record

from attnwidget.protocol import codec
from attnwidget.serve.blocks import answer, requests_for_head
from attnwidget.serve.selection_parts import STATE
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "attnwidget/protocol/schema.json").read_text(encoding="utf-8"))
FIXTURE = Path(__file__).parent / "fixtures" / "snapshot.json"


CHOSEN = {
    "stream": "decoder",
    "layer": 2,
    "head": 1,
    "query": 2,
    "key": None,
    "weight": 0.75,
    "why": "the first of the heads ranked by these links",
    "also": [{"label": "previous", "layer": 0, "head": 2}],
    "before": {
        "layer": 0,
        "heads": [0, 1],
        "together_layers": [0, 2],
        "query": [1, 2],
        "key": 0,
    },
}


def validate(name: str, value: object) -> None:
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    for key in ("type", "required", "properties", "additionalProperties"):
        del schema[key]
    jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)


def mean(layer: Layer, head: int) -> dict[str, object]:
    return {"what": "mean", "stream": layer.stream, "layer": layer.layer, "head": head}


def snapshot() -> dict[str, object]:
    widget = AttentionWidget(
        record(), layer=2, heads=[1, 3], query=2, step=1, compare=[(0, 1), (2, 3)]
    )
    widget.rank(query=[2, 3], key=3)
    widget.layer, widget.heads, widget.query, widget.key = 2, [1, 3], 2, None
    widget.set_trait("chosen", CHOSEN)
    widget.other_score, widget.without_sink, widget.threshold = "broad", True, 0.25
    made = widget.snapshot()
    blocks = []
    for stream in widget.attention.streams.values():
        for layer in stream:
            for request in (*requests_for_head(layer, 1), mean(layer, 1)):
                block, data = answer(widget.attention, request)
                blocks.append({"request": request, "block": codec.inline(block, data)})
    blocks += [
        {"request": request, "block": codec.inline(*widget._answer(request))}
        for request in widget.source.heads.snapshot_requests(made["state"])
    ]
    return {**made, "blocks": blocks}


def numbers(entry: dict[str, object]) -> np.ndarray:
    block = entry["block"]
    return codec.decode(block, base64.b64decode(block["data"])).astype(np.float64)


def test_a_snapshot_fits_the_schema() -> None:
    made = snapshot()
    validate("Snapshot", made)
    validate("Meta", made["meta"])
    validate("State", made["state"])
    for entry in made["blocks"]:
        validate("Request", entry["request"])


def test_the_schema_refuses_what_is_not_in_it() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(
            "Request",
            {"what": "weights", "stream": "decoder", "layer": 0, "head": 0, "nonsense": 1},
        )
    with pytest.raises(jsonschema.ValidationError):
        validate("State", {**snapshot()["state"], "heads": []})


def test_the_state_of_the_schema_is_the_widgets_traits() -> None:
    assert set(SCHEMA["$defs"]["State"]["properties"]) == set(STATE)
    assert all(AttentionWidget.class_traits()[name].metadata["sync"] for name in STATE)


def test_every_request_for_a_head_fits_the_schema_and_is_answered() -> None:
    attention = record()
    for stream in attention.streams.values():
        for layer in stream:
            for head in range(layer.num_heads):
                for request in (*requests_for_head(layer, head), mean(layer, head)):
                    validate("Request", request)
                    validate("Reply", {"ok": True, "block": answer(attention, request)[0]})


def test_a_snapshot_is_the_committed_fixture() -> None:
    made = snapshot()
    if os.environ.get("ATTNWIDGET_WRITE_FIXTURES"):
        # What the front end must read out of each block, spelled as plain numbers.
        expected = [
            [repr(float(value)) for value in numbers(entry).ravel()] for entry in made["blocks"]
        ]
        FIXTURE.write_text(
            json.dumps({"snapshot": made, "expected": expected}, indent=1) + "\n", encoding="utf-8"
        )
    kept = json.loads(FIXTURE.read_text(encoding="utf-8"))["snapshot"]
    assert {**made, "blocks": [], "meta": {}} == {**kept, "blocks": [], "meta": {}}
    assert [entry["request"] for entry in made["blocks"]] == [
        entry["request"] for entry in kept["blocks"]
    ]
    for new, old in zip(made["blocks"], kept["blocks"], strict=True):
        # exp() differs by a rounding between machines; the numbers must not.
        np.testing.assert_allclose(numbers(new), numbers(old), rtol=1e-6, atol=1e-7)
    assert made["meta"]["generation"] == kept["meta"]["generation"]
    assert made["meta"]["media"] == kept["meta"]["media"]
    without_links = [{**stream, "top": []} for stream in made["meta"]["streams"]]
    assert without_links == [{**stream, "top": []} for stream in kept["meta"]["streams"]]


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_blocks_survive_the_way_there_and_back(dtype: str) -> None:
    array = (np.arange(2 * 3 * 5).reshape(2, 3, 5) * 1.5).astype(dtype)
    block, data = codec.encode(array[:, ::-1])
    np.testing.assert_array_equal(codec.decode(block, data), array[:, ::-1])


def test_other_dtypes_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"got float64: convert with array.astype\('float32'\)"):
        codec.encode(np.zeros(3))


def test_shading_keeps_small_weights_visible() -> None:
    weights = np.array([0.0, 1 / 512, 0.01, 0.5, 1.0, np.nan], dtype=np.float32)
    shades = codec.shade(weights)
    assert shades.tolist() == [0, 11, 26, 180, 255, 0]
