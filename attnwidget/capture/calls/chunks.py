"""Modules that attend chunk by chunk: the calls of one pass put together."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.mask_reader import MaskView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from attnwidget.capture.calls.call import Call

__all__ = ["attends_in_chunks", "concatenate_chunks", "may_attend_in_chunks"]

_IN_CHUNKS = frozenset({"CanineSelfAttention"})


def attends_in_chunks(module: nn.Module, calls: Sequence[Call]) -> bool:
    """Tell whether the calls of one pass are for one chunk of the input each: as many queries as keys in all of them."""
    return (
        may_attend_in_chunks(module)
        and len(calls) > 1
        and all(call.num_queries == call.key.shape[1] for call in calls)
        and all(call.recorded is None and call.position_bias is None for call in calls)
    )


def may_attend_in_chunks(module: nn.Module) -> bool:
    """Tell whether a module may attend within one chunk of its input after the other."""
    packed = "cu_seqlens" in inspect.signature(module.forward).parameters  # images, or windows
    return packed or type(module).__name__ in _IN_CHUNKS


def concatenate_chunks(calls: Sequence[Call], known: dict[tuple[int, ...], Tensor]) -> Call:
    """Make one call of several, in which no chunk sees another.

    Args:
        calls: The calls.
        known: Masks of layers before this one, by the lengths of their chunks; layers with the same share one.
    """
    first = calls[0]
    lengths = tuple(call.num_queries for call in calls)
    count = sum(lengths)
    plain = all(call.mask_view.mask is None and not call.mask_view.causal for call in calls)
    seen = known.get(lengths) if plain else None
    if seen is None:
        seen = torch.zeros(1, 1, count, count, dtype=torch.bool)
        start = 0
        for call in calls:
            stop = start + call.num_queries
            seen[0, :, start:stop, start:stop] = call.mask_view.seen()[:1]
            start = stop
        if plain:
            known[lengths] = seen
    return replace(
        first,
        query=torch.cat([call.query for call in calls], dim=1),
        key=torch.cat([call.key for call in calls], dim=1),
        value=torch.cat([call.value for call in calls], dim=1),
        mask_view=MaskView(seen, count, count, 0),
        num_queries=count,
        own_weights=_block_diagonal([call.own_weights for call in calls]),
        output_gradient=_one_after_the_other([call.output_gradient for call in calls]),
    )


def _one_after_the_other(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Make ``[head, query, value_dim]`` of those of every chunk, if all have any."""
    known = [part for part in parts if part is not None]
    return torch.cat(known, dim=1) if known and len(known) == len(parts) else None


def _block_diagonal(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Make ``[head, query, key]`` of those of every chunk, if all have any."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    heads = zip(*known, strict=True)
    return torch.stack([torch.block_diag(*blocks) for blocks in heads])  # type: ignore[no-untyped-call]
