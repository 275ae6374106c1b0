"""Weights, value-weighted and norm-weighted attention, weight times gradient: the factors, and why a layer lacks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

from attnwidget.compute.checks import check_choice
from attnwidget.compute.factors import KeyLengths, LinkGradients, why_no_gradients
from attnwidget.protocol.constants import GRADIENT_MEASURES

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.factors import Factors
    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = [
    "MEASURES",
    "Measure",
    "factors",
    "lengths",
    "missing",
    "pooled_factors",
    "row_factors",
]

Measure = Literal["weights", "value", "norm", "gradient", "relevance"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


def missing(layer: LayerTensors, measure: str) -> str | None:
    """Return why a layer cannot give a measure, in a sentence, or ``None`` if it can.

    Raises:
        ValueError: If there is no such measure.
    """
    check_choice("measure", measure, MEASURES, said=f"one of {', '.join(MEASURES)}")
    if measure == "weights":
        return None
    if measure in GRADIENT_MEASURES:
        return why_no_gradients(layer)
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
        ValueError: If the measure is none with lengths, or if the layer cannot give it.
    """
    _check(layer, measure)
    if measure in GRADIENT_MEASURES:
        message = (
            f"measure {measure!r} has no lengths of keys: its factors differ from query to query."
        )
        raise ValueError(message)
    layer.before_reading()
    if measure == "norm":
        return layer.value_norms
    if measure == "weights" or layer.value is None:
        return None
    norms: Tensor = torch.linalg.vector_norm(layer.value.float(), dim=-1)
    return norms.repeat_interleave(layer.num_heads // len(norms), 0)


def factors(layer: LayerTensors, measure: str) -> Factors | None:
    """Return what weights are multiplied by in a measure; ``None`` for ``"weights"``.

    Raises:
        ValueError: If there is no such measure, or if the layer cannot give it.
    """
    _check(layer, measure)
    if measure in GRADIENT_MEASURES:
        return LinkGradients(layer, None if measure == "gradient" else 1)
    found = lengths(layer, measure)
    return None if found is None else KeyLengths(found)


def pooled_factors(layer: LayerTensors, measure: str) -> dict[int, Factors | None]:
    """Return what weights are multiplied by before the largest of a cell is taken, by the sign of what comes of it.

    Of ``"gradient"`` that is done for each sign by itself: the larger of the two is what the cell holds, with its sign
    (`attnwidget.compute.pooling.larger`). All other measures have no negative numbers.

    Raises:
        ValueError: If there is no such measure, or if the layer cannot give it.
    """
    if measure != "gradient":
        return {1: factors(layer, measure)}
    return {sign: LinkGradients(layer, sign) for sign in (1, -1)}


def row_factors(layer: LayerTensors, measure: str) -> Factors | None:
    """Return what weights are multiplied by before each row is divided by its sum; ``None`` for ``"weights"``.

    Raises:
        ValueError: As `factors`, or if rows of the measure have no sum that they could be divided by.
    """
    if measure == "gradient":
        message = (
            "measure='gradient' has numbers of both signs, of which no shares can be made: pass measure='relevance', "
            "its positive part."
        )
        raise ValueError(message)
    return factors(layer, measure)


def _check(layer: LayerTensors, measure: str) -> None:
    reason = missing(layer, measure)
    if reason is not None:
        where = f"layer {layer.layer} of stream {layer.stream!r}"
        message = f"{where} has no measure {measure!r}: {reason}"
        raise ValueError(message)
