"""Which blocks a copy without a kernel holds within its byte budget.

The rule, in the order in which the budget is spent:

1. the front end, the labels and every head's thumbnail (made smaller where they would take more than a third), and
   those of the measure on show;
2. the first selected head whole: weights, scores, bias and vectors, float32; then what heads are ranked by, their
   scores, the rows of heads of several layers that are drawn as one, and the shares of groups, where they are known or
   soon computed;
3. the weights of every head in 256 shades (uint8, ``255 * sqrt(weight)``): the selected heads, the pinned ones, then
   by the weight of their strongest link, the stream on show before the others;
4. the heads in the same order again, whole and float32.

The first head that does not fit ends a step. The front end says in place what is in shades and what is not there.
"""

from __future__ import annotations

import logging
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.pooling import max_pool
from attnwidget.compute.tiles import top_level
from attnwidget.protocol.codec import decode, deflate, encode, shade
from attnwidget.protocol.constants import LARGEST_WHOLE_HEAD, THUMBNAIL_SIZE
from attnwidget.serve.blocks import band_rows
from attnwidget.serve.together import together_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownLayer

    Maker = Callable[[Source, ShownLayer, int], Iterator[dict[str, Any]]]

__all__ = [
    "LARGEST_PAGE",
    "SnapshotBlocks",
    "choose_blocks",
    "map_blocks",
    "measure_blocks",
    "page_characters",
    "selected_head",
    "shades",
    "shrink_thumbnails",
    "snapshot",
    "whole",
]

logger = logging.getLogger(__name__)

DEFAULT_WIDTH = 1200


def snapshot(
    state: Mapping[str, Any],
    meta: Mapping[str, Any],
    overview: bytes,
    *,
    media: bytes = b"",
    screen: Mapping[str, Any] | None = None,
    chosen: Mapping[str, Any] | None = None,
    what_if: Mapping[str, Any] | None = None,
    effects: Mapping[str, Any] | None = None,
    traced: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the front end needs to draw without a kernel, no blocks yet; see ``Snapshot`` in the schema.

    Args:
        state: The selection.
        meta: What the source says of itself.
        overview: Its thumbnails.
        media: Pixels of its pictures.
        screen: What the reader's screen is like, where there is one.
        chosen: What was chosen for the reader; see ``Chosen`` in the schema.
        what_if: What the model says under the edits; see ``WhatIf`` in the schema.
        effects: What the heads are worth; see ``EffectsOfHeads`` in the schema.
        traced: The links that the metric depends on; see ``TraceOfView`` in the schema.
    """
    told = {"chosen": chosen, "what_if": what_if, "effects": effects, "traced": traced}
    pixels = {"media": b64encode(media).decode("ascii")} if media else {}
    return {
        "state": dict(state),
        "meta": meta,
        "screen": screen or {"width": DEFAULT_WIDTH, "dark": False, "scroll": {}},
        "overview": b64encode(overview).decode("ascii"),
        **pixels,
        **{name: dict(one) for name, one in told.items() if one is not None},
        "blocks": [],
    }


def whole(source: Source, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
    """Yield every block the views ask for about a head, float32; what cannot be had is left out."""
    yield from map_blocks(source, layer, head)
    exact = (_stored(source, request) for request in source.requests(layer, head))
    yield from (stored for stored in exact if stored is not None)


def shades(source: Source, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
    """Yield a head's weights in 256 shades."""
    yield from map_blocks(source, layer, head)
    for request in source.requests(layer, head):
        if request["what"] == "weights":
            stored = _stored(source, request, shaded=True)
            if stored is not None:
                yield stored


def map_blocks(source: Source, layer: ShownLayer, head: int) -> list[dict[str, Any]]:
    """Return what pictures are drawn from besides weights.

    Of a long head the tile that holds all of its map, in shades (finer ones are made of the rows, where those are in the
    copy); over a picture or a sound the mean over all queries.
    """
    where = {"stream": layer.stream, "layer": layer.layer, "head": head}
    found: list[dict[str, Any] | None] = []
    if layer.n_query * layer.n_key > LARGEST_WHOLE_HEAD:
        level = top_level(layer.n_query, layer.n_key)
        sides: list[dict[str, str]] = [{"side": side} for side in source.sides] or [{}]
        for side in sides:
            tile = {"what": "tile", **where, "level": level, "tile": [0, 0], **side}
            found.append(_stored(source, tile))
    if source.streams[layer.stream].lies_in_media:
        found.append(_stored(source, {"what": "mean", **where}))
    return [stored for stored in found if stored is not None]


def _stored(
    source: Source, request: dict[str, Any], *, shaded: bool = False
) -> dict[str, Any] | None:
    """Return a request with its answer, or None where there is none: the copy then says so in place."""
    try:
        block, data = source.answer(request)
    except ValueError:
        # Numbers that are not numbers.
        logger.debug("Left out of the copy: %s.", request, exc_info=True)
        return None
    if shaded:
        block, data = encode(shade(decode(block, data).astype(np.float32)))
    return {"request": request, "block": deflate(block, data)}


def measure_blocks(
    source: Source, state: Mapping[str, Any], meta: Mapping[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """Yield what the measure on show takes besides weights: its thumbnails, and rollouts, the layer's own first."""
    measure, stream = state["measure"], source.streams[state["stream"]]
    if measure == "weights":
        return
    place = next(one for one in meta["streams"] if one["name"] == stream.name)["overview"]
    size = max(place["rows"], place["columns"])
    base = {"stream": stream.name, "head": 0}
    numbers = sorted((layer.layer for layer in stream), key=lambda number: number != state["layer"])
    asked = [
        {"what": "overview", **base, "layer": number, "size": size, "measure": measure}
        for number in numbers
    ]
    pictures = [_stored(source, request) for request in asked]
    yield [stored for stored in pictures if stored is not None]
    if measure != "rollout":
        return
    count, n_key = len(stream.query_positions), len(stream.key_positions)
    rows = band_rows(n_key)
    for number in numbers:
        bands = [
            _stored(
                source,
                {
                    "what": "rollout",
                    **base,
                    "layer": number,
                    "queries": [start, min(count, start + rows)],
                },
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

THUMBNAIL_SIZES = (THUMBNAIL_SIZE, 32, 24, 16, 12, 8)

# Weights are not compressed to less than this, in characters each: what cannot fit is not made.
LEAST_CHARACTERS = 1 / 16


@dataclass(slots=True)
class SnapshotBlocks:
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

    def add_shared(self, block: dict[str, Any]) -> None:
        """Hold a block about all heads, if it fits."""
        if self.spent + page_characters([block]) <= self.budget:
            self.shared.append(block)
            self.spent += page_characters([block])

    def replace(self, where: tuple[str, int, int], blocks: list[dict[str, Any]]) -> bool:
        """Hold these blocks of a head instead of the ones it had, if they fit; tell whether they did."""
        more = page_characters(blocks) - page_characters(self.heads.get(where, []))
        if self.spent + more > self.budget:
            return False
        self.heads[where] = blocks
        self.spent += more
        return True

    def add(self, source: Source, layer: ShownLayer, head: int, make: Maker) -> bool:
        """Make the blocks of a head and take them, if they fit; tell whether they did."""
        where = _where(layer, head)
        room = self.budget - self.spent + page_characters(self.heads.get(where, []))
        blocks = _made(source, layer, head, make, room)
        return blocks is not None and self.replace(where, blocks)


def choose_blocks(
    source: Source,
    state: Mapping[str, Any],
    meta: Mapping[str, Any],
    budget: float,
    *,
    selected: list[dict[str, Any]] | None = None,
) -> SnapshotBlocks:
    """Choose the blocks of a snapshot by the rule above.

    Args:
        source: What is shown.
        state: The selection on show.
        meta: What the source says of itself; heads are ranked by its ``top``.
        budget: Characters that the blocks may take in the page.
        selected: What `selected_head` returned, where it was asked.
    """
    chosen = SnapshotBlocks(budget)
    shared = (
        {"request": request, "block": deflate(*source.heads.answer(request))}
        for request in source.heads.snapshot_requests(state)
    )
    if not source.has_weights:
        for block in shared:
            chosen.add_shared(block)
        return chosen
    for number, blocks in enumerate(measure_blocks(source, state, meta)):
        chosen.replace((state["stream"], -1, number), blocks)
    order = _order(source, state, meta)
    if selected is None or not chosen.replace(_where(*order[0]), selected):
        chosen.add(source, *order[0], whole)
    for block in shared:
        chosen.add_shared(block)
    _add_together(chosen, source, state)
    for request in source.group_requests():
        stored = _stored(source, request)
        if stored is not None:
            chosen.add_shared(stored)
    _add_others(chosen, source, order)
    return chosen


def _add_together(chosen: SnapshotBlocks, source: Source, state: Mapping[str, Any]) -> None:
    """Take what is drawn of heads that are one: all of their rows, of long heads at least the map."""
    if source.sides:
        return
    stream = source.streams[state["stream"]]
    rows, room = [], chosen.budget - chosen.spent
    for request in together_requests(state, stream):
        if request["what"] != "weights":
            stored = _stored(source, request)
            if stored is not None:
                chosen.add_shared(stored)
            continue
        layer = stream[request["layer"]]
        fits = layer.n_query * layer.n_key * LEAST_CHARACTERS <= room
        stored = _stored(source, request) if fits else None
        if stored is None:
            break
        rows.append(stored)
        room -= page_characters([stored])
    else:
        if not rows or chosen.replace((stream.name, -2, 0), rows):
            return
    level = top_level(len(stream.query_positions), len(stream.key_positions))
    place = {name: one for name, one in request.items() if name not in {"what", "queries"}}
    tile = _stored(source, {**place, "what": "tile", "level": level, "tile": [0, 0]})
    if tile is not None:
        chosen.add_shared(tile)


def _add_others(
    chosen: SnapshotBlocks, source: Source, order: list[tuple[ShownLayer, int]]
) -> None:
    """Take the heads after the first: as many as fit in shades, then whole."""
    first = _where(*order[0])
    for layer, head in order:
        if _where(layer, head) in chosen.heads:
            continue  # shades never take the place of numbers
        if not chosen.add(source, layer, head, shades):
            # Of a long head at least its map.
            chosen.replace(_where(layer, head), map_blocks(source, layer, head))
            break
    for layer, head in order:
        if _where(layer, head) != first and not chosen.add(source, layer, head, whole):
            break


def _made(
    source: Source, layer: ShownLayer, head: int, make: Maker, room: float
) -> list[dict[str, Any]] | None:
    """Return the blocks of a head, or None as soon as it shows that they take more than ``room``.

    A head of thousands of tokens takes seconds to make: not more of it is made than might be kept.
    """
    if layer.n_query * layer.n_key * LEAST_CHARACTERS > room:
        return None
    blocks, taken = [], 0.0
    for stored in make(source, layer, head):
        blocks.append(stored)
        taken += page_characters([stored])
        if taken > room:
            return None
    return blocks


def selected_head(
    source: Source, state: Mapping[str, Any], room: float
) -> list[dict[str, Any]] | None:
    """Return the blocks of the first selected head: whole, in shades where that takes more than ``room``, or none."""
    layer = source.streams[state["stream"]][state["layer"]]
    made = (_made(source, layer, state["heads"][0], make, room) for make in (whole, shades))
    return next((blocks for blocks in made if blocks is not None), None)


def shrink_thumbnails(
    meta: Mapping[str, Any], overview: bytes, limit: float, source: Source | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return meta and thumbnails that compress to ``limit`` characters, pooled further where they do not yet.

    The smallest thumbnails are 8 × 8, whatever the limit: without them there is nothing to click.

    Args:
        meta: See ``Meta`` in the schema.
        overview: The thumbnails.
        limit: Characters of a page.
        source: What is shown, for sizes that cannot be pooled from the thumbnails without a cell being too large.
    """
    for size in THUMBNAIL_SIZES:
        smaller, data = _pooled(meta, overview, size)
        last = size == THUMBNAIL_SIZES[-1]
        if source is not None and (last or _fits(data, limit)):
            smaller, data = _pooled(meta, overview, size, source)
        if _fits(data, limit):
            break
    return smaller, data


def _fits(thumbnails: bytes, limit: float) -> bool:
    # Base64, compressed, and base64 once more: a fifth longer than compressed alone.
    return len(zlib.compress(thumbnails)) * 4 / 3 * 1.2 <= limit


def _pooled(
    meta: Mapping[str, Any], overview: bytes, size: int, source: Source | None = None
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
        if source is None or all(
            _divides(size, cells, length) for cells, length in zip(shape, lengths, strict=True)
        ):
            images = max_pool(images, size)
        else:
            images = _pooled_from_weights(source, stream, size)
        smaller = {"offset": offset, "rows": images.shape[1], "columns": images.shape[2]}
        streams.append({**stream, "overview": {**place, **smaller}})
        chunks.append(images.tobytes())
        offset += images.size
    return {**meta, "streams": streams}, b"".join(chunks)


def _divides(size: int, cells: int, length: int) -> bool:
    """Tell whether bins of an axis of ``length`` are whole cells of one that is pooled already."""
    return cells in {min(size, cells), length} or cells % size == 0


def _pooled_from_weights(source: Source, stream: Mapping[str, Any], size: int) -> NDArray[np.uint8]:
    found = []
    for layer in stream["layers"]:
        where = {"stream": stream["name"], "layer": layer["layer"], "head": 0}
        request = {"what": "overview", **where, "size": size, "measure": "weights"}
        found.append(shade(decode(*source.answer(request)).astype(np.float32)))
    return np.concatenate(found)


def page_characters(blocks: list[dict[str, Any]]) -> float:
    """Return the characters that blocks take in a page."""
    return sum(len(stored["block"]["data"]) * TWICE + OVERHEAD for stored in blocks)


def _where(layer: ShownLayer, head: int) -> tuple[str, int, int]:
    return layer.stream, layer.layer, head


def _order(
    source: Source, state: Mapping[str, Any], meta: Mapping[str, Any]
) -> list[tuple[ShownLayer, int]]:
    """Return all heads, the selected one first."""
    at = state["layer"]
    selected = [(at, head) for head in state["heads"]]
    pinned = [tuple(pair) for pair in state["compare"]]
    ranked = []
    for described in meta["streams"]:
        stream = source.streams[described["name"]]
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
