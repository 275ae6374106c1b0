"""Rows of a survey's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.head_scores import labels
from attnwidget.analysis.score_definitions import SCORES, chosen
from attnwidget.analysis.tables import table
from attnwidget.compute.checks import check_name, integer, listed, shown
from attnwidget.compute.indexing import head_axis
from attnwidget.record.stream import number_ranges
from attnwidget.record.vocabulary import from_the_end, layers_and_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers
    from attnwidget.surveys.statistics import Moments, Surveyed

    Asked = tuple[list[str], set[tuple[str, int, int]]]

__all__ = ["HasStreams", "example_rows", "group_rows", "head_place", "score_rows", "wanted_layers"]

_NAMES = tuple(SCORES)


class HasStreams:
    """What each part of `Survey` tells of some streams, layers and heads.

    Attributes:
        streams: What was found, by the stream's name.
    """

    __slots__ = ()

    streams: Mapping[str, Surveyed]

    def _asked(
        self, stream: str | None, layer: Layers, layers: Layers, head: Heads, heads: Heads
    ) -> Asked:
        """Return the streams that a table is asked for, and stream, layer and head of the heads."""
        streams = list(self.streams) if stream is None else [self._known(stream)]
        numbers, places = layers_and_heads(layer, layers, head, heads)
        return streams, {
            (name, number, place)
            for name in streams
            for number, count in wanted_layers(name, self.streams[name].moments.layers, numbers)
            for place in head_axis(places, count).indices
        }

    def _table(
        self, asked: Asked, rows: Callable[[str, Surveyed], Iterable[dict[str, Any]]]
    ) -> Any:
        """Return the rows of the heads that are asked for, of those that ``rows`` makes of each stream."""
        streams, wanted = asked
        return table(
            row
            for one in streams
            for row in rows(one, self.streams[one])
            if (one, row["layer"], row["head"]) in wanted
        )

    def _known(self, stream: str) -> str:
        return check_name("stream", stream, self.streams)

    def _one(self, stream: str | None) -> str:
        """Return the stream of a name, or the only one."""
        if stream is not None:
            return self._known(stream)
        if len(self.streams) > 1:
            names = list(self.streams)
            message = (
                f"there are several streams, {names}: choose one, such as stream={names[0]!r}."
            )
            raise ValueError(message)
        return next(iter(self.streams))


def score_rows(stream: str, moments: Moments, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Make the rows of `Survey.head_scores` for one stream."""
    mean, spread = moments.means, moments.spread
    for start, (layer, heads) in zip(_starts(moments.layers), moments.layers, strict=True):
        for head in range(heads):
            for name in names:
                at = start + head, _NAMES.index(name)
                rows = moments.rows[:, at[0], at[1]]
                if not rows.any():
                    continue
                yield {
                    "stream": stream,
                    "layer": layer,
                    "head": head,
                    "score": name,
                    "mean": _number(mean[0][at], rows[0]),
                    "spread": _number(spread[0][at], rows[0]),
                    "without_sink": _number(mean[1][at], rows[1]),
                    "without_sink_spread": _number(spread[1][at], rows[1]),
                    "inputs": int(moments.count[0][at]),
                }


def group_rows(stream: str, found: Surveyed) -> Iterator[dict[str, Any]]:
    """Make the rows of `Survey.group_shares` for one stream: of pairs of groups that any input had."""
    groups = found.groups
    if groups is None:
        return
    means, spread, layers = groups.means, groups.spread, found.moments.layers
    pairs = np.argwhere(groups.count.any(0)).tolist()
    for start, (layer, heads) in zip(_starts(layers), layers, strict=True):
        for head in range(heads):
            for first, second in pairs:
                at = start + head, first, second
                yield {
                    "stream": stream,
                    "layer": layer,
                    "head": head,
                    "from": groups.names[first],
                    "to": groups.names[second],
                    "share": float(means[at]),
                    "spread": float(spread[at]),
                    "inputs": int(groups.count[at]),
                }


def example_rows(
    found: Surveyed, texts: Mapping[int, str], layer: int, head: int, score: str | None
) -> Iterator[dict[str, Any]]:
    """Make the rows of `Survey.examples` for one stream.

    Raises:
        ValueError: If there is no such head or score, or the head has no label.
    """
    at, typical = head_place(found.moments, layer, head, score), found.typical
    ranked = zip(typical.index[at].tolist(), typical.value[at].tolist(), strict=True)
    return (
        {"rank": rank, "index": index, "value": value, "text": texts.get(index)}
        for rank, (index, value) in enumerate(ranked, start=1)
        if index >= 0
    )


def head_place(moments: Moments, layer: int, head: int, score: str | None) -> tuple[int, int]:
    """Find a head among those of all layers, and a score, the head's label if ``None``, among all scores."""
    counts = dict(moments.layers)
    number, place = integer(from_the_end(layer, list(counts))), integer(head)
    count = 0 if number is None else counts.get(number, 0)
    if number is None or place is None or not -count <= place < count:
        message = f"there is no head {shown(head)} in layer {shown(layer)}; layers and heads: {list(moments.layers)}."
        raise ValueError(message)
    place %= count
    if score is None:
        (own,) = (scores for scores in moments.scores() if scores.layer == number)
        label = labels(own)[place]
        if label is None:
            message = f"layer {number} head {place} has no label: pass score=, one of {', '.join(SCORES)}."
            raise ValueError(message)
        score = label.name
    start = _starts(moments.layers)[list(counts).index(number)]
    return start + place, _NAMES.index(chosen(score)[0])


def wanted_layers(
    stream: str, layers: Sequence[tuple[int, int]], asked: Layers
) -> list[tuple[int, int]]:
    """Return number and heads of the layers that are asked for, one or several, negative from the end; None for all.

    Raises:
        ValueError: If there is no such layer.
    """
    if asked is None:
        return list(layers)
    numbers = [number for number, _ in layers]
    several = listed(asked)
    if several is None:
        several = [asked]
    found = [from_the_end(one, numbers) for one in several]
    for one, given in zip(found, several, strict=True):
        if integer(one) not in numbers:
            message = f"layer must be one of {number_ranges(numbers)} in stream {stream!r}, got {shown(given)}."
            raise ValueError(message)
    return [(number, heads) for number, heads in layers if number in found]


def _starts(layers: Sequence[tuple[int, int]]) -> list[int]:
    return [sum(heads for _, heads in layers[:place]) for place in range(len(layers))]


def _number(value: float, rows: float) -> float | None:
    return float(value) if rows else None
