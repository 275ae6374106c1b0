"""Thumbnails: a head max-pooled to a few cells without ever holding it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.rows import BLOCK_BYTES, weight_rows
from attnwidget.selection import Axis
from attnwidget.slices import finish, share_of, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

__all__ = [
    "OVERVIEW_EXACT_ROWS",
    "OVERVIEW_SAMPLE_ROWS",
    "overview",
    "overview_rows",
    "survey",
    "survey_slices",
]

# Up to this many query rows an overview reads every row; beyond it, about OVERVIEW_SAMPLE_ROWS evenly spaced ones, so
# that a thumbnail of a very long input costs no more than that of an 8,192-token one. A lone bright query can be
# missed there; keys never are.
OVERVIEW_EXACT_ROWS = 8192
OVERVIEW_SAMPLE_ROWS = 2048


def bins(length: int, count: int) -> list[range]:
    """Split ``length`` positions into ``count`` bins as ``torch.nn.functional.adaptive_max_pool2d`` does."""
    return [
        range(place * length // count, -(-(place + 1) * length // count)) for place in range(count)
    ]


def overview_rows(num_queries: int, size: int) -> list[range | tuple[int, ...]]:
    """Return the query rows that each row of an overview of ``size`` looks at."""
    height = min(size, num_queries)
    if num_queries <= OVERVIEW_EXACT_ROWS:
        return list(bins(num_queries, height))
    share = max(1, OVERVIEW_SAMPLE_ROWS // height)
    return [_spaced(rows, share) for rows in bins(num_queries, height)]


def _spaced(rows: range, count: int) -> tuple[int, ...]:
    count = min(count, len(rows))
    return tuple(rows[(2 * place + 1) * len(rows) // (2 * count)] for place in range(count))


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What one pass over a layer's weights says about every head.

    Attributes:
        pooled: Max-pooled, float32 ``[head, min(size, n_query), min(size, n_key)]``.
        top: ``[query, key, weight]`` of the strongest link, float64 ``[head, 3]``. The first key is left out when there
            are others: in most causal heads it is the sink, and every head would name it.
        first_key: Mean weight on the first key over all queries but the first, float32 ``[head]``.
    """

    pooled: Tensor
    top: Tensor
    first_key: Tensor


def overview(layer: Layer, size: int, lengths: Tensor | None = None) -> Tensor:
    """Return every head max-pooled, float32 ``[head, min(size, n_query), min(size, n_key)]``.

    Args:
        layer: The layer.
        size: Largest number of rows and of columns.
        lengths: ``[head, key]``, by which weights are multiplied first.
    """
    return survey(layer, size, lengths).pooled


def survey(layer: Layer, size: int, lengths: Tensor | None = None) -> Survey:
    """Read every head once; beyond ``OVERVIEW_EXACT_ROWS`` query rows, an even sample of them."""
    return finish(survey_slices(layer, size, lengths))


def survey_slices(layer: Layer, size: int, lengths: Tensor | None = None) -> Slices[Survey]:
    """Return `survey` as a computation in slices."""
    return within(layer, _survey(layer, size, lengths))


def _survey(layer: Layer, size: int, lengths: Tensor | None) -> Slices[Survey]:
    parts = overview_rows(layer.n_query, size)
    columns = bins(layer.n_key, min(size, layer.n_key))
    # Where each row of the overview stands among the rows that are read; neighbouring bins may share a row.
    queries = sorted({query for part in parts for query in part})
    place = {query: at for at, query in enumerate(queries)}
    spans = [range(place[part[0]], place[part[-1]] + 1) for part in parts]
    share = layer.num_heads // layer.num_key_value_heads
    group = max(1, BLOCK_BYTES // (4 * len(parts) * layer.n_key) // share) * share
    found = []
    for first in range(0, layer.num_heads, group):
        heads = Axis(range(first, min(first + group, layer.num_heads)))
        work = _survey_heads(layer, heads, queries, spans, columns, lengths=lengths)
        found.append(
            (
                yield from share_of(
                    work, first / layer.num_heads, (first + len(heads)) / layer.num_heads
                )
            )
        )
    pooled, top, first_key = (torch.cat(tensors) for tensors in zip(*found, strict=True))
    return Survey(pooled, top, first_key)


def _survey_heads(
    layer: Layer,
    heads: Axis,
    queries: list[int],
    spans: list[range],
    columns: list[range],
    *,
    lengths: Tensor | None,
) -> Slices[tuple[Tensor, Tensor, Tensor]]:
    device = layer.device
    skip = min(1, layer.n_key - 1)
    tall = torch.zeros((len(heads), len(spans), layer.n_key), device=device)
    strongest = torch.zeros((len(heads), len(queries)), device=device)
    on_first = torch.zeros((len(heads), len(queries)), device=device)
    for some, rows, keys, weights in _blocks(layer, heads, queries):
        if lengths is not None:
            weights.mul_(heads.take(lengths, 0)[some, None, keys])
        for row, span in enumerate(spans):
            start = max(span.start, rows.start) - rows.start
            stop = min(span.stop, rows.stop) - rows.start
            if start < stop:
                cell = tall[some, row, keys]
                torch.maximum(cell, weights[:, start:stop].amax(1), out=cell)
        if keys.start == 0:
            on_first[some, rows] = weights[:, :, 0]
        others = weights[:, :, max(0, skip - keys.start) :]
        if others.shape[2]:
            strongest[some, rows] = others.amax(2)
        yield (some.start + (some.stop - some.start) * rows.stop / len(queries)) / len(heads)
    top, tied = _top(tall, strongest, queries, spans)
    for place in tied:
        ((_, _, keys, weights),) = _blocks(
            layer, Axis((heads.indices[place],)), [int(top[place, 0])]
        )
        first = max(0, skip - keys.start)
        best = weights[0, 0, first:].nan_to_num(nan=-1.0)
        if len(best):
            top[place, 1] = keys.start + first + best.argmax()
    return _pool_keys(tall, columns), top, _mean(on_first)


def _blocks(
    layer: Layer, heads: Axis, queries: list[int]
) -> Iterator[tuple[slice, slice, slice, Tensor]]:
    """Yield weights block by block, with their place among ``heads``, ``queries`` and all keys."""
    axis = Axis(range(layer.n_query)) if len(queries) == layer.n_query else Axis(tuple(queries))
    if layer.recorded is None:
        for rows in weight_rows(layer, heads, axis):
            yield rows.heads, rows.queries, rows.keys, rows.exponentials.div_(rows.total)
        return
    count = max(1, BLOCK_BYTES // (4 * layer.n_key))
    group = max(1, count // len(queries))
    for first in range(0, len(heads), group):
        some = heads.part(first, first + group)
        recorded = some.take(layer.recorded, 0)
        for start in range(0, len(queries), count):
            weights = axis.part(start, start + count).take(recorded, 1).to(torch.float32, copy=True)
            rows_read = slice(start, start + weights.shape[1])
            yield slice(first, first + len(some)), rows_read, slice(0, layer.n_key), weights


def _top(
    tall: Tensor, strongest: Tensor, queries: list[int], spans: list[range]
) -> tuple[Tensor, list[int]]:
    """Find the strongest row, and in its bin the key that holds its weight.

    Returns:
        ``[query, key, weight]`` per head, and the heads in which several keys of the bin hold that weight: rows of one
        bin may tie, and the bin does not tell which of them looks at which key.
    """
    skip = min(1, tall.shape[2] - 1)
    weight, row = strongest.nan_to_num(nan=-1.0).max(1)
    bin_of = torch.zeros(len(queries), dtype=torch.long, device=tall.device)
    for number, span in enumerate(spans):
        bin_of[span.start : span.stop] = number
    heads = torch.arange(len(tall), device=tall.device)
    held = tall[heads, bin_of[row], skip:].nan_to_num(nan=-1.0)
    query = torch.tensor(queries, device=tall.device)[row]
    wide = torch.tensor([len(span) > 1 for span in spans], device=tall.device)[bin_of[row]]
    tied = (wide & ((held == weight[:, None]).sum(1) > 1)).nonzero()[:, 0].tolist()
    key = held.argmax(1) + skip
    top = torch.stack([query.double(), key.double(), weight.clamp(min=0).double()], dim=1)
    return top, tied


def _mean(on_first: Tensor) -> Tensor:
    # The first query often has nothing but the first key to look at.
    rows = on_first[:, 1:] if on_first.shape[1] > 1 else on_first
    return rows.nan_to_num().mean(1)


def _pool_keys(tall: Tensor, columns: list[range]) -> Tensor:
    if len(columns) == tall.shape[-1]:
        return tall
    return torch.stack([tall[..., keys.start : keys.stop].amax(-1) for keys in columns], dim=-1)
