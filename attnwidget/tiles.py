"""A head as a map: tiles of cells that each hold the largest weight of so many queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.cells import Even
from attnwidget.finding.measures import lengths
from attnwidget.maps import Maps, kept_level, pool_down
from attnwidget.selection import Axis, head_axis, integer
from attnwidget.slices import finish, within
from attnwidget.strips import STRIP
from attnwidget.totals import pooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

    Numbers = NDArray[np.float32]

__all__ = ["TILE", "Maps", "read_cells", "tile", "tile_slices", "tile_span"]

# Cells along a side of a tile; `TILE` in js/src/data/tiles.ts.
TILE = 256


def tile_span(place: int, level: int, length: int) -> range:
    """Return the positions along an axis of ``length`` that a row or column of tiles covers.

    Args:
        place: Which row or column of tiles.
        level: A cell is ``2 ** level`` positions.
        length: Positions on the axis.

    Raises:
        ValueError: If there is no such tile.
    """
    side = TILE << level
    if not 0 <= place * side < max(1, length):
        message = f"there is no tile {place} at level {level}: {length} positions make {-(-length // side)}."
        raise ValueError(message)
    return range(place * side, min(length, (place + 1) * side))


def top_level(n_query: int, n_key: int) -> int:
    """Return the level at which one tile holds a whole head."""
    level = 0
    while TILE << level < max(n_query, n_key):
        level += 1
    return level


def tile(
    layer: Layer,
    head: int,
    level: int,
    place: Sequence[int],
    measure: str = "weights",
    *,
    maps: Maps | None = None,
) -> Numbers:
    """Return one tile of a head, float32 ``[row, column]``: the largest of each cell, exact at level 0.

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
    layer: Layer,
    head: int,
    level: int,
    place: Sequence[int],
    measure: str = "weights",
    *,
    maps: Maps | None = None,
) -> Slices[Numbers]:
    """Return `tile` as a computation in slices; arguments and errors are the same, the latter come first."""
    number = integer(level)
    if number is None or number < 0:
        message = f"level must be an integer, 0 or more, got {level!r}."
        raise ValueError(message)
    queries = tile_span(place[0], number, layer.n_query)
    keys = tile_span(place[1], number, layer.n_key)
    heads = Axis(head_axis(head, layer.num_heads).indices)
    if number < kept_level(layer):
        spans = queries, keys
        return within(layer, read_cells(layer, heads, number, spans, lengths(layer, measure)))
    kept = (maps or Maps()).of(layer, heads.indices[0], measure)
    return within(layer, kept.tile(number, queries, keys))


def read_cells(
    layer: Layer, heads: Axis, level: int, spans: tuple[range, range], scale: Tensor | None
) -> Slices[Numbers]:
    """Read cells of some queries and keys of one head from query and key; queries that see no key are not read.

    Args:
        layer: The layer.
        heads: The head.
        level: A cell is ``2 ** level`` queries by as many keys.
        spans: The queries and the keys.
        scale: ``[head, key]``, by which weights are multiplied first.
    """
    queries, keys = spans
    cell = 1 << level
    cells = Even(keys, cell)
    found = torch.zeros((-(-len(queries) // cell), len(cells)), device=layer.device)
    count = max(STRIP, cell)
    for start in range(queries.start, queries.stop, count):
        strip = range(start, min(queries.stop, start + count))
        if _sees(layer, strip, keys):
            columns = pooled(layer, heads, Axis(strip), cells, lengths=scale)[0]
            row = (strip.start - queries.start) // cell
            rows = pool_down(columns.T, cell)
            found[row : row + len(rows)] = rows
        yield (strip.stop - queries.start) / len(queries)
    array: Numbers = found.cpu().numpy()
    return array


def _sees(layer: Layer, queries: range, keys: range) -> bool:
    """Tell whether the band lets any of the queries see any of the keys."""
    if layer.band is None or layer.recorded is not None:
        return True
    span = layer.band.span(queries.start, queries.stop - 1, layer.n_key)
    return max(span.start, keys.start) < min(span.stop, keys.stop)
