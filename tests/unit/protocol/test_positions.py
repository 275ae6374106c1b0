"""Positions as they travel: all of them there and back, and small."""

from __future__ import annotations

import json

import pytest
from contract.test_protocol import validate
from unit.serve.test_thumbnails import layers

from attnwidget.protocol.positions import pack, unpack
from attnwidget.record.positions import Position, positions_from_tokens
from attnwidget.serve.meta import describe, described_position

AXES = {
    "nothing": [],
    "pieces": [
        Position("the", text=" the"),
        Position("cat", text="cat"),
        Position("⟨U+202E⟩", text="\u202e"),
        Position("s", text="s", continues=True),
        Position("bare"),
        Position("bare", continues=True),
    ],
    "chat": [
        Position("<s>", "special", segment=0),
        Position("hi", text="hi", role="user", segment=0),
        Position("yo", text=" yo", role="model", segment=1),
    ],
    "picture": [
        Position("r0c0", "patch", row=0, column=0, grid=(2, 2), medium=0),
        Position("r0c1", "patch", row=0, column=1, grid=(2, 2), medium=0),
        Position("0.5 s", "frame", time=0.5, medium=1),
    ],
}


@pytest.mark.parametrize("name", AXES)
def test_what_is_packed_is_unpacked(name: str) -> None:
    described = [described_position(position) for position in AXES[name]]
    for position in described:
        validate("Position", position)
    packed = json.loads(json.dumps(pack(described)))
    validate("PackedPositions", packed)
    assert unpack(packed) == described


def test_a_comparison_says_who_has_a_position() -> None:
    described = [{"label": "a", "kind": "token"}, {"label": "b", "kind": "token", "only": "b"}]
    assert unpack(pack(described)) == described


def test_the_first_message_of_a_long_record_is_small() -> None:
    record = layers(2, 1, 32)
    words = ["Ġthe", "Ġcat", "s", "Ġwere", "Ġtired", "."]
    positions = positions_from_tokens([words[place % 6] for place in range(32_768)])
    described = [described_position(position) for position in positions]
    packed = len(json.dumps(pack(described), separators=(",", ":")))
    assert packed < 500_000 < len(json.dumps(described, separators=(",", ":"))) / 3
    meta, _ = describe(record)
    validate("Meta", meta)
