"""Numbers about all heads of a stream, for the model view: computed when first asked, kept, sent as small arrays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.find_heads import Links, links, stream_weights_slices
from attnwidget.analysis.head_scores import labels, score_slices
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.resumable import finish
from attnwidget.protocol.codec import encode
from attnwidget.serve.jobs import Shared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.head_scores import LayerScores
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float32]

__all__ = ["HEAD_KINDS", "HeadNumbers"]

HEAD_KINDS = ("head_scores", "head_labels", "ranking", "head_spreads", "typical")
# A copy without a kernel brings the scores of a record along where they are had at once: up to so many weights.
CHEAP = 1 << 26
# Rankings that are kept: the one on show, and those a reader comes back to.
RANKINGS = 16
_PLACES = {name: place for place, name in enumerate(SCORES)}


class HeadNumbers:
    """Scores, labels and rankings of the heads of one record."""

    def __init__(self, attention: Record) -> None:
        """Start with nothing computed.

        Args:
            attention: The record.
        """
        self._attention = attention
        self._scores = Shared()
        self._rankings = Shared(RANKINGS)
        self._patterns: dict[int, Links] = {}

    def answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        """Return the block that a request about all heads of a stream asks for, float32.

        - ``head_scores``: ``[2, head, score]``, with and without the sink, NaN where a score is not defined;
        - ``head_labels``: ``[head, 2]``, the score that a head's label comes from (-1 for none) and its value;
        - ``ranking``: ``[head]``, the weight of the links in ``ranking``.

        All of another ``measure`` than weights where the request names one.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a position does not exist, or no head can give the links any weight.
        """
        return finish(self.work(request))

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Return `answer` as a computation in slices."""
        stream, what = self._attention[request["stream"]], request["what"]
        measure = request.get("measure", "weights")
        if what == "ranking":
            ranking = request["ranking"]
            asked = self.links(stream, ranking)
            found = yield from self._rankings.wait(
                (stream.name, measure, json.dumps(ranking, sort_keys=True)),
                lambda: stream_weights_slices(stream, asked, measure),
            )
            return encode(np.concatenate(found).astype(np.float32))
        scores = yield from self.scores(stream, measure)
        if what == "head_labels":
            return encode(_labels(scores))
        both = [np.concatenate([layer.values for layer in scores])]
        both.append(np.concatenate([layer.without for layer in scores]))
        return encode(np.stack(both).astype(np.float32))

    def scores(self, stream: Stream, measure: str = "weights") -> Slices[Sequence[LayerScores]]:
        """Compute the scores of a stream's layers, in slices, or return those that are known."""

        def begin() -> Slices[Sequence[LayerScores]]:
            return (yield from score_slices(stream, None, measure)).layers

        return (yield from self._scores.wait((stream.name, measure), begin))

    def add_pattern(self, asked: Links) -> int:
        """Keep a pattern for `links`; return its number."""
        number = len(self._patterns)
        self._patterns[number] = asked
        return number

    def links(self, stream: Stream, ranking: Mapping[str, Any]) -> Links:
        """Return the links that a ``Ranking`` (see the schema) names.

        Raises:
            ValueError: If a position does not exist, or the pattern is none of this stream.
        """
        if "pattern" not in ranking:
            return links(stream, ranking.get("queries"), ranking["keys"])
        asked = self._patterns.get(ranking.get("number", -1))
        size = len(stream.query_positions), len(stream.key_positions)
        if asked is None or (asked.of, asked.mask.shape[1]) != size:
            message = (
                f"there is no pattern {ranking['pattern']!r} of {size[0]} queries × {size[1]} keys here: call "
                "view.rank(pattern=...)."
            )
            raise ValueError(message)
        return asked

    def for_a_copy(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along.

        That is the ranking on show, and the scores of every stream that was scored or is scored at once.
        """
        requests: list[dict[str, Any]] = []
        for name, stream in self._attention.streams.items():
            size = sum(layer.num_heads * layer.n_query * layer.n_key for layer in stream)
            if (name, "weights") in self._scores.done or size <= CHEAP:
                requests += [{"what": what, "stream": name} for what in HEAD_KINDS[:2]]
        shown = state["measure"] if state["measure"] in {"value", "norm"} else None
        measure = {} if shown is None else {"measure": shown}
        if shown is not None and (state["stream"], shown) in self._scores.done:
            where = {"stream": state["stream"], **measure}
            requests += [{"what": what, **where} for what in HEAD_KINDS[:2]]
        if state["ranking"] is not None:
            ranking = {"ranking": state["ranking"], **measure}
            requests.append({"what": "ranking", "stream": state["stream"], **ranking})
        return requests


def _labels(scores: Sequence[LayerScores]) -> Numbers:
    found = [label for layer in scores for label in labels(layer)]
    pairs = [(-1, 0) if label is None else (_PLACES[label.name], label.value) for label in found]
    return np.array(pairs, np.float32)
