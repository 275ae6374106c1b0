"""The small record behind the committed fixtures: two streams, nothing square, every kind of block."""

from __future__ import annotations

import numpy as np
import torch

from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.media import Medium
from attnwidget.record.next_tokens import NextTokens
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream

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


def next_tokens() -> NextTokens:
    """Return what was expected after the last of three given tokens and after two generated ones."""
    return NextTokens(
        stream="decoder",
        prompt=3,
        first=2,
        ids=np.array([[4, 7], [9, 4], [7, 4]], dtype=np.int32),
        probabilities=np.array([[0.5, 0.25], [0.75, 0.125], [0.625, 0.25]], dtype=np.float32),
        # One that was not to be expected, and one whose probability nobody knows.
        chosen=np.array([4, 11, 5], dtype=np.int32),
        chosen_probabilities=np.array([0.5, 0.0625, np.nan], dtype=np.float32),
        labels={4: "“it”", 5: "↵", 7: "</script>", 9: "was", 11: "tired"},
    )


def record() -> Attention:
    """Return layers 0 and 2 of a hybrid decoder that wrote two tokens, and a layer of weights alone, from a picture."""
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
    patches = tuple(
        Position(f"r0 c{column}", kind="patch", row=0, column=column, grid=(1, 3), medium=1)
        for column in range(3)
    )
    probe = Stream("probe", (alone,), patches, keys)
    pixels = (np.arange(2 * 6 * 3) * 7).astype(np.uint8).reshape(2, 6, 3)
    media = (
        Medium("spectrogram", pixels[:, :, 0], seconds=1.5),
        Medium("image", pixels, note="colours are made up"),
    )
    streams = {"decoder": decoder, "probe": probe}
    return Attention("FixtureModel", streams, None, next_tokens(), media)
