"""Mean weights of cells, and the weights of a strip to take them from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.cells import Bins
from attnwidget.rows import row_blocks
from attnwidget.selection import Axis
from attnwidget.slices import within
from attnwidget.strips import STRIP, Strip, head_groups
from attnwidget.totals import row_cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

__all__ = ["mean_cells", "weight_strips"]


def mean_cells(
    layer: Layer,
    queries: Axis,
    spans: Sequence[range],
    columns: Sequence[range],
    lengths: Tensor | None = None,
) -> Slices[Tensor]:
    """Return the mean weight of cells for every head, float32 ``[head, row, column]``, in slices.

    Args:
        layer: The layer.
        queries: The queries that are read.
        spans: Where those of each row of cells stand among them.
        columns: The keys of each column of cells.
        lengths: ``[head, key]``, by which weights are multiplied first.
    """
    return within(layer, _mean_cells(layer, queries, spans, columns, lengths))


def _mean_cells(
    layer: Layer,
    queries: Axis,
    spans: Sequence[range],
    columns: Sequence[range],
    lengths: Tensor | None,
) -> Slices[Tensor]:
    every, count, cells = Axis(range(layer.num_heads)), len(queries), Bins(columns)
    sizes = torch.tensor([len(keys) for keys in columns], device=layer.device)
    found = []
    for some in head_groups(layer, every, count):
        heads = every.part(some.start, some.stop)
        summed = torch.zeros((len(heads), len(cells), count), device=layer.device)
        for start in range(0, count, STRIP):
            strip = queries.part(start, start + STRIP)
            into = summed[..., start : start + len(strip)]
            for own, rows, keys, block in weight_strips(layer, heads, strip):
                if lengths is not None:
                    scale = heads.take(lengths, 0)[own, keys.start : keys.stop]
                    block.mul_(scale[..., None])
                cells.gather(block, keys, into[own, :, rows], add=True)
            done = min(1.0, (start + STRIP) / count)
            yield (some.start + (some.stop - some.start) * done) / layer.num_heads
        tall = [summed[..., span.start : span.stop].mean(2) for span in spans]
        found.append(torch.stack(tall, 1) / sizes)
    return torch.cat(found)


def weight_strips(
    layer: Layer, heads: Axis, queries: Axis
) -> Iterator[tuple[slice, slice, range, Tensor]]:
    """Yield the weights of a strip block by block: of which heads, queries and keys, float32 ``[head, key, query]``."""
    totals = None if layer.recorded is not None else row_cache(layer).rows(layer, heads, queries)
    if totals is None or totals.uniform is not None:
        for some, rows, keys, weights in row_blocks(layer, heads, queries):
            yield some, rows, range(keys.start, keys.stop), weights.mT
        return
    strip = Strip(layer, heads, queries)
    for part, hidden in strip.blocks(range(layer.n_key)):
        block = strip.weights(part, totals, hidden=hidden)
        yield slice(None), slice(None), part, strip.by_head(block)
