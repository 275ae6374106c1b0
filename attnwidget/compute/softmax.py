"""Scores from query and key: grouped-query products, scaling, softcap, bias and mask, in float32.

The formula is that of transformers' eager attention: ``softmax(softcap(scaling * query . key) + bias)``, where
``softcap(s) = softcap * tanh(s / softcap)``, a `Band` hides keys, and a sink is one more logit whose share is dropped.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.indexing import Axis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors


__all__ = [
    "Mask",
    "ScoreVectors",
    "exact",
    "exponentiate",
    "grouped",
    "no_vectors",
    "scale",
    "score_rows",
]

_HIDDEN = -torch.inf


@contextlib.contextmanager
def exact(layer: LayerTensors) -> Iterator[None]:
    """Compute without gradients and without autocast, which would turn float32 products into half precision.

    Raises:
        ValueError: If the layer comes from a file whose tensors are not what was written.
    """
    layer.before_reading()
    device = layer.device.type
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        if torch.is_autocast_enabled(device):
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


@dataclass(frozen=True, slots=True)
class ScoreVectors:
    """Query and key of some heads, keys in float32.

    ``key`` is ``[group, key, head_dim]``: heads that share a key head stand in one group, ``share`` heads to each.
    """

    query: Tensor
    key: Tensor
    share: int

    @classmethod
    def of(cls, layer: LayerTensors, heads: Axis, keys: Axis) -> ScoreVectors:
        """Take the vectors of some heads and keys out of a layer."""
        if layer.query is None or layer.key is None:
            raise ValueError(no_vectors(layer))
        key_heads, share = grouped(layer, heads)
        key = key_heads.take(keys.take(layer.key, 1), 0)
        return cls(heads.take(layer.query, 0), key.float(), share)

    def dot(self, queries: Axis, keys: slice) -> Tensor:
        """Return ``query . key`` as float32 ``[head, query, key]``."""
        query = queries.take(self.query, 1).float()
        num_heads, num_queries, head_dim = query.shape
        key = self.key[:, keys]
        grouped = query.reshape(len(key), self.share * num_queries, head_dim)
        return torch.matmul(grouped, key.mT).view(num_heads, num_queries, key.shape[1])


def grouped(layer: LayerTensors, heads: Axis) -> tuple[Axis, int]:
    """Return the key heads that some heads use, and how many of these heads stand to each in turn.

    Heads picked at random repeat their key head; whole groups, the common case, do not.
    """
    share = layer.num_heads // layer.num_key_value_heads
    chosen = heads.indices
    if isinstance(chosen, range) and chosen.step == 1:
        first, last = chosen.start // share, (chosen.stop - 1) // share
        if chosen.start % share == 0 and len(chosen) % share == 0:
            return Axis(range(first, last + 1)), share
        if first == last:
            return Axis(range(first, first + 1)), len(chosen)
    return Axis(tuple(head // share for head in chosen)), 1


def score_rows(layer: LayerTensors, heads: Axis, queries: Tensor) -> Tensor:
    """Return one row of scores for each head, float32 ``[head, key]``, ``-inf`` where masked.

    Args:
        layer: A layer with vectors.
        heads: The heads.
        queries: The query of each, int64 ``[head]``.
    """
    if layer.query is None or layer.key is None:
        raise ValueError(no_vectors(layer))
    key_heads, share = grouped(layer, heads)
    places = torch.arange(len(heads), device=layer.device)
    query = heads.take(layer.query, 0)[places, queries].float()
    rows = [
        query[place * share : (place + 1) * share] @ layer.key[key_head].float().mT
        for place, key_head in enumerate(key_heads.indices)
    ]
    scores = scale(layer, torch.cat(rows))
    if layer.band is not None:
        keys = torch.arange(layer.n_key, device=layer.device)
        scores.masked_fill_(~layer.band.visible(queries, keys), _HIDDEN)
    if layer.bias is not None:
        own = heads.tensor(layer.device) if len(layer.bias) > 1 else torch.zeros_like(queries)
        bias = layer.bias[own, queries if layer.bias.shape[1] > 1 else torch.zeros_like(queries)]
        scores.add_(torch.where(bias <= layer.mask_threshold, _HIDDEN, bias.float()))
    return scores


def no_vectors(layer: LayerTensors) -> str:
    """Return the message that a layer has no scores to compute."""
    return f"layer {layer.layer} of {layer.stream!r} has no query and key vectors"


def scale(layer: LayerTensors, dots: Tensor) -> Tensor:
    """Apply scaling and softcap in place."""
    if layer.scaling is not None and layer.scaling != 1.0:
        dots.mul_(layer.scaling)
    if layer.softcap is not None:
        dots.div_(layer.softcap).tanh_().mul_(layer.softcap)
    return dots


@dataclass(frozen=True, slots=True)
class Mask:
    """What is added to the scores of a block.

    Attributes:
        bias: The additive bias in its own dtype, broadcasting to ``[head, query, key]``.
        band: What the band hides, boolean ``[1, query, key]``.
        addend: Both as float32, ``-inf`` where masked. It is added rather than filled in, since a fill of random
            entries is forty times slower and a NaN score must stay one.
    """

    bias: Tensor | None
    band: Tensor | None
    addend: Tensor | None

    @classmethod
    def of(cls, layer: LayerTensors, heads: Axis, queries: Axis, keys: Axis) -> Mask:
        """Cut the mask of a block out of a layer's bias and band."""
        bias = band = addend = None
        if layer.band is not None:
            visible = layer.band.visible(queries.tensor(layer.device), keys.tensor(layer.device))
            band = ~visible[None]
            addend = torch.where(band, _HIDDEN, 0.0).float()
        if layer.bias is not None:
            bias = layer.bias
            for dim, axis in enumerate((heads, queries, keys)):
                bias = bias if bias.shape[dim] == 1 else axis.take(bias, dim)
            lowest = torch.where(bias <= layer.mask_threshold, _HIDDEN, bias.float())
            addend = lowest if addend is None else lowest + addend
        return cls(bias, band, addend)

    def add(self, scores: Tensor) -> Tensor:
        """Add bias and band in place, ``-inf`` wherever a key is masked."""
        return scores if self.addend is None else scores.add_(self.addend)

    def add_as_model(self, scores: Tensor) -> Tensor:
        """Add the bias as the model does, in its dtype: the lowest number swallows the score and stays lowest."""
        if self.bias is None:
            return torch.full_like(scores, _HIDDEN)
        added = scores.to(self.bias.dtype) + self.bias
        if added.dtype == torch.float64:
            # Its lowest number would become -inf in float32, and stop being one that softmax spreads.
            finite = added.clamp(min=torch.finfo(torch.float32).min)
            added = torch.where(added.isneginf(), added, finite)
        lowest = added.float()
        return lowest if self.band is None else lowest.masked_fill(self.band, _HIDDEN)


def exponentiate(
    layer: LayerTensors, scaled: Tensor, heads: Axis, queries: Axis, keys: Axis
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn scaled products, in place, into ``exp(score - maximum)``; see `WeightRows` for what comes back."""
    mask = Mask.of(layer, heads, queries, keys)
    bare = None
    if mask.bias is not None and mask.addend is not None and layer.sinks is None:
        empty = mask.addend.amax(-1, keepdim=True) == _HIDDEN
        bare = mask.add_as_model(scaled) if bool(empty.any()) else None
    scores = mask.add(scaled)
    maximum = scores.amax(-1, keepdim=True)
    uniform = torch.zeros_like(maximum, dtype=torch.bool)
    if bare is not None:
        highest = bare.amax(-1, keepdim=True)
        uniform = empty & (highest != _HIDDEN)
        scores = torch.where(uniform, bare, scores)
        maximum = torch.where(uniform, highest, maximum)
    sinks = None
    if layer.sinks is not None:
        sinks = heads.take(layer.sinks, 0).float()[:, None, None]
        maximum = torch.maximum(maximum, sinks)
    # A row that sees nothing: exp(-inf - 0) / 1 is 0, where -inf - -inf would be NaN.
    maximum = maximum.masked_fill(maximum == _HIDDEN, 0.0)
    exponentials = scores.sub_(maximum).exp_()
    total = exponentials.sum(-1, keepdim=True)
    if sinks is not None:
        total = total + (sinks - maximum).exp()
    return exponentials, maximum, total.masked_fill(total == 0, 1.0), uniform
