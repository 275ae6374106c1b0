"""A head as a map: tiles of cells that each hold the largest weight of so many queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.finding.measures import lengths
from attnwidget.selection import head_axis, integer
from attnwidget.slices import finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.layer import Layer
    from attnwidget.slices import Slices

    Numbers = NDArray[np.float32]

__all__ = ["TILE", "Maps", "tile", "tile_slices", "tile_span"]

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


class Maps:
    """The maps of heads that are kept from one tile to the next, up to a number of bytes.

    One for a record is enough; tiles asked for with it share what they have read.
    """

    def __init__(self, budget: int = 64 << 20) -> None:
        """Start without any.

        Args:
            budget: Bytes that are kept; those used longest ago go first.
        """
        self._budget = budget


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
    if integer(level) is None or level < 0:
        message = f"level must be an integer, 0 or more, got {level!r}."
        raise ValueError(message)
    queries = tile_span(place[0], level, layer.n_query)
    keys = tile_span(place[1], level, layer.n_key)
    head_axis(head, layer.num_heads)
    lengths(layer, measure)
    del maps
    return _tile(layer, head, 1 << level, (queries, keys), measure)


def _tile(
    layer: Layer, head: int, cell: int, spans: tuple[range, range], measure: str
) -> Slices[Numbers]:
    queries, keys = spans
    columns = np.arange(0, len(keys), cell)
    rows = []
    for start in range(queries.start, queries.stop, cell):
        block = layer.measure(
            measure,
            head,
            slice(start, min(queries.stop, start + cell)),
            slice(keys.start, keys.stop),
        )
        rows.append(np.maximum.reduceat(block.max(0), columns))
        yield len(rows) * cell / len(queries)
    return np.stack(rows)
