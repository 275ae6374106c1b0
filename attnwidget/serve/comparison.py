"""`ComparisonSource`: blocks, scores and description of two records on common axes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.analysis.rollout import rollout_missing
from attnwidget.analysis.score_definitions import Score
from attnwidget.compute.measures import missing
from attnwidget.compute.overview import OVERVIEW_EXACT_ROWS, overview_rows
from attnwidget.compute.pooling import max_pool, max_pool_cells
from attnwidget.compute.tiles import tile_span
from attnwidget.protocol.codec import encode, shade
from attnwidget.protocol.constants import SINK_SHARE, WEIGHTED_MEASURES
from attnwidget.protocol.positions import pack
from attnwidget.record.stream import has_text
from attnwidget.serve.blocks import Rollouts, band_rows, encoded, key_lengths
from attnwidget.serve.head_numbers import HEAD_KINDS, HeadNumbers
from attnwidget.serve.meta import described_layer, described_position
from attnwidget.serve.source import Source
from attnwidget.serve.thumbnails import thumbnail_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.comparison.alignment import Pair
    from attnwidget.comparison.comparison import Compared, Comparison
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.stream import Stream
    from attnwidget.serve.streams import ShownLayer, ShownStream

    Numbers = NDArray[np.float32]

__all__ = ["DIVERGENCE", "ComparisonSource"]

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

    def lengths(self, head: int, measure: str) -> Numbers:
        """Return what weights are multiplied by in a measure, float32 ``[1, key]``, 0 where a key is missing."""
        own = key_lengths(self.layer, head, measure)[0]
        return np.array([[0 if at is None else own[at] for at in self.keys]], np.float32)


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
                sink.append(float((a[..., 0] + b[..., 0]).mean() / 2))
                best = np.maximum(best, change.max(1))
                others = change[..., skip:].reshape(len(heads), -1)
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


def _paired(comparison: Comparison, compared: Compared) -> PairedStream:
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


DIVERGENCE = Score(
    name="divergence",
    label="changed",
    question="How different is what the head looks at in the two records?",
    formula="Jensen–Shannon divergence of its rows, to base 2, mean over the queries that both have",
    source="Lin 1991",
)


class Divergences(HeadNumbers):
    """How much each head changed, as the one score that heads of two records have."""

    def __init__(self, comparison: Comparison, streams: Mapping[str, ShownStream]) -> None:
        """Take the divergences that the comparison holds."""
        super().__init__(streams)
        self._comparison = comparison

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Return the divergences of a stream's heads; they carry no labels."""
        yield from ()
        compared = self._comparison.streams[request["stream"]]
        values = np.concatenate(compared.divergence).astype(np.float32)
        if request["what"] == "head_scores":
            # With the sink and without: there is only one of them.
            return encode(np.stack([values, values])[..., None])
        if request["what"] == "head_labels":
            return encode(np.tile(np.array([-1, 0], np.float32), (len(values), 1)))
        message = "heads of two records are ranked by how much they changed, and by nothing else."
        raise ValueError(message)

    def snapshot_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the requests whose answers a copy without a kernel brings along."""
        kinds = ("head_scores", "head_labels")
        return [{"what": what, "stream": name} for name in self._streams for what in kinds]


def _describe(
    comparison: Comparison, paired: Mapping[str, PairedStream], size: int
) -> tuple[dict[str, Any], bytes]:
    """Return the meta of two records on common axes (see ``Meta`` in the schema), and thumbnails of ``|b − a|``."""
    streams: list[dict[str, Any]] = []
    positions: list[list[dict[str, Any]]] = []
    chunks: list[bytes] = []
    offset = 0
    for stream in paired.values():
        layers = stream.layers
        found = [layer.overview(size, "weights", Rollouts()) for layer in layers]
        thumbnails = np.concatenate([shade(pictures) for pictures, _, _ in found])
        axes = _axes(stream, layers[0])
        meta: dict[str, Any] = {
            "name": stream.name,
            "layers": [_layer(layer) for layer in layers],
            "query_positions": len(positions),
            "key_positions": len(positions) + (axes[0] != axes[1]),
            "overview": {
                "offset": offset,
                "rows": thumbnails.shape[1],
                "columns": thumbnails.shape[2],
                "sampled": layers[0].n_query > OVERVIEW_EXACT_ROWS,
            },
            "top": np.concatenate([top for _, top, _ in found]).ravel().tolist(),
        }
        positions += axes[:1] if axes[0] == axes[1] else axes
        unrolled = [rollout_missing(each[stream.name]) for each in (comparison.a, comparison.b)]
        if any(unrolled):
            meta["no_rollout"] = next(reason for reason in unrolled if reason)
        share = float(np.mean([sink for _, _, sink in found]))
        if share > SINK_SHARE and layers[0].n_key > 2:
            meta["sink"] = {"share": round(min(1.0, share), 4)}
        streams.append(meta)
        chunks.append(thumbnails.tobytes())
        offset += thumbnails.size
    first, second = comparison.names
    described = {
        "version": 1,
        "model": " and ".join(dict.fromkeys((comparison.a.model_name, comparison.b.model_name))),
        "positions": list(map(pack, positions)),
        "streams": streams,
    }
    described |= {
        "media": [],
        "scores": [asdict(DIVERGENCE)],
        "comparison": {"a": first, "b": second},
    }
    return described, b"".join(chunks)


def _axes(stream: PairedStream, layer: PairedLayer) -> list[list[dict[str, Any]]]:
    sides = (
        (stream.query_positions, only_in(layer.a.queries, layer.b.queries)),
        (stream.key_positions, only_in(layer.a.keys, layer.b.keys)),
    )
    return [
        [
            {**described_position(position), **({} if only is None else {"only": only})}
            for position, only in zip(axis, onlies, strict=True)
        ]
        for axis, onlies in sides
    ]


def _layer(layer: PairedLayer) -> dict[str, Any]:
    """Return the entry of a layer of two: it has what both have."""
    described = described_layer(layer.a.layer)
    lacking = {
        measure: reason
        for measure in WEIGHTED_MEASURES
        for reason in [missing(layer.b.layer, measure) or missing(layer.a.layer, measure)]
        if reason is not None
    }
    described.pop("missing", None)
    nothing = {
        "num_key_value_heads": None,
        "head_dim": None,
        "has_vectors": False,
        "reason": REASON,
    }
    return {**described, **nothing, **({"missing": lacking} if lacking else {})}


class ComparisonSource(Source):
    """Two records that are compared, on their common axes."""

    score_names = (DIVERGENCE.name,)
    sides = ("a", "b")
    figure_kind = "compare"

    def __init__(self, comparison: Comparison) -> None:
        """Lay the compared streams out."""
        self.comparison = comparison
        self._streams = {
            name: _paired(comparison, compared)
            for name, compared in comparison.streams.items()
            if compared.layers
        }
        self._heads = Divergences(comparison, self._streams)
        self._rollouts = Rollouts()

    @property
    def streams(self) -> Mapping[str, ShownStream]:
        """The streams that both records have."""
        return self._streams

    @property
    def heads(self) -> HeadNumbers:
        """How much each head changed."""
        return self._heads

    def meta(self, *, thumbnails: bool = True) -> tuple[dict[str, Any], bytes]:
        """Return the comparison's description; see `Source.meta`."""
        del thumbnails
        return _describe(self.comparison, self._streams, thumbnail_size(self._streams))

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute a block of one of the records; see `Source.work`."""
        if request["what"] in HEAD_KINDS:
            return (yield from self._heads.work(request))
        stream = self._streams[request["stream"]]
        return encoded(request, stream[request["layer"]].block(request, self._rollouts))

    def requests(self, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
        """Yield the requests about one head of both; see `Source.requests`."""
        return self._streams[layer.stream][layer.layer].requests(head)

    def block(
        self,
        ref: tuple[str, int, int],
        queries: Sequence[int],
        keys: Sequence[int],
        *,
        measure: str = "weights",
        side: str | None = None,
    ) -> Numbers:
        """Return a block of one head in one record; see `Source.block`. Without a side, how much it changed."""
        if side is None:
            first, second = (
                self.block(ref, queries, keys, measure=measure, side=each) for each in self.sides
            )
            changed: Numbers = np.nan_to_num(np.abs(second - first))
            return changed
        name, number, head = ref
        layer = self._streams[name][number]
        one = {"a": layer.a, "b": layer.b}[side]
        heads = [0 if measure == "rollout" else head]
        columns = list(keys)
        found: Numbers = one.rows(heads, list(queries), measure, self._rollouts)[0][:, columns]
        found[[one.queries[row] is None for row in queries]] = np.nan
        found[:, [one.keys[column] is None for column in columns]] = np.nan
        return found

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the head that changed most, which is what one came for; see `Source.start`."""
        start = {**super().start(given), "score": DIVERGENCE.name, "arrange": "rank"}
        name = given.get("stream", start["stream"])
        if {"layer", "heads"} & set(given) or name not in self._streams:
            return start
        changed = self.comparison.streams[name]
        place = max(range(len(changed.layers)), key=lambda at: changed.divergence[at].max())
        heads = [int(changed.divergence[place].argmax())]
        return {**start, "layer": changed.layers[place], "heads": heads}

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a selection cannot be shown of two records; see `Source.refusal`."""
        if name == "view" and value in {"head", "neuron"}:
            return f"view must be 'all', 'model' or 'compare' of two records, got {value!r}: call view(view.comparison.a)."
        if name == "positions" and value == "words":
            return "positions of a comparison are those of its records: call compare(a.words(), b.words())."
        if name == "compare" and value:
            return f"a comparison shows one head of both records, got compare={value!r}: set layer and heads."
        return None
