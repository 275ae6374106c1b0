"""`PairedStream`, `PairedLayer`: a stream of two records laid out on their common axes, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.compute.group_sums import GroupNumbers
from attnwidget.compute.measures import missing
from attnwidget.compute.overview import overview_rows
from attnwidget.compute.pooling import max_pool, max_pool_cells
from attnwidget.compute.tiles import tile_span
from attnwidget.protocol.constants import WEIGHTED_MEASURES
from attnwidget.record.stream import has_text
from attnwidget.serve.blocks import Rollouts, band_rows, key_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import Groups
    from attnwidget.comparison.alignment import Pair
    from attnwidget.comparison.comparison import Compared, Comparison
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float32]

__all__ = ["REASON", "PairedLayer", "PairedStream", "only_in", "pair_stream"]

REASON = (
    "two records are compared here: view(comparison.a) and view(comparison.b) take weights apart."
)

# Numbers of a block of rows that are held at a time.
_BLOCK = 1 << 21


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A layer of one of two records, and where its positions lie on the common axes.

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


@lru_cache(maxsize=8)
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
class PairedLayer:
    """A layer of both records on their common axes.

    Attributes:
        stream: Name of the stream.
        layer: The models' number of the layer.
        num_heads: Number of heads.
        n_query: Number of common queries.
        n_key: Number of common keys.
        a: The first record's.
        b: The second record's.
    """

    stream: str
    layer: int
    num_heads: int
    n_query: int
    n_key: int
    a: Side
    b: Side

    def block(self, request: Mapping[str, Any], rollouts: Rollouts) -> Numbers:
        """Return what a request (see ``BlockRequest`` in the schema) asks for, of the side that it names.

        Raises:
            ValueError: If the layer cannot give it.
        """
        what, head = request["what"], request["head"]
        measure = request.get("measure", "weights")
        if what == "overview":
            return self.overview(request["size"], measure, rollouts)[0]
        if "side" not in request:
            message = f"side must be 'a' or 'b' of two records, for {what} of one of them."
            raise ValueError(message)
        side = {"a": self.a, "b": self.b}[request["side"]]
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
        message = f"of two records there are weights, column, rollout, lengths, tile and overview, got {what!r}."
        raise ValueError(message)

    def requests(self, head: int) -> Iterator[dict[str, Any]]:
        """Yield every request that the compare view makes about one head."""
        rows = band_rows(self.n_key)
        for name, side in (("a", self.a), ("b", self.b)):
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
            ``|b − a|`` max-pooled, float32 ``[head, row, column]``, 0 where only one record has the query or the key;
            ``[query, key, |b − a|]`` of each head's largest change, the first key left out when there are others; and
            the mean weight on the first key in both.
        """
        heads = [0] if measure == "rollout" else list(range(self.num_heads))
        common = np.array([None not in pair for pair in zip(self.a.keys, self.b.keys, strict=True)])
        skip = min(1, self.n_key - 1)
        pictures, top = [], np.zeros((len(heads), 3))
        sink: list[float] = []
        for part in overview_rows(self.n_query, size):
            best = np.zeros((len(heads), self.n_key), np.float32)
            for chosen, a in self._read(self.a, heads, part, measure, rollouts):
                b = self.b.rows(heads, chosen, measure, rollouts)
                both = [None not in (self.a.queries[row], self.b.queries[row]) for row in chosen]
                change = b - a
                np.abs(change, out=change)
                change *= common & np.array(both)[:, None]
                sink.append(float(np.nan_to_num(a[..., 0] + b[..., 0]).mean() / 2))
                best = np.maximum(best, change.max(1))
                others = np.nan_to_num(change[..., skip:]).reshape(len(heads), -1)
                for head, place in enumerate(others.argmax(1)):
                    if others[head, place] > top[head, 2]:
                        row, key = divmod(int(place), self.n_key - skip)
                        top[head] = chosen[row], key + skip, others[head, place]
            pictures.append(best)
        tall = np.stack(pictures, axis=1)
        return max_pool(tall, size), top, float(np.mean(sink))

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

    def _read(
        self, side: Side, heads: list[int], part: Sequence[int], measure: str, rollouts: Rollouts
    ) -> Iterator[tuple[Sequence[int], Numbers]]:
        count = max(1, _BLOCK // (len(heads) * self.n_key))
        for start in range(0, len(part), count):
            chosen = part[start : start + count]
            yield chosen, side.rows(heads, chosen, measure, rollouts)


def only_in(a: Sequence[int | None], b: Sequence[int | None]) -> list[str | None]:
    """Return of each place on a common axis the one record that has it, or ``None`` where both have."""
    return [
        None if None not in pair else "b" if pair[0] is None else "a"
        for pair in zip(a, b, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class PairedStream:
    """A stream of both records on their common axes.

    Attributes:
        name: Name of the stream.
        layers: The layers that both records have.
        query_positions: The common queries.
        key_positions: The common keys.
    """

    name: str
    layers: tuple[PairedLayer, ...]
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

    def __iter__(self) -> Iterator[PairedLayer]:
        return iter(self.layers)

    def __getitem__(self, number: int) -> PairedLayer:
        """Return a layer by the models' number.

        Raises:
            IndexError: If there is no such layer.
        """
        for layer in self.layers:
            if layer.layer == number:
                return layer
        message = f"stream {self.name!r} of the comparison has no layer {number!r}."
        raise IndexError(message)


def pair_stream(comparison: Comparison, compared: Compared) -> PairedStream:
    """Lay a stream of both records out on their common axes."""
    a, b = comparison.a[compared.stream], comparison.b[compared.stream]
    queries = _positions(compared.queries, a.query_positions, b.query_positions)
    keys = _positions(compared.keys, a.key_positions, b.key_positions)
    same = compared.queries == compared.keys
    places = [
        (
            tuple(getattr(pair, side) for pair in compared.queries),
            tuple(getattr(pair, side) for pair in compared.keys),
        )
        for side in ("a", "b")
    ]
    layers = tuple(
        PairedLayer(
            stream=compared.stream,
            layer=number,
            num_heads=a[number].num_heads,
            n_query=len(queries),
            n_key=len(keys),
            a=Side(a, a[number], *places[0]),
            b=Side(b, b[number], *places[1]),
        )
        for number in compared.layers
    )
    return PairedStream(compared.stream, layers, queries, queries if same else keys)


def _positions(pairs: tuple[Pair, ...], a: Positions, b: Positions) -> Positions:
    """Return the common axis as positions."""
    found = [a[pair.a] if pair.a is not None else b[cast("int", pair.b)] for pair in pairs]
    # On a common axis a piece may stand beside another than it continues, and beside no picture.
    return tuple(
        replace(position, label=pair.label, continues=False, medium=None)
        for position, pair in zip(found, pairs, strict=True)
    )
