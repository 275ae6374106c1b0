"""`Attention.head_scores` and `head_labels` as tidy tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.analysis.head_scores import labels, score_stream
from attnwidget.analysis.importance import IMPORTANCE, importance_missing, importance_rows
from attnwidget.analysis.score_definitions import SCORES, chosen
from attnwidget.analysis.tables import table
from attnwidget.compute.checks import is_word, listed, shown
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.record.aside import ASIDE, named_aside
from attnwidget.record.chosen import chosen_heads, only_these

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from attnwidget.analysis.head_scores import LayerScores, StreamScores
    from attnwidget.compute.indexing import Heads
    from attnwidget.compute.not_numbers import Head
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.record import Record
    from attnwidget.record.vocabulary import Layers

    # The name of the caller's argument, and its value.
    Aside = tuple[str, Place] | None

__all__ = ["head_labels", "head_scores", "label_rows", "score_streams"]


def head_scores(
    attention: Record,
    scores: str | Sequence[str] | None = None,
    stream: str | None = None,
    aside: Aside = None,
    measure: str = "weights",
    *,
    only: tuple[Layers, Heads] = (None, None),
) -> Any:
    """Return `Attention.head_scores`, where it is described."""
    importance, others = _split(scores)
    names = () if importance and not others else chosen(others)
    found = score_streams(attention, stream, aside, measure, only[0]) if names else []
    wanted = _wanted(attention, found, only[1])
    given = [name for name in names if any(name not in one.absent for one in found)]
    streams = list(attention.streams.values()) if stream is None else [attention[stream]]
    missing = {one.name: importance_missing(one) for one in streams} if importance else {}
    important = [one for one in streams if importance and missing[one.name] is None]
    if scores is not None and not given and not important:
        absent = [
            f"{name} in {one.stream!r}: {one.absent[name]}" for name in names for one in found
        ]
        absent += [f"{IMPORTANCE.name} in {name!r}: {why}" for name, why in missing.items()]
        message = f"none of these scores can be given here: {'; '.join(absent)}"
        raise ValueError(message)
    warn_not_numbers(_not_numbers(found, wanted), "so are their scores", stacklevel=3)
    rows = [
        row
        for one in found
        for row in _rows(one, names)
        if row["head"] in wanted[row["stream"], row["layer"]]
    ]
    for one in important:
        chosen_ones = only_these(one, only[0])
        asked = {layer.layer: chosen_heads(layer, only[1]) for layer in chosen_ones}
        rows += [row for row in importance_rows(chosen_ones) if row["head"] in asked[row["layer"]]]
    return table(rows)


def _split(scores: Any) -> tuple[bool, Any]:
    """Return whether importance is among the scores that are asked for, and the others."""
    if is_word(scores, (IMPORTANCE.name,)):
        return True, []
    several = listed(scores)
    if several is None or not any(is_word(one, (IMPORTANCE.name,)) for one in several):
        return False, scores
    return True, [one for one in several if not is_word(one, (IMPORTANCE.name,))]


def head_labels(
    attention: Record,
    stream: str | None = None,
    aside: Aside = None,
    measure: str = "weights",
    *,
    only: tuple[Layers, Heads] = (None, None),
) -> Any:
    """Return `Attention.head_labels`, where it is described."""
    found = score_streams(attention, stream, aside, measure, only[0])
    wanted = _wanted(attention, found, only[1])
    warn_not_numbers(_not_numbers(found, wanted), "such heads get no label", stacklevel=3)
    return table(
        row
        for one in found
        for row in label_rows(one.stream, one.layers)
        if row["head"] in wanted[row["stream"], row["layer"]]
    )


def _wanted(
    attention: Record, found: Sequence[StreamScores], heads: Heads
) -> dict[tuple[str, int], set[int]]:
    """Return the numbers of the heads that are asked for, by stream and layer."""
    return {
        (one.stream, layer.layer): chosen_heads(attention[one.stream][layer.layer], heads)
        for one in found
        for layer in one.layers
    }


def _not_numbers(
    found: Sequence[StreamScores], wanted: Mapping[tuple[str, int], set[int]]
) -> Iterator[Head]:
    """Yield the heads that are asked for and have NaN as a score."""
    return (
        (stream, layer, head)
        for one in found
        for stream, layer, head in one.not_numbers
        if head in wanted[stream, layer]
    )


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
    aside: Aside = None,
    measure: str = "weights",
    layers: Layers = None,
) -> list[StreamScores]:
    """Score one stream, or all of them.

    Args:
        attention: The record.
        stream: Name of the stream; None for all.
        aside: What is set aside, and what the caller calls it; None for the first position and all special tokens.
        measure: Of what.
        layers: Which layers; None for all.

    Raises:
        KeyError, IndexError: If there is no such stream or layer.
        ValueError: If a position that is set aside does not exist, or positions are given for several streams.
    """
    streams = list(attention.streams.values()) if stream is None else [attention[stream]]
    name, place = aside or ("aside", None)
    if place is not None and len(streams) > 1 and not is_word(place, ASIDE):
        message = (
            f"{name}={shown(place)} names positions of one stream, there are {list(attention)}: pass "
            f"stream={streams[0].name!r} besides."
        )
        raise ValueError(message)
    return [
        score_stream(
            only_these(one, layers),
            None if place is None else named_aside(place, one.key_positions, name),
            measure,
        )
        for one in streams
    ]


def _rows(scores: StreamScores, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    places = {name: place for place, name in enumerate(SCORES)}
    for layer in scores.layers:
        for head in range(len(layer.values)):
            for name in names:
                at = head, places[name]
                if not layer.rows[at] and not layer.rows_without[at]:
                    continue
                yield {
                    "stream": scores.stream,
                    "layer": layer.layer,
                    "head": head,
                    "score": name,
                    "value": _number(layer.values[at], layer.rows[at]),
                    "without_sink": _number(layer.without[at], layer.rows_without[at]),
                }


def _number(value: float, rows: float) -> float | None:
    return float(value) if rows else None
