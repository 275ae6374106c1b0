"""Numbers about all heads of a stream, for the model view: computed when first asked, kept, sent as small arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.finding.find import Links, links, stream_weights
from attnwidget.finding.kinds import SCORES
from attnwidget.finding.labels import labels
from attnwidget.finding.scores import score_stream
from attnwidget.protocol.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.attention import Attention, Stream
    from attnwidget.finding.scores import LayerScores
    from attnwidget.protocol.codec import Block

    Numbers = NDArray[np.float32]

__all__ = ["HEAD_KINDS", "HeadNumbers"]

HEAD_KINDS = ("head_scores", "head_labels", "ranking", "head_spreads", "typical")
# A copy without a kernel brings the scores of a record along where they are had at once: up to so many weights.
CHEAP = 1 << 26
_PLACES = {name: place for place, name in enumerate(SCORES)}


class HeadNumbers:
    """Scores, labels and rankings of the heads of one record."""

    def __init__(
        self, attention: Attention, progress: Callable[[str, float], None] | None = None
    ) -> None:
        """Start with nothing computed.

        Args:
            attention: The record.
            progress: Told the stream and the share of its weights that is read while it is scored.
        """
        self._attention = attention
        self._progress = progress
        self._scores: dict[tuple[str, str], Sequence[LayerScores]] = {}
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
        stream, what = self._attention[request["stream"]], request["what"]
        measure = request.get("measure", "weights")
        if what == "ranking":
            return encode(self.ranking(stream, request["ranking"], measure))
        scores = self.scores(stream, measure)
        if what == "head_labels":
            return encode(_labels(scores))
        both = [np.concatenate([layer.values for layer in scores])]
        both.append(np.concatenate([layer.without for layer in scores]))
        return encode(np.stack(both).astype(np.float32))

    def scores(self, stream: Stream, measure: str = "weights") -> Sequence[LayerScores]:
        """Return the scores of a stream's layers."""
        key = stream.name, measure
        if key not in self._scores:
            tell = self._progress
            heard = None if tell is None else lambda part: tell(stream.name, part)
            self._scores[key] = score_stream(stream, None, measure, progress=heard).layers
        return self._scores[key]

    def ranking(
        self, stream: Stream, ranking: Mapping[str, Any], measure: str = "weights"
    ) -> Numbers:
        """Return the weight of some links in every head, float32 ``[head]``; `Attention.find` describes it."""
        found = stream_weights(stream, self.links(stream, ranking), measure)
        return np.concatenate(found).astype(np.float32)

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
            if (name, "weights") in self._scores or size <= CHEAP:
                requests += [{"what": what, "stream": name} for what in HEAD_KINDS[:2]]
        shown = state["measure"] if state["measure"] in {"value", "norm"} else None
        measure = {} if shown is None else {"measure": shown}
        if shown is not None and (state["stream"], shown) in self._scores:
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
