"""`HeadNumbers`: head scores, labels and rankings as blocks, computed when first asked for and kept."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.find_heads import Links, links, stream_weights_slices
from attnwidget.analysis.head_scores import labels, score_slices
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.resumable import finish
from attnwidget.protocol.codec import encode
from attnwidget.protocol.constants import GRADIENT_MEASURES, WEIGHTED_MEASURES
from attnwidget.record.aside import FIRST_AND_SPECIAL, aside_keys, check_aside
from attnwidget.serve.groups import RecordGroups
from attnwidget.serve.jobs import SharedComputations
from attnwidget.serve.streams import is_cheap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.head_scores import LayerScores
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.serve.streams import ShownStream

    Numbers = NDArray[np.float32]

__all__ = [
    "HEAD_KINDS",
    "NAMED_MEASURES",
    "HeadNumbers",
    "RecordNumbers",
    "labels_block",
    "ranking_request",
    "scored_aside",
    "scores_block",
]

HEAD_KINDS = ("head_scores", "head_labels", "ranking", "head_spreads", "typical", "contexts")
# Rankings that are kept: the one on show, and those a reader comes back to.
RANKINGS = 16
NAMED_MEASURES = (*WEIGHTED_MEASURES, *GRADIENT_MEASURES)
"""Measures that a request for scores names; `work` refuses what has none."""
_PLACES = {name: place for place, name in enumerate(SCORES)}


class HeadNumbers(ABC):
    """Scores, labels and rankings of the heads that are shown."""

    def __init__(self, streams: Mapping[str, ShownStream]) -> None:
        """Start with nothing computed.

        Args:
            streams: What is shown.
        """
        self._streams = streams
        self._patterns: dict[int, Links] = {}

    @abstractmethod
    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request about all heads of a stream asks for, in slices; see `RecordNumbers`."""

    @abstractmethod
    def snapshot_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along."""

    def answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        """Return what `work` comes to, however long it takes."""
        return finish(self.work(request))

    def add_pattern(self, asked: Links) -> int:
        """Keep a pattern for `links`; return its number."""
        number = len(self._patterns)
        self._patterns[number] = asked
        return number

    def take_patterns(self, other: HeadNumbers) -> None:
        """Know the patterns of another record of the same positions by the same numbers."""
        self._patterns.update(other._patterns)

    def links(self, stream: ShownStream, ranking: Mapping[str, Any]) -> Links:
        """Return the links that a ``Ranking`` (see the schema) names.

        Raises:
            ValueError: If a position does not exist, or the pattern is none of this stream.
        """
        if "grouping" in ranking:
            return links(stream, *self.group_sides(stream, ranking))
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

    def group_sides(
        self, stream: ShownStream, ranking: Mapping[str, Any]
    ) -> tuple[list[int] | None, list[int]]:
        """Return the queries (None for all) and the keys of the groups that a ranking names.

        Raises:
            ValueError: If there are no such groups.
        """
        message = f"there are no groups by {ranking['grouping']!r} of stream {stream.name!r} here: rank heads of a record."
        raise ValueError(message)


class RecordNumbers(HeadNumbers):
    """Scores, labels and rankings of the heads of one record."""

    def __init__(self, record: Record, groups: RecordGroups | None = None) -> None:
        """Start with nothing computed.

        Args:
            record: The record.
            groups: The groups of its positions; those that are known when left out.
        """
        super().__init__(record.streams)
        self._record = record
        self._groups = groups or RecordGroups(record)
        self._scores = SharedComputations()
        self._rankings = SharedComputations(RANKINGS)

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request about all heads of a stream asks for, float32, in slices.

        - ``head_scores``: ``[2, head, score]``, of all weight and without what is set aside (``aside``; the first position
          and special tokens where nothing is named), NaN where a score is not defined;
        - ``head_labels``: ``[head, 2]``, the score that a head's label comes from (-1 for none) and its value;
        - ``ranking``: ``[head]``, the weight of the links in ``ranking``, of what remains with ``aside`` set aside (nothing
          where nothing is named), NaN where nothing remains.

        All of another ``measure`` than weights where the request names one.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a position does not exist, or no head can give the links any weight.
        """
        stream, what = self._record[request["stream"]], request["what"]
        measure = request.get("measure", "weights")
        aside = check_aside(request.get("aside"), stream.key_positions)
        if what == "ranking":
            keys = aside_keys(aside, stream.key_positions)
            ranking = request["ranking"]
            found = yield from self._rankings.wait(
                (stream.name, measure, json.dumps(ranking, sort_keys=True), keys),
                lambda: (
                    self._groups.ranking(stream, ranking, measure, keys)
                    if "grouping" in ranking
                    else stream_weights_slices(stream, self.links(stream, ranking), measure, keys)
                ),
            )
            return encode(np.concatenate(found).astype(np.float32))
        scores = yield from self.scores(stream, measure, aside)
        return labels_block(scores) if what == "head_labels" else scores_block(scores)

    def group_sides(
        self, stream: ShownStream, ranking: Mapping[str, Any]
    ) -> tuple[list[int] | None, list[int]]:
        """Return the positions of the groups that a ranking names; see `HeadNumbers.group_sides`."""
        return self._groups.sides(stream.name, ranking)

    def scores(
        self, stream: Stream, measure: str = "weights", aside: str | list[int] | None = None
    ) -> Slices[Sequence[LayerScores]]:
        """Compute the scores of a stream's layers, in slices, or return those that are known."""
        # What is set aside where nothing is named has a word as well.
        usual = aside is None or aside == FIRST_AND_SPECIAL
        keys = None if usual else aside_keys(aside, stream.key_positions)

        def begin() -> Slices[Sequence[LayerScores]]:
            return (yield from score_slices(stream, keys, measure)).layers

        known = (stream.name, measure) if keys is None else (stream.name, measure, keys)
        return (yield from self._scores.wait(known, begin))

    def scores_known(self, stream: Stream) -> bool:
        """Tell whether the scores of a stream's weights were computed already."""
        return (stream.name, "weights") in self._scores.done

    def snapshot_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along.

        That is the ranking on show, and the scores of every stream that was scored or is scored at once.
        """
        requests: list[dict[str, Any]] = []
        for name, stream in self._record.streams.items():
            if (name, "weights") in self._scores.done or is_cheap(stream):
                requests += [{"what": what, "stream": name} for what in HEAD_KINDS[:2]]
        shown = state["measure"]
        if shown == "gradient":
            # Numbers of both signs are not scored.
            return requests
        if shown in NAMED_MEASURES and (state["stream"], shown) in self._scores.done:
            where = {"stream": state["stream"], "measure": shown}
            requests += [{"what": what, **where} for what in HEAD_KINDS[:2]]
        asked = scored_aside(state["aside"])
        if asked and state["score"] is not None:
            where = {"stream": state["stream"], **asked}
            if shown in NAMED_MEASURES:
                where["measure"] = shown
            requests += [{"what": what, **where} for what in HEAD_KINDS[:2]]
        if state["ranking"] is not None:
            requests.append(ranking_request(state))
        return requests


def scored_aside(aside: str | list[int] | None) -> dict[str, Any]:
    """Return what a request for scores says of positions set aside: nothing where they are those of every score."""
    return {} if aside is None or aside == FIRST_AND_SPECIAL else {"aside": aside}


def scores_block(scores: Sequence[LayerScores]) -> tuple[Block, bytes]:
    """Return scores of a stream's heads, of all weight and without what is set aside, float32 ``[2, head, score]``."""
    both = [np.concatenate([layer.values for layer in scores])]
    both.append(np.concatenate([layer.without for layer in scores]))
    return encode(np.stack(both).astype(np.float32))


def labels_block(scores: Sequence[LayerScores]) -> tuple[Block, bytes]:
    """Return each head's score that its label comes from (-1 for none) and its value, float32 ``[head, 2]``."""
    found = [label for layer in scores for label in labels(layer)]
    pairs = [(-1, 0) if label is None else (_PLACES[label.name], label.value) for label in found]
    return encode(np.array(pairs, np.float32))


def ranking_request(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request for the ranking on show, of the measure on show and without what is set aside."""
    measure = {"measure": state["measure"]} if state["measure"] in NAMED_MEASURES else {}
    aside = {} if state["aside"] is None else {"aside": state["aside"]}
    return {
        "what": "ranking",
        "stream": state["stream"],
        "ranking": state["ranking"],
        **measure,
        **aside,
    }
