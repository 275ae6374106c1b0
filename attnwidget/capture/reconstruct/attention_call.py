"""Reconstruct heads, query, key, scaling, mask and bias behind a weighted sum, verified against its weights.

Nothing is trusted: query and key are kept only if what they give, worked out again, is what the model multiplied its
values with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.head_sizes import NUM_HEADS_NAMES
from attnwidget.capture.arguments import AttentionArguments, OutputRows
from attnwidget.capture.reconstruct.scores import (
    ObservedSoftmax,
    ScoreParts,
    as_float,
    explain_scores,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.arguments import OutputGradient
    from attnwidget.capture.taps.dataflow import Product
    from attnwidget.capture.taps.events import RunningModule, WeightedSum

__all__ = ["SeenSum", "UnreadableError", "reconstruct_call", "split_heads", "split_sum", "sum_rows"]

_FLOATS_APART = 5e-5  # weights worked out again against those seen, in float32
_HALVES_APART = 3e-2  # the same where scores were rounded to half precision


class UnreadableError(ValueError):
    """A weighted sum that cannot be made into one head times query times key."""


@dataclass(frozen=True, slots=True)
class _WeightShape:
    """The shape of the weights before query and key.

    Attributes:
        lead: Those sizes.
        head_axis: Which of them counts the heads.
        queries: Number of queries.
        keys: Number of keys.
    """

    lead: tuple[int, ...]
    head_axis: int
    queries: int
    keys: int

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.lead[self.head_axis]

    @property
    def rows(self) -> int:
        """Number of rows of the batch, or of windows of them."""
        return prod(self.lead) // self.heads

    def split(self, tensor: Tensor) -> Tensor:
        """Make ``[row, head, x, y]`` of ``[row and head in whatever form, x, y]``."""
        whole = tensor.detach().reshape(*self.lead, *tensor.shape[-2:])
        return whole.movedim(self.head_axis, -3).reshape(-1, self.heads, *tensor.shape[-2:])


def reconstruct_call(
    found: WeightedSum, running: RunningModule, rows: int | None, batch: int
) -> tuple[AttentionArguments | None, int, bool]:
    """Reconstruct the attention call behind a weighted sum.

    Args:
        found: The weighted sum.
        running: Module that computes it.
        rows: Rows of the model's inputs, where they are known.
        batch: Row to keep.

    Returns:
        The call of that row, its batch the windows in which it attends (one: it is not cut up), with its weights if query
        and key cannot be told; the number of rows there are; and whether it attends within windows. No call if the sum is
        over something else than keys (heads that are mixed).

    Raises:
        UnreadableError: If the weights are no matrix per head.
    """
    if not _sums_keys(found):
        return None, 0, False
    sizes = _sizes(found, running, rows)
    kept, known = _own_rows(sizes, rows, batch)
    count = kept.stop - kept.start
    piecewise = count > 1 or len(sizes.lead) > 2
    multiplied = _as_multiplied(found, sizes)
    weights = multiplied.split(found.weights)[kept]
    value = multiplied.split(found.value.expand(*found.weights.shape[:-2], -1, -1))[kept]
    parts: list[ScoreParts] = []
    reason = None
    for row in range(kept.start, kept.stop):
        vectors = _vectors(found, sizes, multiplied, row)
        if isinstance(vectors, str):
            reason = vectors
            break
        parts.append(vectors)
    if reason is None:
        arguments = replace(
            _with_vectors(running.module, parts, value),
            softmax_dtype="float32" if found.softmax.logits.dtype == torch.float32 else "model",
            own_weights=weights,
        )
        return arguments, known, piecewise
    arguments = AttentionArguments(
        implementation="functional",
        module=running.module,
        query=weights.new_zeros(count, sizes.heads, sizes.queries, 0),
        key=weights.new_zeros(count, sizes.heads, sizes.keys, 0),
        value=value,
        attention_mask=(weights != 0).any(dim=1, keepdim=True),
        options={"is_causal": False, "scaling": 1.0},
        weights=weights,
        reason=reason,
    )
    return arguments, known, piecewise


def sum_rows(
    found: WeightedSum,
    running: RunningModule,
    rows: int | None,
    batch: int,
    gradient: OutputGradient,
) -> tuple[OutputRows, Callable[[Tensor], Tensor]]:
    """Tell which rows of a weighted sum belong to the queries of the call that `reconstruct_call` makes of it.

    Args:
        found: The weighted sum, of which a call could be made.
        running: Module that computes it.
        rows: Rows of the model's inputs, where they are known.
        batch: Row that is kept.
        gradient: Of what the sum came to.

    Returns:
        The rows, and what makes ``[row, head, query, value_dim]`` of a tensor that has the form of the product.
    """
    sizes = _sizes(found, running, rows)
    kept, _ = _own_rows(sizes, rows, batch)
    multiplied = _as_multiplied(found, sizes)
    whole = OutputRows.whole(gradient, sizes.rows, sizes.queries)

    def split(product: Tensor) -> Tensor:
        return multiplied.split(product.mT if found.turned else product)

    return whole.moved(lambda numbers: numbers[kept]), split


def _own_rows(sizes: _WeightShape, rows: int | None, batch: int) -> tuple[slice, int]:
    """Return which rows are those of one input, and how many inputs there are.

    Raises:
        UnreadableError: If inputs have not as many rows each.
    """
    known = sizes.rows if rows is None else rows
    if rows == 1 or sizes.rows == 1:
        known = 1  # also several inputs packed into one row
    elif known % sizes.rows == 0 and known > sizes.rows:
        # Several inputs make one: the frames of a video.
        batch, known = batch * sizes.rows // known, sizes.rows
    if sizes.rows % known:
        msg = f"attends within {sizes.rows} pieces of {known} inputs"
        raise UnreadableError(msg)
    count = sizes.rows // known
    first = min(batch, known - 1) * count
    return slice(first, first + count), known


def split_heads(
    found: WeightedSum, running: RunningModule, result: Tensor, heads: int
) -> Tensor | None:
    """Return what a weighted sum came to as a view ``[..., head, query, value_dim]``.

    Args:
        found: The weighted sum.
        running: Module that computes it.
        result: What the product came to.
        heads: How many heads the module has.

    Returns:
        The view; nothing if the sum is over something else than keys, or mixes neighbours: as the recorder keeps no call
        of it.

    Raises:
        UnreadableError: If it has not as many heads.
    """
    if not _sums_keys(found):
        return None
    count = prod(found.weights.shape[:-2])
    sizes = _sizes(found, running, count // heads if count % heads == 0 else None)
    states = running.states
    pieces = states is not None and not states.is_nested and sizes.rows > len(states)
    if found.softmax.product is None and (pieces or sizes.heads != heads):
        return None  # neighbours mixed by a softmax of something else: ConvBERT's convolution
    if sizes.heads != heads:
        msg = f"puts out {sizes.heads} of its {heads} heads at a time"
        raise UnreadableError(msg)
    sizes = _as_multiplied(found, sizes)
    whole = result.mT if found.turned else result
    return whole.view(*sizes.lead, *whole.shape[-2:]).movedim(sizes.head_axis, -3)


@dataclass(frozen=True, slots=True)
class SeenSum:
    """A weighted sum, its batch, or windows of it, before its heads.

    Attributes:
        weights: ``[row, head, query, key]``.
        value: ``[row, head, key, value_dim]``.
        logits: What went into the softmax, ``[row, head, query, key or more]``, where the weights are its softmax; what is
            more are sinks.
    """

    weights: Tensor
    value: Tensor
    logits: Tensor | None


def split_sum(found: WeightedSum, running: RunningModule, heads: int) -> SeenSum:
    """Return a weighted sum of so many heads head by head, its rows in the order of `split_heads`.

    Args:
        found: The weighted sum, of which `split_heads` made a view.
        running: Module that computes it.
        heads: How many heads the module has.
    """
    count = prod(found.weights.shape[:-2])
    sizes = _sizes(found, running, count // heads if count % heads == 0 else None)
    multiplied = _as_multiplied(found, sizes)
    weights = multiplied.split(found.weights)
    value = multiplied.split(found.value.expand(*found.weights.shape[:-2], -1, -1))
    logits = found.softmax.logits.movedim(found.softmax.dim, -1)
    same = (
        not _over_queries(found)
        and found.probabilities.shape == logits.shape
        and prod(logits.shape[:-2]) == prod(sizes.lead)
        and logits.shape[-2] == weights.shape[-2]
    )
    if same:
        probabilities = sizes.split(found.probabilities)[..., : weights.shape[-1]]
        same = probabilities.shape == weights.shape and bool((probabilities == weights).all())
    return SeenSum(weights, value, sizes.split(logits) if same else None)


def _with_vectors(module: nn.Module, parts: list[ScoreParts], value: Tensor) -> AttentionArguments:
    first = parts[0]
    key, value = _unrepeated(_together([one.key for one in parts]), value)
    options: dict[str, Any] = {
        "scaling": first.scaling,
        "softcap": first.softcap,
        "is_causal": False,
    }
    bias = _stacked([one.bias for one in parts])
    if bias is not None:
        options["position_bias"] = bias
    return AttentionArguments(
        implementation="functional",
        module=module,
        query=_together([one.query for one in parts]),
        key=key,
        value=value,
        attention_mask=_stacked([one.mask for one in parts]),
        options=options,
    )


def _together(parts: list[Tensor]) -> Tensor:
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)


def _stacked(parts: list[Tensor | None]) -> Tensor | None:
    """Stack ``[1 or head, 1 or query, key]`` of all windows; where a window has none, with zeros."""
    some = [part for part in parts if part is not None]
    if not some:
        return None
    if len(parts) == 1:
        return some[0][None]
    shape = tuple(max(sizes) for sizes in zip(*(part.shape for part in some), strict=True))
    zero = some[0].new_zeros(shape)
    return torch.stack([zero if part is None else part.expand(shape) for part in parts])


def _sums_keys(found: WeightedSum) -> bool:
    """Tell whether the axis that is summed over is the one of the softmax."""
    weights, probabilities = found.weights, found.probabilities
    if _over_queries(found):
        return True
    if (
        weights.shape[-2] == probabilities.shape[-2]
        and weights.shape[-1] <= probabilities.shape[-1]
    ):
        return True  # fewer where a sink's share was cut off
    sums = weights.float().sum(dim=-1)
    return weights.shape[-1] == probabilities.shape[-1] and torch.allclose(
        sums, torch.ones_like(sums)
    )


def _over_queries(found: WeightedSum) -> bool:
    """Tell whether the softmax was over the queries: each key then chooses among them."""
    logits = found.softmax.logits
    return (
        logits.shape[-2:] == found.weights.shape[-2:]
        and logits.shape[-2] != logits.shape[-1]
        and found.softmax.dim == logits.ndim - 2
    )


def _sizes(found: WeightedSum, running: RunningModule, rows: int | None) -> _WeightShape:
    """Tell batch and heads apart, by the shape that came out of the softmax."""
    queries, keys = found.weights.shape[-2:]
    lead = tuple(found.probabilities.shape[:-2])
    whole = prod(found.weights.shape[:-2])
    if found.probabilities.shape[-2:] != (queries, keys) or prod(lead) != whole:
        lead = tuple(found.weights.shape[:-2])
    own = next(
        (
            getattr(running.module, name)
            for name in NUM_HEADS_NAMES
            if hasattr(running.module, name)
        ),
        None,
    )
    if len(lead) == 2:
        return _WeightShape(lead, 1, queries, keys)
    count = prod(lead)
    if len(lead) > 2:
        if own == prod(lead[1:]) and queries in running.sizes:  # heads in groups
            return _WeightShape((lead[0], own), 1, queries, keys)
        if own in lead[1:]:
            return _WeightShape(lead, lead.index(own, 1), queries, keys)
        msg = f"attends with weights of shape {list(found.probabilities.shape)}"
        raise UnreadableError(msg)
    if isinstance(own, int) and own > 0 and count % own == 0:
        return _WeightShape((count // own, own), 1, queries, keys)
    if rows is not None and count % rows == 0:
        return _WeightShape((rows, count // rows), 1, queries, keys)
    return _WeightShape((count, 1), 1, queries, keys)


def _as_multiplied(found: WeightedSum, sizes: _WeightShape) -> _WeightShape:
    """Tell whether heads and windows have changed places between the softmax and the values, as for a product of three axes.

    What comes first in either order is compared: one query of each head and window.
    """
    if len(sizes.lead) != 3 or sizes.queries * sizes.keys == 0:
        return sizes
    turned = _WeightShape(
        (sizes.lead[0], *sizes.lead[:0:-1]), 3 - sizes.head_axis, sizes.queries, sizes.keys
    )
    seen = found.weights.reshape(-1, *found.weights.shape[-2:])[:, 0]
    probabilities = found.probabilities.reshape(*sizes.lead, *found.probabilities.shape[-2:])[
        ..., 0, :
    ]
    probabilities = probabilities.to(seen.dtype)
    plain_order, other = probabilities.flatten(0, 2), probabilities.transpose(1, 2).flatten(0, 2)
    changed = torch.equal(seen, other) and not torch.equal(seen, plain_order)
    return turned if changed else sizes


def _vectors(
    found: WeightedSum, sizes: _WeightShape, multiplied: _WeightShape, row: int
) -> ScoreParts | str:
    """Return query and key, verified, or say why they are not known."""
    product = found.softmax.product
    if product is None:
        return "its scores are not a product of query and key that can be followed to the softmax."
    if _over_queries(found):
        return "its softmax is over the queries, not over the keys."
    if product.failure is not None:
        return f"it {product.failure}."
    logits = found.softmax.logits.movedim(found.softmax.dim, -1)
    if (
        found.probabilities.shape != logits.shape
        or logits.shape[-2:] != found.weights.shape[-2:]
        or prod(logits.shape[:-2]) != prod(sizes.lead)
    ):
        return "its weights are rearranged between the softmax and the values."
    seen = ObservedSoftmax(
        sizes.split(logits)[row],
        sizes.split(found.probabilities)[row],
        multiplied.split(found.weights)[row],
    )
    exact = min(torch.finfo(logits.dtype).bits, torch.finfo(product.left.dtype).bits) >= 32
    apart = _FLOATS_APART if exact else _HALVES_APART
    some = seen.sample()
    if not torch.allclose(as_float(some.probabilities), as_float(some.weights), rtol=0, atol=apart):
        return "its weights are changed after the softmax (by dropout or a mask)."
    for query, key in _pairs(product, sizes, row):
        parts = explain_scores(product, (query, key), seen, apart)
        if parts is not None:
            return parts
    return "query and key do not reproduce its weights."


def _pairs(product: Product, sizes: _WeightShape, row: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what query and key may be: heads may be after the batch or before it, the product may be transposed."""
    left, right = _broadcast(product.left.detach(), product.right.detach().mT)
    if prod(left.shape[:-2]) != prod(sizes.lead):
        return
    turned = _WeightShape((sizes.heads, sizes.rows), 0, sizes.queries, sizes.keys)
    for query, key in ((left, right), (right, left)):
        if (query.shape[-2], key.shape[-2]) != (sizes.queries, sizes.keys):
            continue
        for form in (sizes, turned):
            own = form.split(query)[row]
            if product.factor is not None:
                factor = _factor(product.factor, form)
                if factor is None:
                    continue
                own = own * factor[row]
            yield own, form.split(key)[row]


def _factor(factor: Tensor, form: _WeightShape) -> Tensor | None:
    """Make ``[row, head, query, 1]`` of a factor on the scores, if it fits."""
    shape = (*form.lead, form.queries, 1)
    try:
        if factor.ndim == 3 and len(factor) == prod(form.lead):
            return form.split(factor.expand(-1, form.queries, 1))
        return form.split(factor.expand(shape))
    except RuntimeError:
        return None


def _broadcast(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    lead = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])  # type: ignore[no-untyped-call]
    return left.expand(*lead, -1, -1), right.expand(*lead, -1, -1)


def _unrepeated(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keep once the keys and values ``[row, head, key, dim]`` that several heads share."""
    heads = key.shape[1]
    for groups in (count for count in range(1, heads) if heads % count == 0):
        share = heads // groups
        first = slice(None, None, share)
        if all(
            torch.equal(tensor, tensor[:, first].repeat_interleave(share, dim=1))
            for tensor in (key, value)
        ):
            return key[:, first], value[:, first]
    return key, value
