"""`Attention.head_scores` and `head_labels` as tidy tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.head_scores import labels, score_stream
from attnwidget.analysis.score_definitions import SCORES, chosen
from attnwidget.analysis.tables import table
from attnwidget.compute.indexing import position_axis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from attnwidget.analysis.head_scores import LayerScores, StreamScores
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

__all__ = ["head_labels", "head_scores", "label_rows", "score_streams"]


def head_scores(
    attention: Record,
    scores: str | Sequence[str] | None = None,
    stream: str | None = None,
    sink: int | Sequence[int] | None = None,
    measure: str = "weights",
) -> Any:
    """Return `Attention.head_scores`, where it is described."""
    names = chosen(scores)
    found = score_streams(attention, stream, sink, measure)
    given = [name for name in names if any(name not in one.absent for one in found)]
    if scores is not None and not given:
        reasons = "; ".join(
            f"{name} in {one.stream!r}: {one.absent[name]}" for name in names for one in found
        )
        message = f"none of these scores can be given here: {reasons}"
        raise ValueError(message)
    return table(row for one in found for row in _rows(one, names))


def head_labels(
    attention: Record,
    stream: str | None = None,
    sink: int | Sequence[int] | None = None,
    measure: str = "weights",
) -> Any:
    """Return `Attention.head_labels`, where it is described."""
    found = score_streams(attention, stream, sink, measure)
    return table(row for one in found for row in label_rows(one.stream, one.layers))


def label_rows(stream: str, layers: Iterable[LayerScores]) -> Iterator[dict[str, Any]]:
    """Yield one row for each head that has a label."""
    for layer in layers:
        for head, label in enumerate(labels(layer)):
            if label is not None:
                yield {
                    "stream": stream,
                    "layer": layer.layer,
                    "head": head,
                    "label": label.text,
                    "score": label.name,
                    "value": label.value,
                }


def score_streams(
    attention: Record,
    stream: str | None,
    sink: int | Sequence[int] | None = None,
    measure: str = "weights",
) -> list[StreamScores]:
    """Score one stream, or all of them.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If a position of the sink does not exist, or positions are given for several streams.
    """
    streams = list(attention.streams.values()) if stream is None else [attention[stream]]
    if sink is not None and len(streams) > 1:
        message = (
            f"sink={sink!r} names positions of one stream, there are {list(attention)}: pass "
            f"stream={streams[0].name!r} besides."
        )
        raise ValueError(message)
    return [score_stream(one, _sink(one, sink), measure) for one in streams]


def _sink(stream: Stream, sink: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if sink is None:
        return None
    return tuple(sorted(set(position_axis("sink", sink, len(stream.key_positions)).indices)))


def _rows(scores: StreamScores, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    places = {name: place for place, name in enumerate(SCORES)}
    for layer in scores.layers:
        for head in range(len(layer.values)):
            for name in names:
                value = layer.values[head, places[name]]
                without = layer.without[head, places[name]]
                if math.isnan(value) and math.isnan(without):
                    continue
                yield {
                    "stream": scores.stream,
                    "layer": layer.layer,
                    "head": head,
                    "score": name,
                    "value": _number(value),
                    "without_sink": _number(without),
                }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
