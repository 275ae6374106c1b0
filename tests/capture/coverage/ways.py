"""The two ways to record one forward pass, `recording` around it and `capture` of its inputs, and what differs between them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from attnwidget import Attention, Layer

__all__ = ["SEED", "by_capture", "by_recording", "difference"]

SEED = 7  # of the random numbers that a forward pass draws


def by_recording(model: Any, inputs: dict[str, Any], row: int) -> tuple[Attention, Any]:
    """Record ``model(**inputs)``.

    Returns:
        The record of one row, and what the model returned.
    """
    torch.manual_seed(SEED)
    with torch.no_grad(), recording(model, batch=row) as attention:
        output = model(**copy.deepcopy(inputs))
    return attention.attention, output


def by_capture(model: Any, inputs: dict[str, Any], row: int) -> Attention:
    """Record the same pass by `capture`, which is given the plain inputs."""
    torch.manual_seed(SEED)
    return capture(model, copy.deepcopy(inputs), batch=row)


def difference(one: Attention, other: Attention) -> str:
    """Say in what two records of the same pass differ; an empty text if in nothing."""
    layers = [
        {name: [layer.layer for layer in s] for name, s in r.streams.items()} for r in (one, other)
    ]
    if layers[0] != layers[1]:
        return f"layers {layers[1]} in place of {layers[0]}"
    for name, stream in one.streams.items():
        again = other[name]
        if stream.query_positions != again.query_positions:
            return f"other query positions in {name}"
        if stream.key_positions != again.key_positions:
            return f"other key positions in {name}"
        for mine, theirs in zip(stream, again, strict=True):
            said = _layer_difference(mine, theirs)
            if said:
                return f"{said} in {name} {mine.layer}"
    return ""


def _layer_difference(one: Layer, other: Layer) -> str:
    if one.has_vectors != other.has_vectors:
        return "vectors in one of the two"
    mine, theirs = one.weights(), other.weights()
    if mine.shape != theirs.shape:
        return f"shape {theirs.shape} in place of {mine.shape}"
    return "" if np.array_equal(mine, theirs, equal_nan=True) else "other weights"
