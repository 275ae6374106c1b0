"""Modules that are called once for each stretch of the text: the calls put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.visibility import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from attnwidget.capture.calls import Call

__all__ = ["attends_in_chunks", "behind_each_other"]

_IN_CHUNKS = frozenset({"CanineSelfAttention"})


def attends_in_chunks(module: nn.Module, calls: Sequence[Call]) -> bool:
    """Tell whether the calls of one pass are for one stretch of the text each: as many queries as keys in all of them."""
    return (
        type(module).__name__ in _IN_CHUNKS
        and len(calls) > 1
        and all(call.query.shape[1] == call.key.shape[1] for call in calls)
        and all(call.recorded is None and call.position_bias is None for call in calls)
    )


def behind_each_other(calls: Sequence[Call]) -> Call:
    """Make one call of several, in which no stretch sees another."""
    first = calls[0]
    count = sum(call.query.shape[1] for call in calls)
    seen = torch.zeros(1, 1, count, count, dtype=torch.bool)
    start = 0
    for call in calls:
        stop = start + call.query.shape[1]
        seen[0, :, start:stop, start:stop] = call.view.seen()[:1]
        start = stop
    return replace(
        first,
        query=torch.cat([call.query for call in calls], dim=1),
        key=torch.cat([call.key for call in calls], dim=1),
        value=torch.cat([call.value for call in calls], dim=1),
        view=View(seen, count, count, 0),
    )
