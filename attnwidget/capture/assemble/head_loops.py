"""Heads that are computed one after the other, in a loop or by a module each: put together into one layer.

They are told from layers by where their queries and keys come from: heads of one layer read the very same states, and what
one of them found is in none of the others.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from attnwidget.capture.calls.call import shape_only
from attnwidget.capture.calls.module_calls import ModuleCalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.taps.sources import Origin

__all__ = ["with_joined_heads"]


def with_joined_heads(
    found: Iterable[ModuleCalls], model: nn.Module, num_rows: int
) -> list[ModuleCalls]:
    """Put the calls together that are heads of one layer.

    Args:
        found: The calls of each module, in calling order.
        model: The model.
        num_rows: Rows of the batch, over which a module may loop as well.

    Returns:
        The calls of each layer or module; heads with modules of their own go by the path of the module around them.
    """
    modules: list[ModuleCalls] = []
    heads: dict[tuple[str, Origin], list[ModuleCalls]] = {}
    for calls in found:
        _join_loop(calls, num_rows)
        origin = calls.calls[0].origin if len(calls.calls) == 1 else None
        if origin is None or not origin.query or not origin.key:
            modules.append(calls)
            continue
        alike = heads.setdefault((re.sub(r"\d+", "*", calls.path), origin), [])
        if not alike:
            modules.append(calls)
        alike.append(calls)
    for alike in heads.values():
        if len(alike) == 1:
            continue
        joined = _joined([calls.calls[0] for calls in alike])
        at = next(index for index, calls in enumerate(modules) if calls is alike[0])
        if joined is None:
            modules[at : at + 1] = alike
            continue
        path = _path_around([calls.path for calls in alike], model)
        own = ModuleCalls(path, model.get_submodule(path), alike[0].cross, [joined])
        modules[at] = own
        for calls in alike:
            calls.calls = []
    return modules


def _join_loop(calls: ModuleCalls, num_rows: int) -> None:
    """Put the calls of one module together that read the same states in one run of the block around it."""
    groups: dict[Origin | None, list[Call]] = {}
    for call in calls.calls:
        groups.setdefault(call.origin, []).append(call)
    sizes = {len(group) for group in groups.values()}
    if len(sizes) != 1 or sizes <= {1, num_rows} or None in groups:
        return
    if any(not origin.query or not origin.key for origin in groups if origin is not None):
        return
    joined = [_joined(group) for group in groups.values()]
    whole = [call for call in joined if call is not None]
    if len(whole) == len(joined):
        calls.calls = whole


def _joined(heads: Sequence[Call]) -> Call | None:
    """Make one call of several of one head each, if they are such."""
    first = heads[0]
    alike = {
        (
            call.forward_pass,
            call.query.shape,
            call.key.shape,
            call.value.shape,
            call.num_queries,
            call.first_key,
            call.first_row,
            call.scaling,
            call.softcap,
            call.recorded is None,
            call.windows,
        )
        for call in heads
    }
    if len(alike) > 1 or len(first.query) != 1 or first.num_queries == 1:
        return None
    if any(call.sinks is not None for call in heads) or _are_parts_of_the_queries(heads):
        return None
    masks, biases = [call.mask_view.mask for call in heads], [call.position_bias for call in heads]
    views = {replace(call.mask_view, mask=None) for call in heads}
    if len(views) > 1 or not (_fit(masks) and _fit(biases)):
        return None
    batch = first.mask_view.batch
    return replace(
        first,
        query=_together([call.query for call in heads]),
        key=_together([call.key for call in heads]),
        value=_together([call.value for call in heads]),
        recorded=None
        if first.recorded is None
        else _together([one for call in heads if (one := call.recorded) is not None]),
        own_weights=None
        if any(call.own_weights is None for call in heads)
        else _together([one for call in heads if (one := call.own_weights) is not None]),
        output_gradient=None
        if any(call.output_gradient is None for call in heads)
        else _together([one for call in heads if (one := call.output_gradient) is not None]),
        mask_view=replace(first.mask_view, mask=_by_head(masks, batch)),
        position_bias=_by_head(biases, batch),
    )


def _are_parts_of_the_queries(heads: Sequence[Call]) -> bool:
    """Tell whether a loop runs over the queries: then all calls read the same keys and values, for fewer queries than keys."""
    first = heads[0]
    if first.num_queries >= first.key.shape[1] or first.key.is_meta:
        return False
    return all(
        torch.equal(call.key, first.key) and torch.equal(call.value, first.value)
        for call in heads[1:]
    )


def _fit(masks: Sequence[Tensor | None]) -> bool:
    """Tell whether masks are none, one, or tensors of one kind."""
    if all(mask is masks[0] for mask in masks):
        return True
    tensors = [mask for mask in masks if isinstance(mask, torch.Tensor) and mask.ndim == 4]
    kinds = {(mask.dtype, mask.device, mask.shape[1], mask.shape[2:]) for mask in tensors}
    return len(tensors) == len(masks) and len(kinds) == 1 and tensors[0].shape[1] == 1


def _by_head(masks: Sequence[Tensor | None], batch: int) -> Tensor | None:
    """Make one mask ``[1, 1 or head, query or 1, key]``, the one that was given where all heads share it."""
    first = masks[0]
    if first is None or all(mask is first for mask in masks):
        return first
    rows = [mask[min(batch, len(mask) - 1)] for mask in masks if mask is not None]
    if all(torch.equal(row, rows[0]) for row in rows[1:]):
        return first
    return torch.cat(rows)[None]


def _together(parts: Sequence[Tensor]) -> Tensor:
    if any(part.is_meta for part in parts):
        parts = [shape_only(part) for part in parts]  # some of them are not recorded
    return torch.cat(list(parts))


def _path_around(paths: Sequence[str], model: nn.Module) -> str:
    """Return the path of the module that holds all of these, without the list they are in."""
    split = [path.split(".") for path in paths]
    common = []
    for parts in zip(*split, strict=True):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    if len(common) > 1 and isinstance(
        model.get_submodule(".".join(common)), (nn.ModuleList, nn.ModuleDict, nn.Sequential)
    ):
        common.pop()
    return ".".join(common)
