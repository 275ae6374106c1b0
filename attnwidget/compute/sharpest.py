"""The sharpest link of each head, with some keys and each query's neighbours set aside, found while weights are pooled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.pooling import Cells

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.compute.indexing import Axis


__all__ = ["NEAR", "Aside", "AsideCells"]

# Where the keys that stand near a query are, counted from its own position.
NEAR = (-1, 0, 1)
_HIDDEN = -torch.inf
# Blocks of a layer are so many at most; with more of them nothing is gained by keeping.
_KEPT = 128


@dataclass(frozen=True, slots=True, eq=False)
class Aside:
    """Which links do not count.

    Attributes:
        keys: Keys that are set aside for all queries, boolean ``[key]`` on the CPU.
        queries: Queries that are set aside, such as padding, boolean ``[query]`` on the CPU.
        offset: Where query 0 stands among the keys: keys at most one position away from a query's own are set aside.
            None where queries and keys are different sequences.
        known: What was found out for blocks; see `AsideCells.marked`.
    """

    keys: Tensor
    queries: Tensor
    offset: int | None
    known: dict[tuple[object, ...], _Marked] = field(default_factory=dict)

    def links(self, weights: Tensor, queries: Axis) -> Tensor:
        """Return rows of weights ``[…, query, key]`` with -1 in the place of links that do not count."""
        at = queries.tensor(weights.device)
        out = self.keys.to(weights.device)[None] | self.queries.to(weights.device)[at][:, None]
        if self.offset is not None:
            apart = torch.arange(weights.shape[-1], device=weights.device) - at[:, None]
            out = out | ((apart - self.offset).abs() <= NEAR[-1])
        return weights.nan_to_num(nan=-1.0).masked_fill(out, -1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Marked:
    """What is set aside of a block.

    Attributes:
        rows: Rows of the keys that are set aside for all queries.
        near: Row and column of each key near a query, and which of `NEAR` it is; None where the block has none.
        cells: Of each way to count, the first or the last cell that a key is in: the cells of ``rows``, and where those of
            ``near`` lie in all cells of the block, one after the other.
    """

    rows: Tensor
    near: tuple[Tensor, Tensor, Tensor] | None
    cells: list[tuple[Tensor, Tensor | None]]


class AsideCells(Cells):
    """Cells of keys, and after them four more: the largest of what counts, and the keys before, at and after the query."""

    def __init__(self, cells: Cells, aside: Aside) -> None:
        """Put the four cells after others, which hold what they hold without them."""
        super().__init__(cells.keys, cells.grain)
        self.inner, self.aside = cells, aside

    def __len__(self) -> int:
        return len(self.inner) + 1 + len(NEAR)

    def at(self, queries: Axis, share: int, device: torch.device) -> Cells:
        """Return the cells for these queries, whose positions decide which keys are set aside; see `Cells`."""
        return _Placed(self, queries, share, device)

    def marked(self, queries: Axis, share: int, keys: range, device: torch.device) -> _Marked:
        """Return what is set aside of a block of these keys, the same for every layer and so kept."""
        known = self.aside.known
        name = queries.indices, share, keys, len(self.inner), device
        if name not in known:
            if len(known) >= _KEPT:
                known.clear()
            known[name] = self._mark(queries, share, keys, device)
        return known[name]

    def _mark(self, queries: Axis, share: int, keys: range, device: torch.device) -> _Marked:
        rows = self.aside.keys[keys.start : keys.stop].nonzero()[:, 0].to(device)
        near = _near(queries, share, keys, self.aside.offset, device)
        first, last = (
            one[keys.start - self.keys.start : keys.stop - self.keys.start].to(device)
            for one in self.inner.places
        )
        cells = []
        for places in (first,) if torch.equal(first, last) else (first, last):
            width = share * len(queries)
            flat = None if near is None else places[near[0]] * width + near[1]
            cells.append((places[rows], flat))
        return _Marked(rows, near, cells)


def _near(
    queries: Axis, share: int, keys: range, offset: int | None, device: torch.device
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return where the keys near the queries stand in a block; see `_Marked`."""
    if offset is None:
        return None
    own = (queries.tensor(device) + offset).repeat(share)
    at = torch.stack([own + step for step in NEAR]) - keys.start
    which, columns = ((at >= 0) & (at < len(keys))).nonzero(as_tuple=True)
    return (at[which, columns], columns, which) if len(which) else None


class _Placed(AsideCells):
    """The cells of some queries, whose positions decide which of their keys are set aside."""

    def __init__(self, cells: AsideCells, queries: Axis, share: int, device: torch.device) -> None:
        super().__init__(cells.inner, cells.aside)
        self._queries, self._share, self._device = queries, share, device

    def gather(self, block: Tensor, keys: range, into: Tensor, *, add: bool = False) -> slice:
        """Take a block; see `Cells`. What it holds is changed while it is read, and is as it was at the end."""
        if add:
            message = "what is set aside is left out of a largest value, not of a sum."
            raise ValueError(message)
        count = len(self.inner)
        marked = self.marked(self._queries, self._share, keys, self._device)
        rows, near = marked.rows, marked.near
        whole = block[:, rows]
        beside = None if near is None else block[:, near[0], near[1]]
        block[:, rows] = _HIDDEN
        if near is not None:
            block[:, near[0], near[1]] = _HIDDEN
        part = block.new_full((len(block), count, block.shape[2]), _HIDDEN)
        touched = self.inner.gather(block, keys, part)
        sharpest = into[:, count]
        torch.maximum(sharpest, part[:, touched].amax(1), out=sharpest)
        block[:, rows] = whole
        if near is not None and beside is not None:
            block[:, near[0], near[1]] = beside
            into[:, count + 1 + near[2], near[1]] = beside
        for cells, flat in marked.cells:
            if len(rows):
                index = cells[None, :, None].expand_as(whole)
                part.scatter_reduce_(1, index, whole, "amax")
            if flat is not None and beside is not None:
                part.view(len(part), -1).scatter_reduce_(1, flat.expand_as(beside), beside, "amax")
        here = into[:, touched]
        torch.maximum(here, part[:, touched], out=here)
        return touched
