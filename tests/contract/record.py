"""The small record behind the committed fixtures: two streams, nothing square, every kind of block."""

from __future__ import annotations

import torch

from attnwidget.attention import Attention, Stream
from attnwidget.layer import Layer
from attnwidget.masks import Band
from attnwidget.positions import Position

NUM_HEADS, NUM_KEY_VALUE_HEADS, N_QUERY, N_KEY, HEAD_DIM = 4, 2, 5, 7, 3


def tensor(seed: int, *shape: int) -> torch.Tensor:
    """Return numbers in quarters, exact in every float dtype and on every machine."""
    count = torch.Size(shape).numel()
    return (((torch.arange(count) * 7 + seed * 3) % 17) - 8).reshape(shape) / 4


def layer(
    number: int, *, causal: bool = False, softcap: float | None = None, sinks: bool = False
) -> Layer:
    """Return a layer with vectors; 5 queries continue a cache of 2 keys when causal."""
    return Layer(
        stream="decoder",
        layer=number,
        module_path=f"model.layers.{number}.self_attn",
        num_heads=NUM_HEADS,
        query=tensor(number, NUM_HEADS, N_QUERY, HEAD_DIM),
        key=tensor(number + 5, NUM_KEY_VALUE_HEADS, N_KEY, HEAD_DIM),
        value=tensor(number + 9, NUM_KEY_VALUE_HEADS, N_KEY, HEAD_DIM),
        scaling=0.5,
        band=Band(causal=True, offset=N_KEY - N_QUERY) if causal else None,
        softcap=softcap,
        sinks=tensor(3, NUM_HEADS) if sinks else None,
    )


def record() -> Attention:
    """Return layers 0 and 2 of a hybrid decoder, and a layer of weights alone."""
    queries = tuple(Position(label) for label in ["the", "cat", "</script><b>", "“it”", "↵"])
    keys = (Position("<bos>", kind="special"), Position("ing", continues=True), *queries)
    weights = torch.softmax(tensor(1, 1, 2, 3, 7).squeeze(0), dim=-1)
    alone = Layer(
        stream="probe",
        layer=0,
        module_path="probe",
        num_heads=2,
        recorded=weights,
        reason="the record was made from weights alone.",
    )
    decoder = Stream(
        "decoder", (layer(0, causal=True), layer(2, softcap=2.0, sinks=True)), queries, keys
    )
    probe = Stream("probe", (alone,), tuple(Position(str(i)) for i in range(3)), keys)
    return Attention("FixtureModel", {"decoder": decoder, "probe": probe}, None)
