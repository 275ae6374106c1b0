"""Pooling over bins of positions, even or adaptive: maximum of a whole array, maximum or sum of keys block by block."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.compute.indexing import Axis

__all__ = [
    "Bins",
    "Cells",
    "Even",
    "adaptive_bins",
    "larger",
    "largest_cells",
    "max_pool",
    "max_pool_cells",
    "max_pool_rows",
]

Array = TypeVar("Array", "NDArray[np.float32]", "NDArray[np.uint8]", "Tensor")

# Fewer bins than this in a block are taken one by one.
_FEW = 8


def adaptive_bins(length: int, count: int) -> list[range]:
    """Split ``length`` positions into ``count`` bins as ``torch.nn.functional.adaptive_max_pool2d`` does.

    Where ``count`` does not divide ``length``, neighbouring bins share a position.
    """
    return [
        range(place * length // count, -(-(place + 1) * length // count)) for place in range(count)
    ]


def max_pool(images: Array, size: int) -> Array:
    """Return ``[..., row, column]`` max-pooled over `adaptive_bins` to at most ``size`` rows and columns."""
    for axis in (-2, -1):
        length = images.shape[axis]
        if length > size:
            along: list[Any] = [slice(None)] * images.ndim
            parts = []
            for cell in adaptive_bins(length, size):
                along[axis] = slice(cell.start, cell.stop)
                parts.append(_largest(images[tuple(along)], axis, keep=True))
            images = _joined(parts, axis)
    return images


def max_pool_cells(matrix: Array, side: int) -> Array:
    """Return the largest of each cell of ``side`` rows and columns; the last ones may be smaller."""
    return max_pool_rows(max_pool_rows(matrix, side).T, side).T


def largest_cells(matrix: NDArray[np.float32], side: int, measure: str) -> NDArray[np.float32]:
    """Return what is of largest size in each cell of ``side`` rows and columns, with its sign.

    Args:
        matrix: Numbers ``[row, column]`` of a measure.
        side: Rows and columns of a cell.
        measure: Only ``"gradient"`` has negative numbers; of all others the largest is looked for.
    """
    if measure != "gradient" or side == 1:
        return max_pool_cells(matrix, side)
    return larger({sign: max_pool_cells(sign * matrix, side) for sign in (1, -1)})


def max_pool_rows(rows: Array, count: int) -> Array:
    """Return the largest of every ``count`` rows; the last ones may be fewer."""
    if count == 1:
        return rows
    whole = len(rows) // count * count
    parts = [_largest(rows[:whole].reshape(-1, count, rows.shape[1]), 1)]
    if whole < len(rows):
        parts.append(_largest(rows[whole:], 0, keep=True))
    pooled: Array = _joined(parts, 0)
    return pooled


def larger(by_sign: Mapping[int, Array]) -> Array:
    """Return the larger of what cells hold of each sign, with its sign; of one sign alone what there is of it.

    Args:
        by_sign: Sizes, by 1 and -1, of the same shape; see `attnwidget.compute.measures.pooled_factors`.
    """
    above = by_sign[1]
    if -1 not in by_sign:
        return above
    below = by_sign[-1]
    if isinstance(above, torch.Tensor):
        return torch.where(below > above, -below, above)
    found: Array = np.where(below > above, -below, above)
    return found


def _largest(images: Any, axis: int, *, keep: bool = False) -> Any:
    if isinstance(images, torch.Tensor):
        return images.amax(axis, keepdim=keep)
    return images.max(axis, keepdims=keep)


def _joined(parts: Sequence[Any], axis: int) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts), axis)
    return np.concatenate(parts, axis)


class Cells:
    """How keys are put together.

    Attributes:
        keys: The keys that are in any cell.
        grain: Blocks must begin at a multiple of so many keys after the first one.
    """

    def __init__(self, keys: range, grain: int) -> None:
        self.keys, self.grain = keys, grain

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """The first and the last cell that each of the keys is in, int64 ``[key]``."""
        raise NotImplementedError

    def at(self, queries: Axis, share: int, device: torch.device) -> Cells:
        """Return the cells for blocks of these queries, which stand there ``share`` times, one after the other."""
        del queries, share, device
        return self

    def gather(self, block: Tensor, keys: range, into: Tensor, *, add: bool = False) -> slice:
        """Take a block ``[group, key, query]`` of these keys into ``[group, cell, query]``.

        Args:
            block: What the keys hold.
            keys: Which keys they are; each is given once.
            into: Holds ``-inf`` at first, or 0 if things are added.
            add: Whether what a cell holds is added up, instead of the largest being kept.

        Returns:
            The cells that any of the keys is in.
        """
        raise NotImplementedError


class Even(Cells):
    """Cells of ``grain`` keys each; the last one may have fewer."""

    def __len__(self) -> int:
        return (len(self.keys) + self.grain - 1) // self.grain

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """Where each key is; see `Cells`."""
        found = torch.arange(len(self.keys)) // self.grain
        return found, found

    def gather(self, block: Tensor, keys: range, into: Tensor, *, add: bool = False) -> slice:
        """Take a block; see `Cells`."""
        cell = self.grain
        first = (keys.start - self.keys.start) // cell
        whole, left = divmod(len(keys), cell)
        take = torch.sum if add else torch.amax
        if cell == 1:
            into[:, first : first + whole] = block
        elif whole:
            cells = block[:, : whole * cell].view(len(block), whole, cell, -1)
            into[:, first : first + whole] = take(cells, 2)
        if left:
            into[:, first + whole] = take(block[:, whole * cell :], 1)
        return slice(first, first + whole + (left > 0))


class Bins(Cells):
    """Cells of as many keys as each wants, ascending; neighbours may share keys."""

    def __init__(self, bins: Sequence[range]) -> None:
        super().__init__(range(bins[0].start, bins[-1].stop), 1)
        self._starts = [each.start for each in bins]
        self._stops = [each.stop for each in bins]

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """Where each key is; see `Cells`."""
        keys = torch.arange(self.keys.start, self.keys.stop)
        first = torch.searchsorted(torch.tensor(self._stops), keys, right=True)
        return first, torch.searchsorted(torch.tensor(self._starts), keys, right=True) - 1

    def gather(self, block: Tensor, keys: range, into: Tensor, *, add: bool = False) -> slice:
        """Take a block; see `Cells`."""
        first = bisect_right(self._stops, keys.start)
        last = bisect_left(self._starts, keys.stop)
        if add or last - first < _FEW:
            for place in range(first, last):
                start = max(self._starts[place], keys.start) - keys.start
                stop = min(self._stops[place], keys.stop) - keys.start
                part, here = block[:, start:stop], into[:, place]
                if add:
                    here += part.sum(1)
                else:
                    torch.maximum(here, part.amax(1), out=here)
            return slice(first, last)
        # All bins at once: the keys of each side by side, the last one of the shorter ones again.
        starts = torch.tensor(self._starts[first:last]).clamp_(min=keys.start).sub_(keys.start)
        ends = torch.tensor(self._stops[first:last]).clamp_(max=keys.stop).sub_(keys.start + 1)
        width = int((ends - starts).max()) + 1
        index = torch.minimum(starts[:, None] + torch.arange(width), ends[:, None]).flatten()
        index = index.to(block.device)
        # Group by group, since whole rows of memory are copied faster so.
        parted = (group.index_select(0, index).view(last - first, width, -1) for group in block)
        highest = torch.stack([part.amax(1) for part in parted])
        here = into[:, first:last]
        torch.maximum(here, highest, out=here)
        return slice(first, last)
