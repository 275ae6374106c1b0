"""A head as a map: tiles of cells that each hold the largest weight of so many queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.selection import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.layer import Layer

    Numbers = NDArray[np.float32]

__all__ = ["TILE", "tile", "tile_span"]

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


def tile(layer: Layer, head: int, level: int, place: Sequence[int], measure: str) -> Numbers:
    """Return one tile of a head, float32 ``[row, column]``: the largest of each cell, exact at level 0.

    Args:
        layer: The layer.
        head: The head.
        level: A cell is ``2 ** level`` queries by as many keys.
        place: Row and column of the tile among those of the level.
        measure: What is pooled, as for `Layer.measure`.

    Raises:
        ValueError: If there is no such tile, or the layer cannot give the measure.
    """
    if integer(level) is None or level < 0:
        message = f"level must be an integer, 0 or more, got {level!r}."
        raise ValueError(message)
    queries = tile_span(place[0], level, layer.n_query)
    keys = tile_span(place[1], level, layer.n_key)
    cell = 1 << level
    columns = np.arange(0, len(keys), cell)
    rows = [
        np.maximum.reduceat(
            layer.measure(
                measure,
                head,
                slice(start, min(queries.stop, start + cell)),
                slice(keys.start, keys.stop),
            ).max(0),
            columns,
        )
        for start in range(queries.start, queries.stop, cell)
    ]
    return np.stack(rows)
