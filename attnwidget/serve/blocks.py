"""Answers to block requests on a record: weights, scores, vectors, tiles, columns, means, rollouts, words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.query_key_plane import query_key_plane
from attnwidget.analysis.rollout import rollout_missing, rollout_slices
from attnwidget.compute import overview
from attnwidget.compute.indexing import Axis
from attnwidget.compute.key_columns import column_slices, mean_slices
from attnwidget.compute.measures import lengths, missing, pooled_factors
from attnwidget.compute.pooling import larger, largest_cells, max_pool, max_pool_cells
from attnwidget.compute.resumable import finish, share_of
from attnwidget.compute.tiles import Maps, tile_slices, tile_span
from attnwidget.protocol.codec import encode, shade
from attnwidget.protocol.constants import BAND_WEIGHTS, GRADIENT_MEASURES, WEIGHTED_MEASURES
from attnwidget.record.words import Words
from attnwidget.serve.jobs import SharedComputations
from attnwidget.serve.together import KINDS, together_block
from attnwidget.serve.vector_extents import vector_extents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float32]

__all__ = [
    "BY_POSITION",
    "BlockCaches",
    "Rollouts",
    "answer",
    "band_rows",
    "columns",
    "drawn_tile",
    "encoded",
    "key_lengths",
    "layer_overview",
    "mean_row",
    "requests_for_head",
    "work",
]

# A rollout is [layer, position, position]; more than this many bytes of it are not made for a picture.
MOST = 4 << 30

# Rows of a head that are read at a time.
_ROWS = 256


class Rollouts:
    """Rollouts of streams, each made when it is first asked for."""

    def __init__(self) -> None:
        """Start with none."""
        # By the stream itself: of two compared records both have one of the same name.
        self._made = SharedComputations()

    def of(self, stream: Stream, layer: int) -> Numbers:
        """Return the rollout up to a layer, float32 ``[query, key]``; errors are those of `work`."""
        return finish(self.work(stream, layer))

    def work(self, stream: Stream, layer: int) -> Slices[Numbers]:
        """Compute the rollout up to a layer, float32 ``[query, key]``, in slices.

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
        made: Numbers = yield from self._made.wait(stream, lambda: rollout_slices(stream))
        numbers = [each.layer for each in stream]
        found: Numbers = made[numbers.index(layer)]
        return found


class BlockCaches:
    """What is kept from one request for blocks to the next.

    Attributes:
        rollouts: Rollouts of streams.
        maps: Coarse maps of long heads.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.rollouts = Rollouts()
        self.maps = Maps()


def key_lengths(layer: Layer, head: int, measure: str) -> Numbers:
    """Return what a head's weights are multiplied by, float32 ``[1, key]``.

    Raises:
        ValueError: If there is no such measure, or the layer cannot give it.
    """
    scale = lengths(layer, measure, Axis(range(head, head + 1)))
    if scale is None:
        return np.ones((1, layer.n_key), np.float32)
    array: Numbers = scale.float().cpu().numpy()
    return array


def layer_overview(
    stream: Stream, layer: Layer, measure: str, size: int, rollouts: Rollouts
) -> Slices[Numbers]:
    """Compute a layer's heads max-pooled under a measure, float32 ``[head, row, column]``; a rollout is one head.

    Of a measure with both signs a cell holds what is of largest size, with its sign.

    Raises:
        ValueError: If the layer cannot give the measure.
    """
    if measure == "rollout":
        whole = yield from rollouts.work(stream, layer.layer)
        return max_pool(whole, size)[None]
    found: dict[int, Numbers] = {}
    parts = pooled_factors(layer, measure)
    for place, (sign, factors) in enumerate(parts.items()):
        work = overview.summary_slices(layer, size, factors)
        summary = yield from share_of(work, place / len(parts), (place + 1) / len(parts))
        found[sign] = summary.pooled.cpu().numpy()
    return larger(found)


def drawn_tile(
    stream: Stream, layer: Layer, request: Mapping[str, Any], caches: BlockCaches
) -> Slices[Numbers]:
    """Compute one tile of a head, float32 ``[row, column]``: of the measure and the positions asked for.

    Raises:
        ValueError: If there is no such tile, or the layer cannot give the measure.
    """
    head, level, place = request["head"], request["level"], request["tile"]
    measure = request.get("measure", "weights")
    words = _words(stream, request)
    if words is None and measure != "rollout":
        return (yield from tile_slices(layer, head, level, place, measure, maps=caches.maps))
    rollouts = caches.rollouts
    sizes = [len(axis) for axis in words.all] if words else [layer.n_query, layer.n_key]
    rows, keys = (tile_span(at, level, size) for at, size in zip(place, sizes, strict=True))
    if words is None and measure == "rollout":
        whole = yield from rollouts.work(stream, layer.layer)
        return max_pool_cells(whole[rows.start : rows.stop, keys.start : keys.stop], 1 << level)
    # Some rows of cells at a time: all words of a long head would not fit into memory.
    step = max(_ROWS, 1 << level)
    cells = []
    read = _reader(stream, layer, request, rollouts)
    for start in range(rows.start, rows.stop, step):
        some = range(start, min(rows.stop, start + step))
        part = words.block(read, some, keys) if words else read(some, keys)
        first, last = ((at - rows.start) / len(rows) for at in (some.start, some.stop))
        cells.append(largest_cells((yield from share_of(part, first, last)), 1 << level, measure))
    return np.concatenate(cells)


def columns(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Slices[Numbers]:
    """Compute what every query gives some keys, float32 ``[query, key]``, of weights, the rollout or a measure of gradients."""
    start, stop = request["keys"]
    measure = request.get("measure")
    if measure in GRADIENT_MEASURES:
        return layer.measure(measure, request["head"], slice(None), slice(start, stop))
    if measure == "rollout":
        whole = yield from rollouts.work(stream, layer.layer)
        return np.ascontiguousarray(whole[:, start:stop])
    return (yield from column_slices(layer, request["head"], slice(start, stop)))


def mean_row(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Slices[Numbers]:
    """Compute the mean over queries, all or those asked for, float32 ``[1, key]``.

    Of the measure and the positions asked for; a mean over words takes each word once.
    """
    words = _words(stream, request)
    axes = words.all if words else (range(layer.n_query), range(layer.n_key))
    start, stop = request.get("queries", (0, len(axes[0])))
    if stop > len(axes[0]):
        message = f"queries must be a range of 0..{len(axes[0])}, got [{start}, {stop}]."
        raise ValueError(message)
    measure = request.get("measure", "weights")
    if words is None and measure != "rollout":
        return (yield from mean_slices(layer, request["head"], measure, range(start, stop)))
    total = np.zeros((1, len(axes[1])))
    read = _reader(stream, layer, request, rollouts)
    for first in range(start, stop, _ROWS):
        some = range(first, min(stop, first + _ROWS))
        part = words.block(read, some, axes[1]) if words else read(some, axes[1])
        done, next_done = ((at - start) / (stop - start) for at in (some.start, some.stop))
        block = yield from share_of(part, done, next_done)
        total += block.sum(axis=0, dtype=np.float64)
        yield next_done
    mean: Numbers = (total / (stop - start)).astype(np.float32)
    return mean


def _words(stream: Stream, request: Mapping[str, Any]) -> Words | None:
    """Return the words of a stream if the request is for words."""
    return Words.of(stream) if request.get("positions") == "words" else None


def _reader(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Callable[[range, range], Slices[Numbers]]:
    """Return a function that computes a block of one head between pieces, of the measure asked for."""
    measure = request.get("measure", "weights")

    def read(queries: range, keys: range) -> Slices[Numbers]:
        down, across = (slice(axis.start, axis.stop) for axis in (queries, keys))
        if measure == "rollout":
            whole = yield from rollouts.work(stream, layer.layer)
            some: Numbers = whole[down, across]
            return some
        return layer.measure(measure, request["head"], down, across)

    return read


_BY_QUERY = {"weights": "weights", "scores": "scores", "bias": "bias_block"}


# What has a vector for each position.
BY_POSITION = ("query_vectors", "key_vectors", "value_vectors", "output")


def answer(attention: Record, request: Mapping[str, Any]) -> tuple[Block, bytes]:
    """Return the block that a single request asks for, with nothing kept for others; errors are those of `work`."""
    return finish(work(attention, request, BlockCaches()))


def work(
    attention: Record, request: Mapping[str, Any], caches: BlockCaches
) -> Slices[tuple[Block, bytes]]:
    """Compute the block that a request (see ``Request`` in the schema) asks for, in slices.

    Args:
        attention: The record.
        request: What is asked for.
        caches: What is kept of this record from one request to the next.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If the layer, the head or the range does not exist, if the layer cannot give what is asked, or if
            the numbers are not numbers.
    """
    what = request["what"]
    stream, number, head = request["stream"], request["layer"], request["head"]
    layer = attention[stream][number]
    array: NDArray[np.float32]
    if "together" in request and what in KINDS:
        array = yield from together_block(attention[stream], request, _reading(attention[stream]))
    elif what in _BY_QUERY:
        rows, keys = (slice(*request.get(axis, (None,))) for axis in ("queries", "keys"))
        array = getattr(layer, _BY_QUERY[what])(head=[head], queries=rows, keys=keys)
    elif what == "gradient":
        array = layer.measure(what, [head], slice(*request["queries"]))
    elif what in BY_POSITION:
        array = getattr(layer, what)(head, slice(*request.get("queries", (None,))))
    elif what == "extents":
        array = vector_extents(layer, head).cpu().numpy()[None]
    elif what == "geometry":
        array = _geometry(attention[stream], layer, head)
    elif what == "lengths":
        array = key_lengths(layer, head, request["measure"])
    else:
        array = yield from _drawn(attention[stream], layer, request, caches)
    return encoded(request, array)


def _reading(stream: Stream) -> Callable[..., Numbers]:
    """Return a function that reads some heads of a layer of a stream; see `together_block`."""

    def read(
        number: int, heads: list[int], measure: str, queries: Sequence[int], keys: Sequence[int]
    ) -> Numbers:
        # Of a range a slice: whole rows are read faster.
        down, across = (
            slice(axis.start, axis.stop) if isinstance(axis, range) else list(axis)
            for axis in (queries, keys)
        )
        return stream[number].measure(measure, heads, down, across)

    return read


def _geometry(stream: Stream, layer: Layer, head: int) -> Numbers:
    """Return queries, keys and what they were scaled by in one plane; see ``BlockRequest`` in the schema."""
    plane = query_key_plane(stream, layer, head)
    last = np.array([[*plane.shares, plane.scale]], np.float32)
    places = np.concatenate([plane.queries, plane.keys])
    lengths_of = np.concatenate([plane.query_norms, plane.key_norms])
    return np.concatenate([np.column_stack([places, lengths_of]), last])


def encoded(request: Mapping[str, Any], array: NDArray[np.float32]) -> tuple[Block, bytes]:
    """Return the numbers that a request asks for as a block, a tile of weights in shades.

    Raises:
        ValueError: If any of them is NaN.
    """
    what, stream = request["what"], request["stream"]
    number, head = request["layer"], request["head"]
    if np.isnan(array).any():
        row = int(np.argwhere(np.isnan(array))[0][-2])
        whose = f"Layer {number} · head {head}" if "together" not in request else "One of the heads"
        message = (
            f"{whose} of stream {stream!r} has {what.replace('_', ' ')} that are not numbers "
            f"(NaN, first at position {row}): the model's own values overflowed, try it in float32."
        )
        raise ValueError(message)
    # Shades end at 1, and a sum may not.
    unbounded = (*WEIGHTED_MEASURES, *GRADIENT_MEASURES)
    beyond = request.get("measure") in unbounded or _how(request) == "sum"
    if what == "tile" and request["level"] > 0 and not beyond:
        return encode(shade(array))
    return encode(array)


def _how(request: Mapping[str, Any]) -> str | None:
    """Return how several heads are one in a request, if they are."""
    how: str | None = request.get("together", {}).get("how")
    return how


def _drawn(
    stream: Stream, layer: Layer, request: Mapping[str, Any], caches: BlockCaches
) -> Slices[NDArray[np.float32]]:
    """Compute what is made from more than some rows of one head, or pooled before it travels."""
    what, rollouts = request["what"], caches.rollouts
    if what == "tile":
        return (yield from drawn_tile(stream, layer, request, caches))
    if what == "mean":
        return (yield from mean_row(stream, layer, request, rollouts))
    if what == "column":
        return (yield from columns(stream, layer, request, rollouts))
    if what == "overview":
        measure, size = request["measure"], request["size"]
        return (yield from layer_overview(stream, layer, measure, size, rollouts))
    if what == "rollout":
        start, stop = request["queries"]
        whole = yield from rollouts.work(stream, layer.layer)
        return whole[None, start:stop]
    kinds = [
        *_BY_QUERY,
        *BY_POSITION,
        "gradient",
        "mean",
        "lengths",
        "overview",
        "rollout",
        "tile",
        "column",
        "extents",
        "geometry",
    ]
    message = f"what must be one of {', '.join(kinds)}, got {what!r}."
    raise ValueError(message)


def band_rows(n_key: int) -> int:
    """Return how many query rows are asked for at a time; `bandRows` in js/src/data/requests.ts is the same."""
    return max(1, BAND_WEIGHTS // n_key)


def requests_for_head(layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield every request that the views make about one head, the weights first."""
    rows = band_rows(layer.n_key)
    base = {"stream": layer.stream, "layer": layer.layer, "head": head}
    by_query = tuple(_BY_QUERY) if layer.has_vectors else ("weights",)
    by_position = BY_POSITION if layer.has_vectors and layer.value is not None else ()
    for what in by_query:
        yield from _in_bands({"what": what, **base}, layer.n_query, rows)
    for what in by_position:
        count = layer.n_query if what in {"query_vectors", "output"} else layer.n_key
        some = band_rows(layer.head_dim or 1)
        # A row of the output costs one of the weights.
        some = min(some, rows) if what == "output" else some
        yield from _in_bands({"what": what, **base}, count, some)
    if by_position:
        yield {"what": "extents", **base}
    if layer.has_vectors:
        yield {"what": "geometry", **base}
    for measure in WEIGHTED_MEASURES:
        if missing(layer, measure) is None:
            yield {"what": "lengths", **base, "measure": measure}
    if missing(layer, "gradient") is None:
        yield from _in_bands({"what": "gradient", **base}, layer.n_query, rows)


def _in_bands(request: dict[str, Any], count: int, rows: int) -> Iterator[dict[str, Any]]:
    for start in range(0, count, rows):
        yield {**request, "queries": [start, min(count, start + rows)]}
