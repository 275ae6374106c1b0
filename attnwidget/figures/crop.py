"""A stream at some of its positions: snapshot and requests translated; weights stay those over all positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.pooling import max_pool, max_pool_cells
from attnwidget.compute.resumable import finish
from attnwidget.compute.tiles import tile_span
from attnwidget.protocol.codec import decode, encode, shade
from attnwidget.protocol.constants import THUMBNAIL_SIZE
from attnwidget.protocol.positions import pack, unpack
from attnwidget.record.position_lookup import resolve
from attnwidget.serve.blocks import encoded
from attnwidget.serve.head_numbers import HEAD_KINDS
from attnwidget.serve.together import together_block

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.figures.renderer import Answer
    from attnwidget.protocol.codec import Block
    from attnwidget.record.position_lookup import Place
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["Crop", "crop_of", "crop_snapshot", "cropped_answer", "pinned"]

_BY_QUERY = ("query_vectors", "output")
_BY_KEY = ("key_vectors", "value_vectors")


@dataclass(frozen=True, slots=True)
class Crop:
    """Which queries and keys of a stream are kept, in order."""

    stream: str
    queries: tuple[int, ...]
    keys: tuple[int, ...]


def crop_of(
    stream: ShownStream,
    positions: Place | None = None,
    queries: Place | None = None,
    keys: Place | None = None,
) -> Crop | None:
    """Return what of a stream is kept; None where all of it is.

    Args:
        stream: The stream.
        positions: Both queries and keys.
        queries: Queries alone.
        keys: Keys alone.

    Raises:
        ValueError: If a position does not exist, or ``positions`` is asked of queries and keys that differ.
    """
    if positions is None and queries is None and keys is None:
        return None
    if positions is not None:
        if queries is not None or keys is not None:
            message = (
                "positions are queries and keys alike: pass either positions, or queries and keys."
            )
            raise ValueError(message)
        if stream.query_positions != stream.key_positions:
            message = f"queries and keys of stream {stream.name!r} differ: pass queries=, keys= or both in place of positions=."
            raise ValueError(message)
        queries = keys = positions
    axes = (("queries", queries, stream.query_positions), ("keys", keys, stream.key_positions))
    kept = [
        tuple(range(len(all_of)))
        if place is None
        else resolve(name if positions is None else f"positions: {name}", place, all_of)
        for name, place, all_of in axes
    ]
    whole = [len(found) == len(all_of) for found, (_, _, all_of) in zip(kept, axes, strict=True)]
    return None if all(whole) else Crop(stream.name, kept[0], kept[1])


def crop_snapshot(
    snapshot: Mapping[str, Any], source: Source, crop: Crop
) -> tuple[dict[str, Any], bytes]:
    """Return a snapshot of the crop's stream alone, at its positions, and the thumbnails.

    Raises:
        ValueError: If a pinned position is not among those that are kept, or a step of a generation is shown.
    """
    state, meta = snapshot["state"], snapshot["meta"]
    if state["step"] is not None:
        message = f"a step of a generation is drawn whole, got step={state['step']}: pass step=None, or no positions."
        raise ValueError(message)
    found = next(stream for stream in meta["streams"] if stream["name"] == crop.stream)
    labels = list(map(unpack, meta["positions"]))
    kept = {
        axis: [{**labels[found[f"{axis}_positions"]][index], "index": index} for index in indices]
        for axis, indices in (("query", crop.queries), ("key", crop.keys))
    }
    drawn = state["view"] in {"model", "all"}
    thumbnails = _thumbnails(source, crop) if drawn else None
    stream = {
        **{name: value for name, value in found.items() if name not in {"prompt", "sink", "top"}},
        # Which keys a query sees is read from its scores; positions no longer say it.
        "layers": [{**layer, "causal": False, "window": None} for layer in found["layers"]],
        "query_positions": 0,
        "key_positions": 1,
        "overview": {
            "offset": 0,
            "rows": thumbnails.shape[1] if thumbnails is not None else 1,
            "columns": thumbnails.shape[2] if thumbnails is not None else 1,
            "sampled": False,
        },
    }
    heads = sum(layer["num_heads"] for layer in found["layers"])
    data = thumbnails.tobytes() if thumbnails is not None else bytes(heads)
    if "groupings" in found:
        stream["groupings"] = [_cropped_groups(grouping, crop) for grouping in found["groupings"]]
    if kept["query"] == kept["key"]:
        stream["key_positions"] = 0
    axes = [kept["query"], kept["key"]][: 1 + stream["key_positions"]]
    rest = {name: value for name, value in meta.items() if name not in {"generation", "lens"}}
    pins = {name: _place(name, state[name], crop) for name in ("query", "key")}
    screen = {
        name: value for name, value in snapshot["screen"].items() if name not in {"scroll", "map"}
    }
    return {
        **snapshot,
        "state": {**state, **pins},
        "meta": {**rest, "positions": list(map(pack, axes)), "streams": [stream]},
        "screen": {**screen, "scroll": {}},
    }, data


def _cropped_groups(grouping: Mapping[str, Any], crop: Crop) -> dict[str, Any]:
    """Return a grouping of the positions that are kept, all groups still there: shares are of whole groups."""

    def kept(ranges: list[list[int]], places: tuple[int, ...]) -> list[list[int]]:
        found: list[list[int]] = []
        for at, place in enumerate(places):
            if any(start <= place < stop for start, stop in ranges):
                if found and found[-1][1] == at:
                    found[-1][1] = at + 1
                else:
                    found.append([at, at + 1])
        return found

    groups = [
        {**one, "queries": kept(one["queries"], crop.queries), "keys": kept(one["keys"], crop.keys)}
        for one in grouping["groups"]
    ]
    return {**grouping, "groups": groups}


def cropped_answer(
    source: Source, crop: Crop, request: Mapping[str, Any], whole: Answer
) -> tuple[Block, bytes]:
    """Answer a request that counts the crop's positions.

    Args:
        source: What is shown.
        crop: What is kept.
        request: See ``Request`` in the schema.
        whole: Answers requests that count all positions.

    Raises:
        KeyError, ValueError: As for `whole`, or if what is asked cannot be cropped.
    """
    what = request["what"]
    keys = list(crop.keys)
    # Of whole heads, whichever positions are drawn; a ranking is by positions, and counts them all.
    if what in HEAD_KINDS and what != "ranking":
        return whole(request)
    if "together" in request:
        return _together(source, crop, request)
    if what in {"extents", "group_shares"} or "grouping" in request.get("ranking", ()):
        return whole(request)
    if what == "column":
        # One by one: between two of them may lie all the others.
        found = [
            decode(*whole({**request, "keys": [key, key + 1]}))[list(crop.queries)]
            for key in keys[slice(*request["keys"])]
        ]
        return encode(np.concatenate(found, axis=1))
    if what == "mean":
        measure = request.get("measure", "weights")
        weights = source.block(_ref(request), crop.queries, crop.keys, measure=measure)
        return encode(weights.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32))
    if what == "tile" and not request.keys() & {"measure", "positions", "side"}:
        return _tile(source, crop, request)
    if what == "geometry":
        # The plane is that of all positions.
        array = decode(*whole(request))
        count = len(source.streams[crop.stream].query_positions)
        return encode(array[[*crop.queries, *(count + key for key in crop.keys), -1]])
    if what in _BY_QUERY or what in _BY_KEY:
        positions = crop.queries if what in _BY_QUERY else crop.keys
        rows = positions[slice(*request.get("queries", (None,)))]
        first, last = min(rows), max(rows)
        block, data = whole({**request, "queries": [first, last + 1]})
        kept = decode(block, data)[[row - first for row in rows]]
    elif "queries" in request:
        start, stop = request["queries"]
        rows = crop.queries[start:stop]
        first, last = min(rows), max(rows)
        columns = keys[slice(*request["keys"])] if "keys" in request else keys
        left = min(columns) if "keys" in request else 0
        part = {"keys": [left, max(columns) + 1]} if "keys" in request else {}
        block, data = whole({**request, "queries": [first, last + 1], **part})
        places = [key - left for key in columns]
        kept = decode(block, data)[:, [row - first for row in rows]][:, :, places]
    else:
        message = f"{what} cannot be drawn at some positions alone: leave positions, queries and keys out."
        raise ValueError(message)
    return encode(kept)


def _together(source: Source, crop: Crop, request: Mapping[str, Any]) -> tuple[Block, bytes]:
    """Answer what is asked of several heads that are one."""

    def read(
        layer: int, heads: list[int], measure: str, queries: Sequence[int], keys: Sequence[int]
    ) -> NDArray[np.float32]:
        each = [
            source.block((crop.stream, layer, head), queries, keys, measure=measure)
            for head in heads
        ]
        return np.stack(each)

    stream = source.streams[crop.stream]
    work = together_block(stream, request, read, (crop.queries, crop.keys))
    return encoded(request, finish(work))


def _tile(source: Source, crop: Crop, request: Mapping[str, Any]) -> tuple[Block, bytes]:
    level, (row, column) = request["level"], request["tile"]
    rows, columns = (
        tile_span(row, level, len(crop.queries)),
        tile_span(column, level, len(crop.keys)),
    )
    weights = source.block(
        _ref(request),
        crop.queries[rows.start : rows.stop],
        crop.keys[columns.start : columns.stop],
    )
    cells = max_pool_cells(weights, 1 << level)
    return encode(shade(cells) if level > 0 else cells)


def _ref(request: Mapping[str, Any]) -> tuple[str, int, int]:
    return request["stream"], request["layer"], request["head"]


def pinned(pins: int | list[int] | None) -> list[int]:
    """Return the positions that a trait pins: none, one or several."""
    return [] if pins is None else [pins] if isinstance(pins, int) else pins


def _place(name: str, pins: int | list[int] | None, crop: Crop) -> int | list[int] | None:
    kept = crop.queries if name == "query" else crop.keys
    for index in pinned(pins):
        if index not in kept:
            message = f"{name}={index} is pinned and not among the positions drawn: pass {name}=None, or positions with {index} among them."
            raise ValueError(message)
    if pins is None or isinstance(pins, int):
        return None if pins is None else kept.index(pins)
    return [kept.index(index) for index in pins]


def _thumbnails(source: Source, crop: Crop) -> NDArray[np.uint8]:
    """Return every head's weights at the crop as thumbnails ``[head, row, column]``, one head at a time."""
    return np.stack(
        [
            shade(
                max_pool(
                    source.block((crop.stream, layer.layer, head), crop.queries, crop.keys),
                    THUMBNAIL_SIZE,
                )
            )
            for layer in source.streams[crop.stream]
            for head in range(layer.num_heads)
        ]
    )
