"""Thumbnails: a head max-pooled to a few cells without ever holding it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.rows import BLOCK_BYTES, weight_rows
from attnwidget.selection import Axis

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.layer import Layer

__all__ = ["OVERVIEW_EXACT_ROWS", "OVERVIEW_SAMPLE_ROWS", "overview", "overview_rows"]

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


def overview(layer: Layer, size: int) -> Tensor:
    """Return every head max-pooled, float32 ``[head, min(size, n_query), min(size, n_key)]``."""
    parts = overview_rows(layer.n_query, size)
    columns = bins(layer.n_key, min(size, layer.n_key))
    if layer.recorded is not None:
        return _pool_recorded(layer.recorded, parts, columns)
    shape = (layer.num_heads, len(parts), len(columns))
    pooled = torch.empty(shape, dtype=torch.float32, device=layer.device)
    # Where each row of the overview stands among the rows that are read; neighbouring bins may share a row.
    queries = sorted({query for part in parts for query in part})
    place = {query: at for at, query in enumerate(queries)}
    spans = [range(place[part[0]], place[part[-1]] + 1) for part in parts]
    share = layer.num_heads // layer.num_key_value_heads
    group = max(1, BLOCK_BYTES // (4 * len(parts) * layer.n_key) // share) * share
    for first in range(0, layer.num_heads, group):
        heads = Axis(range(first, min(first + group, layer.num_heads)))
        pooled[first : first + len(heads)] = _pool_heads(layer, heads, queries, spans, columns)
    return pooled


def _pool_heads(
    layer: Layer, heads: Axis, queries: list[int], spans: list[range], columns: list[range]
) -> Tensor:
    axis = Axis(range(layer.n_query)) if len(queries) == layer.n_query else Axis(tuple(queries))
    shape = (len(heads), len(spans), layer.n_key)
    tall = torch.zeros(shape, dtype=torch.float32, device=layer.device)
    for rows in weight_rows(layer, heads, axis):
        weights = rows.exponentials.div_(rows.total)
        for row, span in enumerate(spans):
            start = max(span.start, rows.queries.start) - rows.queries.start
            stop = min(span.stop, rows.queries.stop) - rows.queries.start
            if start < stop:
                cell = tall[rows.heads, row, rows.keys]
                torch.maximum(cell, weights[:, start:stop].amax(1), out=cell)
    return _pool_keys(tall, columns)


def _pool_recorded(
    recorded: Tensor, parts: list[range | tuple[int, ...]], columns: list[range]
) -> Tensor:
    pooled = []
    for head in recorded:
        tall = [Axis(part).take(head, 0).amax(0) for part in parts]
        pooled.append(_pool_keys(torch.stack(tall).float(), columns))
    return torch.stack(pooled)


def _pool_keys(tall: Tensor, columns: list[range]) -> Tensor:
    if len(columns) == tall.shape[-1]:
        return tall
    return torch.stack([tall[..., keys.start : keys.stop].amax(-1) for keys in columns], dim=-1)
