"""From a weighted sum to the attention call behind it: heads, query and key, scaling, mask and bias.

Nothing is trusted: query and key are kept only if what they give, worked out again, is what the model multiplied its
values with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.interface import Arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from attnwidget.capture.functional import Frame, WeightedSum
    from attnwidget.capture.lineage import Product

__all__ = ["UnreadableError", "solve"]

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "nhead", "n_head", "heads")
_FLOATS_APART = 5e-5  # weights worked out again against those seen, in float32
_HALVES_APART = 3e-2  # the same where scores were rounded to half precision
_NOTHING = (
    1e-5  # what is left of a score, relative to the largest, when all it is made of is taken away
)
_HIDES = -1e3  # what is added to a score that is meant to be hidden, at most


class UnreadableError(ValueError):
    """A weighted sum that cannot be made into one head times query times key."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    batch: int
    heads: int
    queries: int
    keys: int

    def take(self, tensor: Tensor, row: int) -> Tensor:
        """Take one row of ``[batch and head in whatever form, x, y]``: ``[head, x, y]``."""
        return tensor.detach().reshape(self.batch, self.heads, *tensor.shape[-2:])[row]


def solve(
    found: WeightedSum, frame: Frame, rows: int | None, batch: int | None
) -> tuple[Arguments | None, int]:
    """Tell the attention call behind a weighted sum.

    Args:
        found: The weighted sum.
        frame: Module that makes it.
        rows: Rows of the model's inputs, where they are known.
        batch: Row to keep.

    Returns:
        The call of that one row, with its weights if query and key cannot be told, and the number of rows it has.
        No call if the sum is over something else than keys (heads that are mixed).

    Raises:
        UnreadableError: If the weights are no matrix per head.
    """
    module = frame.module
    if not _sums_keys(found):
        return None, 0
    sizes = _sizes(found, frame, rows)
    row = min(batch or 0, sizes.batch - 1)
    weights = sizes.take(found.weights, row)
    value = sizes.take(found.value.expand(*found.weights.shape[:-2], -1, -1), row)
    vectors = _vectors(found, sizes, row, weights)
    if not isinstance(vectors, str):
        query, key, mask, options = vectors
        key, value = _grouped(key, value)
        arguments = Arguments(
            implementation="functional",
            module=module,
            query=query[None],
            key=key[None],
            value=value[None],
            attention_mask=mask,
            options=options,
        )
        return arguments, sizes.batch
    arguments = Arguments(
        implementation="functional",
        module=module,
        query=weights.new_zeros(1, sizes.heads, sizes.queries, 0),
        key=weights.new_zeros(1, sizes.heads, sizes.keys, 0),
        value=value[None],
        attention_mask=(weights != 0).any(dim=0)[None, None],
        options={"is_causal": False, "scaling": 1.0},
        weights=weights,
        reason=vectors,
    )
    return arguments, sizes.batch


def _sums_keys(found: WeightedSum) -> bool:
    """Tell whether the axis that is summed over is the one of the softmax."""
    weights, chance = found.weights, found.probabilities
    if weights.shape[-2:] == chance.shape[-2:]:
        return True
    sums = weights.float().sum(dim=-1)
    return weights.shape[-1] == chance.shape[-1] and torch.allclose(sums, torch.ones_like(sums))


def _sizes(found: WeightedSum, frame: Frame, rows: int | None) -> _Sizes:
    """Tell batch and heads apart, by the shape that came out of the softmax."""
    module = frame.module
    queries, keys = found.weights.shape[-2:]
    lead = found.probabilities.shape[:-2]
    if found.probabilities.shape[-2:] != (queries, keys) or prod(lead) != prod(
        found.weights.shape[:-2]
    ):
        lead = found.weights.shape[:-2]
    if len(lead) > 2 and rows in {None, lead[0]} and queries in frame.sizes:
        lead = torch.Size([lead[0], _merged(lead[1:], module)])
    if len(lead) > 2:
        msg = f"attends within pieces of its input (weights {list(found.probabilities.shape)})"
        raise UnreadableError(msg)
    if len(lead) == 2:
        return _Sizes(lead[0], lead[1], queries, keys)
    count = prod(lead)
    own = next((getattr(module, name) for name in _HEADS if hasattr(module, name)), None)
    if isinstance(own, int) and own > 0 and count % own == 0:
        return _Sizes(count // own, own, queries, keys)
    if rows is not None and count % rows == 0:
        return _Sizes(rows, count // rows, queries, keys)
    return _Sizes(count, 1, queries, keys)


def _merged(lead: torch.Size, module: nn.Module) -> int:
    """Merge what stands between batch and query if it is heads in groups, and not pieces of the input."""
    count = prod(lead)
    own = next((getattr(module, name) for name in _HEADS if hasattr(module, name)), None)
    if own != count and sorted(lead)[:-1] != [1] * (len(lead) - 1):
        msg = f"attends within pieces of its input ({list(lead)} of them)"
        raise UnreadableError(msg)
    return count


def _vectors(
    found: WeightedSum, sizes: _Sizes, row: int, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, dict[str, Any]] | str:
    """Tell query and key, or say why they cannot be told."""
    product = found.softmaxed.product
    if product is None:
        return "its scores are not a product of query and key that can be followed to the softmax."
    if product.trouble is not None:
        return f"it {product.trouble}."
    probabilities = found.probabilities
    logits = found.softmaxed.logits.movedim(found.softmaxed.dim, -1)
    if (
        prod(logits.shape[:-2]) != sizes.batch * sizes.heads
        or logits.shape[-2:] != weights.shape[-2:]
    ):
        return "its weights are rearranged between the softmax and the values."
    chance = sizes.take(probabilities, row).float()
    exact = min(torch.finfo(logits.dtype).bits, torch.finfo(product.left.dtype).bits) >= 32
    apart = _FLOATS_APART if exact else _HALVES_APART
    if not torch.allclose(chance.nan_to_num(), weights.float().nan_to_num(), rtol=0, atol=apart):
        return "its weights are changed after the softmax (by dropout or a mask)."
    wanted = sizes.take(logits, row).float()
    for query, key in _pairs(product, sizes, row):
        told = _explained(product, query, key, wanted, chance)
        if told is None:
            continue
        mask, bias, options = told
        again = _again(query, key, mask, bias, options)
        if torch.allclose(again, weights.float().nan_to_num(), rtol=0, atol=apart):
            if bias is not None:
                options["position_bias"] = bias[None]
            return query, key, None if mask is None else mask[None], options
    return "query and key do not reproduce its weights."


def _pairs(product: Product, sizes: _Sizes, row: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what query and key may be: heads may stand after the batch or before it, the product may be turned."""
    left, right = _broadcast(product.left.detach(), product.right.detach().mT)
    count = sizes.batch * sizes.heads
    if prod(left.shape[:-2]) != count:
        return
    for query, key in ((left, right), (right, left)):
        if (query.shape[-2], key.shape[-2]) != (sizes.queries, sizes.keys):
            continue
        for batch_first in (True, False):
            form = (sizes.batch, sizes.heads) if batch_first else (sizes.heads, sizes.batch)
            pair = []
            for tensor in (query, key):
                split = tensor.reshape(*form, *tensor.shape[-2:])
                pair.append(split[row] if batch_first else split[:, row])
            if product.factor is not None:
                factor = product.factor
                shape = (*form, sizes.queries, 1)
                try:
                    factor = factor.expand(shape) if factor.ndim != 3 else (
                        factor.expand(count, sizes.queries, 1).reshape(shape)
                        if len(factor) == count else factor.expand(shape)
                    )  # fmt: skip
                except RuntimeError:
                    return
                pair[0] = pair[0] * (factor[row] if batch_first else factor[:, row])
            yield pair[0], pair[1]


def _broadcast(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    lead = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])  # type: ignore[no-untyped-call]
    return left.expand(*lead, -1, -1), right.expand(*lead, -1, -1)


def _explained(
    product: Product, query: Tensor, key: Tensor, wanted: Tensor, chance: Tensor
) -> tuple[Tensor | None, Tensor | None, dict[str, Any]] | None:
    """Say what else than the product of query and key is in the scores: mask ``[1 or head, query, key]`` and bias."""
    scaling, softcap = product.scaling, None
    if product.inner is not None:
        scaling, softcap = product.inner * product.scaling, product.scaling
    options = {"scaling": scaling, "softcap": softcap, "is_causal": False}
    if not product.added:
        return None, None, options
    if not (abs(scaling) < torch.inf):
        return None
    rest = wanted - _scores(query, key, scaling, softcap)
    hidden = (wanted == -torch.inf) | ((chance == 0) & ((rest < _HIDES) | rest.isnan()))
    # A row that is hidden altogether: the lowest numbers, of which softmax makes even weights.
    lowest = torch.finfo(torch.float32).min
    dead = (wanted <= torch.finfo(product.left.dtype).min / 2).all(dim=-1, keepdim=True)
    dead &= ~hidden.all(dim=-1, keepdim=True)
    hidden |= dead
    rest = rest.masked_fill(hidden, 0.0)
    mask = None
    if bool(hidden.any()):
        mask = torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, -torch.inf)
        mask = torch.where(dead, lowest, mask)
        mask = mask[:1] if bool((mask == mask[:1]).all()) else mask
    return mask, _compact(rest, hidden, wanted), options


def _scores(query: Tensor, key: Tensor, scaling: float, softcap: float | None) -> Tensor:
    scores = query.float() @ key.float().mT * scaling
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def _again(
    query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None, options: dict[str, Any]
) -> Tensor:
    scores = _scores(query, key, options["scaling"], options["softcap"])
    for addend in (bias, mask):
        scores = scores if addend is None else scores + addend
    return scores.softmax(dim=-1).nan_to_num()


def _compact(rest: Tensor, hidden: Tensor, wanted: Tensor) -> Tensor | None:
    """Leave out what a softmax does not feel and what is only rounding; keep once what is the same in all rows."""
    seen = ~hidden
    count = seen.sum(dim=-1, keepdim=True).clamp(min=1)
    size = wanted.masked_fill(hidden, 0.0).abs()
    # Rows hidden altogether are as large as numbers get; what they add stays as it is.
    noise = _NOTHING * (1.0 + size.amax(dim=-1, keepdim=True))
    centred = (rest - rest.sum(dim=-1, keepdim=True) / count).masked_fill(hidden, 0.0)
    if bool((centred.abs() <= noise).all()):
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


def _grouped(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keep once the keys and values that several heads share."""
    heads = len(key)
    for groups in (count for count in range(1, heads) if heads % count == 0):
        first = slice(None, None, heads // groups)
        share = heads // groups
        if all(
            torch.equal(tensor, tensor[first].repeat_interleave(share, dim=0))
            for tensor in (key, value)
        ):
            return key[first], value[first]
    return key, value
