"""Zoomable map of one head: max-pooled tiles per level, and the kept coarse map they are cut from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.checks import integer
from attnwidget.compute.indexing import Axis, head_axis
from attnwidget.compute.measures import pooled_factors
from attnwidget.compute.online_softmax import pooled
from attnwidget.compute.pooling import Even, larger, max_pool_cells, max_pool_rows
from attnwidget.compute.resumable import finish, share_of, within
from attnwidget.protocol.constants import TILE_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.resumable import Slices

    Numbers = NDArray[np.float32]

__all__ = [
    "Map",
    "Maps",
    "kept_level",
    "larger_of",
    "read_cells",
    "tile",
    "tile_slices",
    "tile_span",
    "top_level",
]

# Cells of a map: 16 MB in float32.
_MOST_CELLS = 1 << 22

# Finer than this no map is kept: such tiles are read fast enough from query and key.
_FINEST = 4


def kept_level(layer: LayerTensors) -> int:
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

    def __init__(self, layer: LayerTensors, head: int, factors: Factors | None) -> None:
        """Start without any row.

        Args:
            layer: The layer.
            head: The head.
            factors: By what its weights are multiplied first; not negative.
        """
        self._layer, self._head = layer, Axis(range(head, head + 1))
        self._factors = factors
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
        array: Numbers = max_pool_cells(part, count).cpu().numpy()
        return array

    def _read(self, rows: range) -> Slices[None]:
        """Read those of the rows that were not read, strip by strip."""
        cell = 1 << self._level
        count = max(1, current_sizes().strip_queries // cell)
        for start in range(rows.start, rows.stop, count):
            some = range(start, min(rows.stop, start + count))
            if not all(self._known[row] for row in some):
                queries = range(some.start * cell, min(self._layer.n_query, some.stop * cell))
                found = pooled(
                    self._layer, self._head, Axis(queries), self._keys, factors=self._factors
                )
                self.cells[some.start : some.stop] = max_pool_rows(found[0].T, cell)
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
        self._held: OrderedDict[tuple[LayerTensors, int, str, int], Map] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        return sum(kept.cells.nbytes for kept in self._held.values())

    def of(self, layer: LayerTensors, head: int, measure: str, sign: int = 1) -> Map:
        """Return the map of a head, which may have no row yet: of what has this sign in the measure.

        Raises:
            ValueError: If the layer cannot give the measure.
        """
        key = layer, head, measure, sign
        with self._lock:
            if key not in self._held:
                self._held[key] = Map(layer, head, pooled_factors(layer, measure)[sign])
            self._held.move_to_end(key)
            while len(self._held) > 1 and self.nbytes > self._budget:
                self._held.popitem(last=False)
            return self._held[key]


def tile_span(place: int, level: int, length: int) -> range:
    """Return the positions along an axis of ``length`` that a row or column of tiles covers.

    Args:
        place: Which row or column of tiles.
        level: A cell is ``2 ** level`` positions.
        length: Positions on the axis.

    Raises:
        ValueError: If there is no such tile.
    """
    side = TILE_SIZE << level
    if not 0 <= place * side < max(1, length):
        message = f"there is no tile {place} at level {level}: {length} positions make {-(-length // side)}."
        raise ValueError(message)
    return range(place * side, min(length, (place + 1) * side))


def top_level(n_query: int, n_key: int) -> int:
    """Return the level at which one tile holds a whole head."""
    level = 0
    while TILE_SIZE << level < max(n_query, n_key):
        level += 1
    return level


def tile(
    layer: LayerTensors,
    head: int,
    level: int,
    place: Sequence[int],
    measure: str = "weights",
    *,
    maps: Maps | None = None,
) -> Numbers:
    """Return one tile of a head, float32 ``[row, column]``: the largest of each cell, exact at level 0.

    Of a measure with both signs the one of largest size, with its sign.

    Args:
        layer: The layer.
        head: The head.
        level: A cell is ``2 ** level`` queries by as many keys.
        place: Row and column of the tile among those of the level.
        measure: What is pooled, as for `Layer.measure`.
        maps: Where what was read is kept for other tiles.

    Raises:
        ValueError: If there is no such tile, or the layer cannot give the measure.
    """
    return finish(tile_slices(layer, head, level, place, measure, maps=maps))


def tile_slices(
    layer: LayerTensors,
    head: int,
    level: int,
    place: Sequence[int],
    measure: str = "weights",
    *,
    maps: Maps | None = None,
) -> Slices[Numbers]:
    """Return `tile` as a computation in slices; arguments and errors are the same, the latter come first."""
    number = integer(level)
    # A cell of the last one is the whole head: nothing is coarser.
    last = max(layer.n_query, layer.n_key, 1).bit_length()
    if number is None or not 0 <= number <= last:
        message = f"level must be an integer in 0..{last}, got {level!r}."
        raise ValueError(message)
    queries = tile_span(place[0], number, layer.n_query)
    keys = tile_span(place[1], number, layer.n_key)
    heads = Axis(head_axis(head, layer.num_heads).indices)
    kept = maps or Maps()
    work: dict[int, Slices[Numbers]] = {}
    for sign, factors in pooled_factors(layer, measure).items():
        if number < kept_level(layer):
            work[sign] = read_cells(layer, heads, number, (queries, keys), factors)
        else:
            held = kept.of(layer, heads.indices[0], measure, sign)
            work[sign] = held.tile(number, queries, keys)
    return within(layer, larger_of(work))


def larger_of(work: Mapping[int, Slices[Numbers]]) -> Slices[Numbers]:
    """Compute what cells hold of each sign, one after the other, and return the larger with its sign; see `larger`.

    Args:
        work: What computes them, by 1 and -1.
    """
    found: dict[int, Numbers] = {}
    for place, (sign, one) in enumerate(work.items()):
        found[sign] = yield from share_of(one, place / len(work), (place + 1) / len(work))
    return larger(found)


def read_cells(
    layer: LayerTensors,
    heads: Axis,
    level: int,
    spans: tuple[range, range],
    factors: Factors | None,
) -> Slices[Numbers]:
    """Read cells of some queries and keys of one head from query and key; queries that see no key are not read.

    Args:
        layer: The layer.
        heads: The head.
        level: A cell is ``2 ** level`` queries by as many keys.
        spans: The queries and the keys.
        factors: By what weights are multiplied first; not negative.
    """
    queries, keys = spans
    cell = 1 << level
    cells = Even(keys, cell)
    found = torch.zeros((-(-len(queries) // cell), len(cells)), device=layer.device)
    count = max(current_sizes().strip_queries, cell)
    for start in range(queries.start, queries.stop, count):
        strip = range(start, min(queries.stop, start + count))
        if _sees(layer, strip, keys):
            columns = pooled(layer, heads, Axis(strip), cells, factors=factors)[0]
            row = (strip.start - queries.start) // cell
            rows = max_pool_rows(columns.T, cell)
            found[row : row + len(rows)] = rows
        yield (strip.stop - queries.start) / len(queries)
    array: Numbers = found.cpu().numpy()
    return array


def _sees(layer: LayerTensors, queries: range, keys: range) -> bool:
    """Tell whether the band lets any of the queries see any of the keys."""
    if layer.band is None or layer.recorded is not None:
        return True
    span = layer.band.span(queries.start, queries.stop - 1, layer.n_key)
    return max(span.start, keys.start) < min(span.stop, keys.stop)
