"""Online softmax over key blocks: row statistics, and the largest weight of every bin of keys, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.blockwise_scores import ScoreStrip, exp_, head_groups
from attnwidget.compute.indexing import ascending
from attnwidget.compute.resumable import finish, within
from attnwidget.compute.softmax_stats import SoftmaxStats
from attnwidget.compute.weight_rows import row_blocks, weight_rows

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.indexing import Axis
    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.pooling import Cells
    from attnwidget.compute.resumable import Slices
    from attnwidget.compute.softmax_stats import StatsCache


__all__ = ["pooled", "read", "row_stats", "row_stats_slices", "stats_cache"]

_HIDDEN = -torch.inf


def stats_cache(layer: LayerTensors) -> StatsCache:
    """Return the cache of a layer's softmax statistics."""
    return layer._stats  # noqa: SLF001  (private to `compute`)


def row_stats_slices(layer: LayerTensors, heads: Axis, queries: Axis) -> Slices[None]:
    """Read the rows whose statistics are not cached yet, a slice at a time; each row is read once."""
    return within(layer, _read_missing(layer, heads, queries))


def row_stats(layer: LayerTensors, heads: Axis, queries: Axis) -> SoftmaxStats:
    """Return the softmax statistics of some rows."""
    cache = stats_cache(layer)
    known = cache.known(heads, queries)
    if known is None:
        finish(row_stats_slices(layer, heads, queries))
        known = cache.known(heads, queries)
    if known is None:
        message = "rows that were just read are not known"
        raise RuntimeError(message)
    return known


def _read_missing(layer: LayerTensors, heads: Axis, queries: Axis) -> Slices[None]:
    cache = stats_cache(layer)
    heads, queries = ascending(heads.indices), ascending(queries.indices)
    size = current_sizes().strip_queries
    for some in head_groups(layer, heads, len(queries)):
        group = heads.part(some.start, some.stop)
        missing = cache.missing(group, queries)
        for start in range(0, len(missing), size):
            strip = ScoreStrip(layer, group, missing.part(start, start + size))
            cache.keep(group, strip.queries, read(strip)[0], n_query=layer.n_query)
            done = min(1.0, (start + size) / len(missing))
            yield (some.start + (some.stop - some.start) * done) / len(heads)


def pooled(
    layer: LayerTensors,
    heads: Axis,
    queries: Axis,
    cells: Cells,
    *,
    factors: Factors | None = None,
    keep: bool = True,
) -> Tensor:
    """Return the largest weight in each cell of keys for a strip of queries, float32 ``[head, cell, query]``.

    Args:
        layer: The layer.
        heads: A run of heads as `head_groups` makes it; any of a layer whose weights are matrices.
        queries: At most ``BlockSizes.strip_queries`` of them, ascending.
        cells: The cells.
        factors: By what weights are multiplied first; not negative.
        keep: Whether the layer keeps what rows come to that were not known.
    """
    if layer.has_matrices:
        return _pooled_rows(layer, heads, queries, cells, factors)
    cache = stats_cache(layer)
    strip = ScoreStrip(layer, heads, queries)
    here = cells.at(queries, strip.share, layer.device)
    stats = cache.known(heads, queries)
    found: Tensor | None = None
    if stats is None:
        whole = cells.keys == range(layer.n_key)
        stats, found = read(strip, here if whole else None, factors)
        if keep:
            cache.keep(heads, queries, stats, n_query=layer.n_query)
    if stats.uniform is not None:
        return _pooled_rows(layer, heads, queries, cells, factors)
    if found is None:
        found = _pooled_scores(strip, here, factors)
    found = exp_(found.sub_(strip.flat(stats.maximum))).div_(strip.flat(stats.total))
    return strip.by_head(found)


def _pooled_scores(strip: ScoreStrip, cells: Cells, factors: Factors | None) -> Tensor:
    """Return the largest score in each cell, the logarithm of the factor added."""
    found = strip.empty(len(cells), _HIDDEN)
    for keys, hidden in strip.blocks(cells.keys, cells.grain):
        block = strip.scores(keys, hidden=hidden)
        if factors is not None:
            block.add_(factors.strip(strip, keys).log())
        cells.gather(block, keys, found)
    return found


def read(
    strip: ScoreStrip, cells: Cells | None = None, factors: Factors | None = None
) -> tuple[SoftmaxStats, Tensor | None]:
    """Read the rows of a strip once.

    Args:
        strip: The strip.
        cells: Cells of all keys.
        factors: By what weights are multiplied first.

    Returns:
        The statistics, and the largest score in each cell as `_pooled_scores` gives it.
    """
    found = None if cells is None else strip.empty(len(cells), _HIDDEN)
    maximum, total = strip.empty(1, _HIDDEN), strip.empty(1, 0.0)
    for keys, hidden in strip.blocks(range(strip.layer.n_key), 1 if cells is None else cells.grain):
        block = strip.scores(keys, hidden=hidden)
        if cells is None or found is None:
            highest = block.amax(1, keepdim=True)
        elif factors is None:
            touched = cells.gather(block, keys, found)
            highest = found[:, touched].amax(1, keepdim=True)
        else:
            cells.gather(block + factors.strip(strip, keys).log(), keys, found)
            highest = block.amax(1, keepdim=True)
        before, maximum = maximum, torch.maximum(maximum, highest)
        # Of rows that have seen nothing yet exp(-inf - 0) is 0, where -inf - -inf would be NaN.
        offset = maximum.masked_fill(maximum == _HIDDEN, 0.0)
        total = total.mul_(exp_(before.sub_(offset)))
        total.add_(exp_(block.sub_(offset)).sum(1, keepdim=True))
    return _row_stats(strip, maximum, total), found


def _row_stats(strip: ScoreStrip, maximum: Tensor, total: Tensor) -> SoftmaxStats:
    layer = strip.layer
    maximum, total = strip.by_head(maximum)[:, 0], strip.by_head(total)[:, 0]
    empty = maximum == _HIDDEN
    if layer.sinks is not None:
        sinks = strip.heads.take(layer.sinks, 0).float()[:, None]
        higher = torch.maximum(maximum, sinks)
        offset = higher.masked_fill(higher == _HIDDEN, 0.0)
        total = total * (maximum - offset).exp() + (sinks - offset).exp()
        maximum = higher
    elif layer.bias is not None and bool(empty.any()):
        return _whole_row_stats(strip)
    return SoftmaxStats(
        maximum.masked_fill(maximum == _HIDDEN, 0.0), total.masked_fill(total == 0, 1.0)
    )


def _whole_row_stats(strip: ScoreStrip) -> SoftmaxStats:
    """Return the statistics of a strip in which rows have every key masked: their softmax needs the bias as it is."""
    shape = (len(strip.heads), len(strip.queries))
    device = strip.layer.device
    maximum = torch.zeros(shape, device=device)
    total = torch.ones(shape, device=device)
    uniform = torch.zeros(shape, dtype=torch.bool, device=device)
    for rows in weight_rows(strip.layer, strip.heads, strip.queries):
        maximum[rows.heads, rows.queries] = rows.maximum[..., 0]
        total[rows.heads, rows.queries] = rows.total[..., 0]
        uniform[rows.heads, rows.queries] = rows.uniform[..., 0]
    return SoftmaxStats(maximum, total, uniform if bool(uniform.any()) else None)


def _pooled_rows(
    layer: LayerTensors, heads: Axis, queries: Axis, cells: Cells, factors: Factors | None
) -> Tensor:
    """Return `pooled` from whole rows: of matrices of weights, or where rows are uniform."""
    shape = (len(heads), len(cells), len(queries))
    found = torch.full(shape, _HIDDEN, dtype=torch.float32, device=layer.device)
    wanted = cells.keys
    for block in row_blocks(layer, heads, queries):
        weights = block.weights
        if factors is not None:
            weights.mul_(factors.of(block, heads, queries))
        whole = weights.new_zeros((weights.shape[0], layer.n_key, weights.shape[1]))
        whole[:, block.keys] = weights.mT
        into = found[block.heads, :, block.queries]
        some = queries.part(block.queries.start, block.queries.stop)
        here = cells.at(some, 1, layer.device)
        here.gather(whole[:, wanted.start : wanted.stop], wanted, into)
    return found
