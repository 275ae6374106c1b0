"""A survey in the widget: heads by their mean scores, their most typical examples, and one of these at a time in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.score_definitions import SCORES
from attnwidget.protocol.codec import encode
from attnwidget.protocol.positions import pack
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream
from attnwidget.serve.head_numbers import HeadNumbers
from attnwidget.serve.meta import described_layer, described_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.analysis.head_scores import LayerScores
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.surveys.survey import Survey


# Of the texts of examples, so much travels with the first message: each one's beginning, the best examples first.
TEXT_LENGTH = 300

ALL_TEXTS = 400_000

_NAMES = list(SCORES)

_NOWHERE = (Position(""),)

_NO_RECORD = "a survey keeps sums and no weights; open one of its examples."


class SurveyNumbers(HeadNumbers):
    """Mean scores, their spread and typical examples, and rankings by links of the example that is open."""

    def __init__(self, survey: Survey, attention: Record) -> None:
        """Start with nothing but the survey."""
        super().__init__(attention)
        self._survey = survey

    def scores(self, stream: Stream, measure: str = "weights") -> Slices[Sequence[LayerScores]]:  # noqa: ARG002
        """Return the mean scores of a stream's layers, of whatever the survey measured."""
        yield from ()
        return self._survey.streams[stream.name].moments.scores()

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request asks for, those of `HeadNumbers` and besides, float32.

        - ``head_spreads``: ``[2, head, score]``, standard deviations of ``head_scores``;
        - ``typical``: ``[2, head, place]``, index and score of each head's examples for ``score``, -1 for none.
        """
        what = request["what"]
        if what == "head_spreads":
            spread = self._survey.streams[request["stream"]].moments.spread[:2]
            return encode(spread.astype(np.float32))
        if what == "typical":
            typical = self._survey.streams[request["stream"]].typical
            place = _NAMES.index(request["score"])
            both = np.stack([typical.index[:, place], np.nan_to_num(typical.value[:, place])])
            return encode(both.astype(np.float32))
        if what == "ranking" and self._attention[request["stream"]].query_positions is _NOWHERE:
            raise ValueError(_NO_RECORD)
        return (yield from super().work(request))

    def for_a_copy(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along: all, those on show first."""
        first = [name for name in (state["score"], state["other_score"]) if name in SCORES]
        names = list(dict.fromkeys([*first, *SCORES]))
        requests: list[dict[str, Any]] = []
        for stream in sorted(self._survey.streams, key=lambda name: name != state["stream"]):
            kinds = ("head_scores", "head_labels", "head_spreads")
            requests += [{"what": what, "stream": stream} for what in kinds]
            requests += [{"what": "typical", "stream": stream, "score": name} for name in names]
        ranked = [one for one in super().for_a_copy(state) if one["what"] == "ranking"]
        return requests + ranked


def _is_defined(layers: Sequence[LayerScores], name: str) -> bool:
    place = _NAMES.index(name)
    return any(not np.isnan(layer.values[:, place]).all() for layer in layers)


def without_a_record(survey: Survey) -> Record:
    """Return a stand-in for a record, with the survey's heads; the browser is told of no position."""
    streams = {
        name: Stream(
            name,
            tuple(
                Layer(
                    stream=name,
                    layer=layer,
                    module_path="",
                    num_heads=heads,
                    recorded=torch.ones((heads, 1, 1)),
                    reason=_NO_RECORD,
                )
                for layer, heads in found.moments.layers
            ),
            _NOWHERE,
            _NOWHERE,
        )
        for name, found in survey.streams.items()
    }
    return Record(survey.model_name, streams)


def _bare(survey: Survey) -> tuple[dict[str, Any], bytes]:
    """Return the meta of a survey without a record, and thumbnails that show nothing."""
    record = without_a_record(survey)
    streams, offset = [], 0
    for stream in record.streams.values():
        heads = sum(layer.num_heads for layer in stream)
        place = {"offset": offset, "rows": 1, "columns": 1, "sampled": False}
        layers = [described_layer(layer) for layer in stream]
        axes = {"query_positions": 0, "key_positions": 0}
        streams.append({"name": stream.name, "layers": layers, **axes, "overview": place})
        offset += heads
    described = {
        "version": 1,
        "model": survey.model_name,
        "positions": [pack([])],
        "streams": streams,
        "media": [],
        "scores": described_scores(),
    }
    return described, bytes(offset)


def example_texts(survey: Survey) -> dict[str, str]:
    """Return the beginnings of the examples' texts by index, the best examples of every head and score first."""
    places = max(found.typical.index.shape[-1] for found in survey.streams.values())
    ranked = (
        index
        for place in range(places)
        for found in survey.streams.values()
        for index in np.unique(found.typical.index[..., place]).tolist()
    )
    kept: dict[str, str] = {}
    room = ALL_TEXTS
    for index in dict.fromkeys(ranked):
        text = survey.texts.get(index)
        if text is None:
            continue
        shown = text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "…"
        room -= len(shown)
        if room < 0:
            break
        kept[str(index)] = shown
    return kept
