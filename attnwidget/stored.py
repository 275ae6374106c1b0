"""Blocks of a record as a copy without a kernel stores them: a head whole, in shades, as its map."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.blocks import BAND_WEIGHTS, answer, requests_for_head
from attnwidget.drawn import Rollouts
from attnwidget.pairing import PairedLayer
from attnwidget.protocol.codec import decode, deflate, encode, shade
from attnwidget.tiles import top_level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnwidget.attention import Attention
    from attnwidget.layer import Layer

__all__ = ["map_of", "of_measure", "shades", "whole"]

logger = logging.getLogger(__name__)

# Up to this many weights a heat map is drawn from a head's rows, beyond from tiles; `WHOLE` in js/src/views/map-source.ts.
LARGEST_MAP = 1 << 20


def whole(attention: Attention, layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield every block the views ask for about a head, float32; what cannot be had is left out."""
    yield from map_of(attention, layer, head)
    exact = (_stored(attention, request) for request in requests_for_head(layer, head))
    yield from (stored for stored in exact if stored is not None)


def shades(attention: Attention, layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield a head's weights in 256 shades."""
    yield from map_of(attention, layer, head)
    for request in requests_for_head(layer, head):
        if request["what"] == "weights":
            stored = _stored(attention, request, shaded=True)
            if stored is not None:
                yield stored


def map_of(attention: Attention, layer: Layer, head: int) -> list[dict[str, Any]]:
    """Return what pictures are drawn from besides weights.

    Of a long head the tile that holds all of its map, in shades (finer ones are made of the rows, where those are in the
    copy); over a picture or a sound the mean over all queries.
    """
    where = {"stream": layer.stream, "layer": layer.layer, "head": head}
    found: list[dict[str, Any] | None] = []
    if layer.n_query * layer.n_key > LARGEST_MAP:
        level = top_level(layer.n_query, layer.n_key)
        two: object = layer
        sides: list[dict[str, str]] = (
            [{"side": "a"}, {"side": "b"}] if isinstance(two, PairedLayer) else [{}]
        )
        for side in sides:
            tile = {"what": "tile", **where, "level": level, "tile": [0, 0], **side}
            found.append(_stored(attention, tile))
    if attention[layer.stream].lies_in_media:
        found.append(_stored(attention, {"what": "mean", **where}))
    return [stored for stored in found if stored is not None]


def _stored(
    attention: Attention,
    request: dict[str, Any],
    *,
    shaded: bool = False,
    rollouts: Rollouts | None = None,
) -> dict[str, Any] | None:
    """Return a request with its answer, or None where there is none: the copy then says so in place."""
    try:
        block, data = answer(attention, request, rollouts)
    except ValueError:
        # Numbers that are not numbers.
        logger.debug("Left out of the copy: %s.", request, exc_info=True)
        return None
    if shaded:
        block, data = encode(shade(decode(block, data).astype(np.float32)))
    return {"request": request, "block": deflate(block, data)}


def of_measure(
    attention: Attention, state: Mapping[str, Any], meta: Mapping[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """Yield what the measure on show takes besides weights: its thumbnails, and rollouts, the layer's own first."""
    measure, stream = state["measure"], attention[state["stream"]]
    if measure == "weights":
        return
    rollouts = Rollouts()
    place = next(one for one in meta["streams"] if one["name"] == stream.name)["overview"]
    size = max(place["rows"], place["columns"])
    base = {"stream": stream.name, "head": 0}
    numbers = sorted((layer.layer for layer in stream), key=lambda number: number != state["layer"])
    asked = [
        {"what": "overview", **base, "layer": number, "size": size, "measure": measure}
        for number in numbers
    ]
    pictures = [_stored(attention, request, rollouts=rollouts) for request in asked]
    yield [stored for stored in pictures if stored is not None]
    if measure != "rollout":
        return
    count, n_key = len(stream.query_positions), len(stream.key_positions)
    rows = max(1, BAND_WEIGHTS // n_key)
    for number in numbers:
        bands = [
            _stored(
                attention,
                {
                    "what": "rollout",
                    **base,
                    "layer": number,
                    "queries": [start, min(count, start + rows)],
                },
                rollouts=rollouts,
            )
            for start in range(0, count, rows)
        ]
        yield [stored for stored in bands if stored is not None]
