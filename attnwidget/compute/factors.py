"""What weights are multiplied by in a measure: a length of each key, or how much the metric gains by each link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis
from attnwidget.compute.softmax import grouped

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.blockwise_scores import ScoreStrip
    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.weight_rows import WeightBlock

__all__ = ["Factors", "KeyLengths", "LinkGradients", "link_gradients", "why_no_gradients"]


class Factors(ABC):
    """A factor of each weight."""

    #: Whether those of a key differ from query to query.
    by_query: bool

    @abstractmethod
    def block(self, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
        """Return the factors of some links, float32 ``[head, query or 1, key]``."""

    @abstractmethod
    def strip(self, strip: ScoreStrip, keys: range) -> Tensor:
        """Return the factors of a block of scores as `ScoreStrip` lays it out, float32 ``[group, key, query]``."""

    def of(self, block: WeightBlock, heads: Axis, queries: Axis) -> Tensor:
        """Return the factors of a block of weights, float32 ``[head, query or 1, key]``.

        Args:
            block: The weights.
            heads: The heads that were asked for when it was read.
            queries: The queries that were asked for.
        """
        return self.block(
            heads.part(block.heads.start or 0, _stop(block.heads, heads)),
            queries.part(block.queries.start or 0, _stop(block.queries, queries)),
            Axis(range(block.keys.start, block.keys.stop)),
        )


def _stop(some: slice, axis: Axis) -> int:
    return len(axis) if some.stop is None else int(some.stop)


class KeyLengths(Factors):
    """One factor for each key of a head, not negative."""

    by_query = False

    def __init__(self, lengths: Tensor) -> None:
        """Hold them.

        Args:
            lengths: float32 ``[head, key]``.
        """
        self.lengths = lengths

    def block(self, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
        """Return them, float32 ``[head, 1, key]``."""
        del queries
        return keys.take(heads.take(self.lengths, 0), 1)[:, None]

    def strip(self, strip: ScoreStrip, keys: range) -> Tensor:
        """Return them for a block of scores."""
        return strip.by_key(self.lengths, keys)


class LinkGradients(Factors):
    """``∂m/∂w`` of each link, with both signs or one of them; see `link_gradients`."""

    by_query = True

    def __init__(self, layer: LayerTensors, sign: int | None = None) -> None:
        """Read them from a layer.

        Args:
            layer: The layer.
            sign: 1 or -1 for the size of those of this sign, the others being 0; None for all with their sign.

        Raises:
            ValueError: If the layer has no gradients.
        """
        self._layer, self._sign = layer, sign
        self._gradient, self._value = _vectors(layer)

    def block(self, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
        """Return them, float32 ``[head, query, key]``."""
        return self._of_sign(link_gradients(self._layer, heads, queries, keys))

    def strip(self, strip: ScoreStrip, keys: range) -> Tensor:
        """Return them for a block of scores."""
        value_heads, _ = grouped(self._layer, strip.heads)
        values = value_heads.take(self._value, 0)[:, keys.start : keys.stop].float()
        gradient = strip.queries.take(strip.heads.take(self._gradient, 0), 1).float()
        by_group = gradient.reshape(len(values), -1, gradient.shape[2])
        return self._of_sign(torch.matmul(values, by_group.mT))

    def _of_sign(self, found: Tensor) -> Tensor:
        return found if self._sign is None else found.mul_(self._sign).clamp_(min=0)


def why_no_gradients(layer: LayerTensors) -> str | None:
    """Return why a layer has no gradients, in a sentence, or ``None`` if it has."""
    if layer.output_gradient is not None and layer.value is not None:
        return None
    if layer.value is None:
        return layer.reason or "only its weights were recorded."
    return "it was recorded without: attnwidget.capture(model, inputs, tokenizer, metric=...) keeps the gradients of a metric."


def link_gradients(layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
    """Return ``∂m/∂w`` of links, float32 ``[head, query, key]``.

    A head puts out ``o_i = Σ_j w_ij v_j``, so ``∂m/∂w_ij = ∂m/∂o_i · v_j``: it needs no matrix of all weights.

    Raises:
        ValueError: If the layer has no gradients.
    """
    output_gradient, value = _vectors(layer)
    layer.before_reading()
    share = layer.num_heads // len(value)
    gradients = queries.take(heads.take(output_gradient, 0), 1).float()
    used = Axis(tuple(head // share for head in heads.indices))
    values = keys.take(used.take(value, 0), 1).float()
    return torch.matmul(gradients, values.mT)


def _vectors(layer: LayerTensors) -> tuple[Tensor, Tensor]:
    """Return the gradient of the output and the values of a layer.

    Raises:
        ValueError: If it has no gradients.
    """
    reason = why_no_gradients(layer)
    if reason is not None or layer.output_gradient is None or layer.value is None:
        message = f"layer {layer.layer} of stream {layer.stream!r} has no gradients: {reason}"
        raise ValueError(message)
    return layer.output_gradient, layer.value
