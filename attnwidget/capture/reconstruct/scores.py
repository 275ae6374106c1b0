"""Explain scores as scaling, softcap, mask and bias on a product of query and key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.taps.dataflow import Product

__all__ = ["ObservedSoftmax", "ScoreParts", "as_float", "explain_scores"]

_NOTHING = (
    1e-5  # what is left of a score, relative to the largest, when all it is made of is taken away
)
_SAMPLED = 64  # rows that are checked in long inputs
_HIDES = -1e3  # what is added to a score that is meant to be hidden, at most


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """What the scores of one row of the batch are made of: all ``[head, ...]``."""

    query: Tensor
    key: Tensor
    scaling: float
    softcap: float | None
    mask: Tensor | None
    bias: Tensor | None


@dataclass(frozen=True, slots=True)
class ObservedSoftmax:
    """Input and output of the softmax of one row of the batch, all ``[head, query, key]``.

    Attributes:
        logits: What went in.
        probabilities: What came out.
        weights: What the values were multiplied with.
    """

    logits: Tensor
    probabilities: Tensor
    weights: Tensor

    @property
    def picks(self) -> Tensor:
        """Rows to look at: all, or in long inputs some from beginning to end."""
        count = self.logits.shape[1]
        device = self.logits.device
        if count <= _SAMPLED:
            return torch.arange(count, device=device)
        return torch.linspace(0, count - 1, _SAMPLED, device=device).long()

    def sample(self) -> ObservedSoftmax:
        """Keep those rows."""
        picks = self.picks
        if len(picks) == self.logits.shape[1]:
            return self
        return ObservedSoftmax(
            *(part[:, picks] for part in (self.logits, self.probabilities, self.weights))
        )

    def head(self) -> ObservedSoftmax:
        """Keep the first head."""
        return ObservedSoftmax(self.logits[:1], self.probabilities[:1], self.weights[:1])


def as_float(tensor: Tensor) -> Tensor:
    """In float32, rows that are no numbers as zeros."""
    return tensor.float().nan_to_num()


def explain_scores(
    product: Product, pair: tuple[Tensor, Tensor], seen: ObservedSoftmax, apart: float
) -> ScoreParts | None:
    """Return what the scores are made of, if these are query and key, else ``None``.

    Rows picked from beginning to end tell what kind of mask and bias there are, and have to come out as seen. Only a bias
    that differs from row to row and head to head has to be read in full.
    """
    query, key = pair
    scaling, softcap = product.scaling, None
    if product.inner is not None:
        scaling, softcap = product.inner * product.scaling, product.scaling
    if not abs(scaling) < torch.inf:
        return None
    some, picks = seen.sample(), seen.picks
    few = ScoreParts(query[:, picks], key, scaling, softcap, None, None)
    if product.added:
        few = _read(few, some)
    if not torch.allclose(_again(few), as_float(some.weights), rtol=0, atol=apart):
        return None
    if len(picks) == query.shape[1]:
        return few
    mask = None if few.mask is None else _mask_of_all(few, query, seen)
    whole = replace(few, query=query, mask=mask)
    if few.bias is None or few.bias.shape[1] == 1:
        return whole
    return replace(whole, bias=_bias_of_all(whole, len(few.bias), seen))


def _mask_of_all(few: ScoreParts, query: Tensor, seen: ObservedSoftmax) -> Tensor | None:
    """Read the mask of all rows; one head tells it where the rows picked are hidden alike in all heads."""
    if few.mask is not None and len(few.mask) == 1:
        first = ScoreParts(query[:1], few.key[:1], few.scaling, few.softcap, None, None)
        return _read(first, seen.head()).mask
    return _read(replace(few, query=query, mask=None, bias=None), seen).mask


def _bias_of_all(whole: ScoreParts, heads: int, seen: ObservedSoftmax) -> Tensor:
    """Read a bias that the rows picked have shown to differ from row to row."""
    some = replace(whole, query=whole.query[:heads], key=whole.key[:heads])
    rest = _scores(some).neg_().add_(seen.logits[:heads])
    if whole.mask is not None:
        rest.masked_fill_(whole.mask[:heads] != 0, 0.0)
    return rest


def _read(parts: ScoreParts, seen: ObservedSoftmax) -> ScoreParts:
    """Add mask and bias: what is in the scores besides the product."""
    logits = seen.logits.float()
    rest = logits - _scores(parts)
    hidden = (seen.probabilities == 0) & ~(rest >= _HIDES)
    gone = logits == -torch.inf
    hidden |= gone
    # A row that is hidden altogether: the lowest numbers, of which softmax makes even weights.
    highest = logits.amax(dim=-1, keepdim=True)
    dead = (highest <= torch.finfo(parts.key.dtype).min / 2) & (highest != -torch.inf)
    dead = dead & ~gone
    hidden |= dead
    rest = rest.masked_fill_(hidden, 0.0)
    mask = None
    if bool(hidden.any()):
        if bool((hidden == hidden[:1]).all()) and bool((dead == dead[:1]).all()):
            hidden_once, dead_once = hidden[:1], dead[:1]
        else:
            hidden_once, dead_once = hidden, dead
        mask = torch.zeros(hidden_once.shape, device=hidden.device)
        mask = mask.masked_fill_(hidden_once, -torch.inf)
        mask = torch.where(dead_once, torch.finfo(torch.float32).min, mask)
    return replace(parts, mask=mask, bias=_compact(rest, hidden, parts))


def _scores(parts: ScoreParts) -> Tensor:
    scores = (parts.query.float() * parts.scaling) @ parts.key.float().mT
    if parts.softcap is None:
        return scores
    return scores.div_(parts.softcap).tanh_().mul_(parts.softcap)


def _again(parts: ScoreParts) -> Tensor:
    scores = _scores(parts)
    for addend in (parts.bias, parts.mask):
        scores = scores if addend is None else scores.add_(addend)
    return scores.softmax(dim=-1).nan_to_num_()


def _compact(rest: Tensor, hidden: Tensor, parts: ScoreParts) -> Tensor | None:
    """Leave out what does not change a softmax and what is only rounding; keep once what is the same in all rows."""
    seen = ~hidden
    # The longest query and key bound every score; the largest number beside them counts as much.
    longest = parts.key.float().norm(dim=-1).amax(dim=-1)[:, None, None]
    size = parts.query.float().norm(dim=-1, keepdim=True) * longest * abs(parts.scaling)
    low, high = (
        rest.masked_fill(hidden, torch.inf).amin(-1),
        rest.masked_fill(hidden, -torch.inf).amax(-1),
    )
    low, high = (part.unsqueeze(-1).nan_to_num(0.0, 0.0, 0.0) for part in (low, high))
    noise = _NOTHING * (1.0 + size + torch.maximum(low.abs(), high.abs()))
    if bool((high - low <= noise).all()):
        return None
    bias = rest
    first = _first_seen(rest, seen)
    if first is not None and bool((((rest - first).abs() <= noise) | hidden).all()):
        bias = first
    if len(bias) > 1 and bool(((bias - bias[:1]).abs() <= noise[:, : bias.shape[1]]).all()):
        bias = bias[:1]
    return bias


def _first_seen(rest: Tensor, seen: Tensor) -> Tensor | None:
    """For each key what the first query that sees it adds, ``[head, 1, key]``."""
    if not bool(seen.any(dim=1).all()):
        return None
    first = seen.int().argmax(dim=1, keepdim=True)
    return rest.gather(1, first)
