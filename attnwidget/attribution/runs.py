"""`Call`: a model, its inputs and a metric; its runs without edit, with gradients, and without a part of it."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.edited_runs import edited_by, prepare_edits
from attnwidget.capture.forward import check_numbers, run_recorded
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.intervene.passes import Passes, Proofs
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.intervene.sweep import AT_ONCE
from attnwidget.metrics.gradients import run_with_gradients
from attnwidget.metrics.metrics import make_metric
from attnwidget.metrics.outputs import read_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from attnwidget.capture.forward import Ran
    from attnwidget.edits.edits import Edits
    from attnwidget.metrics.metrics import Metric

__all__ = ["Call", "ExactRuns"]

# What else finds where an output comes from, where a metric has no gradients.
_INSTEAD = ", or a method without gradients, 'occlusion' or 'rollout'"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a model.

    Attributes:
        model: The model.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        metric: As for `what_if`.
        position: As for `what_if`.
        options: Options of `run_recorded`.
    """

    model: nn.Module
    inputs: Any
    tokenizer: Any
    metric: Any
    position: int
    options: dict[str, Any]

    def run(self) -> Ran:
        """Run the model as it is, and record it."""
        check_numbers(self.model)
        with others_set_aside(), same_random_numbers():
            return run_recorded(self.model, self.inputs, self.tokenizer, **self.options)

    def with_gradients(self, instead: str = _INSTEAD) -> Ran:
        """Run it so that its record has the gradients of the metric.

        Args:
            instead: What the caller can do besides where there is no gradient, for the error.

        Raises:
            ValueError: As `capture` with a metric, or if the metric is the cosine of an embedding to itself.
        """

        def run(inputs: Any, **more: Any) -> Ran:
            return run_recorded(self.model, inputs, self.tokenizer, **{**self.options, **more})

        check_numbers(self.model)
        with others_set_aside(), same_random_numbers():
            ran = run_with_gradients(run, self.inputs, self.metric, self.position)
        if self.metric is None and read_output(ran, self.position).kind == "embedding":
            msg = (
                f"{ran.record.metric} is at its largest where nothing is edited, so all its gradients are 0: pass metric=lambda "
                f"output: ..., such as the similarity to another text{instead}."
            )
            raise ValueError(msg)
        return ran

    @contextmanager
    def measured(self) -> Iterator[tuple[Ran, Metric, Callable[[], None]]]:
        """Run it as it is: its run, what is measured, and what puts the random generators back, inside the block."""
        check_numbers(self.model)
        with others_set_aside(), same_random_numbers() as restart:
            clean = run_recorded(self.model, self.inputs, self.tokenizer, **self.options)
            measured = make_metric(clean, read_output(clean, self.position), self.metric)
            yield clean, measured, restart

    @contextmanager
    def exact(self) -> Iterator[ExactRuns]:
        """Run it as it is, and have it run under edits inside the block."""
        with self.measured() as (clean, measured, restart):
            yield ExactRuns(self.model, clean, measured, restart)

    @contextmanager
    def under_gates(self) -> Iterator[GatedRuns]:
        """Run it as it is, and have it run with the attention of a layer scaled inside the block.

        Raises:
            ValueError: If the metric takes two passes.
        """
        with self.exact() as runs:
            yield GatedRuns(self, runs.clean, runs.metric)


class ExactRuns:
    """The metric without a part of the model.

    Attributes:
        clean: The run without an edit.
        metric: What is measured.
        value: The metric without an edit.
    """

    def __init__(
        self, model: nn.Module, clean: Ran, metric: Metric, restart: Callable[[], None]
    ) -> None:
        """Measure the metric without an edit, once more than the clean run has."""
        self.clean, self.metric = clean, metric
        self._passes = Passes(model, clean, metric, restart, proofs=Proofs(), at_once=AT_ONCE)
        self.value = self._passes.value

    def lost(self, edits: Edits) -> float:
        """Return how much larger the metric is without an edit than under it; 0 where runs without any differ as much.

        Raises:
            ValueError: If it cannot be made.
            RuntimeError: If a head was not edited.
        """
        return self._change(self._passes.under(edits))

    def lost_keys(self, keys: Sequence[int], streams: Sequence[str]) -> list[float]:
        """Return how much larger the metric is than with each of some keys hidden, several in one pass where that proves right.

        Args:
            keys: Positions of keys.
            streams: The streams, which share their keys, in all of whose layers no query attends to the key.

        Raises:
            ValueError: If links of the model cannot be cut.
        """
        values: list[float] = []
        for start in range(0, len(keys), self._passes.most):
            some = keys[start : start + self._passes.most]
            found: dict[int, float] = {}
            for values_of, _ in self._passes.hidden(some, streams):
                found |= values_of
            values += [found[at] for at in range(len(some))]
        return [self._change(value) for value in values]

    def _change(self, value: float) -> float:
        change = self.value - value
        return 0.0 if abs(change) <= self._passes.noise else change


class GatedRuns:
    """Runs with the outputs of all heads of a layer scaled, recorded with the gradients of the metric of the clean run.

    Attributes:
        clean: The run as it is.
    """

    def __init__(self, call: Call, clean: Ran, metric: Metric) -> None:
        """Settle what is measured."""
        if len(metric.inputs) > 1:
            msg = (
                f"{metric.name} takes two passes of the model, one for each answer, and gradients are those of one pass: name "
                "answers of one token each, or measure one of them."
            )
            raise ValueError(msg)
        self._call, self.clean, self._metric = call, clean, metric
        own = metric.takes_the_pass
        self._inputs = call.inputs if own else {**clean.kwargs, **metric.inputs[0]}

    def run(self, edits: Edits | None = None, scale: float = 1.0) -> Ran:
        """Run the model and record it.

        Args:
            edits: The heads of one layer, or ``None``: none is scaled.
            scale: What their outputs are multiplied with.

        Raises:
            ValueError: If the model attends below autograd there, where nothing can be scaled.
        """
        call = self._call
        editor = None if edits is None else prepare_edits(call.model, edits)
        for layer in () if editor is None else editor.layers:
            layer.gates = torch.full((len(layer.heads),), scale)

        def number(ran: Ran) -> tuple[torch.Tensor, str]:
            return self._metric.value([ran.output]), self._metric.name

        with running_uncompiled(call.model):
            ran = run_recorded(
                call.model,
                self._inputs,
                call.tokenizer,
                **call.options,
                gradient_of=number,
                around=nullcontext if editor is None else lambda: edited_by(editor, call.model),
            )
        for layer in () if editor is None else editor.layers:
            if layer.below:
                msg = (
                    f"method='integrated' cannot scale layer {layer.layer} of stream {layer.stream!r}: {layer.place.path} computes its "
                    "attention by itself, below autograd. Pass method='gradient'."
                )
                raise ValueError(msg)
        return ran
