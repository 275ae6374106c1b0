"""Heads of one layer or of several as one more head: rows, columns, means and tiles of it, and each one's part in it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.heads_together import HeadParts, HeadsTogether
from attnwidget.compute.pooling import largest_cells
from attnwidget.compute.resumable import share_of
from attnwidget.compute.tiles import tile_span
from attnwidget.protocol.constants import BAND_WEIGHTS
from attnwidget.record.aside import aside_keys
from attnwidget.record.positions import word_numbers
from attnwidget.record.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.resumable import Slices
    from attnwidget.record.positions import Positions
    from attnwidget.serve.streams import ShownStream

    Numbers = NDArray[np.float32]
    Kept = tuple[Sequence[int], Sequence[int]]
    # Of a layer some heads, under a measure, between some queries and keys.
    Read = Callable[[int, list[int], str, Sequence[int], Sequence[int]], Numbers]

__all__ = ["KINDS", "heads_of", "together_block", "together_of", "together_requests"]

KINDS = ("weights", "column", "mean", "tile", "together_shares")

# Rows of a head that are read at a time.
_ROWS = 256
# No more numbers than this are read at a time: of a layer's heads, or of all heads where the largest is looked for.
_SIDE_BY_SIDE = 1 << 21


def together_of(state: Mapping[str, Any], stream: ShownStream) -> dict[str, Any] | None:
    """Return the heads that a selection draws as one, None where it draws each by itself.

    `togetherOf` in js/src/views/shared/together.ts is the same.

    Args:
        state: ``State`` in the schema.
        stream: Its stream, of one record.

    Returns:
        ``TogetherHeads`` in the schema, ``layers`` only where there are several.
    """
    how, layer = state.get("together"), state["layer"]
    # A plane is of one head.
    if how is None or state["measure"] == "rollout" or state.get("form") == "geometry":
        return None
    several = state.get("together_layers") or []
    pairs = [
        (number, head)
        for number in (sorted(several) if layer in several else [layer])
        for head in sorted(state["heads"])
        if head < stream[number].num_heads
    ]
    if len(pairs) < 2:
        return None
    layers = [number for number, _ in pairs]
    of_layers = {"layers": layers} if len(set(layers)) > 1 else {}
    return {"how": how, "heads": [head for _, head in pairs], **of_layers}


def heads_of(together: Mapping[str, Any], layer: int) -> list[tuple[int, int]]:
    """Return the layer and the number of each of the heads that are one.

    Args:
        together: ``TogetherHeads`` in the schema.
        layer: Where all are from that name no layer.
    """
    heads = together["heads"]
    return list(zip(together.get("layers", [layer] * len(heads)), heads, strict=True))


def together_requests(state: Mapping[str, Any], stream: ShownStream) -> Iterator[dict[str, Any]]:
    """Yield what the views ask for about the heads that a selection draws as one.

    First the parts that each of them has at the pins. Then, of several layers, the rows: those of one are put together from
    the rows of each.

    Args:
        state: ``State`` in the schema.
        stream: Its stream.
    """
    together = together_of(state, stream)
    if together is None or state["step"] is not None:
        return
    words = state["positions"] == "words" and any(
        position.continues for position in (*stream.query_positions, *stream.key_positions)
    )
    first = state["layer"] if "layers" not in together else together["layers"][0]
    place = {"stream": stream.name, "layer": first, "head": together["heads"][0]}
    asked: dict[str, Any] = {**place, "together": together}
    if state["measure"] != "weights":
        asked["measure"] = state["measure"]
    if not words and state["measure"] != "gradient":
        yield {"what": "together_shares", **asked, "between": _between(state, stream)}
    if "layers" not in together:
        return
    sizes = [len(stream.query_positions), len(stream.key_positions)]
    if words and together["how"] == "max":
        # A maximum of words is not made of that of their pieces.
        asked["positions"] = "words"
        sizes = [
            word_numbers(stream.query_positions)[-1] + 1,
            word_numbers(stream.key_positions)[-1] + 1,
        ]
    rows = max(1, BAND_WEIGHTS // sizes[1])
    for start in range(0, sizes[0], rows):
        yield {"what": "weights", **asked, "queries": [start, min(sizes[0], start + rows)]}


def _between(state: Mapping[str, Any], stream: ShownStream) -> dict[str, Any]:
    """Return from which queries to which keys parts are shown; `betweenOf` in js/src/views/shared/together-parts.ts."""
    queries, keys = (_pins(state[name]) for name in ("query", "key"))
    count = len(stream.key_positions)
    aside = set(aside_keys(state["aside"], stream.key_positions))
    if not keys and 0 < len(aside) < count:
        keys = [key for key in range(count) if key not in aside]
    found = {"queries": _ranges(queries), "keys": _ranges(keys)}
    return {name: ranges for name, ranges in found.items() if ranges}


def _pins(pins: int | list[int] | None) -> list[int]:
    return [] if pins is None else [pins] if isinstance(pins, int) else pins


def _ranges(numbers: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1][1] = number + 1
        else:
            found.append([number, number + 1])
    return found


def together_block(
    stream: ShownStream, request: Mapping[str, Any], read: Read, kept: Kept | None = None
) -> Slices[Numbers]:
    """Compute what a request with ``together`` asks for (see ``BlockRequest`` in the schema), in slices.

    Args:
        stream: Its stream.
        request: What is asked for.
        read: Returns some heads of a layer between some pieces, float32 ``[head, query, key]``, under a measure.
        kept: The queries and keys that there are, which a request counts then; all of the stream when left out.

    Raises:
        ValueError: If a layer cannot give the measure, or a range or a tile does not exist.
    """
    heads = _Heads(stream, request, read, kept)
    what = request["what"]
    if what == "together_shares":
        between = request.get("between", {})
        rows, keys = (
            [range(*one) for one in between.get(name, [[0, len(axis)]])]
            for name, axis in zip(("queries", "keys"), heads.axes, strict=True)
        )
        _check_ranges("between.queries", rows, len(heads.axes[0]))
        _check_ranges("between.keys", keys, len(heads.axes[1]))
        return (yield from heads.parts(rows, keys))
    if what == "tile":
        return (yield from heads.tile(request["level"], request["tile"]))
    queries = range(*request.get("queries", (0, len(heads.axes[0]))))
    keys_asked = range(*request.get("keys", (0, len(heads.axes[1]))))
    _check_ranges("queries", [queries], len(heads.axes[0]))
    _check_ranges("keys", [keys_asked], len(heads.axes[1]))
    if what == "mean":
        return (yield from heads.mean(queries))
    block = yield from heads.rows(queries, keys_asked)
    return block if what == "column" else block[None]


def _check_ranges(name: str, ranges: Sequence[range], count: int) -> None:
    last = 0
    for one in ranges:
        if not last <= one.start < one.stop <= count:
            message = (
                f"{name} must be rising ranges of 0..{count}, got [{one.start}, {one.stop}] there."
            )
            raise ValueError(message)
        last = one.stop


class _Heads:
    """The heads of a request, read block by block under its measure and between its positions."""

    def __init__(
        self, stream: ShownStream, request: Mapping[str, Any], read: Read, kept: Kept | None
    ) -> None:
        self._read = read
        asked = request["together"]
        self._how: str = asked["how"]
        self._measure: str = request.get("measure", "weights")
        if self._measure == "rollout":
            message = "a rollout has no heads that could be taken together: pass measure='weights', for example."
            raise ValueError(message)
        pairs = sorted(heads_of(asked, request["layer"]))
        self._count = len(pairs)
        # A layer's heads are read in one go.
        self._layers: list[tuple[int, list[int]]] = [
            (number, [head for _, head in each])
            for number, each in groupby(pairs, key=lambda pair: pair[0])
        ]
        places = kept or (range(len(stream.query_positions)), range(len(stream.key_positions)))
        if "there" in request:
            places = places[0][: request["there"]], places[1]
        self._places = places
        self._words = None
        if request.get("positions") == "words":
            positions = stream.query_positions, stream.key_positions
            numbered = (_numbers(axis, at) for axis, at in zip(positions, places, strict=True))
            self._words = Words(*numbered)
        #: What is counted along the queries and along the keys.
        self.axes = (
            self._words.all if self._words else (range(len(places[0])), range(len(places[1])))
        )

    def _pieces(self, layer: int, heads: list[int], rows: range, keys: range) -> Numbers:
        """Return heads of a layer between pieces, float32 ``[head, query, key]``."""
        queries, columns = (
            places[at.start : at.stop]
            for places, at in zip(self._places, (rows, keys), strict=True)
        )
        return self._read(layer, heads, self._measure, queries, columns)

    def _each(self, rows: range, keys: range) -> Iterator[tuple[Slices[Numbers], float]]:
        """Yield the work on one head after another, float32 ``[head, query, key]``, and the share done with it."""
        done = 0
        for layer, heads in self._layers:
            # Words are put together head by head.
            for some in [[head] for head in heads] if self._words else [heads]:
                done += len(some)
                yield self._block(layer, some, rows, keys), done / self._count

    def _block(self, layer: int, heads: list[int], rows: range, keys: range) -> Slices[Numbers]:
        words = self._words
        if words is None:
            yield from ()
            return self._pieces(layer, heads, rows, keys)

        def read(queries: range, columns: range) -> Slices[Numbers]:
            yield from ()
            single: Numbers = self._pieces(layer, heads, queries, columns)[0]
            return single

        block = yield from words.block(read, rows, keys)
        return block[None]

    def rows(self, rows: range, keys: range) -> Slices[Numbers]:
        """Compute the heads as one, float32 ``[query, key]``."""
        found = np.empty((len(rows), len(keys)), np.float32)
        most = max(len(heads) for _, heads in self._layers)
        step = max(1, min(_ROWS, _SIDE_BY_SIDE // (most * max(1, len(keys)))))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            together, before = HeadsTogether(self._how), 0.0
            for work, share in self._each(some, keys):
                first, last = ((start + part * len(some)) / len(rows) for part in (before, share))
                together.add((yield from share_of(work, first, last)))
                yield last
                before = share
            found[start : start + len(some)] = together.result()
        return found

    def mean(self, queries: range) -> Slices[Numbers]:
        """Compute the mean of the rows of some queries, float32 ``[1, key]``."""
        total = np.zeros((1, len(self.axes[1])))
        for start in range(0, len(queries), _ROWS):
            some = queries[start : start + _ROWS]
            first, last = (at / len(queries) for at in (start, start + len(some)))
            block = yield from share_of(self.rows(some, self.axes[1]), first, last)
            total += block.sum(axis=0, dtype=np.float64)
        mean: Numbers = (total / len(queries)).astype(np.float32)
        return mean

    def tile(self, level: int, place: Sequence[int]) -> Slices[Numbers]:
        """Compute one tile of the map, float32 ``[row, column]``: the largest in each cell."""
        rows, keys = (
            tile_span(at, level, len(axis)) for at, axis in zip(place, self.axes, strict=True)
        )
        # Some rows of cells at a time: all of a long head would not fit into memory.
        step = max(_ROWS, 1 << level)
        cells = []
        for start in range(rows.start, rows.stop, step):
            some = range(start, min(rows.stop, start + step))
            first, last = ((at - rows.start) / len(rows) for at in (some.start, some.stop))
            block = yield from share_of(self.rows(some, keys), first, last)
            cells.append(largest_cells(block, 1 << level, self._measure))
        return np.concatenate(cells)

    def parts(self, rows: Sequence[range], keys: Sequence[range]) -> Slices[Numbers]:
        """Compute each head's part, float32 ``[1, head]``; see `HeadParts`."""
        if self._measure == "gradient":
            message = (
                "numbers of both signs add up to no whole that heads could have a part of: pass measure='relevance', the "
                "positive part."
            )
            raise ValueError(message)
        parts = HeadParts(self._how, self._count)
        widest = max(len(one) for one in keys)
        step = max(1, min(_ROWS, _SIDE_BY_SIDE // (self._count * widest)))
        blocks = [
            (one[start : start + step], columns)
            for one in rows
            for start in range(0, len(one), step)
            for columns in keys
        ]
        for n, (some, columns) in enumerate(blocks):
            heads, before = [], 0.0
            for work, share in self._each(some, columns):
                first, last = ((n + part) / len(blocks) for part in (before, share))
                heads.append((yield from share_of(work, first, last)))
                yield last
                before = share
            parts.add(np.concatenate(heads))
        return parts.result()[None]


def _numbers(positions: Positions, places: Sequence[int]) -> NDArray[np.intp]:
    """Return of each place the number of its word, counted among the words that have one."""
    numbers = np.asarray(word_numbers(positions))[np.asarray(places)]
    counted: NDArray[np.intp] = np.unique(numbers, return_inverse=True)[1].reshape(-1)
    return counted
