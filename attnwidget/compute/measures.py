"""Weights, value-weighted and norm-weighted attention, weight times gradient: the factors, and why a layer lacks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, get_args

import torch

from attnwidget.compute.checks import check_choice
from attnwidget.compute.indexing import Axis, ascending
from attnwidget.compute.softmax import grouped
from attnwidget.protocol.constants import GRADIENT_MEASURES

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.blockwise_scores import ScoreStrip
    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.weight_rows import WeightBlock

__all__ = [
    "MEASURES",
    "Factors",
    "KeyLengths",
    "LayerLengths",
    "LinkGradients",
    "Measure",
    "factors",
    "lengths",
    "link_gradients",
    "missing",
    "pooled_factors",
    "row_factors",
    "why_no_gradients",
]

Measure = Literal["weights", "value", "norm", "gradient", "relevance"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


def missing(layer: LayerTensors, measure: str) -> str | None:
    """Return why a layer cannot give a measure, in a sentence, or ``None`` if it can.

    Raises:
        ValueError: If there is no such measure.
    """
    _check_name(measure)
    if measure == "weights":
        return None
    if measure in GRADIENT_MEASURES:
        return why_no_gradients(layer)
    if measure == "norm" and layer.value_norms is not None:
        return None
    if layer.value is None:
        return layer.reason or "only its weights were recorded."
    if measure == "norm":
        return layer.norm_reason or "its output projection was not recorded."
    return None


def lengths(layer: LayerTensors, measure: str, heads: Axis | None = None) -> Tensor | None:
    """Return the length of what each key brings along, float32 ``[head, key]``; ``None`` for ``"weights"``.

    Args:
        layer: The layer.
        measure: The measure.
        heads: The heads, the others are not read; ``None`` for all.

    Raises:
        ValueError: If the measure is none with lengths, or if the layer cannot give it.
    """
    _check(layer, measure)
    if measure in GRADIENT_MEASURES:
        message = (
            f"measure {measure!r} has no lengths of keys: its factors differ from query to query."
        )
        raise ValueError(message)
    layer.before_reading()
    chosen = Axis(range(layer.num_heads)) if heads is None else heads
    if measure == "norm":
        return None if layer.value_norms is None else chosen.take(layer.value_norms, 0)
    if measure == "weights" or layer.value is None:
        return None
    share = layer.num_heads // len(layer.value)
    used = [head // share for head in chosen.indices]
    read = ascending(used)
    norms: Tensor = torch.linalg.vector_norm(read.take(layer.value, 0).float(), dim=-1)
    places = {head: place for place, head in enumerate(read.indices)}
    return Axis(tuple(places[head] for head in used)).take(norms, 0)


def factors(layer: LayerTensors, measure: str) -> Factors | None:
    """Return what weights are multiplied by in a measure; ``None`` for ``"weights"``.

    Raises:
        ValueError: If there is no such measure, or if the layer cannot give it.
    """
    _check(layer, measure)
    if measure in GRADIENT_MEASURES:
        return LinkGradients(layer, None if measure == "gradient" else 1)
    return None if measure == "weights" else LayerLengths(layer, measure)


def pooled_factors(layer: LayerTensors, measure: str) -> dict[int, Factors | None]:
    """Return what weights are multiplied by before the largest of a cell is taken, by the sign of what comes of it.

    Of ``"gradient"`` that is done for each sign by itself: the larger of the two is what the cell holds, with its sign
    (`attnwidget.compute.pooling.larger`). All other measures have no negative numbers.

    Raises:
        ValueError: If there is no such measure, or if the layer cannot give it.
    """
    _check_name(measure)
    if measure != "gradient":
        return {1: factors(layer, measure)}
    return {sign: LinkGradients(layer, sign) for sign in (1, -1)}


def row_factors(layer: LayerTensors, measure: str) -> Factors | None:
    """Return what weights are multiplied by before each row is divided by its sum; ``None`` for ``"weights"``.

    Raises:
        ValueError: As `factors`, or if rows of the measure have no sum that they could be divided by.
    """
    _check_name(measure)
    if measure == "gradient":
        message = (
            "measure='gradient' has numbers of both signs, of which no shares can be made: pass measure='relevance', "
            "its positive part."
        )
        raise ValueError(message)
    if measure in GRADIENT_MEASURES:
        return factors(layer, measure)
    _check(layer, measure)
    # Of all heads at once: whoever divides rows by their sums reads them all.
    found = lengths(layer, measure)
    return None if found is None else KeyLengths(found)


def _check_name(measure: object) -> None:
    """Raise `ValueError` unless there is such a measure; what is no text has no measure's name."""
    check_choice("measure", measure, MEASURES, said=f"one of {', '.join(MEASURES)}")


def _check(layer: LayerTensors, measure: str) -> None:
    reason = missing(layer, measure)
    if reason is not None:
        where = f"layer {layer.layer} of stream {layer.stream!r}"
        message = f"{where} has no measure {measure!r}: {reason}"
        raise ValueError(message)


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


class LayerLengths(Factors):
    """`lengths` of a layer, each head's read when it is first asked for."""

    by_query = False

    def __init__(self, layer: LayerTensors, measure: str) -> None:
        """Begin with none read.

        Args:
            layer: The layer.
            measure: A measure with lengths that the layer can give.
        """
        self._layer, self._measure = layer, measure
        self._held: dict[int, Tensor] = {}
        self._all: KeyLengths | None = None

    def block(self, heads: Axis, queries: Axis, keys: Axis) -> Tensor:
        """Return them, float32 ``[head, 1, key]``."""
        del queries
        return keys.take(self._of(heads), 1)[:, None]

    def strip(self, strip: ScoreStrip, keys: range) -> Tensor:
        """Return them for a block of scores."""
        if self._all is None:
            self._all = KeyLengths(self._of(Axis(range(self._layer.num_heads))))
        return self._all.strip(strip, keys)

    def _of(self, heads: Axis) -> Tensor:
        unread = tuple(head for head in heads.indices if head not in self._held)
        if unread:
            found = lengths(self._layer, self._measure, Axis(unread))
            assert found is not None  # noqa: S101  (`factors` makes this only where there are some)
            self._held.update(zip(unread, found, strict=True))
        return torch.stack([self._held[head] for head in heads.indices])


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
    # Layers of a record with a metric may lack them, too, and a layer does not know of the metric.
    return (
        "it was recorded without: attnwidget.capture(model, inputs, tokenizer, metric=...) keeps the gradients of a metric, but for "
        "layers in sparse layouts and those that a model runs without gradients; attnwidget.effects(model, inputs, tokenizer, "
        "metric=...) measures heads of these, too."
    )


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
