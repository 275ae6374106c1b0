"""What whole rows of weights come to, read strip by strip and kept: the softmax denominators of a layer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

from attnwidget.rows import row_blocks, weight_rows
from attnwidget.selection import Axis
from attnwidget.slices import finish, within
from attnwidget.strips import STRIP, Strip, Totals, exp_, head_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attnwidget.cells import Cells
    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

__all__ = ["RowCache", "pooled", "read", "row_cache"]

_HIDDEN = -torch.inf


class RowCache:
    """The totals of a layer's rows: each row is read once, when a block first asks for it.

    Holds a maximum and a total per head and query, 8 bytes, instead of their log-sum-exp: subtracting the maximum
    first keeps the last bits. Safe to use from several threads.
    """

    __slots__ = ("_held", "_lock", "_uniform")

    def __init__(self) -> None:
        """Start without any row."""
        self._lock = threading.Lock()
        # Of each head maximum and total, [2, query]; a total of 0 is one that is not known.
        self._held: dict[int, Tensor] = {}
        # Of each head that has any, which rows are uniform.
        self._uniform: dict[int, Tensor] = {}

    def __reduce__(self) -> tuple[type[RowCache], tuple[()]]:
        # A copy starts empty: a lock can be neither copied nor pickled, and what is missing is read again.
        return RowCache, ()

    def known(self, heads: Axis, queries: Axis) -> Totals | None:
        """Return the totals of some rows if all of them are known."""
        with self._lock:
            held = [self._held.get(head) for head in heads.indices]
            if any(each is None for each in held):
                return None
            taken = torch.stack([queries.take(each, 1) for each in held if each is not None], 1)
            if bool((taken[1] == 0).any()):
                return None
            uniform = None
            if any(head in self._uniform for head in heads.indices):
                nothing = torch.zeros(taken.shape[2], dtype=torch.bool, device=taken.device)
                parts = [self._uniform.get(head) for head in heads.indices]
                uniform = torch.stack(
                    [nothing if part is None else queries.take(part, 0) for part in parts]
                )
        if uniform is not None and not bool(uniform.any()):
            uniform = None
        return Totals(taken[0], taken[1], uniform)

    def keep(self, layer: Layer, heads: Axis, queries: Axis, totals: Totals) -> None:
        """Keep the totals of some rows."""
        at = queries.tensor(layer.device)
        with self._lock:
            for place, head in enumerate(heads.indices):
                if head not in self._held:
                    self._held[head] = torch.zeros(
                        (2, layer.n_query), dtype=torch.float32, device=layer.device
                    )
                self._held[head][0, at] = totals.maximum[place]
                self._held[head][1, at] = totals.total[place]
                if totals.uniform is not None and bool(totals.uniform[place].any()):
                    nothing = torch.zeros(layer.n_query, dtype=torch.bool, device=layer.device)
                    self._uniform.setdefault(head, nothing)[at] = totals.uniform[place]

    def slices(self, layer: Layer, heads: Axis, queries: Axis) -> Slices[None]:
        """Read the rows that are not known yet, so that `known` finds them; in slices."""
        return within(layer, self._read(layer, heads, queries))

    def rows(self, layer: Layer, heads: Axis, queries: Axis) -> Totals:
        """Return the totals of some rows."""
        known = self.known(heads, queries)
        if known is None:
            finish(self.slices(layer, heads, queries))
            known = self.known(heads, queries)
        if known is None:
            message = "rows that were just read are not known"
            raise RuntimeError(message)
        return known

    def _read(self, layer: Layer, heads: Axis, queries: Axis) -> Slices[None]:
        heads, queries = _ascending(heads.indices), _ascending(queries.indices)
        for some in head_groups(layer, heads, len(queries)):
            group = heads.part(some.start, some.stop)
            missing = self._missing(group, queries)
            for start in range(0, len(missing), STRIP):
                strip = Strip(layer, group, missing.part(start, start + STRIP))
                self.keep(layer, group, strip.queries, read(strip)[0])
                done = min(1.0, (start + STRIP) / len(missing))
                yield (some.start + (some.stop - some.start) * done) / len(heads)

    def _missing(self, heads: Axis, queries: Axis) -> Axis:
        """Return the queries of which any of the heads' rows is not known."""
        with self._lock:
            held = [self._held.get(head) for head in heads.indices]
            if any(each is None for each in held):
                return queries
            unknown = [queries.take(each[1], 0) == 0 for each in held if each is not None]
            places = torch.stack(unknown).any(0).nonzero()[:, 0].tolist()
        return _ascending([queries.indices[place] for place in places])


def row_cache(layer: Layer) -> RowCache:
    """Return what a layer keeps of its rows."""
    return layer._rows  # noqa: SLF001  (no business of those who use a layer)


def pooled(
    layer: Layer,
    heads: Axis,
    queries: Axis,
    cells: Cells,
    *,
    lengths: Tensor | None = None,
    keep: bool = True,
) -> Tensor:
    """Return the largest weight in each cell of keys for a strip of queries, float32 ``[head, cell, query]``.

    Args:
        layer: The layer.
        heads: A run of heads as `head_groups` makes it; any of a layer of recorded weights.
        queries: At most `strips.STRIP` of them, ascending.
        cells: The cells.
        lengths: ``[head, key]``, by which weights are multiplied first.
        keep: Whether the layer keeps what rows come to that were not known.
    """
    if layer.recorded is not None:
        return _pooled_rows(layer, heads, queries, cells, lengths)
    cache = row_cache(layer)
    strip = Strip(layer, heads, queries)
    totals = cache.known(heads, queries)
    found: Tensor | None = None
    if totals is None:
        whole = cells.keys == range(layer.n_key)
        totals, found = read(strip, cells if whole else None, lengths)
        if keep:
            cache.keep(layer, heads, queries, totals)
    if totals.uniform is not None:
        return _pooled_rows(layer, heads, queries, cells, lengths)
    if found is None:
        found = _pooled_scores(strip, cells, lengths)
    found = exp_(found.sub_(strip.flat(totals.maximum))).div_(strip.flat(totals.total))
    return strip.by_head(found)


def _pooled_scores(strip: Strip, cells: Cells, lengths: Tensor | None) -> Tensor:
    """Return the largest score in each cell, the logarithm of the length added."""
    found = strip.empty(len(cells), _HIDDEN)
    for keys, hidden in strip.blocks(cells.keys, cells.grain):
        block = strip.scores(keys, hidden=hidden)
        if lengths is not None:
            block.add_(strip.by_key(lengths, keys).log())
        cells.gather(block, keys, found)
    return found


def read(
    strip: Strip, cells: Cells | None = None, lengths: Tensor | None = None
) -> tuple[Totals, Tensor | None]:
    """Read the rows of a strip once.

    Args:
        strip: The strip.
        cells: Cells of all keys.
        lengths: ``[head, key]``.

    Returns:
        The totals, and the largest score in each cell as `_pooled_scores` gives it.
    """
    found = None if cells is None else strip.empty(len(cells), _HIDDEN)
    maximum, total = strip.empty(1, _HIDDEN), strip.empty(1, 0.0)
    for keys, hidden in strip.blocks(range(strip.layer.n_key), 1 if cells is None else cells.grain):
        block = strip.scores(keys, hidden=hidden)
        if cells is None or found is None:
            highest = block.amax(1, keepdim=True)
        elif lengths is None:
            touched = cells.gather(block, keys, found)
            highest = found[:, touched].amax(1, keepdim=True)
        else:
            cells.gather(block + strip.by_key(lengths, keys).log(), keys, found)
            highest = block.amax(1, keepdim=True)
        before, maximum = maximum, torch.maximum(maximum, highest)
        # Of rows that have seen nothing yet exp(-inf - 0) is 0, where -inf - -inf would be NaN.
        offset = maximum.masked_fill(maximum == _HIDDEN, 0.0)
        total = total.mul_(exp_(before.sub_(offset)))
        total.add_(exp_(block.sub_(offset)).sum(1, keepdim=True))
    return _totals(strip, maximum, total), found


def _totals(strip: Strip, maximum: Tensor, total: Tensor) -> Totals:
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
        return _plain_totals(strip)
    return Totals(maximum.masked_fill(maximum == _HIDDEN, 0.0), total.masked_fill(total == 0, 1.0))


def _plain_totals(strip: Strip) -> Totals:
    """Return the totals of a strip in which rows have every key masked: their softmax needs the bias as it is."""
    shape = (len(strip.heads), len(strip.queries))
    device = strip.layer.device
    maximum = torch.zeros(shape, device=device)
    total = torch.ones(shape, device=device)
    uniform = torch.zeros(shape, dtype=torch.bool, device=device)
    for rows in weight_rows(strip.layer, strip.heads, strip.queries):
        maximum[rows.heads, rows.queries] = rows.maximum[..., 0]
        total[rows.heads, rows.queries] = rows.total[..., 0]
        uniform[rows.heads, rows.queries] = rows.uniform[..., 0]
    return Totals(maximum, total, uniform if bool(uniform.any()) else None)


def _pooled_rows(
    layer: Layer, heads: Axis, queries: Axis, cells: Cells, lengths: Tensor | None
) -> Tensor:
    """Return `pooled` from whole rows: of recorded weights, or where rows are uniform."""
    shape = (len(heads), len(cells), len(queries))
    found = torch.full(shape, _HIDDEN, dtype=torch.float32, device=layer.device)
    wanted = cells.keys
    for some, rows, keys, weights in row_blocks(layer, heads, queries):
        if lengths is not None:
            weights.mul_(heads.take(lengths, 0)[some, None, keys])
        whole = weights.new_zeros((weights.shape[0], layer.n_key, weights.shape[1]))
        whole[:, keys] = weights.mT
        cells.gather(whole[:, wanted.start : wanted.stop], wanted, found[some, :, rows])
    return found


def _ascending(indices: Sequence[int]) -> Axis:
    """Return indices in order and once each, as a range where they run without a gap."""
    numbers = sorted(set(indices))
    if numbers and len(numbers) == numbers[-1] - numbers[0] + 1:
        return Axis(range(numbers[0], numbers[-1] + 1))
    return Axis(tuple(numbers))
