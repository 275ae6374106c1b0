"""Sparse rows scattered to one attention call over query × key.

Nothing is trusted: query and key are kept only if what they give, worked out again for some rows, is what the model
multiplied its values with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.arguments import AttentionArguments
from attnwidget.capture.calls.windows import Windows
from attnwidget.capture.sparse.rows import DenseWeights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from attnwidget.capture.sparse.rows import SparseAttention, SparseRows

__all__ = ["SharedTensors", "densify"]

_LARGEST = 1 << 28  # entries of a matrix over query × key
_SAMPLED = 64  # rows of each group that are checked
_HIDDEN = -1e3  # so far below the largest score of its row, a key has no weight in any precision
_DEAD = -5e3  # the largest score of a row in which every key is hidden
_FLOATS_APART = 5e-5
_HALVES_APART = 3e-2
_CHANGED = "its weights are changed after the softmax (by dropout or a mask)."
_OTHERWISE = "query and key do not reproduce its weights."


class SharedTensors:
    """Keeps one copy of the matrices that layers have in common."""

    def __init__(self) -> None:
        """Start without any."""
        self._last: dict[tuple[object, ...], Tensor] = {}

    def share(self, name: str, tensor: Tensor) -> Tensor:
        """Return the matrix kept before, if it is the same."""
        key = (name, tensor.shape, tensor.dtype, tensor.device)
        if key not in self._last or not torch.equal(self._last[key], tensor):
            self._last[key] = tensor
        return self._last[key]


def densify(
    module: nn.Module,
    sparse: SparseAttention | DenseWeights,
    length: int | None,
    shared: SharedTensors,
) -> tuple[AttentionArguments, Windows | None] | str:
    """Make one attention call over query × key.

    Args:
        module: The module that made it.
        sparse: What an adapter read.
        length: Number of positions of the sequence, where it is known: modules make it longer to cut it up.
        shared: Keeps masks and biases for later layers.

    Returns:
        The call of one row of the batch and the positions that are none of the sequence; or why it cannot be laid out.
    """
    if isinstance(sparse, DenseWeights):
        return _without_vectors(module, sparse), None
    num_queries, num_keys = sparse.query.shape[1], sparse.key.shape[1]
    if num_queries * num_keys > _LARGEST:
        return f"attends over {num_queries} × {num_keys} positions in blocks, too many to be laid out in one matrix"
    counts = _counts(sparse)
    queries, keys = _own_positions(sparse, counts, length)
    mask = (counts > 0)[:, queries][..., keys]
    bias = _bias(sparse, counts)
    fits = _reproduces_weights(sparse, counts, bias)
    if not fits and bias is None:
        bias = _read_bias(sparse, counts)
        fits = _reproduces_weights(sparse, counts, bias)
    options: dict[str, object] = {"is_causal": False, "scaling": sparse.scaling}
    if fits and bias is not None:
        options["position_bias"] = shared.share("bias", bias[:, queries][..., keys][None])
    arguments = AttentionArguments(
        implementation="functional",
        module=module,
        query=sparse.query[:, queries][None],
        key=sparse.key[:, keys][None],
        value=sparse.value[:, keys][None],
        attention_mask=shared.share("mask", mask[None]),
        options=options,
    )
    if not fits:
        weights = _weights(sparse)[:, queries][..., keys]
        changed = module.training or not _sums_to_one(weights)
        arguments = replace(
            arguments,
            query=arguments.query[..., :0],
            key=arguments.key[..., :0],
            weights=weights[None],
            reason=_CHANGED if changed else _OTHERWISE,
        )
    windows = None
    if sparse.extra_keys:
        placed = len(keys) - sparse.extra_keys
        windows = Windows(1, len(queries), len(keys), placed, extra="global")
    return arguments, windows


def _without_vectors(module: nn.Module, whole: DenseWeights) -> AttentionArguments:
    weights = whole.weights[None]
    return AttentionArguments(
        implementation="functional",
        module=module,
        query=weights.new_zeros(*weights.shape[:3], 0),
        key=whole.value[None, ..., :0],
        value=whole.value[None],
        attention_mask=(weights != 0).any(dim=1, keepdim=True),
        options={"is_causal": False, "scaling": 1.0},
        weights=weights,
        reason=whole.reason,
    )


def _visible(group: SparseRows) -> Tensor:
    """Which slots hold a key that is seen, ``[head, row, slot]``."""
    highest = group.logits.amax(dim=-1, keepdim=True)
    # A row whose weights are all taken away afterwards, as of padding, sees nothing either.
    alive = (highest > _DEAD) & (group.weights != 0).any(dim=-1, keepdim=True)
    return alive & (group.logits - highest > _HIDDEN) & (group.keys >= 0)


def _counts(sparse: SparseAttention) -> Tensor:
    """How often each query sees each key, ``[head or 1, query, key]``."""
    seen = [_visible(group) for group in sparse.row_groups]
    same_in_all_heads = all(
        len(group.keys) == 1 and bool((visible == visible[:1]).all())
        for group, visible in zip(sparse.row_groups, seen, strict=True)
    )
    heads = 1 if same_in_all_heads else len(sparse.query)
    shape = (heads, sparse.query.shape[1], sparse.key.shape[1])
    counts = torch.zeros(shape, dtype=torch.int16, device=sparse.query.device)
    for group, visible in zip(sparse.row_groups, seen, strict=True):
        part = counts.new_zeros(heads, len(group.queries), shape[2])
        slots = group.keys.clamp(min=0).expand(heads, -1, -1)
        counts[:, group.queries] = part.scatter_add_(2, slots, visible[:heads].to(part.dtype))
    return counts


def _own_positions(
    sparse: SparseAttention, counts: Tensor, length: int | None
) -> tuple[Tensor, Tensor]:
    """Leave out positions that were put around the sequence, unless the sequence sees them."""
    num_queries, num_keys = counts.shape[1:]
    own_queries, own_keys = num_queries - sparse.extra_queries, num_keys - sparse.extra_keys
    queries, keys = (torch.arange(n, device=counts.device) for n in (num_queries, num_keys))
    if length is None or length + sparse.num_padding > min(own_queries, own_keys):
        return queries, keys
    start, stop = sparse.num_padding, sparse.num_padding + length
    rows = queries[((queries >= start) & (queries < stop)) | (queries >= own_queries)]
    inside = ((keys >= start) & (keys < stop)) | (keys >= own_keys)
    if bool(counts[:, rows][..., ~inside].any()):
        return queries, keys
    return rows, keys[inside]


def _bias(sparse: SparseAttention, counts: Tensor) -> Tensor | None:
    """What is added to the product, where the adapter knows it or keys are repeated, ``[head or 1, query, key]``."""
    repeated = bool((counts > 1).any())
    added = [group.added for group in sparse.row_groups]
    if repeated or any(part is None for part in added):
        # A key that is there twice counts as one whose score is higher by log 2.
        return counts.clamp(min=1).float().log_() if repeated else None
    heads = max(len(part) for part in added if part is not None)
    bias = torch.zeros(heads, *counts.shape[1:], device=counts.device)
    for group in sparse.row_groups:
        if group.added is not None:
            _scatter(bias, group, group.added.float().masked_fill(~_visible(group), 0.0))
    return bias if bool(bias.any()) else None


def _scatter(whole: Tensor, group: SparseRows, values: Tensor) -> None:
    """Scatter values from the slots of a row group to their keys; each key at most once."""
    part = whole.new_zeros(len(whole), len(group.queries), whole.shape[2] + 1)
    slots = group.keys.masked_fill(group.keys < 0, whole.shape[2]).expand(len(whole), -1, -1)
    whole[:, group.queries] = part.scatter_(2, slots, values.to(whole.dtype))[..., :-1]


def _read_bias(sparse: SparseAttention, counts: Tensor) -> Tensor | None:
    """What is in the scores besides the product, read row by row."""
    if bool((counts > 1).any()):
        return None
    bias = torch.zeros(len(sparse.query), *counts.shape[1:], device=counts.device)
    for group in sparse.row_groups:
        for some in _blocks(group, _SAMPLED):
            product = sparse.scaling * sparse.query[:, some.queries].float() @ sparse.key.float().mT
            slots = some.keys.clamp(min=0).expand(len(product), -1, -1)
            rest = some.logits.float() - product.gather(2, slots)
            _scatter(bias, some, rest.masked_fill(~_visible(some), 0.0))
    return bias


def _blocks(group: SparseRows, rows: int) -> Iterator[SparseRows]:
    for start in range(0, len(group.queries), rows):
        yield _rows(group, torch.arange(start, min(start + rows, len(group.queries))))


def _rows(group: SparseRows, picks: Tensor) -> SparseRows:
    picks = picks.to(group.queries.device)
    return replace(
        group,
        queries=group.queries[picks],
        keys=group.keys[:, picks],
        logits=group.logits[:, picks],
        weights=group.weights[:, picks],
        added=None if group.added is None else group.added[:, picks],
    )


def _reproduces_weights(sparse: SparseAttention, counts: Tensor, bias: Tensor | None) -> bool:
    """Tell whether some rows, worked out from query and key, are what the model multiplied its values with."""
    exact = min(torch.finfo(group.weights.dtype).bits for group in sparse.row_groups) >= 32
    exact = exact and torch.finfo(sparse.key.dtype).bits >= 32
    for group in sparse.row_groups:
        count = len(group.queries)
        picks = torch.linspace(0, count - 1, min(count, _SAMPLED)).long()
        some = _rows(group, picks)
        scores = sparse.scaling * sparse.query[:, some.queries].float() @ sparse.key.float().mT
        if bias is not None:
            scores = scores + bias[:, some.queries]
        scores = scores.masked_fill(counts[:, some.queries] == 0, -torch.inf)
        wanted = _dense(some, sparse.key.shape[1])
        apart = (scores.softmax(dim=-1).nan_to_num() - wanted).abs()
        dead = some.logits.amax(dim=-1) <= _DEAD
        if bool((apart.amax(dim=-1).masked_fill(dead, 0.0) > (_FLOATS_APART if exact else _HALVES_APART)).any()):  # fmt: skip
            return False
    return True


def _dense(group: SparseRows, num_keys: int) -> Tensor:
    """The weights of a row group, those of a repeated key added up, ``[head, row, key]``."""
    weights = group.weights.float().nan_to_num().masked_fill(group.keys < 0, 0.0)
    dense = weights.new_zeros(*weights.shape[:2], num_keys)
    slots = group.keys.clamp(min=0).expand(len(weights), -1, -1)
    return dense.scatter_add_(2, slots, weights)


def _weights(sparse: SparseAttention) -> Tensor:
    num_queries, num_keys = sparse.query.shape[1], sparse.key.shape[1]
    whole = torch.zeros(len(sparse.query), num_queries, num_keys, device=sparse.query.device)
    for group in sparse.row_groups:
        whole[:, group.queries] = _dense(group, num_keys)
    return whole


def _sums_to_one(weights: Tensor) -> bool:
    sums = weights.sum(dim=-1)
    return bool((((sums - 1).abs() < _HALVES_APART) | (sums == 0)).all())
