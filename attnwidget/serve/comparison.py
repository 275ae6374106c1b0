"""`ComparisonSource`: blocks, scores and description of two records on common axes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.group_shares import layer_shares
from attnwidget.analysis.rollout import rollout_missing
from attnwidget.analysis.score_definitions import Score
from attnwidget.compute.checks import is_word, shown
from attnwidget.compute.measures import missing
from attnwidget.compute.not_numbers import largest
from attnwidget.compute.overview import OVERVIEW_EXACT_ROWS
from attnwidget.compute.resumable import share_of
from attnwidget.protocol.codec import encode, shade
from attnwidget.protocol.constants import SINK_SHARE, WEIGHTED_MEASURES
from attnwidget.protocol.positions import pack
from attnwidget.serve.blocks import Rollouts, encoded
from attnwidget.serve.groups import ShownGroups
from attnwidget.serve.head_numbers import HEAD_KINDS, HeadNumbers
from attnwidget.serve.meta import described_layer, described_position
from attnwidget.serve.opening import CHOSEN_BY_CALLER
from attnwidget.serve.paired_streams import REASON, PairedLayer, PairedStream, only_in, pair_stream
from attnwidget.serve.source import Source
from attnwidget.serve.streams import is_cheap
from attnwidget.serve.thumbnails import thumbnail_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By
    from attnwidget.comparison.comparison import Comparison
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.serve.opening import Chosen
    from attnwidget.serve.streams import ShownLayer, ShownStream

    Numbers = NDArray[np.float32]
    Overview = tuple[Numbers, NDArray[np.float64], float]

__all__ = ["DIVERGENCE", "ComparisonSource"]

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
    comparison: Comparison,
    paired: Mapping[str, PairedStream],
    pictures: Callable[[PairedLayer], Overview] | None,
    groups: ShownGroups,
) -> tuple[dict[str, Any], bytes]:
    """Return the meta of two records on common axes (see ``Meta`` in the schema), and thumbnails of ``|b − a|``.

    Without ``pictures``, which makes those of a layer, the thumbnails show nothing, and what is found by the way is left out.
    """
    streams: list[dict[str, Any]] = []
    positions: list[list[dict[str, Any]]] = []
    chunks: list[bytes] = []
    offset = 0
    for stream in paired.values():
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
        unrolled = [rollout_missing(each[stream.name]) for each in (comparison.a, comparison.b)]
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
    if layer.a.layer.precision != layer.b.layer.precision:
        described["precision"] = " · ".join(
            f"{name} {side.layer.precision or 'weights in float32'}"
            for name, side in (("A", layer.a), ("B", layer.b))
        )
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
    python_name = "comparison"

    def __init__(self, comparison: Comparison, groups: By | None = None) -> None:
        """Lay the compared streams out.

        Args:
            comparison: The comparison.
            groups: The caller's own groups of places on the common axes; see `Attention.groups`.

        Raises:
            ValueError: If they are no groups of these places.
        """
        self.comparison = comparison
        self._streams = {
            name: pair_stream(comparison, compared)
            for name, compared in comparison.streams.items()
            if compared.layers
        }
        self._heads = Divergences(comparison, self._streams)
        self._groups = ShownGroups(self._streams, groups)
        self.groups = self._groups
        self._rollouts = Rollouts()
        self._overviews: dict[tuple[str, int], Overview] = {}

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
        pictures = self._overview if thumbnails else None
        return _describe(self.comparison, self._streams, pictures, self._groups)

    def _overview(self, layer: PairedLayer) -> Overview:
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

    def _shares(self, stream: PairedStream, request: Mapping[str, Any]) -> Slices[Numbers]:
        """Compute the shares of a layer in one record, or the second's minus the first's; see `RecordGroups.work`."""
        groups = self._groups.grouping(stream.name, request["grouping"])
        layer, measure = stream[request["layer"]], request.get("measure", "weights")
        found = []
        for place, side in enumerate((layer.a, layer.b)):
            if request.get("side", self.sides[place]) == self.sides[place]:
                work = layer_shares(side.layer, side.groups(groups), measure)
                found.append((yield from share_of(work, place / 2, (place + 1) / 2)))
        shares = found[0] if len(found) == 1 else found[1] - found[0]
        return shares.astype(np.float32)  # type: ignore[no-any-return,unused-ignore]

    def group_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests for shares of groups in both records; see `Source.group_requests`."""
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
        name, number, head = ref
        layer = self._streams[name][number]
        both = layer.a, layer.b
        if side is None:
            first, second = (
                self.block(ref, queries, keys, measure=measure, side=each) for each in self.sides
            )
            changed: Numbers = np.abs(second - first)
            # What only one of them has did not change; where both have it, NaN is the model's.
            changed[[any(each.queries[row] is None for each in both) for row in queries]] = 0
            changed[:, [any(each.keys[column] is None for each in both) for column in keys]] = 0
            return changed
        one = dict(zip(self.sides, both, strict=True))[side]
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
        if {"layer", "heads"} & set(given) or not is_word(name, self._streams):
            return start
        layer, head, _ = self._most_changed(name)
        return {**start, "layer": layer, "heads": [head]}

    def _most_changed(self, stream: str) -> tuple[int, int, float]:
        """Return layer, head and divergence of the head of a stream that changed most."""
        changed = self.comparison.streams[stream]
        best = [largest(values) for values in changed.divergence]
        values = np.array([some[at] for some, at in zip(changed.divergence, best, strict=True)])
        place = largest(values)
        return changed.layers[place], best[place], float(values[place])

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
        why = f"the head that changed most, by {divergence:.3f}, and where it changed most{first}"
        return {"stream": name, "layer": layer, "head": head, **link, "why": why, "also": []}

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a selection cannot be shown of two records; see `Source.refusal`."""
        if name == "view" and is_word(value, ("head", "neuron")):
            return f"view must be 'all', 'model' or 'compare' of two records, got {shown(value)}: call view(view.comparison.a)."
        if name == "positions" and is_word(value, ("words",)):
            return "positions of a comparison are those of its records: call compare(a.words(), b.words())."
        if name == "compare" and isinstance(value, list) and value:
            return f"a comparison shows one head of both records, got compare={shown(value)}: set layer and heads."
        return None
