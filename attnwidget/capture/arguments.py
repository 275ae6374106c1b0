"""`AttentionArguments`: one attention call as its implementation was called."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from attnwidget.compute.layer_tensors import Exact


__all__ = [
    "ARGUMENT_ALIASES",
    "ARGUMENT_NAMES",
    "AttentionArguments",
    "OutputGradient",
    "OutputRows",
]

ARGUMENT_NAMES = ("module", "query", "key", "value", "attention_mask")

# A few models name the tensors differently in their private functions.
ARGUMENT_ALIASES = {"query_states": "query", "key_states": "key", "value_states": "value"}


@dataclass(slots=True, eq=False)
class OutputGradient:
    """The gradient of a number with regard to what one attention call put out.

    Attributes:
        value: ``[batch, head, query, value_dim]``, once it has been computed; ``None`` where none came so far.
    """

    value: Tensor | None = None


@dataclass(frozen=True, slots=True)
class OutputRows:
    """Which rows of an attention call's output belong to the queries of a part of it.

    Attributes:
        gradient: The gradient of the whole output.
        rows: ``[batch, 1, query, 1]`` int64: row of the batch times queries plus query. Whatever is done to the queries of a
            call, to make a record of it, is done to these numbers.
    """

    gradient: OutputGradient
    rows: Tensor

    @classmethod
    def whole(cls, gradient: OutputGradient, batch: int, queries: int) -> OutputRows:
        """Return the rows of a whole call."""
        return cls(gradient, torch.arange(batch * queries).view(batch, 1, queries, 1))

    def moved(self, move: Callable[[Tensor], Tensor]) -> OutputRows:
        """Return the rows after what was done to the queries."""
        return replace(self, rows=move(self.rows))


@dataclass(frozen=True, slots=True)
class AttentionArguments:
    """The arguments of one call of an attention function.

    Attributes:
        implementation: ``"eager"`` for the model's own function, else the registered name (``"sdpa"`` ...).
        module: The attention module that calls.
        query: ``[batch, head, query, head_dim]``.
        key: ``[batch, key_value_head, key, head_dim]``.
        value: ``[batch, key_value_head, key, value_dim]``.
        attention_mask: As the implementation takes it: nothing, a tensor, a flex ``BlockMask``.
        options: The other keyword arguments (``scaling``, ``softcap``, ``position_bias`` ...).
        weights: ``[1, head, query, key]`` of the recorded row, where query and key are not known; those then have no
            dimensions.
        reason: Why they are not, in a sentence.
        sinks_in_softmax: Whether the function counts attention sinks among the keys of its softmax, as all do but the own
            functions of a few models, which scale their output afterwards.
        softmax_dtype: In which dtype the model's own function computes its softmax; ``"model"`` for that of its scores.
        returned: What the function returned, once it has.
        own_weights: ``[batch, head, query, key]`` weights that the model computed, beside query and key.
        output: Which rows of its output these queries are, where gradients are recorded.
    """

    implementation: str
    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    attention_mask: Any
    options: dict[str, Any]
    weights: Tensor | None = None
    reason: str | None = None
    sinks_in_softmax: bool = True
    softmax_dtype: Exact = "float32"
    returned: list[Any] = field(default_factory=list)
    own_weights: Tensor | None = None
    output: OutputRows | None = None

    @property
    def returned_weights(self) -> Tensor | None:
        """The weights that the function returned beside its output, as eager ones do."""
        result = self.returned[-1] if self.returned else None
        if not isinstance(result, tuple) or len(result) < len(("output", "weights")):
            return None
        found, expected = result[1], (*self.query.shape[:3], self.key.shape[2])
        return found if isinstance(found, torch.Tensor) and found.shape == expected else None

    @property
    def is_causal(self) -> bool:
        """Whether the call hides later keys by itself: its own argument, or else its module's, as transformers reads it."""
        flagged = self.options.get("is_causal")
        return bool(getattr(self.module, "is_causal", True) if flagged is None else flagged)
