"""What a copy without a kernel holds: everything small, and of the heads as many as its budget takes.

The rule, in the order in which the budget is spent:

1. the front end, the labels and every head's thumbnail (made smaller where they would take more than a third), and
   those of the measure on show;
2. the first selected head whole: weights, scores, bias and vectors, float32; then what heads are ranked by, and their
   scores, where they are known or soon computed;
3. the weights of every head in 256 shades (uint8, ``255 * sqrt(weight)``): the selected heads, the pinned ones, then
   by the weight of their strongest link, the stream on show before the others;
4. the heads in the same order again, whole and float32.

The first head that does not fit ends a step. The front end says in place what is in shades and what is not there.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.pooling import max_pool
from attnwidget.compute.tiles import top_level
from attnwidget.protocol.codec import decode, deflate, encode, shade
from attnwidget.serve.blocks import BAND_WEIGHTS, Rollouts, answer, requests_for_head
from attnwidget.serve.comparison import PairedLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.serve.head_numbers import HeadNumbers

    Maker = Callable[[Record, Layer, int], Iterator[dict[str, Any]]]

__all__ = [
    "LARGEST_PAGE",
    "Filling",
    "fill",
    "first_head",
    "map_of",
    "of_measure",
    "shades",
    "shrink",
    "weight",
    "whole",
    "without_record",
]

logger = logging.getLogger(__name__)

# Up to this many weights a heat map is drawn from a head's rows, beyond from tiles; `WHOLE` in js/src/views/map-source.ts.
LARGEST_MAP = 1 << 20


def whole(attention: Record, layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield every block the views ask for about a head, float32; what cannot be had is left out."""
    yield from map_of(attention, layer, head)
    exact = (_stored(attention, request) for request in requests_for_head(layer, head))
    yield from (stored for stored in exact if stored is not None)


def shades(attention: Record, layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield a head's weights in 256 shades."""
    yield from map_of(attention, layer, head)
    for request in requests_for_head(layer, head):
        if request["what"] == "weights":
            stored = _stored(attention, request, shaded=True)
            if stored is not None:
                yield stored


def map_of(attention: Record, layer: Layer, head: int) -> list[dict[str, Any]]:
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
    attention: Record,
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
    attention: Record, state: Mapping[str, Any], meta: Mapping[str, Any]
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


# A stored block's request and header, once they are compressed with all the others.
OVERHEAD = 80

# What a second compression adds to base64 of bytes that are compressed already, in base64 again.
TWICE = 1.012

# What a page may hold when the selected head alone is larger: about 1,500 tokens, and what a browser opens in seconds.
LARGEST_PAGE = 32_000_000

THUMBNAIL_SIZES = (48, 32, 24, 16, 12, 8)

# Weights are not compressed to less than this, in characters each: what cannot fit is not made.
LEAST_CHARACTERS = 1 / 16


@dataclass(slots=True)
class Filling:
    """The blocks chosen so far, and what they weigh.

    Attributes:
        budget: Characters that all blocks together may take in the page.
        spent: Characters they take.
        heads: Blocks of each head, in the order in which they were taken; the last version of each.
        shared: Blocks about all heads.
    """

    budget: float
    spent: float = 0.0
    heads: dict[tuple[str, int, int], list[dict[str, Any]]] = field(default_factory=dict)
    shared: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """All blocks, as ``Snapshot`` in the schema holds them."""
        return [block for blocks in self.heads.values() for block in blocks] + self.shared

    def share(self, block: dict[str, Any]) -> None:
        """Hold a block about all heads, if it fits."""
        if self.spent + weight([block]) <= self.budget:
            self.shared.append(block)
            self.spent += weight([block])

    def take(self, where: tuple[str, int, int], blocks: list[dict[str, Any]]) -> bool:
        """Hold these blocks of a head instead of the ones it had, if they fit; tell whether they did."""
        more = weight(blocks) - weight(self.heads.get(where, []))
        if self.spent + more > self.budget:
            return False
        self.heads[where] = blocks
        self.spent += more
        return True

    def offer(self, attention: Record, layer: Layer, head: int, make: Maker) -> bool:
        """Make the blocks of a head and take them, if they fit; tell whether they did."""
        where = _where(layer, head)
        room = self.budget - self.spent + weight(self.heads.get(where, []))
        blocks = _made(attention, layer, head, make, room)
        return blocks is not None and self.take(where, blocks)


def fill(
    attention: Record,
    numbers: HeadNumbers,
    state: Mapping[str, Any],
    meta: Mapping[str, Any],
    budget: float,
    *,
    selected: list[dict[str, Any]] | None = None,
) -> Filling:
    """Choose the blocks of a snapshot by the rule above.

    Args:
        attention: The record.
        numbers: Its heads' scores.
        state: The selection on show.
        meta: What `describe` says of the record; heads are ranked by its ``top``.
        budget: Characters that the blocks may take in the page.
        selected: What `first_head` returned, where it was asked.
    """
    filling = Filling(budget)
    shared = (
        {"request": request, "block": deflate(*numbers.answer(request))}
        for request in numbers.for_a_copy(state)
    )
    if without_record(meta):
        for block in shared:
            filling.share(block)
        return filling
    for number, blocks in enumerate(of_measure(attention, state, meta)):
        filling.take((state["stream"], -1, number), blocks)
    order = _order(attention, state, meta)
    if selected is None or not filling.take(_where(*order[0]), selected):
        filling.offer(attention, *order[0], whole)
    for block in shared:
        filling.share(block)
    _add_others(filling, attention, order)
    return filling


def _add_others(filling: Filling, attention: Record, order: list[tuple[Layer, int]]) -> None:
    """Take the heads after the first: as many as fit in shades, then whole."""
    first = _where(*order[0])
    for layer, head in order:
        if _where(layer, head) in filling.heads:
            continue  # shades never take the place of numbers
        if not filling.offer(attention, layer, head, shades):
            # Of a long head at least its map.
            filling.take(_where(layer, head), map_of(attention, layer, head))
            break
    for layer, head in order:
        if _where(layer, head) != first and not filling.offer(attention, layer, head, whole):
            break


def _made(
    attention: Record, layer: Layer, head: int, make: Maker, room: float
) -> list[dict[str, Any]] | None:
    """Return the blocks of a head, or None as soon as it shows that they take more than ``room``.

    A head of thousands of tokens takes seconds to make: not more of it is made than might be kept.
    """
    if layer.n_query * layer.n_key * LEAST_CHARACTERS > room:
        return None
    blocks, taken = [], 0.0
    for stored in make(attention, layer, head):
        blocks.append(stored)
        taken += weight([stored])
        if taken > room:
            return None
    return blocks


def without_record(meta: Mapping[str, Any]) -> bool:
    """Tell whether this is a survey with none of its inputs open: there are scores, and no weights."""
    return "survey" in meta and "example" not in meta["survey"]


def first_head(
    attention: Record, state: Mapping[str, Any], room: float
) -> list[dict[str, Any]] | None:
    """Return the blocks of the first selected head: whole, in shades where that takes more than ``room``, or none."""
    layer = attention[state["stream"]][state["layer"]]
    made = (_made(attention, layer, state["heads"][0], make, room) for make in (whole, shades))
    return next((blocks for blocks in made if blocks is not None), None)


def shrink(
    meta: Mapping[str, Any], overview: bytes, limit: float, attention: Record | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return meta and thumbnails that compress to ``limit`` characters, pooled further where they do not yet.

    The smallest thumbnails are 8 × 8, whatever the limit: without them there is nothing to click.

    Args:
        meta: See ``Meta`` in the schema.
        overview: The thumbnails.
        limit: Characters of a page.
        attention: The record, for sizes that cannot be pooled from the thumbnails without a cell being too large.
    """
    for size in THUMBNAIL_SIZES:
        smaller, data = _pooled(meta, overview, size)
        last = size == THUMBNAIL_SIZES[-1]
        if attention is not None and (last or _fits(data, limit)):
            smaller, data = _pooled(meta, overview, size, attention)
        if _fits(data, limit):
            break
    return smaller, data


def _fits(thumbnails: bytes, limit: float) -> bool:
    # Base64, compressed, and base64 once more: a fifth longer than compressed alone.
    return len(zlib.compress(thumbnails)) * 4 / 3 * 1.2 <= limit


def _pooled(
    meta: Mapping[str, Any], overview: bytes, size: int, attention: Record | None = None
) -> tuple[dict[str, Any], bytes]:
    streams, chunks, offset = [], [], 0
    for stream in meta["streams"]:
        place = stream["overview"]
        heads = sum(layer["num_heads"] for layer in stream["layers"])
        shape = rows, columns = place["rows"], place["columns"]
        images = np.frombuffer(overview, np.uint8, heads * rows * columns, place["offset"]).reshape(
            heads, rows, columns
        )
        lengths = [
            len(meta["positions"][stream[axis]]["labels"])
            for axis in ("query_positions", "key_positions")
        ]
        if attention is None or all(
            _divides(size, cells, length) for cells, length in zip(shape, lengths, strict=True)
        ):
            images = max_pool(images, size)
        else:
            images = _made_anew(attention, stream, size)
        smaller = {"offset": offset, "rows": images.shape[1], "columns": images.shape[2]}
        streams.append({**stream, "overview": {**place, **smaller}})
        chunks.append(images.tobytes())
        offset += images.size
    return {**meta, "streams": streams}, b"".join(chunks)


def _divides(size: int, cells: int, length: int) -> bool:
    """Tell whether bins of an axis of ``length`` are whole cells of one that is pooled already."""
    return cells in {min(size, cells), length} or cells % size == 0


def _made_anew(attention: Record, stream: Mapping[str, Any], size: int) -> NDArray[np.uint8]:
    found = []
    for layer in stream["layers"]:
        where = {"stream": stream["name"], "layer": layer["layer"], "head": 0}
        request = {"what": "overview", **where, "size": size, "measure": "weights"}
        found.append(shade(decode(*answer(attention, request)).astype(np.float32)))
    return np.concatenate(found)


def weight(blocks: list[dict[str, Any]]) -> float:
    """Return the characters that blocks take in a page."""
    return sum(len(stored["block"]["data"]) * TWICE + OVERHEAD for stored in blocks)


def _where(layer: Layer, head: int) -> tuple[str, int, int]:
    return layer.stream, layer.layer, head


def _order(
    attention: Record, state: Mapping[str, Any], meta: Mapping[str, Any]
) -> list[tuple[Layer, int]]:
    """Return all heads, the selected one first."""
    at = state["layer"]
    selected = [(at, head) for head in state["heads"]]
    pinned = [tuple(pair) for pair in state["compare"]]
    ranked = []
    for described in meta["streams"]:
        stream = attention[described["name"]]
        shown = stream.name == state["stream"]
        heads = [(layer, head) for layer in stream for head in range(layer.num_heads)]
        for (layer, head), strongest in zip(heads, described["top"][2::3], strict=True):
            pair = (layer.layer, head)
            nearness = (
                (0, selected.index(pair))
                if shown and pair in selected
                else (1, pinned.index(pair))
                if shown and pair in pinned
                else (2 if shown else 3, -strongest)
            )
            ranked.append((nearness, layer, head))
    ranked.sort(key=lambda entry: entry[0])
    return [(layer, head) for _, layer, head in ranked]
