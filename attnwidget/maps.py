"""Maps of whole heads, kept from one tile to the next: zooming in does not pay for the head again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from attnwidget.cells import Even
from attnwidget.finding.measures import lengths
from attnwidget.selection import Axis
from attnwidget.strips import STRIP
from attnwidget.totals import pooled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

    Numbers = NDArray[np.float32]

__all__ = ["Map", "Maps", "kept_level", "pool_down"]

# Cells of a map: 16 MB in float32.
_MOST_CELLS = 1 << 22
# Finer than this no map is kept: such tiles are read fast enough from query and key.
_FINEST = 4


def kept_level(layer: Layer) -> int:
    """Return the level of which a map is kept; a cell is ``2 ** level`` queries by as many keys."""
    level = _FINEST
    while -(-layer.n_query >> level) * -(-layer.n_key >> level) > _MOST_CELLS:
        level += 1
    return level


class Map:
    """A whole head in cells of `kept_level`, as far as it was read.

    Attributes:
        cells: float32 ``[row, column]``.
    """

    def __init__(self, layer: Layer, head: int, measure: str) -> None:
        """Start without any row.

        Raises:
            ValueError: If the layer cannot give the measure.
        """
        self._layer, self._head = layer, Axis(range(head, head + 1))
        self._lengths = lengths(layer, measure)
        self._level = kept_level(layer)
        self._keys = Even(range(layer.n_key), 1 << self._level)
        shape = (-(-layer.n_query >> self._level), len(self._keys))
        self.cells = torch.zeros(shape, dtype=torch.float32, device=layer.device)
        self._known = [False] * shape[0]

    def tile(self, level: int, queries: range, keys: range) -> Slices[Numbers]:
        """Return the largest of cells of a level that is not below the map's, float32 ``[row, column]``."""
        rows = range(queries.start >> self._level, -(-queries.stop >> self._level))
        yield from self._read(rows)
        part = self.cells[rows.start : rows.stop]
        part = part[:, keys.start >> self._level : -(-keys.stop >> self._level)]
        count = 1 << (level - self._level)
        array: Numbers = pool_down(pool_down(part, count).T, count).T.cpu().numpy()
        return array

    def _read(self, rows: range) -> Slices[None]:
        """Read those of the rows that were not read, strip by strip."""
        cell = 1 << self._level
        count = max(1, STRIP // cell)
        for start in range(rows.start, rows.stop, count):
            some = range(start, min(rows.stop, start + count))
            if not all(self._known[row] for row in some):
                queries = range(some.start * cell, min(self._layer.n_query, some.stop * cell))
                found = pooled(
                    self._layer, self._head, Axis(queries), self._keys, lengths=self._lengths
                )
                self.cells[some.start : some.stop] = pool_down(found[0].T, cell)
                self._known[some.start : some.stop] = [True] * len(some)
                yield (some.stop - rows.start) / len(rows)


class Maps:
    """The maps of heads that are kept, up to a number of bytes.

    One for a record is enough; tiles asked for with it share what they have read. Safe to use from several threads.
    """

    def __init__(self, budget: int = 64 << 20) -> None:
        """Start without any.

        Args:
            budget: Bytes that are kept; the maps used longest ago go first, the last one stays however large.
        """
        self._budget = budget
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[Layer, int, str], Map] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        return sum(kept.cells.nbytes for kept in self._held.values())

    def of(self, layer: Layer, head: int, measure: str) -> Map:
        """Return the map of a head, which may have no row yet.

        Raises:
            ValueError: If the layer cannot give the measure.
        """
        key = layer, head, measure
        with self._lock:
            if key not in self._held:
                self._held[key] = Map(layer, head, measure)
            self._held.move_to_end(key)
            while len(self._held) > 1 and self.nbytes > self._budget:
                self._held.popitem(last=False)
            return self._held[key]


def pool_down(rows: Tensor, count: int) -> Tensor:
    """Return the largest of every ``count`` rows; the last ones may be fewer."""
    if count == 1:
        return rows
    whole = len(rows) // count * count
    parts = [rows[:whole].reshape(-1, count, rows.shape[1]).amax(1)]
    if whole < len(rows):
        parts.append(rows[whole:].amax(0, keepdim=True))
    return torch.cat(parts)
