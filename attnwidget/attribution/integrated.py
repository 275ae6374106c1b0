"""Integrated gradients over the attention of each layer (Hao et al. 2021)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attnwidget.edits.ablation import Ablation
from attnwidget.edits.edits import Edits
from attnwidget.record.chosen import stream_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.attribution.runs import Call, GatedRuns
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record

__all__ = ["integrated_record"]


def integrated_record(call: Call, steps: int) -> Record:
    """Return a record whose ``output_gradient`` is the mean of that on the way from no attention of the layer to all of it.

    A layer whose weights are all ``s w`` puts out ``s o``, so ``∂m/∂w_ij(s w)`` is ``v_j`` times the gradient of what it puts
    out then: the mean of these takes the place of the gradient, and whatever is made of gradients is made of it.

    Args:
        call: The model, its inputs and the metric.
        steps: At how many ``s`` it is taken: the middles of as many equal parts of 0 to 1.

    Raises:
        ValueError: If heads cannot be scaled, or as `capture` with a metric raises.
    """
    with call.under_gates() as runs:
        record = runs.run().record
        streams = {
            name: stream_of(stream, [_with_mean(runs, name, layer, steps) for layer in stream])
            for name, stream in record.streams.items()
        }
    return replace(record, streams=streams)


def _with_mean(runs: GatedRuns, stream: str, layer: Layer, steps: int) -> Layer:
    pairs = [(layer.layer, head) for head in range(layer.num_heads)]
    edits = Edits((Ablation.of(pairs, "zero", None, stream),))
    total: Tensor | None = None
    for step in range(steps):
        found = runs.run(edits, (step + 0.5) / steps).record[stream][layer.layer].output_gradient
        if found is not None:
            total = found.float() if total is None else total + found.float()
    return replace(layer, output_gradient=None if total is None else total / steps)
