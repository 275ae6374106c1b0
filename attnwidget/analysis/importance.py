"""Michel's importance of heads, a score of records with gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.score_definitions import Score
from attnwidget.compute.measures import why_no_gradients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

__all__ = ["IMPORTANCE", "importance_missing", "importance_rows", "output_sums"]

IMPORTANCE = Score(
    "importance",
    "importance",
    "How sensitive is the metric of the record to the head?",
    "|sum over q of o[q] · ∂m/∂o[q]|, o what the head puts out and m the metric; no share of anything, so without a bound",
    "Michel, Levy & Neubig 2019, Are Sixteen Heads Really Better than One?",
)
"""A score that no pattern of weights has; not one of `SCORES`, as it needs gradients and has no bound."""


def output_sums(layer: Layer) -> NDArray[np.float64]:
    """Return ``Σ_i o_i · ∂m/∂o_i`` of each head, float64 ``[head]``: Michel's importance, with its sign.

    Args:
        layer: A layer with the gradients of its outputs.

    Raises:
        ValueError: If it has none.
    """
    reason = why_no_gradients(layer)
    if reason is not None or layer.output_gradient is None:
        message = f"layer {layer.layer} of stream {layer.stream!r} has no gradients: {reason}"
        raise ValueError(message)
    found = np.empty(layer.num_heads)
    for head in range(layer.num_heads):
        outputs = torch.from_numpy(layer.output(head)).double()
        found[head] = float((outputs * layer.output_gradient[head].cpu().double()).sum())
    return found


def importance_missing(stream: Stream) -> str | None:
    """Return why a stream has no importance, in a sentence, or ``None`` if it has one."""
    return next(filter(None, map(why_no_gradients, stream)), None)


def importance_rows(stream: Stream) -> Iterator[dict[str, Any]]:
    """Yield one row for each head, as those of other scores; no sink is set aside of an output.

    Raises:
        ValueError: If the stream has no gradients.
    """
    for layer in stream:
        for head, value in enumerate(np.abs(output_sums(layer)).tolist()):
            yield {
                "stream": stream.name,
                "layer": layer.layer,
                "head": head,
                "score": IMPORTANCE.name,
                "value": value,
                "without_sink": None,
            }
