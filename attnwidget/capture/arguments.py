"""`AttentionArguments`: one attention call as its implementation was called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


__all__ = ["ARGUMENT_ALIASES", "ARGUMENT_NAMES", "AttentionArguments"]

ARGUMENT_NAMES = ("module", "query", "key", "value", "attention_mask")

# A few models name the tensors differently in their private functions.
ARGUMENT_ALIASES = {"query_states": "query", "key_states": "key", "value_states": "value"}


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

    @property
    def is_causal(self) -> bool:
        """Whether the call hides later keys by itself: its own argument, or else its module's, as transformers reads it."""
        flagged = self.options.get("is_causal")
        return bool(getattr(self.module, "is_causal", True) if flagged is None else flagged)
