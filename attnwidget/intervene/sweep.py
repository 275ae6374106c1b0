"""`Sweep`: run a model without each of its heads, one after the other, those with the largest estimate first."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.capture.edited_runs import edited_by, prepare_edits, with_sources
from attnwidget.capture.edits.editor import NotEditedError
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.edits import Edits
from attnwidget.intervene.effects_table import StreamEffects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from attnwidget.capture.forward import Ran
    from attnwidget.intervene.metrics import Metric

__all__ = ["Sweep"]


class Sweep:
    """One run of the model for each head.

    Attributes:
        value: The metric with all heads.
    """

    def __init__(
        self, model: nn.Module, clean: Ran, metric: Metric, restart: Callable[[], None]
    ) -> None:
        """Prepare; nothing is run yet.

        Args:
            model: The model.
            clean: Its unedited run.
            metric: What is measured.
            restart: Puts the random generators back to where they were before that run.
        """
        self.value = float("nan")
        self._model, self._clean, self._metric, self._restart = model, clean, metric, restart
        self._parts: dict[str, Ablation] = {}
        self._found: dict[str, StreamEffects] = {}

    def begin(self, how: Any, source: Any) -> dict[str, StreamEffects]:
        """Measure the metric with all heads, and estimate the effect of each.

        Returns:
            The effects by stream, which `steps` fills in.
        """
        for name, stream in self._clean.record.streams.items():
            counts = {layer.layer: layer.num_heads for layer in stream}
            pairs = [(layer, head) for layer, count in counts.items() for head in range(count)]
            edits = Edits((Ablation.of(pairs, how, source, name),))
            (self._parts[name],) = with_sources(
                self._model, edits, self._clean.tokenizer
            ).parts_inside
            self._found[name] = StreamEffects.of(counts)
        if self._metric.takes_the_pass:
            self.value = float(self._metric.value([self._clean.output]))
        else:
            self.value = self._measured(Edits())
        self._estimate()
        return self._found

    def steps(self) -> Iterator[None]:
        """Run the model without one head after the other, and note its effect; may be left between two."""
        refused: dict[tuple[str, int], str] = {}
        for name, at, head in self._order():
            layer = self._found[name].layers[at]
            if (name, layer) in refused:
                continue
            one = Edits((replace(self._parts[name], heads=((layer, head),)),))
            try:
                value = self._measured(one)
            except (NotEditableError, NotEditedError) as error:
                refused[name, layer] = str(error)
                warnings.warn(f"no effect: {error}", stacklevel=3)
                continue
            self._found[name].effect[at, head] = value - self.value
            yield

    def _order(self) -> list[tuple[str, int, int]]:
        """Return stream, index of the layer, and head, the largest estimates first."""
        every = [
            (name, at, head)
            for name, stream in self._found.items()
            for at, count in enumerate(stream.num_heads)
            for head in range(count)
        ]

        def size(place: tuple[str, int, int]) -> float:
            name, at, head = place
            return abs(float(np.nan_to_num(self._found[name].estimate[at, head])))

        return sorted(every, key=size, reverse=True)

    def _measured(self, edits: Edits) -> float:
        self._restart()
        editor = prepare_edits(self._model, edits)
        with torch.no_grad(), edited_by(editor, self._model):
            return float(self._metric.measure(self._clean))

    def _estimate(self) -> None:
        """Estimate all effects by one pass forward and one back: ``∂m/∂g_h`` of a gate on each head's output, at 1."""
        editable = Edits(tuple(filter(None, map(self._editable, self._parts.values()))))
        if not editable:
            return
        editor = prepare_edits(self._model, editable)
        for layer in editor.layers:
            layer.gates = torch.ones(len(layer.heads), requires_grad=True)
        gates = [layer.gates for layer in editor.layers if layer.gates is not None]
        self._restart()
        try:
            with torch.enable_grad(), edited_by(editor, self._model):
                value = self._metric.measure(self._clean)
                slopes = torch.autograd.grad(value, gates, allow_unused=True)
        except (RuntimeError, NotEditableError):  # the metric or the model has no gradients
            return
        for layer, slope in zip(editor.layers, slopes, strict=True):
            if slope is not None:
                stream = self._found[layer.stream]
                at = stream.layers.index(layer.layer)
                stream.estimate[at, list(layer.heads)] = -slope.double().numpy()

    def _editable(self, part: Ablation) -> Ablation | None:
        """Return the heads of a stream in layers against which nothing is known."""
        kept: list[tuple[int, int]] = []
        for number in dict.fromkeys(layer for layer, _ in part.heads):
            pairs = tuple(pair for pair in part.heads if pair[0] == number)
            try:
                prepare_edits(self._model, Edits((replace(part, heads=pairs),)))
            except NotEditableError:
                continue
            kept += pairs
        return replace(part, heads=tuple(kept)) if kept else None
