"""Select the calls of a generation that make up the returned sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.calls.module_calls import ModuleCalls
    from attnwidget.capture.plan import PassPlan

__all__ = ["select_calls"]


def select_calls(
    calls: ModuleCalls, rows: Mapping[int, ModuleCalls], plan: PassPlan, full: PassPlan
) -> ModuleCalls:
    """Select the calls of one module that make up the returned sequence.

    Args:
        calls: Its calls, of the first row that was recorded.
        rows: Its calls for each row that was recorded, the first included.
        plan: Which passes, rows and positions count.
        full: A plan of everything up to the last pass, by which unseen reorderings of the cache are found.
    """
    made = _select(calls, rows, plan)
    if len(rows) > 1 and made.failure is None and not made.cross:
        last = _select(calls, rows, full)
        key = torch.cat([call.key for call in last.calls], dim=1)
        made.failure = last.cache_mismatch(key, full.rows[max(full.rows)])
    return made


def _select(calls: ModuleCalls, rows: Mapping[int, ModuleCalls], plan: PassPlan) -> ModuleCalls:
    kept: list[Call] = []
    for number in sorted({call.forward_pass for each in rows.values() for call in each.calls}):
        if number and number not in plan.rows:
            continue
        # What ran before all passes, an encoder, ran once for all rows.
        source = rows.get(plan.rows[number], calls) if number else calls
        for call in source.calls:
            if call.forward_pass == number:
                cut = plan.truncated.get(number) == call.num_queries
                kept.append(_truncate(call, plan.counts[number], calls.cross) if cut else call)
    latest = max(plan.rows)
    last = rows.get(plan.rows[latest], calls)
    made = replace(calls, calls=kept, last_first=last.last_first)
    # Where the sequence ended before the search did, the last keys are not its own.
    ended = latest < max((call.forward_pass for call in last.calls), default=0)
    made.last_key = None if ended else last.last_key
    return made


def _truncate(call: Call, count: int, cross: bool) -> Call:  # noqa: FBT001 - private
    """Keep the first ``count`` queries of a call, and their keys."""
    gone = call.num_queries - count
    kept = max(0, count - call.first_row)
    # Keys of another sequence are not those of the queries.
    num_keys = call.key.shape[1] if cross else max(0, call.key.shape[1] - gone)
    return replace(
        call,
        num_queries=count,
        query=call.query[:, :kept],
        key=call.key[:, :num_keys],
        value=call.value[:, :num_keys],
        recorded=None if call.recorded is None else call.recorded[:, :kept],
        own_weights=None if call.own_weights is None else call.own_weights[:, :kept],
    )
