"""Every head of a layer pooled to a thumbnail (max or mean), with its strongest link and its weight on the first key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.blockwise_scores import ScoreStrip, head_groups
from attnwidget.compute.indexing import Axis
from attnwidget.compute.model_precision import whole_heads
from attnwidget.compute.online_softmax import pooled, row_stats
from attnwidget.compute.pooling import Bins, Even, adaptive_bins
from attnwidget.compute.resumable import finish, share_of, within
from attnwidget.compute.sharpest import NEAR, AsideCells
from attnwidget.compute.softmax import exact as computing
from attnwidget.compute.softmax import score_rows
from attnwidget.compute.weight_rows import WeightBlock, row_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.pooling import Cells
    from attnwidget.compute.resumable import Slices
    from attnwidget.compute.sharpest import Aside


__all__ = [
    "OVERVIEW_EXACT_ROWS",
    "OVERVIEW_SAMPLE_ROWS",
    "LayerSummary",
    "Pool",
    "SharpLinks",
    "mean_cells",
    "overview_rows",
    "overview_slices",
    "sampled_overview",
    "sampled_rows",
    "sharp_links",
    "summary",
    "summary_slices",
    "weight_strips",
]


def mean_cells(
    layer: LayerTensors,
    queries: Axis,
    spans: Sequence[range],
    columns: Sequence[range],
    factors: Factors | None = None,
) -> Slices[Tensor]:
    """Return the mean weight of cells for every head, float32 ``[head, row, column]``, in slices.

    Args:
        layer: The layer.
        queries: The queries that are read.
        spans: Where those of each row of cells stand among them.
        columns: The keys of each column of cells.
        factors: By what weights are multiplied first.
    """
    return within(layer, _mean_cells(layer, queries, spans, columns, factors))


def _mean_cells(
    layer: LayerTensors,
    queries: Axis,
    spans: Sequence[range],
    columns: Sequence[range],
    factors: Factors | None,
) -> Slices[Tensor]:
    size = current_sizes().strip_queries
    every, count, cells = Axis(range(layer.num_heads)), len(queries), Bins(columns)
    sizes = torch.tensor([len(keys) for keys in columns], device=layer.device)
    found = []
    for some in head_groups(layer, every, count):
        heads = every.part(some.start, some.stop)
        summed = torch.zeros((len(heads), len(cells), count), device=layer.device)
        for start in range(0, count, size):
            strip = queries.part(start, start + size)
            into = summed[..., start : start + len(strip)]
            for block in weight_strips(layer, heads, strip):
                if factors is not None:
                    block.weights.mul_(factors.of(block, heads, strip))
                by_key, keys = block.weights.mT, block.keys
                wanted = range(keys.start, keys.stop)
                cells.gather(by_key, wanted, into[block.heads, :, block.queries], add=True)
            done = min(1.0, (start + size) / count)
            yield (some.start + (some.stop - some.start) * done) / layer.num_heads
        tall = [summed[..., span.start : span.stop].mean(2) for span in spans]
        found.append(torch.stack(tall, 1) / sizes)
    return torch.cat(found)


def weight_strips(layer: LayerTensors, heads: Axis, queries: Axis) -> Iterator[WeightBlock]:
    """Yield the weights of a strip block by block; keys lie in rows of memory: ``weights.mT`` is read fastest."""
    stats = None if layer.has_matrices else row_stats(layer, heads, queries)
    if stats is None or stats.uniform is not None:
        yield from row_blocks(layer, heads, queries)
        return
    strip = ScoreStrip(layer, heads, queries)
    for part, hidden in strip.blocks(range(layer.n_key)):
        weights = strip.by_head(strip.weights(part, stats, hidden=hidden)).mT
        yield WeightBlock(slice(None), slice(None), slice(part.start, part.stop), weights)


Pool = Literal["max", "mean"]

# Up to this many query rows an overview reads every row; beyond it, about OVERVIEW_SAMPLE_ROWS evenly spaced ones, so
# that a thumbnail of a very long input costs no more than that of an 8,192-token one. A lone bright query can be
# missed there; keys never are.
OVERVIEW_EXACT_ROWS = 8192

OVERVIEW_SAMPLE_ROWS = 2048


def overview_rows(num_queries: int, size: int) -> list[range | tuple[int, ...]]:
    """Return the query rows that each row of an overview of ``size`` looks at."""
    height = min(size, num_queries)
    if num_queries <= OVERVIEW_EXACT_ROWS:
        return list(adaptive_bins(num_queries, height))
    share = max(1, OVERVIEW_SAMPLE_ROWS // height)
    return [_spaced(rows, share) for rows in adaptive_bins(num_queries, height)]


def _spaced(rows: range, count: int) -> tuple[int, ...]:
    count = min(count, len(rows))
    return tuple(rows[(2 * place + 1) * len(rows) // (2 * count)] for place in range(count))


@dataclass(frozen=True, slots=True, eq=False)
class LayerSummary:
    """What one pass over a layer's weights gives of every head.

    Attributes:
        pooled: Max-pooled, float32 ``[head, min(size, n_query), min(size, n_key)]``.
        top: ``[query, key, weight]`` of the strongest link, float64 ``[head, 3]``. The first key is left out when there
            are others: in most causal heads it is the sink, and every head would name it.
        first_key: Mean weight on the first key over all queries but the first, float32 ``[head]``.
        sharp: What `summary_slices` was asked to find besides.
    """

    pooled: Tensor
    top: Tensor
    first_key: Tensor
    sharp: SharpLinks | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SharpLinks:
    """The sharpest link of each head among those that count, and how its weight lies; see `Aside`.

    Attributes:
        query: The query of the link, int64 ``[head]``.
        weight: Its weight, float32 ``[head]``; 0 where nothing counts.
        near: Mean weight on the key before, at and after the query, over the queries that count and have such a key,
            float32 ``[head, 3]``; 0 where queries and keys are different sequences.
        largest: Mean of the largest weight of each query that counts, float32 ``[head]``.
    """

    query: Tensor
    weight: Tensor
    near: Tensor
    largest: Tensor


def overview_slices(
    layer: LayerTensors, size: int, factors: Factors | None = None, pool: Pool = "max"
) -> Slices[Tensor]:
    """Return every head pooled, float32 ``[head, min(size, n_query), min(size, n_key)]``, in slices.

    Args:
        layer: The layer.
        size: Largest number of rows and of columns.
        factors: By what weights are multiplied first.
        pool: What a cell holds: the largest of its weights, or their mean.
    """
    if pool == "mean":
        layout = OverviewBins.of(layer, size)
        return mean_cells(layer, layout.queries, layout.spans, layout.columns, factors)
    return _overview(layer, size, factors)


def _overview(layer: LayerTensors, size: int, factors: Factors | None) -> Slices[Tensor]:
    return (yield from summary_slices(layer, size, factors)).pooled


def summary(layer: LayerTensors, size: int, factors: Factors | None = None) -> LayerSummary:
    """Read every head once; beyond ``OVERVIEW_EXACT_ROWS`` query rows, an even sample of them."""
    return finish(summary_slices(layer, size, factors))


def summary_slices(
    layer: LayerTensors, size: int, factors: Factors | None = None, aside: Aside | None = None
) -> Slices[LayerSummary]:
    """Return `summary` as a computation in slices.

    Args:
        layer: The layer.
        size: Largest number of rows and of columns.
        factors: By what weights are multiplied first.
        aside: Links that do not count; with it, `SharpLinks` are found by the way.
    """
    return within(layer, _summary(layer, size, factors, aside))


def _summary(
    layer: LayerTensors, size: int, factors: Factors | None, aside: Aside | None
) -> Slices[LayerSummary]:
    layout = OverviewBins.of(layer, size)
    every = Axis(range(layer.num_heads))
    found = []
    for some in head_groups(layer, every, len(layout.queries)):
        work = _summary_of_heads(layer, every.part(some.start, some.stop), layout, factors, aside)
        share = some.start / layer.num_heads, some.stop / layer.num_heads
        found.append((yield from share_of(work, *share)))
    pooled, top, first_key, *near = (torch.cat(tensors) for tensors in zip(*found, strict=True))
    sharp = None if aside is None else _sharp(near[0], layout.queries, aside, layer.n_key)
    return LayerSummary(pooled, top, first_key, sharp)


def sharp_links(layer: LayerTensors, queries: Axis, aside: Aside) -> SharpLinks:
    """Return the sharpest links of some queries, of rows that are read for it."""
    cells = AsideCells(Bins([range(layer.n_key)]), aside)
    size = current_sizes().strip_queries
    found = []
    for some in head_groups(layer, Axis(range(layer.num_heads)), len(queries)):
        heads = Axis(range(some.start, some.stop))
        strips = [
            pooled(layer, heads, queries.part(start, start + size), cells, keep=False)
            for start in range(0, len(queries), size)
        ]
        found.append(torch.cat(strips, 2))
    return _sharp(torch.cat(found), queries, aside, layer.n_key)


def _nearby(held: Tensor) -> Tensor:
    """Return the largest weight of all cells, and the cells that `AsideCells` puts after them."""
    last = len(NEAR) + 1
    return torch.cat([held[:, :-last].amax(1, keepdim=True), held[:, -last:]], 1)


def _sharp(held: Tensor, queries: Axis, aside: Aside, n_key: int) -> SharpLinks:
    """Return what is read from the cells of `AsideCells`, ``[head, cell, query]``."""
    at = queries.tensor(held.device)
    out = aside.queries.to(held.device)[at]
    # A head of NaN is the broadest of none.
    highest = held[:, : -1 - len(NEAR)].amax(1).nan_to_num(nan=torch.inf)
    count = (~out).sum().clamp(min=1)
    largest = highest.masked_fill(out, 0.0).sum(1) / count
    weight, place = held[:, -1 - len(NEAR)].nan_to_num(nan=-1.0).masked_fill(out, -1.0).max(1)
    near = torch.zeros((len(held), len(NEAR)), device=held.device)
    if aside.offset is not None:
        for number, step in enumerate(NEAR):
            key = at + aside.offset + step
            some = ~out & (key >= 0) & (key < n_key)
            rows = held[:, number - len(NEAR)].nan_to_num().masked_fill(~some, 0.0)
            near[:, number] = rows.sum(1) / some.sum().clamp(min=1)
    return SharpLinks(at[place], weight.clamp(min=0), near, largest)


@dataclass(frozen=True, slots=True, eq=False)
class OverviewBins:
    """Which queries of a layer are read for an overview, and the bins of queries and keys.

    Attributes:
        queries: The queries that are read.
        spans: Where those of each row of the overview stand among them; neighbouring rows may share one.
        cells: The keys of each column; the first key has a cell of its own, before the others.
        alone: Whether every key has a cell of its own.
        columns: The keys of each column.
    """

    queries: Axis
    spans: list[range]
    cells: Cells
    alone: bool
    columns: list[range]

    @classmethod
    def of(cls, layer: LayerTensors, size: int) -> OverviewBins:
        """Lay out an overview of ``size``."""
        parts = overview_rows(layer.n_query, size)
        queries = sorted({query for part in parts for query in part})
        place = {query: at for at, query in enumerate(queries)}
        spans = [range(place[part[0]], place[part[-1]] + 1) for part in parts]
        exact = len(queries) == layer.n_query
        axis = Axis(range(layer.n_query)) if exact else Axis(tuple(queries))
        columns = adaptive_bins(layer.n_key, min(size, layer.n_key))
        if layer.n_key <= size:
            return cls(axis, spans, Even(range(layer.n_key), 1), alone=True, columns=columns)
        split = [range(1), range(1, columns[0].stop)]
        return cls(axis, spans, Bins([*split, *columns[1:]]), alone=False, columns=columns)

    def highest(self, cells: Tensor) -> Tensor:
        """Bring ``[head, row, cell]`` to the columns of the overview."""
        if self.alone:
            return cells
        cells[..., 1] = torch.maximum(cells[..., 0], cells[..., 1])
        return cells[..., 1:]


def _summary_of_heads(
    layer: LayerTensors,
    heads: Axis,
    layout: OverviewBins,
    factors: Factors | None,
    aside: Aside | None,
) -> Slices[tuple[Tensor, ...]]:
    size = current_sizes().strip_queries
    count = len(layout.queries)
    cells = layout.cells if aside is None else AsideCells(layout.cells, aside)
    held = torch.empty((len(heads), len(cells), count), device=layer.device)
    for start in range(0, count, size):
        queries = layout.queries.part(start, start + size)
        # Statistics of a sample are not asked for again.
        strip = pooled(layer, heads, queries, cells, factors=factors, keep=count == layer.n_query)
        held[:, :, start : start + len(queries)] = strip
        yield min(1.0, (start + size) / count)
    near = () if aside is None else (_nearby(held),)
    held = held[:, : len(layout.cells)]
    rows = torch.stack([held[..., span.start : span.stop].amax(2) for span in layout.spans], 1)
    skip = min(1, layer.n_key - 1)
    strongest = held[:, skip:].nan_to_num(nan=-1.0)
    highest, row = strongest.amax(1).max(1)
    query = layout.queries.tensor(layer.device)[row]
    if layout.alone:
        places = torch.arange(len(heads), device=layer.device)
        key = strongest[places, :, row].argmax(1) + skip
    else:
        key = _strongest_keys(layer, heads, query, skip, factors)
    top = torch.stack([query.double(), key.double(), highest.clamp(min=0).double()], 1)
    # The first query often sees the first key only.
    on_first = held[:, 0, 1:] if count > 1 else held[:, 0]
    return layout.highest(rows), top, on_first.nan_to_num().mean(1), *near


def _strongest_keys(
    layer: LayerTensors, heads: Axis, queries: Tensor, skip: int, factors: Factors | None
) -> Tensor:
    """Return the key that each head gives most in a query of its own, int64 ``[head]``; ``skip`` keys do not count."""
    if layer.has_matrices:
        rows = [
            whole_heads(layer, heads.part(at, at + 1))[0, queries[at]] for at in range(len(heads))
        ]
        found = torch.stack(rows).float()
        found = found if factors is None else found * _factors_of(factors, heads, queries, layer)
    else:
        found = score_rows(layer, heads, queries)
        # Rows in which all is masked are spread evenly.
        found = torch.where((found == -torch.inf).all(1, keepdim=True), 0.0, found)
        if factors is not None:
            found = found + _factors_of(factors, heads, queries, layer).log()
    return found[:, skip:].nan_to_num(nan=-torch.inf, neginf=-torch.inf).argmax(1) + skip


def _factors_of(factors: Factors, heads: Axis, queries: Tensor, layer: LayerTensors) -> Tensor:
    """Return the factors of one row of each head, float32 ``[head, key]``."""
    keys = Axis(range(layer.n_key))
    if not factors.by_query:
        return factors.block(heads, Axis(range(1)), keys)[:, 0]
    rows = [
        factors.block(heads.part(at, at + 1), Axis((int(query),)), keys)[0, 0]
        for at, query in enumerate(queries.tolist())
    ]
    return torch.stack(rows)


def sampled_rows(num_queries: int, size: int, most: int) -> tuple[list[int], list[int]]:
    """Return which queries are read, ascending, and of each row of an overview which of them it shows.

    Of each row of the overview the query in its middle; with fewer of them neighbouring rows show the same one.

    Args:
        num_queries: Number of queries.
        size: Largest number of rows of the overview.
        most: Queries that are read at most, 1 or more.
    """
    parts = adaptive_bins(num_queries, min(size, num_queries))
    groups = adaptive_bins(len(parts), min(len(parts), most))
    queries = [_middle(parts[_middle(group)]) for group in groups]
    # Neighbouring rows may share a query: each shows the one that is nearest.
    read = torch.tensor(queries)
    middles = torch.tensor([_middle(part) for part in parts])
    shown: list[int] = (read - middles[:, None]).abs().argmin(1).tolist()
    return queries, shown


def sampled_overview(layer: LayerTensors, size: int, most: int) -> Tensor:
    """Return every head with each row of the overview pooled from one query, over all keys.

    What is read of these rows is not kept: the overview of all rows reads them again.

    Args:
        layer: The layer.
        size: Largest number of rows and of columns.
        most: Queries that are read at most.

    Returns:
        float32 ``[head, min(size, n_query), min(size, n_key)]``: where each row has a query of its own, nowhere larger
        than in the overview of all rows.
    """
    queries, shown = sampled_rows(layer.n_query, size, most)
    read, cells = Axis(tuple(queries)), Bins(adaptive_bins(layer.n_key, min(size, layer.n_key)))
    step = current_sizes().strip_queries
    found = []
    with computing(layer):
        for some in head_groups(layer, Axis(range(layer.num_heads)), len(queries)):
            heads = Axis(range(some.start, some.stop))
            strips = [
                pooled(layer, heads, read.part(start, start + step), cells, keep=False)
                for start in range(0, len(queries), step)
            ]
            found.append(torch.cat(strips, 2))
    rows = torch.cat(found).mT
    return rows[:, torch.tensor(shown, device=rows.device)]


def _middle(rows: range) -> int:
    return rows[len(rows) // 2]
