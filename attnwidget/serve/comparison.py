"""`ComparisonSource`: blocks, scores and description of two or more records on common axes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.analysis.group_shares import layer_shares
from attnwidget.analysis.rollout import rollout_missing
from attnwidget.compute.checks import is_word, shown
from attnwidget.compute.measures import missing
from attnwidget.compute.not_numbers import largest
from attnwidget.compute.overview import OVERVIEW_EXACT_ROWS
from attnwidget.compute.resumable import share_of
from attnwidget.protocol.codec import encode, shade
from attnwidget.protocol.constants import SIDES, SINK_SHARE, WEIGHTED_MEASURES
from attnwidget.protocol.positions import pack
from attnwidget.serve.blocks import Rollouts, encoded
from attnwidget.serve.change_scores import ChangeScores, change_scores
from attnwidget.serve.compared_streams import (
    REASON,
    REASON_OF_SERIES,
    ComparedLayer,
    ComparedStream,
    held_by,
    lay_out,
)
from attnwidget.serve.groups import ShownGroups
from attnwidget.serve.head_numbers import HEAD_KINDS
from attnwidget.serve.meta import described_layer, described_position
from attnwidget.serve.opening import CHOSEN_BY_CALLER
from attnwidget.serve.source import Source
from attnwidget.serve.streams import is_cheap
from attnwidget.serve.thumbnails import thumbnail_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By
    from attnwidget.comparison.comparison import Comparison
    from attnwidget.comparison.series import ComparisonSeries
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.serve.head_numbers import HeadNumbers
    from attnwidget.serve.opening import Chosen
    from attnwidget.serve.streams import ShownLayer, ShownStream

    Numbers = NDArray[np.float32]
    Overview = tuple[Numbers, NDArray[np.float64], float]

__all__ = ["ComparisonSource"]

NO_GRADIENTS = (
    "they are of one record, and these are several: call attnwidget.view(record, measure='gradient') of one of them that was "
    "captured with metric=…."
)


def _describe(
    comparison: Comparison | ComparisonSeries,
    compared: Mapping[str, ComparedStream],
    pictures: Callable[[ComparedLayer], Overview] | None,
    groups: ShownGroups,
) -> tuple[dict[str, Any], bytes]:
    """Return the meta of records on common axes (see ``Meta`` in the schema), and thumbnails of how much heads change.

    Without ``pictures``, which makes those of a layer, the thumbnails show nothing, and what is found by the way is left out.
    """
    streams: list[dict[str, Any]] = []
    positions: list[list[dict[str, Any]]] = []
    chunks: list[bytes] = []
    offset = 0
    for stream in compared.values():
        layers = stream.layers
        found = [] if pictures is None else [pictures(layer) for layer in layers]
        empty = np.zeros((sum(layer.num_heads for layer in layers), 1, 1), np.uint8)
        thumbnails = np.concatenate([shade(changes) for changes, _, _ in found]) if found else empty
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
        }
        if found:
            meta["top"] = np.concatenate([top for _, top, _ in found]).ravel().tolist()
        positions += axes[:1] if axes[0] == axes[1] else axes
        unrolled = [rollout_missing(each[stream.name]) for each in comparison.records]
        meta["no_gradients"] = NO_GRADIENTS
        if any(unrolled):
            meta["no_rollout"] = next(reason for reason in unrolled if reason)
        groupings = groups.described(stream.name)
        if groupings:
            meta["groupings"] = groupings
        share = float(np.mean([sink for _, _, sink in found])) if found else 0.0
        if share > SINK_SHARE and layers[0].n_key > 2:
            meta["sink"] = {"share": round(min(1.0, share), 4)}
        streams.append(meta)
        chunks.append(thumbnails.tobytes())
        offset += thumbnails.size
    described = {
        "version": 1,
        "model": " and ".join(dict.fromkeys(each.model_name for each in comparison.records)),
        "positions": list(map(pack, positions)),
        "streams": streams,
    }
    described |= {
        "media": [],
        "scores": list(map(asdict, change_scores(len(comparison.records)))),
        "comparison": {"names": list(comparison.names)},
    }
    return described, b"".join(chunks)


def _axes(stream: ComparedStream, layer: ComparedLayer) -> list[list[dict[str, Any]]]:
    sides = layer.sides.items()
    name = "only" if len(sides) == 2 else "among"
    axes = (
        (stream.query_positions, held_by({letter: side.queries for letter, side in sides})),
        (stream.key_positions, held_by({letter: side.keys for letter, side in sides})),
    )
    return [
        [
            {**described_position(position), **({} if some is None else {name: some})}
            for position, some in zip(axis, held, strict=True)
        ]
        for axis, held in axes
    ]


def _layer(layer: ComparedLayer) -> dict[str, Any]:
    """Return the entry of a layer of compared records: it has what all have."""
    sides = [side.layer for side in layer.sides.values()]
    described = described_layer(sides[0])
    lacking = {
        measure: reason
        for measure in WEIGHTED_MEASURES
        # The last one's reason, if it has one.
        for reason in [next(filter(None, (missing(one, measure) for one in sides[::-1])), None)]
        if reason is not None
    }
    described.pop("missing", None)
    if len({one.precision for one in sides}) > 1:
        described["precision"] = " · ".join(
            f"{name.upper()} {one.precision or 'weights in float32'}"
            for name, one in zip(layer.sides, sides, strict=True)
        )
    nothing = {
        "num_key_value_heads": None,
        "head_dim": None,
        "has_vectors": False,
        "reason": REASON if len(sides) == 2 else REASON_OF_SERIES,
    }
    return {**described, **nothing, **({"missing": lacking} if lacking else {})}


class ComparisonSource(Source):
    """Two or more records that are compared, on their common axes."""

    figure_kind = "compare"
    python_name = "comparison"

    def __init__(self, comparison: Comparison | ComparisonSeries, groups: By | None = None) -> None:
        """Lay the compared streams out.

        Args:
            comparison: The comparison.
            groups: The caller's own groups of places on the common axes; see `Attention.groups`.

        Raises:
            ValueError: If they are no groups of these places.
        """
        self.comparison = comparison
        count = len(comparison.records)
        self.sides = tuple(SIDES[:count])
        self.score_names = tuple(score.name for score in change_scores(count))
        self._streams = {
            name: lay_out(comparison.records, compared)
            for name, compared in comparison.streams.items()
            if compared.layers
        }
        self._heads = ChangeScores(comparison.streams, self._streams)
        self._groups = ShownGroups(self._streams, groups)
        self.groups = self._groups
        self._rollouts = Rollouts()
        self._overviews: dict[tuple[str, int], Overview] = {}

    @property
    def _is_series(self) -> bool:
        return len(self.sides) > 2

    @property
    def streams(self) -> Mapping[str, ShownStream]:
        """The streams that all records have."""
        return self._streams

    @property
    def heads(self) -> HeadNumbers:
        """How much each head changed."""
        return self._heads

    def meta(self, *, thumbnails: bool = True) -> tuple[dict[str, Any], bytes]:
        """Return the comparison's description; see `Source.meta`."""
        pictures = self._overview if thumbnails else None
        return _describe(self.comparison, self._streams, pictures, self._groups)

    def _overview(self, layer: ComparedLayer) -> Overview:
        """Return how much a layer's heads changed, computed once."""
        where = layer.stream, layer.layer
        if where not in self._overviews:
            size = thumbnail_size(self._streams)
            self._overviews[where] = layer.overview(size, "weights", Rollouts())
        return self._overviews[where]

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute a block of one of the records; see `Source.work`."""
        if request["what"] in HEAD_KINDS:
            return (yield from self._heads.work(request))
        stream = self._streams[request["stream"]]
        if request["what"] == "group_shares":
            return encode((yield from self._shares(stream, request)))
        return encoded(request, stream[request["layer"]].block(request, self._rollouts))

    def _shares(self, stream: ComparedStream, request: Mapping[str, Any]) -> Slices[Numbers]:
        """Compute the shares of a layer in one record, or the last's minus the first's; see `RecordGroups.work`."""
        groups = self._groups.grouping(stream.name, request["grouping"])
        layer, measure = stream[request["layer"]], request.get("measure", "weights")
        found = []
        ends = [request["side"]] if "side" in request else [self.sides[0], self.sides[-1]]
        for place, name in enumerate(ends):
            side = layer.sides[name]
            work = layer_shares(side.layer, side.groups(groups), measure)
            found.append((yield from share_of(work, place / len(ends), (place + 1) / len(ends))))
        shares = found[0] if len(found) == 1 else found[1] - found[0]
        return shares.astype(np.float32)  # type: ignore[no-any-return,unused-ignore]

    def group_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests for shares of groups in each record; see `Source.group_requests`."""
        for name, stream in self._streams.items():
            if not is_cheap(stream):
                continue
            for by in self._groups.of(name):
                for layer in stream:
                    where = {"stream": name, "layer": layer.layer, "head": 0, "grouping": by}
                    yield from (
                        {"what": "group_shares", **where, "side": side} for side in self.sides
                    )

    def requests(self, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
        """Yield the requests about one head of each; see `Source.requests`."""
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
        name, number, head = ref
        layer = self._streams[name][number]
        if side is None:
            return self._change(ref, queries, keys, measure)
        one = layer.sides[side]
        heads = [0 if measure == "rollout" else head]
        columns = list(keys)
        found: Numbers = one.rows(heads, list(queries), measure, self._rollouts)[0][:, columns]
        found[[one.queries[row] is None for row in queries]] = np.nan
        found[:, [one.keys[column] is None for column in columns]] = np.nan
        return found

    def _change(
        self, ref: tuple[str, int, int], queries: Sequence[int], keys: Sequence[int], measure: str
    ) -> Numbers:
        """Return the largest change from a record to the next."""
        sides = self._streams[ref[0]][ref[1]].sides
        most: Numbers | None = None
        before: Numbers | None = None
        for second, name in enumerate(self.sides):
            now = self.block(ref, queries, keys, measure=measure, side=name)
            if before is not None:
                changed = np.abs(now - before)
                # What only one of them has did not change; where both have it, NaN is the model's.
                both = sides[self.sides[second - 1]], sides[name]
                changed[[any(one.queries[row] is None for one in both) for row in queries]] = 0
                changed[:, [any(one.keys[column] is None for one in both) for column in keys]] = 0
                most = changed if most is None else np.maximum(most, changed)
            before = now
        return cast("Numbers", most)

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the head that changed most, which is what one came for; see `Source.start`."""
        start = {**super().start(given), "score": self.score_names[0], "arrange": "rank"}
        name = given.get("stream", start["stream"])
        if {"layer", "heads"} & set(given) or not is_word(name, self._streams):
            return start
        layer, head, _ = self._most_changed(name)
        return {**start, "layer": layer, "heads": [head]}

    def _most_changed(self, stream: str) -> tuple[int, int, float]:
        """Return layer, head and divergence of the head of a stream that changed most."""
        values = self._heads.values(stream)[:, 0]
        best = place = largest(values)
        for layer in self._streams[stream]:
            if place < layer.num_heads:
                break
            place -= layer.num_heads
        return layer.layer, place, float(values[best])

    def choose(self, given: Mapping[str, Any]) -> Chosen | None:
        """Return the head that changed most, and where it did; see `Source.choose`."""
        name = given.get("stream", next(iter(self._streams)))
        if CHOSEN_BY_CALLER & set(given) or not is_word(name, self._streams):
            return None
        layer, head, divergence = self._most_changed(name)
        if not divergence > 0:
            return None
        query, key, change = self._overview(self._streams[name][layer])[1][head].tolist()
        if not change > 0:
            return None
        link = {"query": int(query), "key": int(key), "weight": float(change)}
        first = "" if self._streams[name][layer].n_key == 1 else " but on the first token"
        by, where = (
            (f"{divergence:.3f} a step", "its largest step")
            if self._is_series
            else (f"{divergence:.3f}", "where it changed most")
        )
        why = f"the head that changed most, by {by}, and {where}{first}"
        return {"stream": name, "layer": layer, "head": head, **link, "why": why, "also": []}

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a selection cannot be shown of compared records; see `Source.refusal`."""
        several = self._is_series
        if name == "view" and is_word(value, ("head", "neuron")):
            of, one = ("several", "records[0]") if several else ("two", "a")
            return f"view must be 'all', 'model' or 'compare' of {of} records, got {shown(value)}: call view(view.comparison.{one})."
        if name == "positions" and is_word(value, ("words",)):
            each = "*(record.words() for record in records)" if several else "a.words(), b.words()"
            return f"positions of a comparison are those of its records: call compare({each})."
        if name == "compare" and isinstance(value, list) and value:
            of = "every record" if several else "both records"
            return f"a comparison shows one head of {of}, got compare={shown(value)}: set layer and heads."
        return None
