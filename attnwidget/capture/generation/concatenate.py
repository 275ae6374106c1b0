"""Masks, biases and queries of successive passes concatenated over all queries and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.mask_reader import fit_band

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.calls.mask_reader import Spans
    from attnwidget.compute.masks import Band

__all__ = ["concatenate", "read_bias", "read_mask", "read_rows", "sees_any"]


@dataclass(frozen=True, slots=True)
class _CallPart:
    """The kept queries and keys that are one call's.

    Attributes:
        call: The call.
        rows: The kept ones of its queries, by their index in the call.
        columns: The kept ones of its keys, by their index in the call.
        before: Number of kept keys it did not look at, because a sliding cache had dropped them.
    """

    call: Call
    rows: Tensor
    columns: Tensor
    before: int


def sees_any(calls: Sequence[Call], queries: Tensor, keys: Tensor) -> bool:
    """Tell whether any of ``queries`` sees any of ``keys``, indices over the whole recording."""
    return any(
        piece.call.mask_view.sees_any(piece.rows, piece.columns)
        for piece in _call_parts(calls, queries, keys)
    )


def read_mask(
    calls: Sequence[Call], queries: Tensor, keys: Tensor
) -> tuple[Band | None, Tensor | None]:
    """Describe the masks of one module's calls.

    Args:
        calls: Its calls in order.
        queries: Indices of the queries to keep, counted over all calls.
        keys: Indices of the keys to keep, counted over all calls.

    Returns:
        A band if they make one (both are ``None`` if nothing is hidden), else an additive mask
        ``[1 or head, query, key]``.
    """
    read = [
        (piece, piece.call.mask_view.spans(piece.rows, piece.columns))
        for piece in _call_parts(calls, queries, keys)
    ]
    if all(spans.dense is None for _, spans in read):
        start = torch.cat([spans.start + piece.before for piece, spans in read])
        stop = torch.cat([spans.stop + piece.before for piece, spans in read])
        try:
            return fit_band(start, stop, len(keys), _offset(calls, queries, keys)), None
        except ValueError:
            pass  # runs, but no band: chunks, documents packed into one sequence
    return None, _stacked([_matrix(piece, spans, len(keys)) for piece, spans in read])


def _offset(calls: Sequence[Call], queries: Tensor, keys: Tensor) -> int:
    """Return the index of the first kept query among the kept keys, if the last query is the last key."""
    # Keys of drafts that were refused come after the last query that counts, and make this too large.
    before, first = int(keys[-1] - queries[-1]), 0
    for call in calls:
        first += call.num_queries
        before = min(before, call.first_key + call.mask_view.num_keys - first)
    return int((keys < queries[0] + before).sum())


def read_bias(
    calls: Sequence[Call], queries: Tensor, keys: Tensor, device: torch.device
) -> Tensor | None:
    """Concatenate the position biases of one module's calls.

    Args:
        calls: Its calls in order.
        queries: Indices of the queries to keep, counted over all calls.
        keys: Indices of the keys to keep, counted over all calls.
        device: Where the result belongs.

    Returns:
        The bias ``[1 or head, query, key]``, or ``None`` if it is zero.
    """
    single = calls[0].position_bias
    if len(calls) == 1 and single is not None and single.shape[2] == 1:
        # The same for every query: kept once.
        row = single[min(calls[0].mask_view.batch, len(single) - 1)].detach()
        once = row.expand(-1, -1, calls[0].mask_view.num_keys)[:, :, keys.to(row.device)].to(device)
        return once if bool(once.any()) else None
    parts = []
    for piece in _call_parts(calls, queries, keys):
        given = piece.call.position_bias
        if given is None:
            parts.append(torch.zeros(1, len(piece.rows), len(keys), device=device))
            continue
        view = piece.call.mask_view
        bias = given[min(view.batch, len(given) - 1)].detach()
        bias = bias.expand(-1, view.num_queries, view.num_keys)
        if bias.shape[1:] == (len(piece.rows), len(piece.columns)):
            block = bias.to(device) if piece.call.owns_bias else bias.to(device, copy=True)
        else:
            rows, columns = piece.rows.to(bias.device), piece.columns.to(bias.device)
            block = bias[:, rows][:, :, columns].to(device)
        parts.append(_widened(block, piece.before, len(keys), 0.0))
    bias = _stacked(parts)
    return bias if bool(bias.any()) else None


def read_rows(calls: Sequence[Call], queries: Tensor, num_keys: int) -> Tensor:
    """Concatenate the queries of one module's calls, or its weights where it has no queries.

    Args:
        calls: Its calls in order.
        queries: Indices of the queries to keep, ascending, counted over all calls.
        num_keys: Number of keys of the whole recording, for weights.

    Returns:
        ``[head, query, head_dim]`` or ``[head, query, key]``; the very tensor that was kept, where that is all of it.

    Raises:
        LookupError: If a query is asked for whose vectors were not kept.
    """
    parts, first = [], 0
    for call in calls:
        rows = queries[(queries >= first) & (queries < first + call.num_queries)] - first
        first += call.num_queries
        rows_of_call = call.query
        if call.recorded is not None:
            seen = call.recorded[:, :, : num_keys - call.first_key]
            rows_of_call = _widened(seen, call.first_key, num_keys, 0.0)
        if not len(rows):
            continue
        rows = rows - call.first_row
        if rows_of_call.is_meta or int(rows[0]) < 0 or int(rows[-1]) >= rows_of_call.shape[1]:
            msg = "the vectors of these queries were not kept"
            raise LookupError(msg)
        parts.append(
            rows_of_call
            if len(rows) == rows_of_call.shape[1]
            else rows_of_call[:, rows.to(rows_of_call.device)]
        )
    return concatenate(parts)


def concatenate(parts: Sequence[Tensor]) -> Tensor:
    """Join ``[head, position, dim]`` along the positions, without a copy where there is nothing to join."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _call_parts(calls: Sequence[Call], queries: Tensor, keys: Tensor) -> Iterator[_CallPart]:
    """Cut indices over the whole recording into indices within each call."""
    first = 0
    for call in calls:
        count = call.num_queries
        rows = queries[(queries >= first) & (queries < first + count)] - first
        first += count
        columns = keys - call.first_key
        before = int((columns < 0).sum())
        columns = columns[(columns >= 0) & (columns < call.mask_view.num_keys)]
        yield _CallPart(call, rows, columns, before)


def _matrix(piece: _CallPart, spans: Spans, num_keys: int) -> Tensor:
    if spans.dense is not None:
        return _widened(spans.dense, piece.before, num_keys, float("-inf"))
    key = torch.arange(num_keys)
    seen = (key >= (spans.start + piece.before)[:, None]) & (
        key < (spans.stop + piece.before)[:, None]
    )
    hidden = torch.zeros(seen.shape, dtype=torch.float16).masked_fill(~seen, float("-inf"))
    return hidden[None]


def _widened(block: Tensor, before: int, num_keys: int, fill: float) -> Tensor:
    """Widen ``[head, query, some keys]`` to all keys."""
    if block.shape[2] == num_keys:
        return block
    whole = block.new_full((*block.shape[:2], num_keys), fill)
    whole[:, :, before : before + block.shape[2]] = block
    return whole


def _stacked(parts: list[Tensor]) -> Tensor:
    """Join ``[1 or head, query, key]`` along the queries, in the most exact of their types."""
    if len(parts) == 1:
        return parts[0]
    heads = max(len(part) for part in parts)
    dtype = max((part.dtype for part in parts), key=lambda kind: torch.finfo(kind).bits)
    return torch.cat([part.to(dtype).expand(heads, -1, -1) for part in parts], dim=1)
