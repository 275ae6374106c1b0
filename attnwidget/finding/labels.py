"""The one short word a head may carry, and the rule that gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.finding.kinds import SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.finding.scores import LayerScores

    Numbers = NDArray[np.float64]

__all__ = ["LEAST_ROWS", "Label", "labels", "lift"]

# How far a score must stand above even attention, as a share of the way from there to 1.
SPECIFIC = 0.4
NEAR = 0.6
# With less than this left outside of the sink, what happens there says little about the head.
LEFT = 0.05
# A mean of fewer rows is an anecdote.
LEAST_ROWS = 3

# Narrow before wide: of scores that are equal, the one that says more.
_KINDS = (
    "previous",
    "next",
    "self",
    "duplicate",
    "induction",
    "same_word",
    "sentence",
    "punctuation",
    "delimiter",
)
_ON_SINK = ("first", "special", "sink")


@dataclass(frozen=True, slots=True)
class Label:
    """A head's label.

    Attributes:
        name: Name of the score it comes from.
        text: The short word.
        value: The score: with the sink set aside, or of all weight where the label speaks of the sink itself.
    """

    name: str
    text: str
    value: float


def labels(scores: LayerScores) -> tuple[Label | None, ...]:
    """Label the heads of a layer, ``None`` for those that fit no word.

    The lift of a score is ``(score − even) / (1 − even) · n / (n + 1)``: how far it stands above even attention over
    the visible keys, on the way to 1, weighed by the number n of rows it was read from (none below 3 rows). The label is

    1. the score with the largest lift, if at least 0.4, among previous, next, self, duplicate, induction, same word,
       sentence end, punctuation and delimiter, read with the sink set aside;
    2. else "local", if its lift is at least 0.6 with the sink set aside;
    3. else "first", "special" or "sink" by the largest lift of the share of all weight, if at least 0.4.

    A head with less than 0.05 of its weight outside of the sink goes to 3 at once. Even attention has lift 0 in every
    score, and so no label. Being broad is no label either: even attention is the broadest there is.
    """
    tables = {
        "with": _by_name(scores.values, scores.expected, scores.rows),
        "without": _by_name(scores.without, scores.expected_without, scores.rows_without),
    }
    return tuple(_label(head, scores, tables) for head in range(len(scores.values)))


def lift(values: Numbers, expected: Numbers, rows: Numbers) -> Numbers:
    """Return how far scores stand above even attention, ``[head, score]``, ``-inf`` where there is nothing to tell."""
    room = 1 - expected
    found = np.divide(values - expected, room, out=np.full_like(values, -np.inf), where=room > 1e-9)
    read = (rows >= LEAST_ROWS) & np.isfinite(found)
    return np.multiply(found, rows / (rows + 1), out=np.full_like(found, -np.inf), where=read)


def _by_name(values: Numbers, expected: Numbers, rows: Numbers) -> Mapping[str, Numbers]:
    found = lift(values, expected, rows)
    return {name: found[:, place] for place, name in enumerate(SCORES)}


def _label(
    head: int, scores: LayerScores, tables: Mapping[str, Mapping[str, Numbers]]
) -> Label | None:
    places = {name: place for place, name in enumerate(SCORES)}
    on_sink = scores.values[head, places["sink"]]
    if not on_sink > 1 - LEFT:
        for names, least in ((_KINDS, SPECIFIC), (("local",), NEAR)):
            best = _best(head, names, tables["without"])
            if tables["without"][best][head] >= least:
                return _made(best, scores.without[head, places[best]])
    best = _best(head, _ON_SINK, tables["with"])
    if tables["with"][best][head] >= SPECIFIC:
        return _made(best, scores.values[head, places[best]])
    return None


def _best(head: int, names: Sequence[str], lifts: Mapping[str, Numbers]) -> str:
    return max(names, key=lambda name: lifts[name][head])  # the first of equal ones


def _made(name: str, value: float) -> Label:
    return Label(name, SCORES[name].label, float(value))
