"""`Sweep`: run a model without each of its heads, several of a layer at a time, those with the largest estimate first."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from attnwidget.capture.edited_runs import edited_by, prepare_edits, with_sources
from attnwidget.capture.edits.editor import NotEditedError
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.edits import Edits
from attnwidget.intervene.effects_table import StreamEffects
from attnwidget.intervene.passes import Passes, Proofs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import nn

    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.metrics import Metric

__all__ = ["AT_ONCE", "Sweep"]

# More rows at a time are slower for each on a processor.
AT_ONCE = 12


class Sweep:
    """Runs of the model that tell of each head.

    Attributes:
        value: The metric with all heads.
        noise: How far it was from that without any edit, at most.
        ways: How many heads were run in which way.
    """

    def __init__(
        self,
        model: nn.Module,
        clean: Ran,
        metric: Metric,
        restart: Callable[[], None],
        *,
        at_once: int = AT_ONCE,
        proofs: Proofs | None = None,
    ) -> None:
        """Prepare; nothing is run yet.

        Args:
            model: The model.
            clean: Its unedited run.
            metric: What is measured.
            restart: Puts the random generators back to where they were before that run.
            at_once: How many heads of a layer may be run in one pass, at most; with 1 each has a pass of its own.
            proofs: What is known of the model from other inputs, and is added to.
        """
        self.value, self.noise = float("nan"), 0.0
        self.ways: dict[str, int] = {}
        self._model, self._clean, self._metric, self._restart = model, clean, metric, restart
        self._at_once, self._proofs = at_once, Proofs() if proofs is None else proofs
        self._passes: Passes | None = None
        self._parts: dict[str, Ablation] = {}
        self._means: dict[str, Ablation] = {}  # what heads that are zeroed are set to besides
        self._without_mean: set[tuple[str, int]] = set()  # layers where it cannot be put
        self._found: dict[str, StreamEffects] = {}

    def begin(
        self, how: Any, source: Any, known: dict[tuple[str, str], Ablation] | None = None
    ) -> dict[str, StreamEffects]:
        """Measure the metric with all heads, and estimate the effect of each.

        Args:
            how: As of `ablate`.
            source: As of `ablate`; with ``how="zero"`` what the means are of that heads are set to besides.
            known: What an earlier sweep has read off the source, by stream and ``how``; is added to.

        Returns:
            The effects by stream, which `steps` fills in.
        """
        for name, stream in self._clean.record.streams.items():
            counts = {layer.layer: layer.num_heads for layer in stream}
            pairs = [(layer, head) for layer, count in counts.items() for head in range(count)]
            both = how == "zero" and source is not None
            self._parts[name] = self._part(name, pairs, how, None if both else source, known)
            if both:
                self._means[name] = self._part(name, pairs, "mean", source, known)
            self._found[name] = StreamEffects.of(counts)
        self._passes = Passes(
            self._model,
            self._clean,
            self._metric,
            self._restart,
            proofs=self._proofs,
            at_once=self._at_once,
        )
        self.value, self.noise = self._passes.value, self._passes.noise
        self._estimate()
        return self._found

    def _part(
        self,
        name: str,
        pairs: list[tuple[int, int]],
        how: Any,
        source: Any,
        known: dict[tuple[str, str], Ablation] | None,
    ) -> Ablation:
        """Return what is put in the place of the heads of a stream, its source read."""
        part = None if known is None else known.get((name, how))
        if part is None or part.heads != tuple(pairs):
            edits = Edits((Ablation.of(pairs, how, source, name),))
            (read,) = with_sources(self._model, edits, self._clean.tokenizer).parts_inside
            part = cast("Ablation", read)
        if known is not None:
            known[name, how] = part
        return part

    def steps(self) -> Iterator[None]:
        """Run the model without one head, or several of a layer, after the other, and note their effects.

        The layer whose largest estimate is the largest comes first, and in it the heads in this order. May be left
        between two steps.
        """
        assert self._passes is not None  # noqa: S101  (it was begun)
        for name, at, heads in self._order():
            stream = self._found[name]
            try:
                for start in range(0, len(heads), self._passes.most):
                    pairs = tuple(
                        (stream.layers[at], head) for head in heads[start:][: self._passes.most]
                    )
                    for values, way in self._passes.without(
                        replace(self._parts[name], heads=pairs)
                    ):
                        self._note(stream.effect[at], values)
                        self.ways[way] = self.ways.get(way, 0) + len(values)
                        yield
                    yield from self._set_to_mean(name, at, pairs)
            except (NotEditableError, NotEditedError) as error:
                warnings.warn(f"no effect: {error}", stacklevel=3)

    def _set_to_mean(
        self, name: str, at: int, pairs: tuple[tuple[int, int], ...]
    ) -> Iterator[None]:
        """Set heads to their means, which were zeroed before; where that cannot be done, there is the effect of zero alone."""
        assert self._passes is not None  # noqa: S101  (it was begun)
        part = self._means.get(name)
        if part is None or (name, at) in self._without_mean:
            return
        try:
            for values, _ in self._passes.without(replace(part, heads=pairs)):
                self._note(self._found[name].by_mean[at], values)
                yield
        except (NotEditableError, NotEditedError) as error:
            self._without_mean.add((name, at))
            warnings.warn(f"no effect by mean: {error}", stacklevel=4)

    def _note(self, into: NDArray[np.float64], values: Mapping[tuple[int, int], float]) -> None:
        """Note effects of heads of a layer; one that is no larger than the metric changes by without any edit is none."""
        assert self._passes is not None  # noqa: S101  (it was begun)
        self.noise = self._passes.noise
        for (_, head), value in values.items():
            change = value - self.value
            into[head] = 0.0 if abs(change) <= self.noise else change

    def _order(self) -> list[tuple[str, int, list[int]]]:
        """Return stream, index of the layer, and its heads, those with the largest estimates first."""

        def sizes(stream: StreamEffects, at: int) -> Any:
            return np.nan_to_num(np.abs(stream.estimate[at, : stream.num_heads[at]]))

        every = [
            (name, at, np.argsort(-sizes(stream, at), kind="stable").tolist())
            for name, stream in self._found.items()
            for at in range(len(stream.layers))
        ]
        return sorted(every, key=lambda one: -sizes(self._found[one[0]], one[1]).max())

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
