"""What is drawn in place of weights between pieces, where the browser cannot make it from those: rollouts, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget import pooling
from attnwidget.finding.measures import lengths
from attnwidget.finding.rollout import rollout, rollout_missing
from attnwidget.finding.words import merged_positions
from attnwidget.softmax import exact
from attnwidget.tiles import tile, tile_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.attention import Stream
    from attnwidget.layer import Layer

    Numbers = NDArray[np.float32]

__all__ = ["Rollouts", "drawn_tile", "key_lengths", "layer_overview", "pool", "pooled_head"]

# A rollout is [layer, position, position]; more than this many bytes of it are not made for a picture.
MOST = 4 << 30
# Rows of a head that are read at a time.
_ROWS = 256


class Rollouts:
    """The rollouts of streams, each made when it is first asked for."""

    def __init__(self) -> None:
        # By the stream itself: of two compared records both have one of the same name.
        self._made: dict[Stream, Numbers] = {}

    def of(self, stream: Stream, layer: int) -> Numbers:
        """Return the rollout up to a layer, float32 ``[query, key]``.

        Raises:
            ValueError: If the stream has none, or it would take more than 4 GB.
        """
        reason = rollout_missing(stream)
        size = 4 * len(stream) * len(stream.query_positions) ** 2
        if reason is None and size > MOST:
            reason = f"that of {len(stream)} layers would take {size / 2**30:.0f} GB."
        if reason is not None:
            message = f"stream {stream.name!r} has no rollout: {reason}"
            raise ValueError(message)
        if stream not in self._made:
            self._made[stream] = rollout(stream)
        numbers = [each.layer for each in stream]
        found: Numbers = self._made[stream][numbers.index(layer)]
        return found


def key_lengths(layer: Layer, head: int, measure: str) -> Numbers:
    """Return what a head's weights are multiplied by, float32 ``[1, key]``.

    Raises:
        ValueError: If there is no such measure, or the layer cannot give it.
    """
    scale = lengths(layer, measure)
    if scale is None:
        return np.ones((1, layer.n_key), np.float32)
    array: Numbers = scale[head : head + 1].float().cpu().numpy()
    return array


def layer_overview(
    stream: Stream, layer: Layer, measure: str, size: int, rollouts: Rollouts
) -> Numbers:
    """Return a layer's heads max-pooled under a measure, float32 ``[head, row, column]``; a rollout is one head.

    Raises:
        ValueError: If the layer cannot give the measure.
    """
    if measure == "rollout":
        return pool(rollouts.of(stream, layer.layer), size)[None]
    scale = lengths(layer, measure)
    with exact(layer):
        pooled: Numbers = pooling.overview(layer, size, scale).cpu().numpy()
        return pooled


def pooled_head(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Numbers:
    """Return one head max-pooled, float32 ``[row, column]``: of the measure and the positions asked for.

    Raises:
        ValueError: If the layer cannot give the measure.
    """
    size, head = request["size"], request["head"]
    measure = request.get("measure", "weights")
    if request.get("positions") != "words":
        heads = layer_overview(stream, layer, measure, size, rollouts)
        one: Numbers = heads[0 if measure == "rollout" else head]
        return one
    return pool(_merged(stream, layer, head, measure, rollouts), size)


def drawn_tile(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Numbers:
    """Return one tile of a head, float32 ``[row, column]``: of the measure and the positions asked for.

    Raises:
        ValueError: If there is no such tile, or the layer cannot give the measure.
    """
    head, level, place = request["head"], request["level"], request["tile"]
    measure = request.get("measure", "weights")
    if request.get("positions") == "words":
        whole = _merged(stream, layer, head, measure, rollouts)
    elif measure == "rollout":
        whole = rollouts.of(stream, layer.layer)
    else:
        return tile(layer, head, level, place, measure)
    rows, columns = (
        tile_span(at, level, length) for at, length in zip(place, whole.shape, strict=True)
    )
    part = whole[rows.start : rows.stop, columns.start : columns.stop]
    return pool_cells(part, 1 << level)


def pool_cells(matrix: Numbers, side: int) -> Numbers:
    """Return the largest of each cell of ``side`` rows and columns; the last ones may be smaller."""
    tall = np.maximum.reduceat(matrix, np.arange(0, matrix.shape[0], side), axis=0)
    pooled: Numbers = np.maximum.reduceat(tall, np.arange(0, matrix.shape[1], side), axis=1)
    return pooled


def _merged(stream: Stream, layer: Layer, head: int, measure: str, rollouts: Rollouts) -> Numbers:
    """Return one head between words, float32 ``[word, word]``: summed over a key's pieces, averaged over a query's."""
    _, rows = merged_positions(stream.query_positions)
    _, columns = merged_positions(stream.key_positions)
    whole = rollouts.of(stream, layer.layer) if measure == "rollout" else None
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    merged = np.zeros((rows[-1] + 1, columns[-1] + 1))
    for first in range(0, len(rows), _ROWS):
        some = slice(first, min(len(rows), first + _ROWS))
        block = layer.measure(measure, head, some) if whole is None else whole[some]
        np.add.at(merged, rows[some], np.add.reduceat(block, starts, axis=1))
    merged /= np.bincount(rows)[:, None]
    single: Numbers = merged.astype(np.float32)
    return single


def pool(matrix: Numbers, size: int) -> Numbers:
    """Return a matrix max-pooled to at most ``size`` rows and columns."""
    down = pooling.bins(matrix.shape[0], min(size, matrix.shape[0]))
    across = pooling.bins(matrix.shape[1], min(size, matrix.shape[1]))
    tall = np.stack([matrix[part.start : part.stop].max(0) for part in down])
    return np.stack([tall[:, part.start : part.stop].max(1) for part in across], axis=1)
