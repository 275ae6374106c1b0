"""What the taps report: the running module, a weighted sum, the trace of a module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.taps.dataflow import SoftmaxOutput


__all__ = [
    "ModuleTrace",
    "OperationEditor",
    "OperationListener",
    "RunningModule",
    "SoftmaxCall",
    "WeightedSum",
]


@dataclass(frozen=True, slots=True)
class RunningModule:
    """An attention module that is running.

    Attributes:
        path: Its path in the model.
        module: The module.
        sizes: The sizes of the first tensor it was given, which are its hidden states.
        states: That tensor.
        trace: What is noted while it runs, where an adapter reads it afterwards; nothing is recognised then.
    """

    path: str
    module: nn.Module
    sizes: frozenset[int] = frozenset()
    states: Tensor | None = None
    trace: ModuleTrace | None = None


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """One product of attention weights and values.

    Attributes:
        weights: ``[..., query, key]`` as multiplied.
        value: ``[..., key, dim]``.
        softmax: The softmax that the weights come from.
        probabilities: What came out of the softmax, its last axis the keys.
        turned: Whether the values stood on the left: the product is then ``[..., dim, query]``.
    """

    weights: Tensor
    value: Tensor
    softmax: SoftmaxOutput
    probabilities: Tensor
    turned: bool = False


class OperationListener(Protocol):
    """Is told of the attention calls that were recognised."""

    def on_fused_call(self, running: RunningModule, arguments: AttentionArguments) -> None:
        """Take a fused attention call, whose arguments are known."""

    def on_weighted_sum(self, running: RunningModule, weighted_sum: WeightedSum) -> None:
        """Take a weighted sum, from which the call has to be reconstructed."""

    def on_error(self, running: RunningModule, error: Exception) -> None:
        """Take the error of an operation that could not be read."""


class OperationEditor(Protocol):
    """Says what attention operations are to return. Unlike those of reading, its errors reach the model."""

    def edited_fused_call(
        self, running: RunningModule, name: str, arguments: AttentionArguments | None, result: Any
    ) -> Any:
        """Return what a fused operation of this name is to return; ``arguments`` where they could be read."""

    def edited_weighted_sum(
        self, running: RunningModule, weighted_sum: WeightedSum, result: Tensor, *, kept: bool
    ) -> Tensor:
        """Return what a weighted sum is to return; ``kept`` where it was written into a tensor that the model has."""


@dataclass(slots=True)
class SoftmaxCall:
    """One softmax of a module, which may be written as an exponential.

    Attributes:
        logits: What went in.
        weights: What came out, after dropout and the like as long as the shape stayed.
    """

    logits: Tensor
    weights: Tensor


@dataclass(slots=True)
class ModuleTrace:
    """What a module with an adapter computed while it ran.

    Attributes:
        inputs: What it was given, by name.
        outputs: Outputs of its children, by their name, call by call.
        softmaxes: Its softmaxes, in order.
        gather_indices: The indices of its gather operations, in order.
        result: What it returned.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    softmaxes: list[SoftmaxCall] = field(default_factory=list)
    gather_indices: list[Tensor] = field(default_factory=list)
    result: Any = None

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return len(self.softmaxes[0].logits)
