"""Run a model so that its record has the gradients of a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.metrics.metrics import make_metric
from attnwidget.metrics.outputs import read_output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from attnwidget.capture.forward import Ran

__all__ = ["SeveralPassesError", "run_with_gradients"]


class SeveralPassesError(ValueError):
    """The metric is read off several passes, and gradients are those of one."""


class _OtherInputsError(Exception):
    """The metric is read off a pass on other inputs, which are those of an answer of several tokens."""

    def __init__(self, given: Mapping[str, Any], first: Ran) -> None:
        super().__init__()
        self.given = given
        self.first = first


def run_with_gradients(run: Callable[..., Ran], inputs: Any, metric: Any, position: Any) -> Ran:
    """Run a model and record it with the gradients of a metric.

    Args:
        run: Runs and records the model on what it is given first; takes ``gradient_of`` as `run_recorded` does.
        inputs: What the model is run on.
        metric: What is measured, as of `make_metric`.
        position: The position that it is measured at.

    Returns:
        The run; that of an answer of several tokens is on the input and the answer.

    Raises:
        SeveralPassesError: If the metric is a difference of answers, of which each takes a pass of its own.
        ValueError: If the model's output has nothing of the kind, or no gradient comes to its attention.
    """

    def number(ran: Ran) -> tuple[Tensor, str]:
        measured = make_metric(ran, read_output(ran, position), metric)
        if measured.takes_the_pass:
            return measured.value([ran.output]), measured.name
        if len(measured.inputs) > 1:
            msg = (
                f"metric={shown(metric)} takes two passes of the model, one for each answer, and gradients are those of one pass: "
                "name answers of one token each, or measure one of them."
            )
            raise SeveralPassesError(msg)
        raise _OtherInputsError(measured.inputs[0], ran)

    try:
        return run(inputs, gradient_of=number)
    except _OtherInputsError as other:
        first, given = other.first, {**other.first.kwargs, **other.given}
        measured = make_metric(first, read_output(first, position), metric)

        def value(ran: Ran) -> tuple[Tensor, str]:
            return measured.value([ran.output]), measured.name

        return run(given, gradient_of=value)
