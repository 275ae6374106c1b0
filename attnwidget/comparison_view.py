"""The widget over two records: the heads that changed most, and one head of both side by side."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import traitlets

from attnwidget.describe import described_layer, described_position
from attnwidget.drawn import Rollouts
from attnwidget.finding.kinds import Score
from attnwidget.finding.measures import missing
from attnwidget.finding.rollout import rollout_missing
from attnwidget.heads import HeadNumbers
from attnwidget.pairing import REASON, PairedLayer, only_in, paired
from attnwidget.pooling import OVERVIEW_EXACT_ROWS
from attnwidget.protocol.axes import pack
from attnwidget.protocol.codec import encode, shade
from attnwidget.thumbnails import SINK_SHARE, thumbnail_size
from attnwidget.traits import SelectionError
from attnwidget.widget import AttentionWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.attention import Attention, Stream
    from attnwidget.finding.comparing import Comparison
    from attnwidget.protocol.codec import Block
    from attnwidget.slices import Slices

__all__ = ["DIVERGENCE", "ComparisonWidget"]

DIVERGENCE = Score(
    name="divergence",
    label="changed",
    question="How different is what the head looks at in the two records?",
    formula="Jensen–Shannon divergence of its rows, to base 2, mean over the queries that both have",
    source="Lin 1991",
)


class Divergences(HeadNumbers):
    """How much each head changed, as the one score that heads of two records have."""

    def __init__(self, comparison: Comparison, attention: Attention) -> None:
        """Take the divergences that the comparison holds."""
        super().__init__(attention)
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

    def for_a_copy(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the requests whose answers a copy without a kernel brings along."""
        kinds = ("head_scores", "head_labels")
        return [{"what": what, "stream": name} for name in self._attention for what in kinds]


class ComparisonWidget(AttentionWidget):
    """Two records in one widget: two inputs to one model, or two models on one input.

    The model view ranks the heads by how much their attention changed; the compare view shows the first selected head
    in both records and the difference, second minus first. Positions are places on the common axes.

    Example:
        >>> view = aw.compare(first, second).view()  # doctest: +SKIP
    """

    _score_names = (DIVERGENCE.name,)

    def __init__(self, comparison: Comparison, *, frozen: bool = False, **state: Any) -> None:
        """Make a widget over a comparison; `Comparison.view` describes the arguments."""
        self._comparison = comparison
        start: dict[str, Any] = {"score": DIVERGENCE.name, "arrange": "rank"}
        common = paired(comparison)
        first = comparison.streams[next(iter(common))]
        name = state.get("stream", first.stream)
        changed = comparison.streams.get(name, first)
        if "layer" not in state and "heads" not in state and name in common.streams:
            # The head that changed most is what one came for.
            layer = max(
                range(len(changed.layers)), key=lambda place: changed.divergence[place].max()
            )
            start["layer"] = changed.layers[layer]
            start["heads"] = [int(changed.divergence[layer].argmax())]
        super().__init__(common, frozen=frozen, **{**start, **state})

    @property
    def comparison(self) -> Comparison:
        """What is on show."""
        return self._comparison

    @property
    def attention(self) -> NoReturn:
        """Two records are on show, not one.

        Raises:
            AttributeError: Always.
        """
        message = "a comparison shows two records: view.comparison.a and view.comparison.b."
        raise AttributeError(message)

    def _numbers(self, attention: Attention) -> HeadNumbers:
        return Divergences(self._comparison, attention)

    def _described(self, attention: Attention) -> tuple[dict[str, Any], bytes]:
        return describe_pair(self._comparison, attention)

    @traitlets.validate("view")
    def _check_view(self, proposal: traitlets.Bunch) -> str:
        if proposal.value in {"head", "neuron"}:
            message = f"view must be 'all', 'model' or 'compare' of two records, got {proposal.value!r}: call view(view.comparison.a)."
            raise SelectionError(message)
        view: str = proposal.value
        return view

    @traitlets.validate("positions")
    def _check_positions(self, proposal: traitlets.Bunch) -> str:
        if proposal.value == "words":
            message = "positions of a comparison are those of its records: call compare(a.words(), b.words())."
            raise SelectionError(message)
        positions: str = proposal.value
        return positions

    @traitlets.validate("compare")
    def _check_compare(self, proposal: traitlets.Bunch) -> list[list[int]]:
        if proposal.value:
            message = f"a comparison shows one head of both records, got compare={proposal.value!r}: set layer and heads."
            raise SelectionError(message)
        return []

    def __repr__(self) -> str:
        return repr(self._comparison).replace("Comparison(", "ComparisonWidget(", 1)


def describe_pair(comparison: Comparison, attention: Attention) -> tuple[dict[str, Any], bytes]:
    """Return the meta of two records on common axes (see ``Meta`` in the schema), and thumbnails of ``|b − a|``."""
    size = thumbnail_size(attention)
    streams: list[dict[str, Any]] = []
    positions: list[list[dict[str, Any]]] = []
    chunks: list[bytes] = []
    offset = 0
    for stream in attention.streams.values():
        layers = [cast("PairedLayer", layer) for layer in cast("Sequence[object]", stream.layers)]
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
        "model": attention.model_name,
        "positions": list(map(pack, positions)),
        "streams": streams,
    }
    described |= {
        "media": [],
        "scores": [asdict(DIVERGENCE)],
        "comparison": {"a": first, "b": second},
    }
    return described, b"".join(chunks)


def _axes(stream: Stream, layer: PairedLayer) -> list[list[dict[str, Any]]]:
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
        for measure in ("value", "norm")
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
