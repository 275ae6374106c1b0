"""`ComparedStream`, `ComparedLayer`: a stream of two or more records laid out on their common axes, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.compute.group_sums import GroupNumbers
from attnwidget.compute.measures import missing
from attnwidget.compute.overview import overview_rows
from attnwidget.compute.pooling import max_pool, max_pool_cells
from attnwidget.compute.tiles import tile_span
from attnwidget.protocol.constants import SIDES, WEIGHTED_MEASURES
from attnwidget.record.stream import has_text
from attnwidget.serve.blocks import Rollouts, band_rows, key_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import Groups
    from attnwidget.comparison.alignment import Pair
    from attnwidget.comparison.common_axis import Place
    from attnwidget.comparison.comparison import Compared
    from attnwidget.comparison.series import ComparedSeries
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float32]

__all__ = ["REASON", "REASON_OF_SERIES", "ComparedLayer", "ComparedStream", "held_by", "lay_out"]

REASON = (
    "two records are compared here: view(comparison.a) and view(comparison.b) take weights apart."
)
REASON_OF_SERIES = "several records are compared here: view(comparison.records[0]), for example, takes weights apart."

# Numbers of a block of rows that are held at a time.
_BLOCK = 1 << 21


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A layer of one of the records, and where its positions lie on the common axes.

    Attributes:
        stream: The stream it belongs to.
        layer: The layer.
        queries: Of each common query its position here, or ``None``.
        keys: Of each common key its position here, or ``None``.
    """

    stream: Stream
    layer: Layer
    queries: tuple[int | None, ...]
    keys: tuple[int | None, ...]

    def rows(
        self, heads: Sequence[int], rows: Sequence[int], measure: str, rollouts: Rollouts
    ) -> Numbers:
        """Return rows of a measure on the common axes, float32 ``[head, row, key]``: 0 where a position is missing."""
        found = np.zeros((len(heads), len(rows), len(self.keys)), np.float32)
        there = [
            (place, at) for place, row in enumerate(rows) if (at := self.queries[row]) is not None
        ]
        wide, keys = _there(self.keys)
        if not there or not keys:
            return found
        into, own = (list(part) for part in zip(*there, strict=True))
        if measure == "rollout":
            whole = rollouts.of(self.stream, self.layer.layer)
            block = whole[np.ix_(own, keys)][None]
        else:
            block = self.layer.measure(measure, list(heads), _run(own), _run(keys))
        found[:, np.array(into)[:, None], wide] = block
        return found

    def groups(self, groups: Groups) -> GroupNumbers:
        """Return the groups of this record's positions: those of their places on the common axes."""
        return GroupNumbers(
            len(groups.names), _own(self.queries, groups.queries), _own(self.keys, groups.keys)
        )

    def lengths(self, head: int, measure: str) -> Numbers:
        """Return what weights are multiplied by in a measure, float32 ``[1, key]``, 0 where a key is missing."""
        own = key_lengths(self.layer, head, measure)[0]
        return np.array([[0 if at is None else own[at] for at in self.keys]], np.float32)


def _own(places: tuple[int | None, ...], numbers: Sequence[int]) -> list[int]:
    """Return what is numbered along a common axis in the order of a record's own positions."""
    there = {at: number for at, number in zip(places, numbers, strict=True) if at is not None}
    return [there[at] for at in range(len(there))]


@lru_cache(maxsize=len(SIDES))
def _there(places: tuple[int | None, ...]) -> tuple[NDArray[np.intp], list[int]]:
    """Return which places of a common axis a record has, and its own positions there."""
    wide = np.array([place for place, at in enumerate(places) if at is not None], np.intp)
    return wide, [at for at in places if at is not None]


def _run(indices: list[int]) -> slice | list[int]:
    """Return indices that follow each other as a slice: thousands of them are then not looked at one by one."""
    first, last = indices[0], indices[-1]
    follow = last - first == len(indices) - 1 and indices == list(range(first, last + 1))
    return slice(first, last + 1) if follow else indices


@dataclass(frozen=True, slots=True, eq=False)
class ComparedLayer:
    """A layer of all records on their common axes.

    Attributes:
        stream: Name of the stream.
        layer: The models' number of the layer.
        num_heads: Number of heads.
        n_query: Number of common queries.
        n_key: Number of common keys.
        sides: Each record's, by its letter.
    """

    stream: str
    layer: int
    num_heads: int
    n_query: int
    n_key: int
    sides: Mapping[str, Side]

    def block(self, request: Mapping[str, Any], rollouts: Rollouts) -> Numbers:
        """Return what a request (see ``BlockRequest`` in the schema) asks for, of the side that it names.

        Raises:
            ValueError: If the layer cannot give it.
        """
        what, head = request["what"], request["head"]
        measure = request.get("measure", "weights")
        if what == "overview":
            return self.overview(request["size"], measure, rollouts)[0]
        if request.get("side") not in self.sides:
            letters = " or ".join(map(repr, self.sides))
            records = "two" if len(self.sides) == 2 else "the"
            message = f"side must be {letters} of {records} records, for {what} of one of them."
            raise ValueError(message)
        side = self.sides[request["side"]]
        if what == "lengths":
            return side.lengths(head, measure)
        if what == "tile":
            return self._tile(side, request, measure, rollouts)
        if what in {"weights", "rollout"}:
            start, stop = request["queries"]
            return side.rows([head], range(start, stop), what, rollouts)
        if what == "column":
            start, stop = request["keys"]
            some = replace(side, keys=side.keys[start:stop])
            column: Numbers = some.rows([head], range(self.n_query), measure, rollouts)[0]
            return column
        message = f"of compared records there are weights, column, rollout, lengths, tile and overview, got {what!r}."
        raise ValueError(message)

    def requests(self, head: int) -> Iterator[dict[str, Any]]:
        """Yield every request that the compare view makes about one head."""
        rows = band_rows(self.n_key)
        for name, side in self.sides.items():
            base = {"stream": self.stream, "layer": self.layer, "head": head, "side": name}
            for start in range(0, self.n_query, rows):
                stop = min(self.n_query, start + rows)
                yield {"what": "weights", **base, "queries": [start, stop]}
            for measure in WEIGHTED_MEASURES:
                if missing(side.layer, measure) is None:
                    yield {"what": "lengths", **base, "measure": measure}

    def overview(
        self, size: int, measure: str, rollouts: Rollouts
    ) -> tuple[Numbers, NDArray[np.float64], float]:
        """Return how much a measure changed, largest first: pictures, strongest links and the sink.

        Returns:
            ``|b − a|`` max-pooled, of a series the largest between neighbours; float32 ``[head, row, column]``, 0 where
            one of the two has not the query or the key; ``[query, key, |b − a|]`` of each head's largest change, the first
            key left out when there are others; and the mean weight on the first key in all records.
        """
        heads = [0] if measure == "rollout" else list(range(self.num_heads))
        skip = min(1, self.n_key - 1)
        sides = list(self.sides.values())
        # From the second record on: the keys that a record and the one before it have.
        common = [_in_both(a.keys, b.keys) for a, b in pairwise(sides)]
        pictures, top = [], np.zeros((len(heads), 3))
        sink: list[float] = []
        for part in overview_rows(self.n_query, size):
            best = np.zeros((len(heads), self.n_key), np.float32)
            for chosen in self._blocks(len(heads), part):
                change, first = self._change(heads, chosen, measure, rollouts, common)
                sink.append(first)
                best = np.maximum(best, change.max(1))
                others = np.nan_to_num(change[..., skip:]).reshape(len(heads), -1)
                for head, place in enumerate(others.argmax(1)):
                    if others[head, place] > top[head, 2]:
                        row, key = divmod(int(place), self.n_key - skip)
                        top[head] = chosen[row], key + skip, others[head, place]
            pictures.append(best)
        tall = np.stack(pictures, axis=1)
        return max_pool(tall, size), top, float(np.mean(sink))

    def _change(
        self,
        heads: list[int],
        rows: Sequence[int],
        measure: str,
        rollouts: Rollouts,
        common: Sequence[NDArray[np.bool_]],
    ) -> tuple[Numbers, float]:
        """Return the largest change from a record to the next, ``[head, row, key]``, and the mean weight on the first key."""
        most: Numbers | None = None
        sinks: list[Numbers] = []
        before: tuple[Side, Numbers] | None = None
        for number, side in enumerate(self.sides.values()):
            now = side.rows(heads, rows, measure, rollouts)
            sinks.append(now[..., 0].copy())
            if before is not None:
                other, numbers = before
                change = now - numbers
                np.abs(change, out=change)
                asked = [[one.queries[row] for row in rows] for one in (other, side)]
                # No number of a place that one of the two lacks is a change, NaN of the other included.
                change[:, ~(common[number - 1] & _in_both(*asked)[:, None])] = 0
                most = change if most is None else np.maximum(most, change, out=most)
            before = side, now
        total = sum(sinks[1:], sinks[0])
        return cast("Numbers", most), float(np.nan_to_num(total).mean() / len(sinks))

    def _tile(
        self, side: Side, request: Mapping[str, Any], measure: str, rollouts: Rollouts
    ) -> Numbers:
        """Return one tile of a head's map on the common axes, float32 ``[row, column]``."""
        level, (row, column) = request["level"], request["tile"]
        queries, keys = tile_span(row, level, self.n_query), tile_span(column, level, self.n_key)
        cell = 1 << level
        # Whole cells at a time.
        step = max(1, _BLOCK // self.n_key // cell) * cell
        parts = []
        for start in range(queries.start, queries.stop, step):
            chosen = range(start, min(queries.stop, start + step))
            rows = side.rows([request["head"]], chosen, measure, rollouts)[0]
            parts.append(max_pool_cells(rows[:, keys.start : keys.stop], cell))
        return np.concatenate(parts)

    def _blocks(self, num_heads: int, part: Sequence[int]) -> Iterator[Sequence[int]]:
        """Yield rows that are held at a time."""
        count = max(1, _BLOCK // (num_heads * self.n_key))
        for start in range(0, len(part), count):
            yield part[start : start + count]


def _in_both(a: Sequence[int | None], b: Sequence[int | None]) -> NDArray[np.bool_]:
    """Return at which places of a common axis both have a position."""
    return np.array([None not in pair for pair in zip(a, b, strict=True)])


def held_by(sides: Mapping[str, Sequence[int | None]]) -> list[str | None]:
    """Return of each place on a common axis the letters of the records that have it, or ``None`` where all have."""
    letters = list(sides)
    return [
        None
        if None not in places
        else "".join(letter for letter, at in zip(letters, places, strict=True) if at is not None)
        for places in zip(*sides.values(), strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedStream:
    """A stream of all records on their common axes.

    Attributes:
        name: Name of the stream.
        layers: The layers that all records have.
        query_positions: The common queries.
        key_positions: The common keys.
    """

    name: str
    layers: tuple[ComparedLayer, ...]
    query_positions: Positions
    key_positions: Positions

    @property
    def lies_in_media(self) -> bool:
        """False: a common axis lies in neither record's pictures."""
        return False

    @property
    def has_text(self) -> bool:
        """Whether any query or key is text."""
        return has_text((*self.query_positions, *self.key_positions))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[ComparedLayer]:
        return iter(self.layers)

    def __getitem__(self, number: int) -> ComparedLayer:
        """Return a layer by the models' number.

        Raises:
            IndexError: If there is no such layer.
        """
        for layer in self.layers:
            if layer.layer == number:
                return layer
        message = f"stream {self.name!r} of the comparison has no layer {number!r}."
        raise IndexError(message)


def lay_out(records: Sequence[Record], compared: Compared | ComparedSeries) -> ComparedStream:
    """Lay a stream of all records out on their common axes."""
    streams = [record[compared.stream] for record in records]
    queries = _positions(compared.queries, [stream.query_positions for stream in streams])
    keys = _positions(compared.keys, [stream.key_positions for stream in streams])
    same = compared.queries == compared.keys
    axes = [
        (
            tuple(place.at[number] for place in compared.queries),
            tuple(place.at[number] for place in compared.keys),
        )
        for number in range(len(streams))
    ]
    layers = tuple(
        ComparedLayer(
            stream=compared.stream,
            layer=number,
            num_heads=streams[0][number].num_heads,
            n_query=len(queries),
            n_key=len(keys),
            sides={
                letter: Side(stream, stream[number], *places)
                for letter, stream, places in zip(SIDES, streams, axes, strict=False)
            },
        )
        for number in compared.layers
    )
    return ComparedStream(compared.stream, layers, queries, queries if same else keys)


def _positions(places: Sequence[Pair | Place], inputs: Sequence[Positions]) -> Positions:
    """Return the common axis as positions."""
    found = [
        next(own[at] for at, own in zip(place.at, inputs, strict=True) if at is not None)
        for place in places
    ]
    # On a common axis a piece may stand beside another than it continues, and beside no picture.
    return tuple(
        replace(position, label=place.label, continues=False, medium=None)
        for position, place in zip(found, places, strict=True)
    )
