"""Weights, value-weighted and norm-weighted attention: the factor per key, and why a layer lacks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

from attnwidget.compute.checks import check_choice

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = ["MEASURES", "Measure", "lengths", "missing"]

Measure = Literal["weights", "value", "norm"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


def missing(layer: LayerTensors, measure: str) -> str | None:
    """Return why a layer cannot give a measure, in a sentence, or ``None`` if it can.

    Raises:
        ValueError: If there is no such measure.
    """
    check_choice("measure", measure, MEASURES, said=f"one of {', '.join(MEASURES)}")
    if measure == "weights":
        return None
    if measure == "norm" and layer.value_norms is not None:
        return None
    if layer.value is None:
        return layer.reason or "only its weights were recorded."
    if measure == "norm":
        return layer.norm_reason or "its output projection was not recorded."
    return None


def lengths(layer: LayerTensors, measure: str) -> Tensor | None:
    """Return the length of what each key brings along, float32 ``[head, key]``; ``None`` for ``"weights"``.

    Raises:
        ValueError: If there is no such measure, or if the layer cannot give it.
    """
    reason = missing(layer, measure)
    if reason is not None:
        where = f"layer {layer.layer} of stream {layer.stream!r}"
        message = f"{where} has no measure {measure!r}: {reason}"
        raise ValueError(message)
    layer.before_reading()
    if measure == "norm":
        return layer.value_norms
    if measure == "weights" or layer.value is None:
        return None
    norms: Tensor = torch.linalg.vector_norm(layer.value.float(), dim=-1)
    return norms.repeat_interleave(layer.num_heads // len(norms), 0)
